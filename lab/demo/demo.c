// SPDX-License-Identifier: GPL-2.0
/*
 * demo DRIVER: a dozen applications use the driver's nodes, the driver is
 * unbound under them, and each tells what it saw and when; then the driver is
 * bound again while they still hold their old handles.
 *
 * For the reader there is a line per application; for scripts the same as
 *
 *	RESULT<TAB>check<TAB>pass|fail<TAB>what was seen
 *
 * "demo -l" lists the drivers it knows.  Exits with 0 if every check passed, 1
 * if one failed, 2 if it could not be tried.  Every wait ends by itself.
 */
#include <poll.h>
#include <stdarg.h>
#include <sys/epoll.h>
#include <sys/select.h>

#include "m2m.h"

#define MAX_APPS	24
/* To get ready, with a debug kernel in an emulator */
#define READY_MS	30000

enum phase { RUNNING, UNBOUND, REBOUND };

struct demo;

/* One application: a process of its own, and this of it in shared memory */
struct app {
	const char *name;
	void (*run)(struct app *app);
	struct vr_call call;	/* what main() watches it by */
	char doing[32];		/* "DQBUF" */
	long want;		/* poll bits; or -ENODEV */
	bool flows;		/* does not sleep, it gets frames */
	char problem[96];	/* what is wrong, if it found that out itself */
	char seen[96];
	bool old_ok;		/* its old handle, after rebind */
	struct demo *demo;
};

struct demo {
	const struct vr_driver *drv;
	const char *node;	/* for what any video node will do */
	int phase;		/* enum phase, set by main() */
	int napps;
	struct app app[MAX_APPS];
};

/* ------------------------------------------------ inside an application */

/* The application cannot do its thing: that is no verdict about the kernel */
static void __attribute__((noreturn, format(printf, 2, 3)))
give_up(struct app *app, const char *fmt, ...)
{
	int err = errno;
	va_list ap;
	size_t n;

	va_start(ap, fmt);
	vsnprintf(app->problem, sizeof(app->problem), fmt, ap);
	va_end(ap);
	n = strlen(app->problem);
	snprintf(app->problem + n, sizeof(app->problem) - n, ": %s",
		 strerror(err));
	_exit(2);
}

static int app_open(struct app *app, const char *name)
{
	char path[64];
	int fd;

	if (!vr_find_video(app->demo->drv->name, name, path, sizeof(path)))
		give_up(app, "no node %s", name);
	fd = open(path, O_RDWR | O_CLOEXEC);
	if (fd < 0)
		give_up(app, "%s", path);
	return fd;
}

static int app_open_media(struct app *app)
{
	char path[64];
	int fd;

	if (!vr_find_media(app->demo->drv->name, "", path, sizeof(path)))
		give_up(app, "no media node");
	fd = open(path, O_RDWR | O_CLOEXEC);
	if (fd < 0)
		give_up(app, "%s", path);
	return fd;
}

/* From here on it does nothing but @doing */
static void ready(struct app *app, const char *doing)
{
	snprintf(app->doing, sizeof(app->doing), "%s", doing);
	__atomic_store_n(&app->call.state, VR_CALLING, __ATOMIC_SEQ_CST);
}

static void returned(struct app *app, long ret, int err)
{
	app->call.when = vr_now_us();
	app->call.ret = ret;
	app->call.err = err;
	__atomic_store_n(&app->call.state, VR_RETURNED, __ATOMIC_SEQ_CST);
}

static void wait_phase(struct app *app, enum phase phase)
{
	while (__atomic_load_n(&app->demo->phase, __ATOMIC_SEQ_CST) < (int)phase)
		vr_nap(1);
}

/* Keep the handle until the driver is bound again, try it, and close it last */
static void keep(struct app *app, int fd, unsigned long cmd)
{
	char arg[1024] = {};

	wait_phase(app, REBOUND);
	app->old_ok = ioctl(fd, cmd, arg) < 0 && errno == ENODEV;
	close(fd);
}

static void run_stream(struct app *app, const char *name)
{
	int fd = app_open(app, name), index;
	struct vr_queue q;

	if (vr_queue_init(&q, fd) || vr_queue_start(&q))
		give_up(app, "cannot stream");
	app->flows = true;
	ready(app, "DQBUF, QBUF");
	do {
		index = vr_dqbuf(&q);
		if (index >= 0 && vr_qbuf(&q, index))
			index = -1;
		app->call.calls++;
	} while (index >= 0);
	returned(app, -1, errno);
	keep(app, fd, VIDIOC_QUERYCAP);
}

static void run_capture(struct app *app)
{
	run_stream(app, "vivid-000-vid-cap");
}

static void run_output(struct app *app)
{
	run_stream(app, "vivid-000-vid-out");
}

static void run_dqbuf(struct app *app)
{
	int fd = app_open(app, "vivid-000-sdr-cap"), ret;
	struct vr_queue q;

	/* every buffer is taken out and not put back: none is to come */
	if (vr_queue_init(&q, fd) || vr_queue_start_blocked(&q, true))
		give_up(app, "cannot stream");
	ready(app, "DQBUF");
	ret = vr_dqbuf(&q);
	returned(app, ret, errno);
	keep(app, fd, VIDIOC_QUERYCAP);
}

static int app_open_events(struct app *app)
{
	int fd = app_open(app, app->demo->node);

	/* of a control that only vivid has; who sleeps does so without one */
	if (vr_subscribe_ctrl(fd) && !strcmp(app->demo->drv->name, "vivid"))
		give_up(app, "VIDIOC_SUBSCRIBE_EVENT");
	return fd;
}

/* DQBUF on one queue of a mem2mem device, when nothing is fed into the other */
static void run_m2m_dqbuf(struct app *app, bool output)
{
	int fd = app_open(app, app->demo->node), ret;
	struct vr_queue q, other;
	__u32 m2m = m2m_caps(fd);

	m2m_queue_init(&q, fd, m2m, output);
	m2m_queue_init(&other, fd, m2m, !output);
	if (vr_queue_alloc(&other) || vr_queue_alloc(&q) ||
	    vr_ioctl(fd, VIDIOC_STREAMON, &other.type) ||
	    vr_ioctl(fd, VIDIOC_STREAMON, &q.type))
		give_up(app, "cannot stream");
	/* output buffers may be for requests only; it blocks without them too */
	if (!output && vr_qbuf(&q, 0))
		give_up(app, "VIDIOC_QBUF");
	ready(app, "DQBUF");
	ret = vr_dqbuf(&q);
	returned(app, ret, errno);
	keep(app, fd, VIDIOC_QUERYCAP);
}

static void run_m2m_capture(struct app *app)
{
	run_m2m_dqbuf(app, false);
}

static void run_m2m_output(struct app *app)
{
	run_m2m_dqbuf(app, true);
}

/* Both queues of a mem2mem device, as fast as it goes */
static void run_m2m(struct app *app)
{
	int fd = app_open(app, app->demo->node), index;
	struct vr_queue out, in;
	__u32 m2m = m2m_caps(fd);

	m2m_queue_init(&out, fd, m2m, true);
	m2m_queue_init(&in, fd, m2m, false);
	if (vr_queue_start(&out) || vr_queue_start(&in))
		give_up(app, "cannot stream");
	app->flows = true;
	ready(app, "DQBUF, QBUF");
	do {
		index = vr_dqbuf(&in);
		if (index >= 0 && vr_qbuf(&in, index))
			index = -1;
		if (index >= 0)
			index = vr_dqbuf(&out);
		if (index >= 0 && vr_qbuf(&out, index))
			index = -1;
		app->call.calls++;
	} while (index >= 0);
	returned(app, -1, errno);
	keep(app, fd, VIDIOC_QUERYCAP);
}

static void run_dqevent(struct app *app)
{
	int fd = app_open_events(app), ret;
	struct v4l2_event ev;

	ready(app, "DQEVENT");
	ret = ioctl(fd, VIDIOC_DQEVENT, &ev);
	returned(app, ret, errno);
	keep(app, fd, VIDIOC_QUERYCAP);
}

static void run_poll(struct app *app)
{
	struct pollfd p = { .fd = app_open_events(app), .events = POLLPRI };
	int ret;

	app->want = POLLERR | POLLHUP | POLLPRI;
	ready(app, "poll");
	ret = poll(&p, 1, -1);
	returned(app, ret > 0 ? p.revents : ret, errno);
	keep(app, p.fd, VIDIOC_QUERYCAP);
}

static void run_select(struct app *app)
{
	int fd = app_open_events(app), ret;
	fd_set pri;

	app->want = POLLPRI;
	FD_ZERO(&pri);
	FD_SET(fd, &pri);
	ready(app, "select");
	ret = select(fd + 1, NULL, NULL, &pri, NULL);
	returned(app, ret > 0 && FD_ISSET(fd, &pri) ? POLLPRI : ret, errno);
	keep(app, fd, VIDIOC_QUERYCAP);
}

static void run_epoll(struct app *app)
{
	struct epoll_event ev = { .events = EPOLLPRI };
	int fd = app_open_events(app), ret;
	int efd = epoll_create1(EPOLL_CLOEXEC);

	if (efd < 0 || epoll_ctl(efd, EPOLL_CTL_ADD, fd, &ev))
		give_up(app, "epoll_ctl");
	app->want = EPOLLERR | EPOLLHUP | EPOLLPRI;
	ready(app, "epoll_wait");
	ret = epoll_wait(efd, &ev, 1, -1);
	returned(app, ret > 0 ? (long)ev.events : ret, errno);
	keep(app, fd, VIDIOC_QUERYCAP);
}

static void run_read_vbi(struct app *app)
{
	int fd = app_open(app, "vivid-000-vbi-cap");
	struct vr_queue q;
	ssize_t size, ret;
	char *buf;

	if (vr_queue_init(&q, fd))
		give_up(app, "VIDIOC_S_INPUT");
	size = vr_frame_size(&q);
	if (size < 0)
		give_up(app, "VIDIOC_REQBUFS");
	buf = malloc(size);
	app->flows = true;
	ready(app, "read");
	while ((ret = read(fd, buf, size)) > 0)
		app->call.calls++;
	returned(app, ret, errno);
	keep(app, fd, VIDIOC_QUERYCAP);
}

static void run_read_radio(struct app *app)
{
	int fd = app_open(app, "vivid-000-rad-rx");
	char block[3];
	ssize_t ret;

	/* no reception: no RDS block is to come */
	if (vr_radio_block(fd, false))
		give_up(app, "RDS reception");
	ready(app, "read");
	ret = read(fd, block, sizeof(block));
	returned(app, ret, errno);
	keep(app, fd, VIDIOC_QUERYCAP);
}

static bool fill_and_check(unsigned char *mem, unsigned char *other, size_t len,
			   int c)
{
	size_t i;

	memset(mem, c, len);
	for (i = 0; i < len; i++)
		if (other[i] != c)
			return false;
	return true;
}

/* One queue of the node, not one that another application streams on */
static int app_queue(struct app *app, struct vr_queue *q, int fd)
{
	__u32 m2m = m2m_caps(fd);

	if (!m2m)
		return vr_queue_init(q, fd);
	m2m_queue_init(q, fd, m2m, false);
	return 0;
}

/* A buffer that is only mapped: nobody waits, it is used when all is over */
static void run_mapped(struct app *app)
{
	bool vivid = !strcmp(app->demo->drv->name, "vivid");
	int fd = app_open(app, vivid ? "vivid-000-vbi-out" : app->demo->node);
	struct vr_queue q;
	size_t len;

	if (app_queue(app, &q, fd) || vr_queue_alloc(&q))
		give_up(app, "cannot map");
	len = q.buf[0].len;
	memset(q.buf[0].mem, 1, len);
	ready(app, "mapped");
	wait_phase(app, UNBOUND);
	if (!fill_and_check(q.buf[0].mem, q.buf[0].mem, len, 2))
		snprintf(app->problem, sizeof(app->problem), "content lost");
	snprintf(app->seen, sizeof(app->seen), "%zu bytes read and written",
		 len);
	returned(app, 0, 0);
	keep(app, fd, VIDIOC_QUERYCAP);
	fill_and_check(q.buf[0].mem, q.buf[0].mem, len, 3);
	vr_queue_unmap(&q);
}

static void run_dmabuf(struct app *app)
{
	struct v4l2_exportbuffer exp = { .flags = O_RDWR | O_CLOEXEC };
	bool vivid = !strcmp(app->demo->drv->name, "vivid");
	int fd = app_open(app, vivid ? "vivid-000-touch-cap" : app->demo->node);
	unsigned char *mem, *again;
	struct vr_queue q;
	size_t len;

	if (app_queue(app, &q, fd) || vr_queue_alloc(&q))
		give_up(app, "cannot allocate");
	exp.type = q.type;
	len = q.buf[0].len;
	if (vr_ioctl(fd, VIDIOC_EXPBUF, &exp))
		give_up(app, "VIDIOC_EXPBUF");
	mem = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_SHARED, exp.fd, 0);
	if (mem == MAP_FAILED)
		give_up(app, "mmap");
	vr_queue_unmap(&q);
	ready(app, "mapped");
	wait_phase(app, UNBOUND);
	again = mmap(NULL, len, PROT_READ, MAP_SHARED, exp.fd, 0);
	if (again == MAP_FAILED)
		snprintf(app->problem, sizeof(app->problem), "new mapping: %s",
			 strerror(errno));
	else if (!fill_and_check(mem, again, len, 2))
		snprintf(app->problem, sizeof(app->problem), "content lost");
	snprintf(app->seen, sizeof(app->seen),
		 "%zu bytes read and written, mapped once more", len);
	returned(app, 0, 0);
	keep(app, fd, VIDIOC_QUERYCAP);
	/* now it is all that is left */
	memset(mem, 3, len);
	munmap(mem, len);
	close(exp.fd);
}

static void run_media(struct app *app)
{
	struct media_device_info info;
	int fd = app_open_media(app), ret;

	ready(app, "MEDIA_IOC_DEVICE_INFO");
	wait_phase(app, UNBOUND);
	ret = ioctl(fd, MEDIA_IOC_DEVICE_INFO, &info);
	returned(app, ret, errno);
	keep(app, fd, MEDIA_IOC_DEVICE_INFO);
}

/* A request with a metadata buffer that no hardware will take: nobody streams */
static void run_request(struct app *app)
{
	int media = app_open_media(app), req, ret;
	int fd = app_open(app, "vivid-000-meta-out");
	struct vr_queue q;

	if (ioctl(media, MEDIA_IOC_REQUEST_ALLOC, &req))
		give_up(app, "MEDIA_IOC_REQUEST_ALLOC");
	if (vr_queue_init(&q, fd) || vr_queue_alloc(&q) ||
	    vr_qbuf_req(&q, 0, req))
		give_up(app, "VIDIOC_QBUF");
	ready(app, "MEDIA_REQUEST_IOC_QUEUE");
	wait_phase(app, UNBOUND);
	ret = ioctl(req, MEDIA_REQUEST_IOC_QUEUE, NULL);
	returned(app, ret, errno);
	/* the request is what it closes last */
	close(media);
	close(fd);
	vr_queue_unmap(&q);
	keep(app, req, MEDIA_REQUEST_IOC_REINIT);
}

static void run_cec(struct app *app)
{
	struct cec_event ev;
	struct cec_msg msg = {};
	char path[64];
	int fd, ret;

	if (!vr_find_cec("vivid", "vivid-000-vid-cap0", path, sizeof(path)))
		give_up(app, "no CEC adapter");
	fd = open(path, O_RDWR | O_CLOEXEC);
	if (fd < 0 || ioctl(fd, CEC_DQEVENT, &ev))
		give_up(app, "%s", path);
	ready(app, "CEC_RECEIVE");
	ret = ioctl(fd, CEC_RECEIVE, &msg);
	returned(app, ret, errno);
	keep(app, fd, CEC_ADAP_G_CAPS);
}

/* ------------------------------------------------------------ main's side */

static bool all_good = true;

static void __attribute__((format(printf, 3, 4)))
result(const char *check, bool good, const char *fmt, ...)
{
	char seen[256];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(seen, sizeof(seen), fmt, ap);
	va_end(ap);
	printf("%-24s %-4s  %s\n", check, good ? "ok" : "FAIL", seen);
	printf("RESULT\t%s\t%s\t%s\n", check, good ? "pass" : "fail", seen);
	fflush(stdout);
	if (!good)
		all_good = false;
}

static const char *bits(long b)
{
	static char buf[64];

	snprintf(buf, sizeof(buf), "%s%s%s%s%s", b & POLLERR ? " ERR" : "",
		 b & POLLHUP ? " HUP" : "", b & POLLPRI ? " PRI" : "",
		 b & POLLIN ? " IN" : "", b & POLLOUT ? " OUT" : "");
	return buf;
}

static const char *errname(int err)
{
	const char *name = strerrorname_np(err);

	return name ? name : "?";
}

/* Start it and wait until it does what it is for */
static int start(struct demo *demo, const char *name,
		 void (*run)(struct app *app))
{
	struct app *app = &demo->app[demo->napps++];
	__u64 end = vr_now_us() + READY_MS * 1000ULL;
	pid_t pid;

	app->name = name;
	app->demo = demo;
	app->want = -ENODEV;
	fflush(stdout);
	pid = fork();
	if (!pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		run(app);
		_exit(0);
	}
	app->call.pid = pid;
	while (pid > 0 && vr_now_us() < end) {
		if (waitpid(pid, NULL, WNOHANG) == pid) {
			app->call.pid = 0;
			break;
		}
		if (app->flows ? app->call.calls >= 3 :
				 vr_sleeps_now(&app->call))
			return 0;
		vr_nap(2);
	}
	printf("%s: does not get ready: %s\n", name,
	       app->problem[0] ? app->problem : vr_where(&app->call));
	return -1;
}

static void verdict(struct app *app, __u64 started, __u64 deadline)
{
	long ms, ret;
	bool good;

	while (!vr_has_returned(&app->call)) {
		if (waitpid(app->call.pid, NULL, WNOHANG) > 0 &&
		    !vr_has_returned(&app->call)) {
			app->call.pid = 0;
			result(app->name, false, "%s: died", app->doing);
			return;
		}
		if (vr_now_us() > deadline) {
			result(app->name, false,
			       "%s: still asleep after %llu s", app->doing,
			       (vr_now_us() - started) / 1000000);
			vr_kill(&app->call);
			return;
		}
		vr_nap(1);
	}
	ret = app->call.ret;
	ms = (long)(app->call.when - started) / 1000;
	if (app->seen[0]) {
		result(app->name, !app->problem[0], "%s",
		       app->problem[0] ? app->problem : app->seen);
	} else if (app->want == -ENODEV) {
		good = ret < 0 && app->call.err == ENODEV;
		if (ret < 0)
			result(app->name, good, "%s: %s after %ld ms",
			       app->doing, errname(app->call.err), ms);
		else
			result(app->name, good, "%s: returned %ld after %ld ms",
			       app->doing, ret, ms);
	} else {
		good = ret == app->want;
		result(app->name, good, "%s:%s after %ld ms", app->doing,
		       ret < 0 ? errname(app->call.err) : bits(ret), ms);
	}
}

/* The driver is unbound: nothing of it may be left in /dev */
static int count_one(const char *name, void *arg)
{
	(void)name;
	++*(int *)arg;
	return 0;
}

static int count_nodes(const char *driver)
{
	int n = 0;

	vr_for_each(VR_VIDEO, driver, NULL, count_one, &n);
	vr_for_each(VR_MEDIA, driver, NULL, count_one, &n);
	vr_for_each(VR_CEC, driver, NULL, count_one, &n);
	return n;
}

/* What can be done with any video node of a media device */
static int start_common(struct demo *demo)
{
	return start(demo, "blocked DQEVENT", run_dqevent) ||
	       start(demo, "poll() asleep", run_poll) ||
	       start(demo, "select() asleep", run_select) ||
	       start(demo, "epoll_wait() asleep", run_epoll) ||
	       start(demo, "mapped buffer", run_mapped) ||
	       start(demo, "exported DMABUF", run_dmabuf) ||
	       start(demo, "media descriptor", run_media);
}

static int start_vivid(struct demo *demo)
{
	/* first, since it sets the input */
	return start(demo, "read() on VBI", run_read_vbi) ||
	       start(demo, "capture streaming", run_capture) ||
	       start(demo, "output streaming", run_output) ||
	       start(demo, "blocked DQBUF", run_dqbuf) ||
	       start(demo, "read() on radio", run_read_radio) ||
	       start_common(demo) ||
	       start(demo, "request descriptor", run_request) ||
	       start(demo, "CEC receiver", run_cec);
}

static int start_m2m(struct demo *demo)
{
	return start(demo, "streaming", run_m2m) ||
	       start(demo, "DQBUF, capture queue", run_m2m_capture) ||
	       start(demo, "DQBUF, output queue", run_m2m_output) ||
	       start_common(demo);
}

/* It takes output buffers in requests only */
static int start_visl(struct demo *demo)
{
	return start(demo, "DQBUF, capture queue", run_m2m_capture) ||
	       start(demo, "DQBUF, output queue", run_m2m_output) ||
	       start_common(demo);
}

static const struct {
	struct vr_driver drv;
	const char *node;
	int (*start)(struct demo *demo);
} drivers[] = {
	{ { "vivid", "vivid.0" }, "vivid-000-vid-cap", start_vivid },
	{ { "vim2m", "vim2m.0" }, "vim2m", start_m2m },
	{ { "vicodec", "vicodec.0" }, "stateful-encoder", start_m2m },
	{ { "vimc", "vimc.0" }, "Raw Capture 0", start_common },
	{ { "visl", "visl.0" }, "visl", start_visl },
};

#define NDRIVERS	(sizeof(drivers) / sizeof(drivers[0]))

int main(int argc, char **argv)
{
	const struct vr_driver *drv;
	__u64 started, deadline;
	struct demo *demo;
	__s64 us;
	int i, n, nodes, status, closed = 0, old = 0, held = 0;
	pid_t gone;

	if (argc == 2 && !strcmp(argv[1], "-l")) {
		for (i = 0; i < (int)NDRIVERS; i++)
			printf("%s\n", drivers[i].drv.name);
		return 0;
	}
	for (n = 0; argc == 2 && n < (int)NDRIVERS; n++)
		if (!strcmp(argv[1], drivers[n].drv.name))
			break;
	if (argc != 2 || n == (int)NDRIVERS) {
		if (argc == 2)
			fprintf(stderr, "unknown driver %s\n", argv[1]);
		fprintf(stderr, "usage: %s DRIVER, one of:", argv[0]);
		for (i = 0; i < (int)NDRIVERS; i++)
			fprintf(stderr, " %s", drivers[i].drv.name);
		fprintf(stderr, "\n");
		return 2;
	}
	drv = &drivers[n].drv;
	if (!vr_is_bound(drv)) {
		fprintf(stderr, "%s is not bound to %s\n", drv->device,
			drv->name);
		return 2;
	}
	demo = vr_shared(sizeof(*demo));
	if (!demo)
		return 2;
	demo->drv = drv;
	demo->node = drivers[n].node;
	setvbuf(stdout, NULL, _IOLBF, 0);
	nodes = count_nodes(drv->name);

	if (drivers[n].start(demo))
		return 2;
	printf("%d applications use %d nodes of %s; unbinding it\n",
	       demo->napps, nodes, drv->name);

	us = vr_unbind(drv, &started);
	if (us < 0)
		result("unbind", false, errno == ETIMEDOUT ?
		       "did not return within %u s" : "failed (%u s)",
		       vr_bind_ms / 1000);
	else
		result("unbind", true, "returned after %lld ms",
		       (long long)us / 1000);
	deadline = vr_now_us() + VR_CALL_MS * 1000ULL;
	__atomic_store_n(&demo->phase, UNBOUND, __ATOMIC_SEQ_CST);
	for (i = 0; i < demo->napps; i++)
		verdict(&demo->app[i], started, deadline);
	if (us < 0)
		return 1;	/* and it cannot be bound again */
	i = count_nodes(drv->name);
	result("nodes gone", !i, "%d of %d left", i, nodes);

	us = vr_bind(drv);
	i = count_nodes(drv->name);
	result("rebind", us >= 0 && i == nodes, us < 0 ? "failed" :
	       "%d of %d nodes back after %lld ms, old handles still open", i,
	       nodes, (long long)us / 1000);

	/* they try their old handles, close them, and end */
	__atomic_store_n(&demo->phase, REBOUND, __ATOMIC_SEQ_CST);
	deadline = vr_now_us() + 2 * VR_CALL_MS * 1000ULL;
	for (i = 0; i < demo->napps; i++) {
		struct app *app = &demo->app[i];

		if (app->call.pid <= 0)
			continue;
		held++;
		do {
			gone = waitpid(app->call.pid, &status, WNOHANG);
			vr_nap(1);
		} while (!gone && vr_now_us() < deadline);
		if (gone == app->call.pid && !status)
			closed++;
		old += app->old_ok;
	}
	result("old handles", held && old == held,
	       "%d of %d answer ENODEV after the rebind", old, held);
	result("late close", held && closed == held, "%d of %d closed", closed,
	       held);
	return all_good ? 0 : 1;
}
