// SPDX-License-Identifier: GPL-2.0
/*
 * stress DRIVER CYCLES [WORKERS]: WORKERS processes (default 8) open nodes of
 * the driver at random and stream, read, write, poll, wait for events, map,
 * and close, while it is unbound and bound CYCLES times under them.
 *
 * Fails if an unbind or a bind does not return in time, or if a worker's call
 * is still in progress some seconds after the device it was made on is gone
 * (such a worker is killed and replaced).  What calls answered is counted and
 * shown; which errors are fine depends on what else goes on, so they are for
 * the reader, except that after an unbind there is only one.
 *
 * The result once more for scripts, as RESULT<TAB>check<TAB>pass|fail<TAB>seen.
 */
#include <poll.h>
#include <sys/epoll.h>

#include "media_tests/v4l2_removal.h"

#define MAX_WORKERS	64
#define MAX_NODES	64
#define MAX_ERRNO	134
/* All these processes have to run on few processors */
#define BIND_MS		60000
/* A call may go on for that long after the unbind it was to be ended by */
#define LATE_US		(VR_CALL_MS * 1000ULL)

enum op {
	OP_OPEN, OP_IOCTL, OP_CTRL, OP_SETUP, OP_STREAM, OP_DQBUF, OP_READ,
	OP_WRITE, OP_POLL, OP_EPOLL, OP_DQEVENT, OP_REQUEST, OP_CEC, OP_MMAP,
	OP_SIMULATED, OP_CLOSE, NOPS
};

static const char * const op_names[NOPS] = {
	"open", "ioctl", "control", "set up", "stream", "DQBUF", "read",
	"write", "poll", "epoll", "DQEVENT", "request", "CEC", "mmap",
	"simulated disconnect", "close",
};

struct worker {
	pid_t pid;
	/* the call it is in, or NOPS, and since when */
	int op;
	__u64 since;
	char node[32];
	unsigned int good[NOPS];
	unsigned int bad[NOPS][MAX_ERRNO];
};

static struct shared {
	int stop;
	struct worker worker[MAX_WORKERS];
} *shared;

static const struct vr_driver *drv;

/* ----------------------------------------------------------- the workers */

static struct worker *me;

static void begin(enum op op)
{
	me->since = vr_now_us();
	__atomic_store_n(&me->op, op, __ATOMIC_SEQ_CST);
}

static long end(long ret)
{
	int op = me->op, err = errno;

	if (ret >= 0)
		me->good[op]++;
	else
		me->bad[op][err < MAX_ERRNO ? err : 0]++;
	__atomic_store_n(&me->op, NOPS, __ATOMIC_SEQ_CST);
	errno = err;
	return ret;
}

static unsigned int rnd(unsigned int n)
{
	return random() % n;
}

struct list {
	unsigned int n;
	char path[MAX_NODES][32];
};

static int add_node(const char *name, void *arg)
{
	struct list *l = arg;

	snprintf(l->path[l->n], sizeof(l->path[0]), "/dev/%.20s", name);
	return ++l->n == MAX_NODES;
}

static void do_stream(int fd)
{
	struct vr_queue q;
	unsigned int i, n;
	long ret;

	begin(OP_SETUP);
	ret = vr_queue_init(&q, fd);
	if (!ret)
		ret = vr_queue_alloc(&q);
	end(ret);
	if (!ret) {
		begin(OP_STREAM);
		for (i = 0; !ret && i < q.count; i++)
			ret = vr_qbuf(&q, i);
		if (!ret)
			ret = vr_ioctl(fd, VIDIOC_STREAMON, &q.type);
		end(ret);
	}
	n = rnd(8);
	/* blocks for good once no buffer is left: then the unbind ends it */
	for (i = 0; !ret && i < n; i++) {
		int index;

		begin(OP_DQBUF);
		index = vr_dqbuf(&q);
		if (end(index) < 0)
			break;
		if (rnd(3)) {
			begin(OP_STREAM);
			ret = end(vr_qbuf(&q, index));
		}
	}
	vr_queue_unmap(&q);
}

static void do_io(int fd)
{
	static char buf[1 << 20];
	unsigned int i;

	for (i = 0; i < 3; i++) {
		if (rnd(2)) {
			begin(OP_READ);
			if (end(read(fd, buf, sizeof(buf))) < 0)
				break;
		} else {
			begin(OP_WRITE);
			if (end(write(fd, buf, 65536)) < 0)
				break;
		}
	}
}

static void do_poll(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLPRI };
	struct epoll_event ev = { .events = EPOLLPRI };
	int efd;

	vr_subscribe_ctrl(fd);
	if (rnd(2)) {
		begin(OP_POLL);
		end(poll(&p, 1, rnd(2) ? -1 : 20));
		return;
	}
	efd = epoll_create1(EPOLL_CLOEXEC);
	begin(OP_EPOLL);
	if (!epoll_ctl(efd, EPOLL_CTL_ADD, fd, &ev))
		end(epoll_wait(efd, &ev, 1, rnd(2) ? -1 : 20));
	else
		end(-1);
	/* sometimes the watched file goes first, sometimes the watcher */
	if (rnd(2))
		close(efd);
}

static void do_media(int fd)
{
	int req;

	begin(OP_REQUEST);
	if (end(ioctl(fd, MEDIA_IOC_REQUEST_ALLOC, &req)) < 0)
		return;
	if (rnd(2))
		vr_nap(rnd(50));
	begin(OP_REQUEST);
	end(ioctl(req, rnd(2) ? MEDIA_REQUEST_IOC_REINIT :
				MEDIA_REQUEST_IOC_QUEUE));
	/* left open at times: it outlives everything else */
	if (rnd(2))
		close(req);
}

static void do_cec(int fd)
{
	struct cec_event ev;
	struct cec_msg msg = { .timeout = rnd(2) ? 0 : 20 };

	begin(OP_CEC);
	end(ioctl(fd, CEC_DQEVENT, &ev));
	begin(OP_CEC);
	end(ioctl(fd, CEC_RECEIVE, &msg));
}

static void use_node(int fd, const char *path)
{
	struct v4l2_capability cap;
	struct v4l2_event ev;
	void *mem;

	if (strstr(path, "media")) {
		do_media(fd);
		return;
	}
	if (strstr(path, "cec")) {
		do_cec(fd);
		return;
	}
	switch (rnd(20)) {
	case 0 ... 5:
		do_stream(fd);
		break;
	case 6 ... 8:
		do_io(fd);
		break;
	case 9 ... 11:
		do_poll(fd);
		break;
	case 12 ... 13:
		vr_subscribe_ctrl(fd);
		begin(OP_DQEVENT);
		end(ioctl(fd, VIDIOC_DQEVENT, &ev));
		break;
	case 14:
		begin(OP_CTRL);
		end(vr_set_ctrl(fd, VR_CID_PERC_DROPPED, rnd(2) * 100));
		break;
	case 15:
		begin(OP_MMAP);
		mem = mmap(NULL, 4096, PROT_READ, MAP_SHARED, fd, 0);
		end(mem == MAP_FAILED ? -1 : 0);
		if (mem != MAP_FAILED)
			munmap(mem, 4096);
		break;
	case 16:
		if (rnd(4))
			break;
		begin(OP_SIMULATED);
		end(vr_set_ctrl(fd, VR_CID_DISCONNECT, 1));
		break;
	default:
		break;
	}
	begin(OP_IOCTL);
	end(ioctl(fd, VIDIOC_QUERYCAP, &cap));
	/* and what a removed device still holds open */
	if (!rnd(3))
		vr_nap(rnd(300));
}

static void __attribute__((noreturn)) worker(void)
{
	struct list list;
	const char *path;
	int fd;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	srandom(getpid());
	while (!__atomic_load_n(&shared->stop, __ATOMIC_SEQ_CST)) {
		list.n = 0;
		if (!vr_for_each(VR_VIDEO, drv->name, add_node, &list) &&
		    !vr_for_each(VR_MEDIA, drv->name, add_node, &list))
			vr_for_each(VR_CEC, drv->name, add_node, &list);
		if (!list.n) {
			vr_nap(50);
			continue;
		}
		path = list.path[rnd(list.n)];
		snprintf(me->node, sizeof(me->node), "%s", path);
		begin(OP_OPEN);
		fd = end(open(path, O_RDWR | O_CLOEXEC |
				    (rnd(4) ? 0 : O_NONBLOCK)));
		if (fd < 0) {
			vr_nap(20);
			continue;
		}
		use_node(fd, path);
		begin(OP_CLOSE);
		end(close(fd));
	}
	_exit(0);
}

/* -------------------------------------------------------------- the rest */

static void spawn(struct worker *w)
{
	w->op = NOPS;
	w->pid = fork();
	if (!w->pid) {
		w->pid = getpid();
		me = w;
		worker();
	}
}

static unsigned int died;

/*
 * Kill and replace who is in a call that began before @gone, when the driver
 * was unbound.  Returns how many.
 */
static unsigned int find_hung(unsigned int n, __u64 gone, bool replace)
{
	unsigned int i, hung = 0;

	for (i = 0; i < n; i++) {
		struct worker *w = &shared->worker[i];
		int op = __atomic_load_n(&w->op, __ATOMIC_SEQ_CST), st;
		__u64 end = vr_now_us() + LATE_US;

		if (replace && waitpid(w->pid, &st, WNOHANG) == w->pid) {
			printf("a worker died (status 0x%x)\n", st);
			died++;
			spawn(w);
			continue;
		}
		if (op == NOPS || w->since >= gone)
			continue;
		hung++;
		if (hung == 1)
			printf("in %s of %s for %llu s, in spite of the unbind\n",
			       op_names[op], w->node,
			       (vr_now_us() - w->since) / 1000000);
		kill(w->pid, SIGKILL);
		while (waitpid(w->pid, NULL, WNOHANG) == 0)
			if (vr_now_us() > end) {
				printf("and not even SIGKILL ends it\n");
				break;
			}
		w->pid = 0;
		if (replace)
			spawn(w);
	}
	return hung;
}

static void report(unsigned int n)
{
	unsigned int op, err, i, sum;

	for (op = 0; op < NOPS; op++) {
		for (sum = 0, i = 0; i < n; i++)
			sum += shared->worker[i].good[op];
		printf("%-20s %6u good", op_names[op], sum);
		for (err = 0; err < MAX_ERRNO; err++) {
			for (sum = 0, i = 0; i < n; i++)
				sum += shared->worker[i].bad[op][err];
			if (sum)
				printf(", %u %s", sum, err ?
				       strerrorname_np(err) : "?");
		}
		printf("\n");
	}
}

static const struct vr_driver drivers[] = {
	{ "vivid", "vivid.0" },
};

#define NDRIVERS	(sizeof(drivers) / sizeof(drivers[0]))

static void usage(const char *self)
{
	unsigned int i;

	fprintf(stderr, "usage: %s DRIVER CYCLES [WORKERS]; DRIVER is one of:",
		self);
	for (i = 0; i < NDRIVERS; i++)
		fprintf(stderr, " %s", drivers[i].name);
	fprintf(stderr, "\n");
	exit(2);
}

int main(int argc, char **argv)
{
	unsigned int i, n = 8, cycle, cycles, hung = 0;
	__u64 started, gone, deadline;
	__s64 us, longest = 0;
	const char *failed = NULL;

	if (argc < 3)
		usage(argv[0]);
	for (i = 0; i < NDRIVERS; i++)
		if (!strcmp(argv[1], drivers[i].name))
			drv = &drivers[i];
	cycles = atoi(argv[2]);
	if (argc > 3)
		n = atoi(argv[3]);
	if (!drv || !cycles || !n || n > MAX_WORKERS)
		usage(argv[0]);
	if (!vr_is_bound(drv)) {
		fprintf(stderr, "%s is not bound to %s\n", drv->device,
			drv->name);
		return 2;
	}
	setvbuf(stdout, NULL, _IOLBF, 0);
	srandom(getpid());
	vr_bind_ms = BIND_MS;
	shared = vr_shared(sizeof(*shared));
	if (!shared)
		return 2;
	for (i = 0; i < n; i++)
		spawn(&shared->worker[i]);

	for (cycle = 1; cycle <= cycles; cycle++) {
		vr_nap(200 + random() % 1000);
		us = vr_unbind(drv, &started);
		if (us < 0) {
			failed = "unbind";
			break;
		}
		if (us > longest)
			longest = us;
		gone = vr_now_us();
		if (cycle == cycles)
			__atomic_store_n(&shared->stop, 1, __ATOMIC_SEQ_CST);
		/* all of them are to end, whether it is bound again or not */
		if (cycle < cycles && vr_bind(drv) < 0) {
			failed = "bind";
			break;
		}
		for (deadline = gone + LATE_US; vr_now_us() < deadline;) {
			bool late = false;

			for (i = 0; i < n; i++) {
				struct worker *w = &shared->worker[i];

				late |= w->op != NOPS && w->since < started;
			}
			if (!late)
				break;
			vr_nap(5);
		}
		hung += find_hung(n, started, cycle < cycles);
	}

	/* the last unbind was not followed by a bind: nobody has a reason left */
	if (failed) {
		printf("%s %u did not return within %d s\n", failed, cycle,
		       BIND_MS / 1000);
		for (i = 0; i < n; i++)
			kill(shared->worker[i].pid, SIGKILL);
	} else {
		deadline = vr_now_us() + LATE_US;
		for (i = 0; i < n; i++)
			while (shared->worker[i].pid &&
			       waitpid(shared->worker[i].pid, NULL, WNOHANG) ==
			       0) {
				if (vr_now_us() > deadline) {
					hung++;
					kill(shared->worker[i].pid, SIGKILL);
					break;
				}
				vr_nap(1);
			}
		if (vr_bind(drv) < 0)
			failed = "the last bind";
		cycle--;
	}
	report(n);
	printf("RESULT\tunbind under load\t%s\t%u of %u, longest %lld ms%s%s\n",
	       failed ? "fail" : "pass", failed ? cycle - 1 : cycle, cycles,
	       (long long)longest / 1000, failed ? ", stuck in " : "",
	       failed ? failed : "");
	printf("RESULT\tcalls under load\t%s\t%u hung, %u of %u workers died\n",
	       hung || died ? "fail" : "pass", hung, died, n);
	return failed || hung || died;
}
