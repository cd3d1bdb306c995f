// SPDX-License-Identifier: GPL-2.0
/*
 * unbind [DEVICES]: how long it takes to unbind vivid, and how much memory is what
 * it has.  For a guest whose time is its instructions (QEMU's -icount shift=0),
 * where the same takes the same; elsewhere it is a time, and noise.
 *
 * With DEVICES, the number of instances that it was loaded with, of all these:
 *
 *	UNBIND<TAB>devices<TAB>DEVICES<TAB>us...
 *	MEMORY<TAB>node, n_devs=DEVICES<TAB>bytes
 *
 * Without, with N calls that are asleep in DQEVENT, and how many of them returned:
 *
 *	UNBIND<TAB>sleepers<TAB>N<TAB>us...
 *	WOKEN<TAB>sleepers<TAB>N<TAB>calls...
 *	MEMORY<TAB>open file<TAB>bytes
 */
#include <err.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/resource.h>

#include "media_tests/v4l2_removal.h"

#define REPS		11
#define MAX_SLEEPERS	64
#define FILES		1000

static void unbind_or_die(const struct vr_driver *drv, __s64 *us)
{
	*us = vr_unbind(drv, NULL);
	if (*us < 0)
		err(1, "unbind of %s", drv->device);
}

static void bind_or_die(const struct vr_driver *drv)
{
	if (vr_bind(drv) < 0)
		err(1, "bind of %s", drv->device);
}

static int open_capture(void)
{
	char path[64];
	int fd;

	if (!vr_find_video("vivid", "vivid-000-vid-cap", path, sizeof(path)))
		errx(1, "vivid has no capture node");
	fd = open(path, O_RDWR | O_CLOEXEC);
	if (fd < 0)
		err(1, "%s", path);
	return fd;
}

/* One removal under @n calls; returns how many of these it ended */
static unsigned int removal(struct vr_call *call, unsigned int n, __s64 *us)
{
	int fd[MAX_SLEEPERS];
	unsigned int i, woken = 0;

	for (i = 0; i < n; i++) {
		fd[i] = open_capture();
		if (vr_subscribe_ctrl(fd[i]) ||
		    vr_start(&call[i], call_dqevent, &fd[i]) < 0)
			err(1, "a call that sleeps");
	}
	for (i = 0; i < n; i++)
		if (!vr_wait_asleep(&call[i]))
			errx(1, "DQEVENT does not sleep");
	unbind_or_die(&vr_vivid, us);
	for (i = 0; i < n; i++) {
		if (vr_wait_returned(&call[i], vr_now_us() + 100000))
			woken++;
		else if (!vr_kill(&call[i]))
			errx(1, "a call that cannot be killed");
		close(fd[i]);
	}
	bind_or_die(&vr_vivid);
	return woken;
}

static void print(const char *what, const char *n, const __s64 *values)
{
	unsigned int rep;

	printf("%s\t%s", what, n);
	for (rep = 0; rep < REPS; rep++)
		printf("\t%lld", values[rep]);
	printf("\n");
}

static void sleepers(void)
{
	static const unsigned int counts[] = { 0, 1, 8, MAX_SLEEPERS };
	struct vr_call *call = vr_shared(MAX_SLEEPERS * sizeof(*call));
	__s64 us[REPS], woken[REPS];
	unsigned int i, rep;
	char n[16];

	if (!call)
		err(1, "shared memory");
	for (i = 0; i < sizeof(counts) / sizeof(counts[0]); i++) {
		for (rep = 0; rep < REPS; rep++)
			woken[rep] = removal(call, counts[i], &us[rep]);
		snprintf(n, sizeof(n), "%u", counts[i]);
		print("UNBIND\tsleepers", n, us);
		print("WOKEN\tsleepers", n, woken);
	}
}

/* All memory that the kernel holds for itself */
static long kernel_kib(void)
{
	static const char * const all[] = { "Slab:", "VmallocUsed:", "Percpu:" };
	char line[512], name[48];
	long value, sum = 0;
	unsigned int i;
	FILE *f;

	f = fopen("/proc/meminfo", "r");
	if (!f)
		err(1, "/proc/meminfo");
	while (fgets(line, sizeof(line), f)) {
		if (sscanf(line, "%47s %ld", name, &value) != 2)
			continue;
		for (i = 0; i < sizeof(all) / sizeof(all[0]); i++)
			if (!strcmp(name, all[i]))
				sum += value;
	}
	fclose(f);
	return sum;
}

static void files(void)
{
	struct rlimit limit = { FILES + 100, FILES + 100 };
	static int fd[FILES];
	unsigned int i;
	long kib;

	if (setrlimit(RLIMIT_NOFILE, &limit))
		err(1, "RLIMIT_NOFILE");
	fd[0] = open_capture();
	kib = kernel_kib();
	for (i = 1; i < FILES; i++)
		fd[i] = open_capture();
	printf("MEMORY\topen file\t%ld\n",
	       (kernel_kib() - kib) * 1024 / (FILES - 1));
	for (i = 0; i < FILES; i++)
		close(fd[i]);
}

static int count_node(const char *name, void *arg)
{
	(void)name;
	++*(unsigned int *)arg;
	return 0;
}

/* With as many instances as the module was loaded for */
static void devices(const char *n)
{
	unsigned int rep, nodes = 0;
	long with = 0, without = 0;
	__s64 us[REPS];

	for (rep = 0; rep < REPS; rep++) {
		nodes = 0;
		vr_for_each(VR_VIDEO, "vivid", NULL, count_node, &nodes);
		with = kernel_kib();
		unbind_or_die(&vr_vivid, &us[rep]);
		vr_nap(1000);	/* what is freed after a grace period */
		without = kernel_kib();
		bind_or_die(&vr_vivid);
	}
	if (!nodes)
		errx(1, "vivid has no node");
	print("UNBIND\tdevices", n, us);
	printf("MEMORY\tnode, n_devs=%s\t%ld\n", n,
	       (with - without) * 1024 / nodes);
}

int main(int argc, char **argv)
{
	if (argc == 2) {
		devices(argv[1]);
		return 0;
	}
	files();
	sleepers();
	return 0;
}
