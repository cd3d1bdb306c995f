// SPDX-License-Identifier: GPL-2.0
/*
 * Bind, unbind and open the media test drivers, allocate requests, and start
 * to stream, with each allocation on the way failing once.
 *
 * /proc/self/fail-nth lets the Nth allocation of the task fail.  N goes from 1
 * until the call is over before it gets that far: every one had its turn.
 * After each,
 *
 *  - the call has failed, with ENOMEM, and left nothing behind: no node, and a
 *    device that an unbind failed for is still bound; or it has coped, and all
 *    nodes are there;
 *  - the next call, with nothing failing, works, and so do the nodes; to start
 *    to stream works on the same handle;
 *  - the kernel has not complained.  With DEBUG_KOBJECT_RELEASE, a complaint
 *    can come up to some seconds late and name the wrong N.
 *
 * In the meantime a process opens each node as soon as it is there, and makes
 * a call and closes when all of that is over: a probe that fails late does so
 * with nodes open.
 *
 * At the end of an operation, the driver's module has no more users than
 * before, and at the end of a driver's, when it is bound again, its nodes have
 * no higher minor numbers: one that nobody released keeps its own. What other
 * memory was lost is kmemleak's to find, when the test is done.
 *
 * Faults are those of the calling task.  Not covered are what a workqueue or a
 * kernel thread does for it, such as kdevtmpfs, and pages: only those of more
 * than one page, and slab objects, fail; so do the structures that vmalloc()
 * needs, but not its pages.
 *
 * How many allocations there are is counted again in each call in which none
 * fails, and shown: if it is not the same each time, something else than the
 * call decides, and an N may have met another allocation's turn.  Boot with
 * slab_debug=F slab_max_order=0 to keep the slab allocator's own out of it.
 *
 * -d and -o choose drivers and operations, as lists with commas.  -n makes
 * only the Nth fail, and lets the kernel say in its log where that is; -s
 * starts with the Nth, to go on behind one that ended all.  -e is for drivers
 * with many nodes: a bind without a fault only after every Nth, as the next one
 * with a fault does all the same again, and one allocation more.
 */
#include <getopt.h>
#include <poll.h>
#include <sched.h>
#include <stdarg.h>
#include <sys/inotify.h>
#include <sys/sysmacros.h>

#include <linux/v4l2-subdev.h>

#include "../kselftest.h"
#include "v4l2_removal.h"

#define MAX_NODES	40
#define NONE		1000000000U	/* no call has as many */
#define MAX_MSGS	20

#define RELEASE_MS	5000	/* DEBUG_KOBJECT_RELEASE takes up to 4 s */
#define RELEASE_LOOKS	4	/* parents after their children */

enum kind { VIDEO, SUBDEV, MEDIA, CEC, FB, NUM_KINDS };

struct node {
	enum kind kind;
	char path[64];
};

enum op { BIND, UNBIND, OPEN, REQUEST, STREAMON };

static const struct {
	const char *name;
	enum op op;
	enum kind kind;		/* of node */
} ops[] = {
	{ "open-video", OPEN, VIDEO },
	{ "open-subdev", OPEN, SUBDEV },
	{ "open-media", OPEN, MEDIA },
	{ "open-cec", OPEN, CEC },
	{ "request", REQUEST, MEDIA },
	{ "streamon", STREAMON, VIDEO },
	/* last: what the others lost has to be out of reach for kmemleak */
	{ .name = "bind", .op = BIND },
	{ .name = "unbind", .op = UNBIND },
};

static const struct {
	const char *name;
	unsigned long cmd;
} queries[] = {
	[VIDEO] = { "QUERYCAP", VIDIOC_QUERYCAP },
	[SUBDEV] = { "SUBDEV_QUERYCAP", VIDIOC_SUBDEV_QUERYCAP },
	[MEDIA] = { "DEVICE_INFO", MEDIA_IOC_DEVICE_INFO },
	[CEC] = { "ADAP_G_CAPS", CEC_ADAP_G_CAPS },
};

/* A call with a fault in it, in memory shared with the child that makes it */
struct shot {
	enum op op;
	const char *path;
	unsigned int nth;	/* what fails: the Nth, or NONE */
	unsigned int left;	/* of that when it was over; 0: it failed */
	int again;		/* errno of STREAMON on the same handle */
	struct vr_call call;
};

/* Who opens nodes while a bind fails, in memory shared with it */
static struct holder {
	int ready, stop;
	unsigned int held;	/* nodes */
	struct vr_call call;
} *holder;

static const struct vr_driver *drv;
static struct node nodes[MAX_NODES];	/* of the last good bind */
static unsigned int nnodes, wanted;
static struct shot *shot;
static long uses;		/* of its module, while all is closed */
static unsigned int minors[NUM_KINDS];	/* the highest, at first */
static int kmsg;
static bool stuck;
static unsigned int every = 1, first = 1;

/* Of one operation */
static const char *op_name;
static unsigned int injected;	/* faults */
static unsigned int coped;	/* of these did not make the call fail */
static unsigned int lo, hi;	/* allocations, in calls without a fault */
static unsigned int held;	/* nodes opened during binds that failed */
static unsigned int bad;

static __printf(2, 3) void complain(unsigned int nth, const char *fmt, ...)
{
	char why[300];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(why, sizeof(why), fmt, ap);
	va_end(ap);
	if (bad++ < MAX_MSGS)
		ksft_print_msg("%s: %s: fault %u: %s\n", drv->name, op_name,
			       nth, why);
}

/* --------------------------------------------------------------- nodes */

/* The nodes that the device has in sysfs, be it bound or not */
static unsigned int find_nodes(struct node *found)
{
	static const struct {
		enum kind kind;
		const char *dir;
	} dirs[] = {
		{ VIDEO, "/sys/class/video4linux" },
		{ MEDIA, "/sys/bus/media/devices" },
		{ CEC, "/sys/bus/cec/devices" },
		{ FB, "/sys/class/graphics" },
	};
	char path[PATH_MAX], target[PATH_MAX], parent[64];
	unsigned int i, count = 0;
	struct dirent *de;
	ssize_t len;
	DIR *d;

	snprintf(parent, sizeof(parent), "/%s/", drv->device);
	for (i = 0; i < ARRAY_SIZE(dirs); i++) {
		d = opendir(dirs[i].dir);
		while (d && (de = readdir(d))) {
			snprintf(path, sizeof(path), "%s/%s", dirs[i].dir,
				 de->d_name);
			len = readlink(path, target, sizeof(target) - 1);
			if (len < 0)
				continue;
			target[len] = 0;
			if (!strstr(target, parent) || count == MAX_NODES)
				continue;
			found[count].kind = dirs[i].kind;
			if (!strncmp(de->d_name, "v4l-subdev", 10))
				found[count].kind = SUBDEV;
			snprintf(found[count].path, sizeof(found[count].path),
				 "/dev/%.32s", de->d_name);
			count++;
		}
		if (d)
			closedir(d);
	}
	return count;
}

static void check_node(const struct node *n, unsigned int nth)
{
	__u64 arg[512] = {};
	int fd;

	if (n->kind == FB)
		return;
	fd = open(n->path, O_RDWR | O_CLOEXEC);
	if (fd < 0) {
		complain(nth, "%s, without a fault: %s", n->path,
			 strerror(errno));
		return;
	}
	if (vr_ioctl(fd, queries[n->kind].cmd, arg))
		complain(nth, "%s: %s: %s", n->path, queries[n->kind].name,
			 strerror(errno));
	close(fd);
}

/* But for fb0: where the framebuffer has none, fbdev goes on without it */
static unsigned int count_nodes(void)
{
	unsigned int i, count = 0;

	for (i = 0; i < nnodes; i++)
		count += nodes[i].kind != FB;
	return count;
}

/* All nodes are there, and work.  A new bind gives them new names. */
static void check_bound(unsigned int nth)
{
	unsigned int i;

	nnodes = find_nodes(nodes);
	if (count_nodes() != wanted)
		complain(nth, "there are %u nodes, of %u", count_nodes(),
			 wanted);
	if (!vr_is_bound(drv))
		complain(nth, "not bound");
	for (i = 0; i < nnodes; i++)
		check_node(&nodes[i], nth);
}

/* No node is there, neither in sysfs nor, of those that there were, in /dev */
static void check_gone(unsigned int nth)
{
	static struct node left[MAX_NODES];
	unsigned int i;

	if (vr_is_bound(drv))
		complain(nth, "still bound");
	if (find_nodes(left))
		complain(nth, "%s is left", left[0].path);
	for (i = 0; i < nnodes; i++)
		if (!access(nodes[i].path, F_OK))
			complain(nth, "%s is left in /dev", nodes[i].path);
}

/* Open files have a reference each.  -1 if it is built in. */
static long module_uses(void)
{
	char path[PATH_MAX], name[64], line[32];

	vr_module(drv, name, sizeof(name));
	snprintf(path, sizeof(path), "/sys/module/%s/refcnt", name);
	return vr_read_line(path, line, sizeof(line)) ? -1 : atol(line);
}

static void highest_minors(unsigned int *highest)
{
	unsigned int i, n;
	struct stat st;

	memset(highest, 0, NUM_KINDS * sizeof(*highest));
	for (i = 0; i < nnodes; i++) {
		if (stat(nodes[i].path, &st))
			continue;
		n = minor(st.st_rdev);
		if (n > highest[nodes[i].kind])
			highest[nodes[i].kind] = n;
	}
}

/* --------------------------------------------------------------- holder */

static bool is_held(const char *name)
{
	static const char * const kinds[] = {
		"video", "vbi", "radio", "swradio", "v4l-touch", "v4l-subdev",
		"media", "cec",
	};
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(kinds); i++)
		if (!strncmp(name, kinds[i], strlen(kinds[i])))
			return true;
	return false;
}

/* Opens what has appeared in /dev; returns the new number of files */
static unsigned int open_new(int watch, int *fd, unsigned int n)
{
	union {
		struct inotify_event e;
		char bytes[4096];
	} buf;
	ssize_t len = read(watch, &buf, sizeof(buf)), at;
	const struct inotify_event *e;
	char path[300];

	for (at = 0; at < len; at += sizeof(*e) + e->len) {
		e = (void *)(buf.bytes + at);
		if (!e->len || !is_held(e->name) || n == 2 * MAX_NODES)
			continue;
		snprintf(path, sizeof(path), "/dev/%s", e->name);
		fd[n] = open(path, O_RDWR | O_CLOEXEC);
		n += fd[n] >= 0;
	}
	return n;
}

static long hold_nodes(struct vr_call *call, void *arg)
{
	/* ahead of the bind, even if there is one CPU */
	const struct sched_param prio = { .sched_priority = 1 };
	int watch = inotify_init1(IN_CLOEXEC | IN_NONBLOCK), fd[2 * MAX_NODES];
	struct pollfd p = { .fd = watch, .events = POLLIN };
	unsigned int i, j, n = 0;
	__u64 buf[512] = {};

	sched_setscheduler(0, SCHED_FIFO, &prio);
	if (inotify_add_watch(watch, "/dev", IN_CREATE) < 0)
		return -1;
	__atomic_store_n(&holder->ready, 1, __ATOMIC_SEQ_CST);
	while (!__atomic_load_n(&holder->stop, __ATOMIC_SEQ_CST)) {
		if (poll(&p, 1, 10) > 0)
			n = open_new(watch, fd, n);
		__atomic_store_n(&holder->held, n, __ATOMIC_SEQ_CST);
	}
	for (i = 0; i < n; i++) {
		for (j = 0; j < ARRAY_SIZE(queries); j++)
			if (queries[j].cmd)
				ioctl(fd[i], queries[j].cmd, buf);
		close(fd[i]);
	}
	return 0;
}

static void start_holder(void)
{
	__u64 end = vr_now_us() + vr_bind_ms * 1000ULL;

	memset(holder, 0, sizeof(*holder));
	if (vr_start(&holder->call, hold_nodes, NULL) < 0)
		ksft_exit_fail_perror("fork");
	while (!__atomic_load_n(&holder->ready, __ATOMIC_SEQ_CST)) {
		if (vr_now_us() > end)
			ksft_exit_fail_msg("nobody to open nodes\n");
		sched_yield();
	}
}

/* Its calls must return, and so must close() */
static void end_holder(unsigned int nth)
{
	__atomic_store_n(&holder->stop, 1, __ATOMIC_SEQ_CST);
	if (vr_wait_returned(&holder->call,
			     vr_now_us() + vr_bind_ms * 1000ULL))
		return;
	kill(holder->call.pid, SIGKILL);
	stuck = true;
	complain(nth, "who had a node open does not return");
}

/* --------------------------------------------------------------- faults */

static const char *media_path(void)
{
	unsigned int i;

	for (i = 0; i < nnodes; i++)
		if (nodes[i].kind == MEDIA)
			return nodes[i].path;
	return "";
}

/* The queues of a node, with all buffers in them.  Returns how many, or -1. */
static int fill_queues(int fd, struct vr_queue *q)
{
	unsigned int types[2], i, j, n = vr_buf_types(fd, types);

	if (n == 1 && vr_queue_init(q, fd))
		return -1;
	for (i = 0; i < n; i++) {
		vr_queue_init_type(&q[i], fd, types[i]);
		if (vr_queue_alloc(&q[i]))
			return -1;
		for (j = 0; j < q[i].count; j++)
			if (vr_qbuf(&q[i], j) &&
			    (errno != EBADR ||
			     vr_qbuf_by_request(&q[i], j, media_path())))
				return -1;
	}
	if (!n)
		errno = ENOTTY;
	return n ? (int)n : -1;
}

/* Those that stream are told again, which does nothing */
static int stream_on(struct vr_queue *q, int n)
{
	int i, ret = 0;

	for (i = 0; i < n && !ret; i++)
		ret = vr_ioctl(q[i].fd, VIDIOC_STREAMON, &q[i].type);
	return ret;
}

static long call_shot(struct vr_call *call, void *arg)
{
	int nth, fd = -1, ret = -1, err, req, nq = 0;
	struct shot *s = arg;
	struct vr_queue q[2];
	char buf[16];

	s->left = NONE;
	s->again = 0;
	nth = open("/proc/self/fail-nth", O_RDWR | O_CLOEXEC);
	if (s->op != OPEN)
		fd = open(s->path, (s->op == STREAMON ? O_RDWR : O_WRONLY) |
				   O_CLOEXEC);
	if (nth < 0 || (s->op != OPEN && fd < 0))
		return -1;
	if (s->op == STREAMON)
		nq = fill_queues(fd, q);
	if (nq < 0)
		return -1;
	snprintf(buf, sizeof(buf), "%u", s->nth);
	if (pwrite(nth, buf, strlen(buf), 0) < 0)
		return -1;

	switch (s->op) {
	case BIND:
	case UNBIND:
		ret = write(fd, drv->device, strlen(drv->device));
		break;
	case OPEN:
		ret = open(s->path, O_RDWR | O_CLOEXEC);
		break;
	case REQUEST:
		ret = ioctl(fd, MEDIA_IOC_REQUEST_ALLOC, &req);
		break;
	case STREAMON:
		ret = stream_on(q, nq);
		break;
	}
	err = errno;

	memset(buf, 0, sizeof(buf));
	if (pread(nth, buf, sizeof(buf) - 1, 0) > 0)
		s->left = strtoul(buf, NULL, 10);
	if (pwrite(nth, "0", 1, 0) < 0)
		return -1;
	if (s->op == STREAMON && ret < 0 && stream_on(q, nq))
		s->again = errno;
	errno = err;
	return ret;
}

/*
 * Make the call, in a child: it may hang.  Returns what it returned, with
 * errno.
 */
static int shoot(enum op op, const char *path, unsigned int nth)
{
	shot->op = op;
	shot->path = path;
	shot->nth = nth;
	if (vr_start(&shot->call, call_shot, shot) < 0)
		ksft_exit_fail_perror("fork");
	if (!vr_wait_returned(&shot->call,
			      vr_now_us() + vr_bind_ms * 1000ULL)) {
		kill(shot->call.pid, SIGKILL);
		stuck = true;
		complain(nth, "does not return");
		shot->left = NONE;
		errno = ETIMEDOUT;
		return -1;
	}
	errno = shot->call.err;
	return shot->call.ret;
}

/* Make the call with nothing failing, and count what could have */
static bool again(enum op op, const char *path, unsigned int nth)
{
	unsigned int points;

	if (shoot(op, path, NONE) < 0) {
		complain(nth, "without a fault: %s", strerror(errno));
		return false;
	}
	points = NONE - shot->left;
	if (!lo || points < lo)
		lo = points;
	if (points > hi)
		hi = points;
	return true;
}

static bool must(__s64 ret, const char *what, unsigned int nth)
{
	if (ret >= 0)
		return true;
	complain(nth, "%s, without a fault: %s", what, strerror(errno));
	stuck = stuck || errno == ETIMEDOUT;
	return false;
}

/*
 * After a call that returned @ret: look, make it once more, and go back to
 * where it can be made again.  Returns false if it cannot.
 */
static bool after(enum op op, const char *path, int ret, unsigned int nth)
{
	bool last = shot->left;

	switch (op) {
	case BIND:
		if (ret < 0) {
			check_gone(nth);
		} else {
			check_bound(nth);
			if (!must(vr_unbind(drv, NULL), "unbind", nth))
				return false;
		}
		if (!last && nth % every)
			return true;
		if (!again(op, path, nth))
			return false;
		check_bound(nth);
		return must(vr_unbind(drv, NULL), "unbind", nth);
	case UNBIND:
		if (ret < 0) {
			check_bound(nth);
			if (!again(op, path, nth))
				return false;
		}
		check_gone(nth);
		if (!must(vr_bind(drv), "bind", nth))
			return false;
		check_bound(nth);
		return true;
	case STREAMON:
		if (shot->again)
			complain(nth, "once more, on the same handle: %s",
				 strerror(shot->again));
		return again(op, path, nth);
	case OPEN:
	case REQUEST:
		return again(op, path, nth);
	}
	return false;
}

/*
 * Is @err what a call fails with for lack of memory?  When hardware is bound,
 * who hands out registers and interrupts has other names for it.
 */
static bool is_no_memory(enum op op, int err)
{
	return err == ENOMEM || (op == BIND && drv->hardware);
}

/* Returns false if it cannot go on */
static bool enumerate(enum op op, const char *path, unsigned int only)
{
	unsigned int nth = only ? only : first, left;
	char line[2048];
	bool good;
	int ret;

	do {
		if (op == BIND)
			start_holder();
		ret = shoot(op, path, nth);
		left = shot->left;
		if (stuck)
			return false;
		if (op == BIND && ret < 0)
			held += __atomic_load_n(&holder->held,
						__ATOMIC_SEQ_CST);
		if (ret < 0 && (left || !is_no_memory(op, errno)))
			complain(nth, "%s%s", strerror(errno),
				 left ? ", but there was none" : "");
		if (!left) {
			injected++;
			coped += ret >= 0;
		}
		good = after(op, path, ret, nth);
		if (op == BIND)
			end_holder(nth);
		while (vr_kmsg_find(kmsg, vr_kmsg_bad, line, sizeof(line)))
			complain(nth, "the kernel says: %.200s", line);
		if (!good || stuck)
			return false;
	} while (!left && !only && ++nth);
	return true;
}

/*
 * Not all devices have requests, a radio has no queue, and a capture node may
 * need formats that nobody set up (vimc), or lack what it streams from
 */
static bool is_possible(enum op op, const char *path)
{
	if (op == OPEN || shoot(op, path, NONE) >= 0)
		return true;
	return errno != ENOTTY &&
	       !(op == STREAMON && (errno == EPIPE || drv->hardware));
}

static void run(unsigned int i, unsigned int only)
{
	char path[PATH_MAX];
	unsigned int n;
	bool good = true;

	op_name = ops[i].name;
	injected = 0;
	coped = 0;
	lo = 0;
	hi = 0;
	held = 0;
	bad = 0;
	switch (ops[i].op) {
	case BIND:
		good = must(vr_unbind(drv, NULL), "unbind", 0);
		snprintf(path, sizeof(path), VR_BIND_PATH, drv->name, "bind");
		good = good && enumerate(BIND, path, only) &&
		       must(vr_bind(drv), "bind", 0);
		break;
	case UNBIND:
		snprintf(path, sizeof(path), VR_BIND_PATH, drv->name, "unbind");
		good = enumerate(UNBIND, path, only);
		break;
	case OPEN:
	case REQUEST:
	case STREAMON:
		for (n = 0; n < nnodes && good; n++)
			if (nodes[n].kind == ops[i].kind &&
			    is_possible(ops[i].op, nodes[n].path))
				good = enumerate(ops[i].op, nodes[n].path,
						 only);
		break;
	}
	if (good && module_uses() != uses)
		complain(0, "its module is used %ld times, before %ld",
			 module_uses(), uses);
	/* names are those of the new nodes */
	nnodes = find_nodes(nodes);
	if (good && !bad && !injected)
		ksft_test_result_skip("%s %s # nothing to do it with\n",
				      drv->name, op_name);
	else
		ksft_test_result(good && !bad,
				 "%s %s # %u faults, coped with %u; %u to %u allocations; %u nodes open when it failed; %u complaints\n",
				 drv->name, op_name, injected, coped, lo, hi,
				 held, bad);
}

/* Bind again: is each minor number free that it had? */
static bool is_released(void)
{
	unsigned int now[NUM_KINDS], kind;

	if (!must(vr_unbind(drv, NULL), "unbind", 0))
		return false;
	vr_nap(RELEASE_MS);
	if (!must(vr_bind(drv), "bind", 0))
		return false;
	nnodes = find_nodes(nodes);
	highest_minors(now);
	for (kind = 0; kind < NUM_KINDS; kind++)
		if (now[kind] > minors[kind])
			return false;
	return true;
}

static void check_released(void)
{
	bool good = false;
	unsigned int i;

	op_name = "release";
	bad = 0;
	for (i = 0; i < RELEASE_LOOKS && !good && !bad; i++)
		good = is_released();
	if (!good && !bad)
		ksft_print_msg("%s: a minor number is still in use\n",
			       drv->name);
	ksft_test_result(good, "%s released\n", drv->name);
}

/* ---------------------------------------------------------------- setup */

static const char slabs[] = "/sys/kernel/slab";

#define SETTING(p, v) { .path = "/sys/kernel/debug/" p, .value = v }

/*
 * What has to be set for a fault to hit whatever it meets: also GFP_KERNEL,
 * and silently.
 */
static struct {
	const char *path, *value;
	char old[16];
} settings[] = {
	SETTING("failslab/ignore-gfp-wait", "N"),
	SETTING("fail_page_alloc/ignore-gfp-wait", "N"),
	SETTING("fail_page_alloc/ignore-gfp-highmem", "N"),
	SETTING("failslab/cache-filter", "Y"),
	SETTING("failslab/verbose", "0"),
	SETTING("fail_page_alloc/verbose", "0"),
};

static bool write_file(const char *path, const char *value)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	bool good = fd >= 0 &&
		    write(fd, value, strlen(value)) == (ssize_t)strlen(value);

	if (fd >= 0)
		close(fd);
	return good;
}

/*
 * All slabs, but not those that are used now and then, for more than one call:
 * what the debugging of memory allocates for itself, the nodes of the IDR that
 * numbers the files of sysfs, and a spare area that vmalloc() keeps.
 */
static bool filter_slabs(const char *value)
{
	char path[PATH_MAX];
	struct dirent *de;
	bool good = true;
	DIR *d;

	d = opendir(slabs);
	if (!d)
		return false;
	while ((de = readdir(d))) {
		if (de->d_name[0] == '.' ||
		    !strncmp(de->d_name, "kmemleak", 8) ||
		    !strncmp(de->d_name, "debug_objects", 13) ||
		    !strcmp(de->d_name, "radix_tree_node") ||
		    !strcmp(de->d_name, "vmap_area"))
			continue;
		snprintf(path, sizeof(path), "%s/%s/failslab", slabs,
			 de->d_name);
		good = write_file(path, value) && good;
	}
	closedir(d);
	return good;
}

static void restore(void)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(settings); i++)
		if (settings[i].old[0])
			write_file(settings[i].path, settings[i].old);
	filter_slabs("0");
}

static void set_up(bool verbose)
{
	unsigned int i;

	if (access("/proc/self/fail-nth", W_OK))
		ksft_exit_skip("no fail-nth: see config, and be root\n");
	if (inotify_init1(IN_CLOEXEC) < 0)
		ksft_exit_skip("no inotify: see config\n");
	for (i = 0; i < ARRAY_SIZE(settings); i++)
		if (access(settings[i].path, W_OK))
			ksft_exit_skip("no %s: mount debugfs\n",
				       settings[i].path);
	atexit(restore);
	if (!filter_slabs("1"))
		ksft_exit_skip("no %s/*/failslab: boot with slab_nomerge\n",
			       slabs);
	for (i = 0; i < ARRAY_SIZE(settings); i++) {
		if (verbose && strstr(settings[i].path, "verbose"))
			continue;
		if (vr_read_line(settings[i].path, settings[i].old,
				 sizeof(settings[i].old)) ||
		    !write_file(settings[i].path, settings[i].value))
			ksft_exit_fail_perror(settings[i].path);
	}
}

static bool start_driver(const struct vr_driver *d)
{
	drv = d;
	if (!vr_has_driver(d) || (!vr_is_bound(d) && vr_bind(d) < 0)) {
		ksft_print_msg("%s: not here\n", d->name);
		return false;
	}
	nnodes = find_nodes(nodes);
	wanted = count_nodes();
	uses = module_uses();
	highest_minors(minors);
	return true;
}

int main(int argc, char **argv)
{
	const char *d = NULL, *o = NULL;
	struct vr_driver drivers[VR_MAX_DRIVERS];
	unsigned int only = 0, i, j, n, count = 0;
	int opt;

	while ((opt = getopt(argc, argv, "d:e:n:o:s:")) != -1) {
		switch (opt) {
		case 'd':
			d = optarg;
			break;
		case 'e':
			every = strtoul(optarg, NULL, 0);
			break;
		case 'n':
			only = strtoul(optarg, NULL, 0);
			break;
		case 'o':
			o = optarg;
			break;
		case 's':
			first = strtoul(optarg, NULL, 0);
			break;
		default:
			fprintf(stderr,
				"usage: %s [-d LIST] [-o LIST] [-e N] [-n N] [-s N]\n",
				argv[0]);
			return KSFT_FAIL;
		}
	}
	if (!every || only)
		every = 1;
	if (!first)
		first = 1;
	ksft_print_header();
	set_up(only);
	shot = vr_shared(sizeof(*shot));
	holder = vr_shared(sizeof(*holder));
	kmsg = vr_kmsg_open();
	if (!shot || !holder || kmsg < 0)
		ksft_exit_fail_perror("mmap, or /dev/kmsg");
	for (i = 0; i < ARRAY_SIZE(ops); i++)
		count += vr_chosen(o, ops[i].name);
	n = vr_choose(d, drivers);
	for (i = 0, j = 0; i < n; i++)
		j += vr_has_driver(&drivers[i]);
	if (!count || !j)
		ksft_exit_skip("no such driver or operation here\n");
	ksft_set_plan((count + 1) * j);
	for (i = 0; i < n; i++) {
		if (!start_driver(&drivers[i]))
			continue;
		for (j = 0; j < ARRAY_SIZE(ops) && !stuck; j++)
			if (vr_chosen(o, ops[j].name))
				run(j, only);
		if (!stuck)
			check_released();
	}
	if (stuck)
		ksft_exit_fail_msg("%s: %s hangs\n", drv->name, op_name);
	ksft_finished();
}
