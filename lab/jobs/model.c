// SPDX-License-Identifier: GPL-2.0
/*
 * model MODE RULES NODE...: be the hardware of a device whose registers are memory,
 * until it is killed.  RULES is a file with lines of platform/models.tbl, which says
 * what they mean; NODEs are the device's in the device tree.  They have the address
 * that all others are relative to, and the interrupts.  MODE is
 *
 *	answers		do what the rules say, at once
 *	late		the same, some time later
 *	error		say that it failed
 *	never		only keep what the rules say to keep
 *	storm		answer, and raise all interrupts all the time as well
 *
 * An interrupt is raised in debugfs.  The status stays until the handler is done,
 * also that in a thread: until then the interrupt is in progress, or masked.  That
 * is too long where the handler clears it and reads it again: "until".
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#define MAX_RULES	32
#define MAX_WORDS	4
#define MAX_TURNS	4
#define MAX_IRQS	8
#define PAUSE_US	50
#define STORM_US	2000
#define LATE_US		300000
#define HANDLED_US	2000000	/* on a busy host; or it is disabled */
#define FIRST_SPI	32

typedef volatile uint32_t reg;

/* A register, and what it reads in turn */
struct word {
	reg *addr;
	uint32_t value[MAX_TURNS];
	int nvalues;
};

static struct rule {
	struct word keep;
	bool keep_or;
	reg *when;
	uint32_t mask, value;
	bool exact;		/* value, not just any bit of mask */
	bool clear;
	bool storm;
	unsigned int every_us;
	struct word set[MAX_WORDS], error[MAX_WORDS];
	reg *until[MAX_TURNS];
	int nuntil;
	int nset, nerror;
	int irq;
	uint64_t due;		/* 0 while "when" is not so */
	unsigned int turn;
	unsigned int done;
} rules[MAX_RULES];
static int nrules;

static struct irq {
	unsigned int hwirq;
	int trigger, count;	/* files */
} irqs[MAX_IRQS];
static int nirqs;

static unsigned long base;
static int mem;
static volatile sig_atomic_t stop;

static void die(const char *what, const char *name)
{
	fprintf(stderr, "model: %s: %s\n", name, what);
	exit(2);
}

static uint64_t now_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000ULL + t.tv_nsec / 1000;
}

/* Whatever was in the file, or nothing */
static ssize_t slurp(const char *path, char *buf, size_t size)
{
	int fd = open(path, O_RDONLY);
	ssize_t n = fd < 0 ? -1 : read(fd, buf, size - 1);

	if (fd >= 0)
		close(fd);
	buf[n > 0 ? n : 0] = 0;
	return n;
}

/* ------------------------------------------------------------ interrupts */

static void add_node(const char *node)
{
	char path[256];
	uint8_t cells[12 * MAX_IRQS + 1];
	ssize_t i, n;

	snprintf(path, sizeof(path), "/sys/firmware/devicetree/base%s/interrupts", node);
	n = slurp(path, (char *)cells, sizeof(cells));
	/* shared or not, number, kind: big endian */
	for (i = 0; i + 12 <= n && nirqs < MAX_IRQS; i += 12) {
		irqs[nirqs].hwirq = FIRST_SPI + (cells[i + 6] << 8 | cells[i + 7]);
		irqs[nirqs].trigger = irqs[nirqs].count = -1;
		nirqs++;
	}
}

/* Linux has numbers of its own, once a driver has asked for the interrupt */
static bool find_irq(struct irq *irq)
{
	DIR *dir = opendir("/sys/kernel/irq");
	char path[256], buf[64];
	struct dirent *d;

	while (dir && (d = readdir(dir))) {
		snprintf(path, sizeof(path), "/sys/kernel/irq/%.16s/hwirq", d->d_name);
		if (slurp(path, buf, sizeof(buf)) <= 0 || strtoul(buf, NULL, 0) != irq->hwirq)
			continue;
		/* other controllers count as well, but have names; that of GICv2 is empty */
		snprintf(path, sizeof(path), "/sys/kernel/irq/%.16s/chip_name", d->d_name);
		slurp(path, buf, sizeof(buf));
		if (*buf && *buf != '\n' && strncmp(buf, "GIC", 3))
			continue;
		snprintf(path, sizeof(path), "/sys/kernel/irq/%.16s/per_cpu_count", d->d_name);
		irq->count = open(path, O_RDONLY);
		snprintf(path, sizeof(path), "/sys/kernel/debug/irq/irqs/%.16s", d->d_name);
		irq->trigger = open(path, O_RDWR);
		break;
	}
	if (dir)
		closedir(dir);
	return irq->trigger >= 0;
}

/* Fails if no driver has ever asked for it; if none does now, it is pending */
static bool trigger(struct irq *irq)
{
	if (irq->trigger < 0 && !find_irq(irq))
		return false;
	return write(irq->trigger, "trigger", 7) == 7;
}

static unsigned long times(struct irq *irq)
{
	char buf[256], *p = buf;
	unsigned long sum = 0;
	ssize_t n = pread(irq->count, buf, sizeof(buf) - 1, 0);

	buf[n > 0 ? n : 0] = 0;
	while (*p) {
		sum += strtoul(p, &p, 10);
		p += !!*p;
	}
	return sum;
}

static bool busy(struct irq *irq)
{
	char buf[4096];
	ssize_t n = pread(irq->trigger, buf, sizeof(buf) - 1, 0);

	buf[n > 0 ? n : 0] = 0;
	return strstr(buf, "IRQD_IRQ_INPROGRESS") || strstr(buf, "IRQD_IRQ_MASKED");
}

static void raise_and_wait(struct irq *irq)
{
	uint64_t end = now_us() + HANDLED_US;
	unsigned long before;

	if (irq->trigger < 0 && !find_irq(irq))
		return;
	before = times(irq);
	if (!trigger(irq))
		return;
	while ((times(irq) == before || busy(irq)) && now_us() < end)
		usleep(PAUSE_US);
}

/* ----------------------------------------------------------------- rules */

static reg *map(unsigned long offset)
{
	unsigned long addr = base + offset, size = sysconf(_SC_PAGESIZE);
	char *p;

	p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, mem, addr & -size);
	if (p == MAP_FAILED)
		die(strerror(errno), "/dev/mem");
	return (reg *)(p + (addr & (size - 1)));
}

/* ADDR=VALUE[,VALUE...] */
static void parse_word(struct word *w, char *s)
{
	char *value = strchr(s, '=');

	if (!value)
		die("ADDR=VALUE expected", s);
	w->addr = map(strtoul(s, NULL, 0));
	do {
		if (w->nvalues == MAX_TURNS)
			die("too many values", s);
		w->value[w->nvalues++] = strtoul(value + 1, &value, 0);
	} while (*value == ',');
}

/* ADDR&MASK[=VALUE] */
static void parse_when(struct rule *r, char *s)
{
	char *mask = strchr(s, '&'), *value = strchr(s, '=');

	if (!mask)
		die("ADDR&MASK expected", s);
	r->when = map(strtoul(s, NULL, 0));
	r->mask = strtoul(mask + 1, NULL, 0);
	if (value) {
		r->exact = true;
		r->value = strtoul(value + 1, NULL, 0);
	}
}

/* ADDR[,ADDR...] */
static void parse_until(struct rule *r, char *s)
{
	do {
		if (r->nuntil == MAX_TURNS)
			die("too many addresses", s);
		r->until[r->nuntil++] = map(strtoul(s, &s, 0));
	} while (*s++ == ',');
}

static void parse(char *line)
{
	struct rule *r = &rules[nrules++];
	char *key, *arg;

	if (nrules > MAX_RULES)
		die("too many rules", line);
	r->irq = -1;
	strtok(line, " \t\n");		/* the driver */
	while ((key = strtok(NULL, " \t\n"))) {
		if (!strcmp(key, "clear")) {
			r->clear = true;
			continue;
		}
		arg = strtok(NULL, " \t\n");
		if (!arg)
			die("argument expected", key);
		if (!strcmp(key, "keep")) {
			r->keep_or = strstr(arg, "|=");
			parse_word(&r->keep, arg);
		} else if (!strcmp(key, "when") || !strcmp(key, "storm")) {
			r->storm = *key == 's';
			parse_when(r, arg);
		} else if (!strcmp(key, "set") && r->nset < MAX_WORDS) {
			parse_word(&r->set[r->nset++], arg);
		} else if (!strcmp(key, "error") && r->nerror < MAX_WORDS) {
			parse_word(&r->error[r->nerror++], arg);
		} else if (!strcmp(key, "until")) {
			parse_until(r, arg);
		} else if (!strcmp(key, "every")) {
			r->every_us = strtoul(arg, NULL, 0) * 1000;
		} else if (!strcmp(key, "irq") && (r->storm || atoi(arg) < nirqs)) {
			r->irq = atoi(arg);
		} else {
			die("what is that?", key);
		}
	}
	if (!r->keep.addr && (!r->when || r->irq < 0))
		die("a rule needs keep, or when or storm and irq", "rule");
}

static bool applies(struct rule *r)
{
	uint32_t is;

	if (!r->when)
		return true;
	is = *r->when & r->mask;
	return r->exact ? is == r->value : is;
}

/* The driver may be writing the same word: no bit of its may be lost */
static void keep(struct rule *r)
{
	uint32_t value = r->keep.value[0];

	if (!applies(r))
		return;
	if (r->keep_or)
		__atomic_fetch_or(r->keep.addr, value, __ATOMIC_SEQ_CST);
	else if (*r->keep.addr != value)
		*r->keep.addr = value;
}

static void set(struct word *w, int n, unsigned int turn)
{
	for (; n-- > 0; w++)
		*w->addr = w->value[turn % w->nvalues];
}

/* What the driver has not written itself meanwhile */
static void reset(struct word *w, int n, unsigned int turn)
{
	uint32_t value;

	for (; n-- > 0; w++) {
		value = w->value[turn % w->nvalues];
		__atomic_compare_exchange_n(w->addr, &value, 0, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
	}
}

/*
 * "until": a thread on the other processor looks for the write, and zeroes the status
 * between two instructions of the handler.  With more load than processors it seldom wins:
 * the driver then takes it for a frame that it missed.
 */
static struct rule *watched;
static bool watching;

static void run_on(int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	sched_setaffinity(0, sizeof(set), &set);
}

static void *watch(void *arg)
{
	struct rule *r;

	run_on(1);
	for (;;) {
		r = __atomic_load_n(&watched, __ATOMIC_SEQ_CST);
		__atomic_store_n(&watching, !!r, __ATOMIC_SEQ_CST);
		if (!r)
			usleep(PAUSE_US);
		else if (*r->until[r->turn % r->nuntil])
			reset(r->set, r->nset, r->turn);
	}
	return arg;
}

static void watch_for(struct rule *r)
{
	if (r)
		*r->until[r->turn % r->nuntil] = 0;
	__atomic_store_n(&watched, r, __ATOMIC_SEQ_CST);
	while (__atomic_load_n(&watching, __ATOMIC_SEQ_CST) != !!r)
		usleep(PAUSE_US);
}

static void start_watch(void)
{
	pthread_t thread;

	/* interrupts go to the first one */
	run_on(0);
	if (pthread_create(&thread, NULL, watch, NULL))
		die("no thread", "until");
}

static void answer(struct rule *r, bool late, bool error)
{
	if (!applies(r)) {
		r->due = 0;
		r->turn = 0;
		return;
	}
	if (!r->due)
		r->due = now_us() + r->every_us + late * LATE_US;
	if (now_us() < r->due)
		return;
	r->due = 0;
	if (r->clear)
		__atomic_fetch_and(r->when, ~r->mask, __ATOMIC_SEQ_CST);
	error = error && r->nerror;
	if (r->nuntil && !error)
		watch_for(r);
	if (error)
		set(r->error, r->nerror, r->turn);
	else
		set(r->set, r->nset, r->turn);
	raise_and_wait(&irqs[r->irq]);
	if (r->nuntil && !error)
		watch_for(NULL);
	if (error)
		reset(r->error, r->nerror, r->turn);
	else
		reset(r->set, r->nset, r->turn);
	r->turn++;
	r->done++;
}

/* Where a rule says which, only what the device has enabled */
static bool can_be_raised(int irq)
{
	bool said = false;
	int i;

	for (i = 0; i < nrules; i++) {
		if (!rules[i].storm || rules[i].irq != irq)
			continue;
		if (applies(&rules[i]))
			return true;
		said = true;
	}
	return !said;
}

/*
 * What comes between the look at whether the device would raise an interrupt and the
 * trigger must be short: the driver may be unbound meanwhile, and the interrupt is then
 * pending when it is bound again.  Nothing in userspace takes that back: this makes it
 * rare, not impossible.  It sleeps often enough for others to run.
 */
static void run_first(void)
{
	struct sched_param param = { .sched_priority = 1 };

	if (sched_setscheduler(0, SCHED_FIFO, &param))
		die(strerror(errno), "SCHED_FIFO");
}

static unsigned int raised;	/* in storms */

static void storm(void)
{
	static uint64_t due;
	int i;

	if (now_us() < due)
		return;
	due = now_us() + STORM_US;
	for (i = 0; i < nirqs; i++)
		if (can_be_raised(i))
			raised += trigger(&irqs[i]);
}

static void on_signal(int sig)
{
	stop = 1;
}

int main(int argc, char **argv)
{
	static const char modes[] = " answers late error never storm ";
	const char *mode = argv[1], *at;
	char line[512];
	FILE *f;
	int i;

	if (argc < 4 || !strstr(modes, mode)) {
		fprintf(stderr, "usage: %s%sRULES NODE...\n", argv[0], modes);
		return 2;
	}
	at = strrchr(argv[3], '@');
	base = at ? strtoul(at + 1, NULL, 16) : 0;
	for (i = 3; i < argc; i++)
		add_node(argv[i]);
	mem = open("/dev/mem", O_RDWR | O_SYNC);
	if (mem < 0)
		die(strerror(errno), "/dev/mem");
	f = fopen(argv[2], "r");
	if (!f)
		die(strerror(errno), argv[2]);
	while (fgets(line, sizeof(line), f))
		parse(line);
	fclose(f);
	/* what an aborted job has left started */
	for (i = 0; i < nrules; i++)
		if (rules[i].clear)
			__atomic_fetch_and(rules[i].when, ~rules[i].mask, __ATOMIC_SEQ_CST);
	for (i = 0; i < nrules && !rules[i].nuntil; i++)
		;
	if (i < nrules)
		start_watch();
	run_first();
	signal(SIGTERM, on_signal);

	while (!stop) {
		for (i = 0; i < nrules; i++) {
			if (rules[i].keep.addr)
				keep(&rules[i]);
			else if (!rules[i].storm && strcmp(mode, "never"))
				answer(&rules[i], !strcmp(mode, "late"), !strcmp(mode, "error"));
		}
		if (!strcmp(mode, "storm"))
			storm();
		usleep(PAUSE_US);
	}
	printf("# model: %s:", mode);
	for (i = 0; i < nrules; i++)
		if (rules[i].nset)
			printf(" %u", rules[i].done);
	printf(" answers, %u more interrupts\n", raised);
	return 0;
}
