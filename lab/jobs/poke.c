// SPDX-License-Identifier: GPL-2.0
/*
 * poke ADDR=VALUE[@COND]...: be the hardware of a device whose registers are
 * memory: keep writing the words, those with COND only while the word there is
 * not 0.  Until it is killed.
 */
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define MAX_WORDS	32
#define PAUSE_US	50

static struct word {
	volatile uint32_t *addr, *cond;
	uint32_t value;
} words[MAX_WORDS];

static volatile uint32_t *map(int fd, unsigned long addr)
{
	long size = sysconf(_SC_PAGESIZE);
	char *mem;

	mem = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd,
		   addr & -size);
	if (mem == MAP_FAILED) {
		perror("/dev/mem");
		exit(1);
	}
	return (void *)(mem + (addr & (size - 1)));
}

int main(int argc, char **argv)
{
	int fd = open("/dev/mem", O_RDWR | O_SYNC);
	int n;

	if (fd < 0 || argc < 2 || argc > MAX_WORDS + 1) {
		fprintf(stderr, "usage: %s ADDR=VALUE[@COND]..., with /dev/mem\n", argv[0]);
		return 2;
	}
	for (n = 0; n < argc - 1; n++) {
		char *value = strchr(argv[n + 1], '='), *cond = strchr(argv[n + 1], '@');

		if (!value) {
			fprintf(stderr, "%s: ADDR=VALUE[@COND] expected\n", argv[n + 1]);
			return 2;
		}
		words[n].addr = map(fd, strtoul(argv[n + 1], NULL, 0));
		words[n].value = strtoul(value + 1, NULL, 0);
		if (cond)
			words[n].cond = map(fd, strtoul(cond + 1, NULL, 0));
	}
	for (;;) {
		struct word *w;

		for (w = words; w < words + n; w++)
			if ((!w->cond || *w->cond) && *w->addr != w->value)
				*w->addr = w->value;
		usleep(PAUSE_US);
	}
}
