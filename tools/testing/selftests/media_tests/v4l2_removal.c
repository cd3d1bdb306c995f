// SPDX-License-Identifier: GPL-2.0
/*
 * Unbind the vivid driver from under open file handles, calls in progress,
 * sleepers, mappings, DMABUFs and requests, and check what applications see:
 *
 *  - any ioctl, read, write, new mmap: ENODEV
 *  - a blocked DQBUF, DQEVENT, read or write returns ENODEV at once
 *  - poll, select, epoll, asleep or new: EPOLLERR | EPOLLHUP at once, and
 *    EPOLLPRI if that was asked for
 *  - open: ENOENT by path, ENODEV through /proc/self/fd
 *  - mapped buffers and exported DMABUFs stay usable
 *  - request fds: queue and reinit ENODEV, poll wakes, close works
 *  - close, in any order and however late, works
 *  - an ioctl asleep in a page fault, while its argument is copied, does not
 *    hold up the removal; read() and write() do, and the kernel says so
 *  - rebind works while old handles are open; these still answer ENODEV
 *
 * Run as root, with vivid.  vivid's n_devs=2 adds the tests that need a second
 * instance, bit 16 of its node_types those of the framebuffer.  Each test
 * starts with a freshly bound driver and fails too if the kernel reports
 * something (KASAN, lockdep, WARN ...) while it runs.  With KASAN, boot with
 * kasan_multi_shot: otherwise only the first report of a boot is seen.
 */
#include <sys/syscall.h>

#include <linux/dma-buf.h>
#include <linux/fb.h>
#include <linux/userfaultfd.h>

#include "../kselftest_harness.h"
#include "v4l2_removal.h"

/* Two bounded waits for bind and unbind, and some for calls */
#define TIMEOUT_S	400

/* After an unbind: when a call that has to return "at once" is late */
static __u64 deadline;

/* Set for the whole run: the driver cannot be unbound or bound any more */
static bool *stuck;

static const char * const node_names[] = {
	"vid-cap", "vid-out", "vbi-cap", "vbi-out", "rad-rx", "rad-tx",
	"sdr-cap", "meta-cap", "meta-out", "touch-cap",
};

/* --------------------------------------------- common to all fixtures */

#define MAX_CALLS	4

struct common {
	struct vr_call *call;	/* MAX_CALLS of them, shared with children */
	int kmsg;
	const char *expected;	/* the one thing that the kernel may say */
};

static void do_bind(struct __test_metadata *_metadata)
{
	__s64 us = vr_bind(&vr_vivid);

	if (us < 0 && errno == ETIMEDOUT)
		*stuck = true;
	ASSERT_LE(0, us)
		TH_LOG("bind: %s", strerror(errno));
}

static void do_unbind(struct __test_metadata *_metadata)
{
	__s64 us = vr_unbind(&vr_vivid, NULL);

	if (us < 0 && errno == ETIMEDOUT)
		*stuck = true;
	ASSERT_LE(0, us)
		TH_LOG("unbind: %s", strerror(errno));
	EXPECT_FALSE(vr_is_bound(&vr_vivid));
	deadline = vr_now_us() + VR_CALL_MS * 1000ULL;
}

/*
 * Wait until what nobody holds any more is freed.  There is nothing to look at:
 * DEBUG_KOBJECT_RELEASE puts off each release by up to 4 s, and the release of
 * a node is two of them in a row.
 */
static void wait_freed(void)
{
	vr_nap(10000);
}

static void common_setup(struct __test_metadata *_metadata, struct common *c)
{
	ASSERT_FALSE(*stuck)
		TH_LOG("an earlier unbind or bind did not return");
	if (!vr_is_bound(&vr_vivid))
		do_bind(_metadata);
	c->call = vr_shared(MAX_CALLS * sizeof(*c->call));
	ASSERT_NE(NULL, c->call);
	c->kmsg = vr_kmsg_open();
}

/* What the kernel said since the test began */
static void check_kmsg(struct __test_metadata *_metadata, struct common *c)
{
	char line[2048];
	bool silent = true;

	if (c->kmsg < 0)
		return;
	while (vr_kmsg_find(c->kmsg, vr_kmsg_bad, line, sizeof(line))) {
		if (c->expected && strstr(line, c->expected))
			continue;
		TH_LOG("kernel: %s", line);
		silent = false;
	}
	EXPECT_TRUE(silent);
	close(c->kmsg);
}

static void common_teardown(struct __test_metadata *_metadata,
			    struct common *c)
{
	unsigned int i;

	for (i = 0; i < MAX_CALLS; i++)
		EXPECT_TRUE(vr_kill(&c->call[i]))
			TH_LOG("SIGKILL does not end a call: %s",
			       vr_where(&c->call[i]));
	check_kmsg(_metadata, c);
}

/* ------------------------------------------------ the calls that sleep */

/* Start a call and see it asleep */
static void start_asleep(struct __test_metadata *_metadata,
			 struct vr_call *call,
			 long (*fn)(struct vr_call *call, void *arg), void *arg)
{
	ASSERT_LT(0, vr_start(call, fn, arg));
	ASSERT_TRUE(vr_wait_asleep(call))
		TH_LOG("the call does not sleep: %s, %ld (%s)", vr_where(call),
		       call->ret, strerror(call->err));
}

static bool expect_returned(struct __test_metadata *_metadata,
			    struct vr_call *call, const char *what)
{
	bool returned = vr_wait_returned(call, deadline);

	EXPECT_TRUE(returned)
		TH_LOG("%s: still asleep %u ms after the unbind (%s)", what,
		       VR_CALL_MS, vr_where(call));
	return returned;
}

static void expect_enodev(struct __test_metadata *_metadata,
			  struct vr_call *call, const char *what)
{
	if (!expect_returned(_metadata, call, what))
		return;
	EXPECT_GT(0, call->ret)
		TH_LOG("%s: returned %ld", what, call->ret);
	EXPECT_EQ(ENODEV, call->err)
		TH_LOG("%s: %s", what, strerror(call->err));
}

static void expect_bits(struct __test_metadata *_metadata,
			struct vr_call *call, long bits, const char *what)
{
	if (!expect_returned(_metadata, call, what))
		return;
	EXPECT_EQ(bits, call->ret)
		TH_LOG("%s: 0x%lx instead of 0x%lx", what, call->ret, bits);
}

/* poll, select and epoll started now, all at once or one after the other */
static void check_poll_new(struct __test_metadata *_metadata, int fd)
{
	struct poll_arg all = { fd, POLLIN | POLLOUT | POLLPRI, VR_CALL_MS };
	struct poll_arg none = { fd, 0, VR_CALL_MS };

	EXPECT_EQ(POLLERR | POLLHUP | POLLPRI, call_poll(NULL, &all));
	EXPECT_EQ(POLLERR | POLLHUP, call_poll(NULL, &none));
	/* select: an error makes it readable and writable */
	EXPECT_EQ(POLLIN | POLLOUT | POLLPRI, call_select(NULL, &all));
	EXPECT_EQ(EPOLLERR | EPOLLHUP | EPOLLPRI, call_epoll(NULL, &all));
	EXPECT_EQ(EPOLLERR | EPOLLHUP, call_epoll(NULL, &none));
}

/* Three sleepers that ask for @events, then unbind */
static void check_poll_asleep(struct __test_metadata *_metadata,
			      struct vr_call *call, int fd, unsigned int events)
{
	struct poll_arg arg = { fd, events, -1 };

	start_asleep(_metadata, &call[0], call_poll, &arg);
	start_asleep(_metadata, &call[1], call_select, &arg);
	start_asleep(_metadata, &call[2], call_epoll, &arg);
	do_unbind(_metadata);
	expect_bits(_metadata, &call[0],
		    POLLERR | POLLHUP | (events & POLLPRI), "poll");
	expect_bits(_metadata, &call[1], events, "select");
	expect_bits(_metadata, &call[2],
		    EPOLLERR | EPOLLHUP | (events & EPOLLPRI), "epoll");
}

struct cmd {
	const char *name;
	unsigned long cmd;
};

static void check_ioctls(struct __test_metadata *_metadata, int fd,
			 const struct cmd *cmds, unsigned int n)
{
	__u64 arg[512];	/* larger than any argument, and aligned */
	unsigned int i;

	for (i = 0; i < n; i++) {
		memset(arg, 0, sizeof(arg));
		errno = 0;
		EXPECT_EQ(-1, ioctl(fd, cmds[i].cmd, arg))
			TH_LOG("%s", cmds[i].name);
		EXPECT_EQ(ENODEV, errno)
			TH_LOG("%s: %s", cmds[i].name, strerror(errno));
	}
}

static void check_read_write(struct __test_metadata *_metadata, int fd)
{
	char buf[4096] = {};

	errno = 0;
	EXPECT_EQ(-1, read(fd, buf, sizeof(buf)));
	EXPECT_EQ(ENODEV, errno)
		TH_LOG("read: %s", strerror(errno));
	errno = 0;
	EXPECT_EQ(-1, write(fd, buf, sizeof(buf)));
	EXPECT_EQ(ENODEV, errno)
		TH_LOG("write: %s", strerror(errno));
}

static void check_mmap(struct __test_metadata *_metadata, int fd)
{
	void *mem;

	errno = 0;
	mem = mmap(NULL, 4096, PROT_READ, MAP_SHARED, fd, 0);
	EXPECT_EQ(MAP_FAILED, mem);
	EXPECT_EQ(ENODEV, errno)
		TH_LOG("mmap: %s", strerror(errno));
}

/* Open the removed node by its path and through an open handle */
static void check_open(struct __test_metadata *_metadata, const char *path,
		       int fd)
{
	char self[32];

	EXPECT_EQ(-1, open(path, O_RDWR | O_CLOEXEC | O_NONBLOCK));
	EXPECT_EQ(ENOENT, errno)
		TH_LOG("open %s: %s", path, strerror(errno));
	snprintf(self, sizeof(self), "/proc/self/fd/%d", fd);
	EXPECT_EQ(-1, open(self, O_RDWR | O_CLOEXEC | O_NONBLOCK));
	EXPECT_EQ(ENODEV, errno)
		TH_LOG("open %s: %s", self, strerror(errno));
}

/* Duplicates of a handle in every place a handle can be */
struct holders {
	int dup, sock[2];
};

static void hold(struct __test_metadata *_metadata, struct holders *h,
		 struct vr_call *call, int fd)
{
	/* a second descriptor, a child's, and one in flight in a socket */
	h->dup = dup(fd);
	ASSERT_LE(0, h->dup);
	start_asleep(_metadata, call, call_pause, NULL);
	ASSERT_EQ(0, socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0,
				h->sock));
	ASSERT_EQ(1, vr_send_fd(h->sock[0], fd));
}

static void release(struct __test_metadata *_metadata, struct holders *h,
		    struct vr_call *call)
{
	EXPECT_EQ(0, close(h->dup));
	EXPECT_TRUE(vr_kill(call));
	/* the last one: nobody receives it */
	EXPECT_EQ(0, close(h->sock[0]));
	EXPECT_EQ(0, close(h->sock[1]));
}

/* ------------------------------------------- nodes: every type of vivid */

FIXTURE(node)
{
	struct common c;
	char path[64];
	int fd;
};

FIXTURE_VARIANT(node)
{
	const char *name;
	bool output;
	bool radio;
	bool keeps_frames;	/* knows no "Percentage of Dropped Buffers" */
	bool no_write;		/* wants a payload; vb2's write() has none */
};

FIXTURE_VARIANT_ADD(node, vid_cap)
{
	.name = "vivid-000-vid-cap",
};

FIXTURE_VARIANT_ADD(node, vid_out)
{
	.name = "vivid-000-vid-out",
	.output = true,
	.no_write = true,
};

FIXTURE_VARIANT_ADD(node, vbi_cap)
{
	.name = "vivid-000-vbi-cap",
};

FIXTURE_VARIANT_ADD(node, vbi_out)
{
	.name = "vivid-000-vbi-out",
	.output = true,
};

FIXTURE_VARIANT_ADD(node, radio_rx)
{
	.name = "vivid-000-rad-rx",
	.radio = true,
};

FIXTURE_VARIANT_ADD(node, radio_tx)
{
	.name = "vivid-000-rad-tx",
	.radio = true,
	.output = true,
};

FIXTURE_VARIANT_ADD(node, sdr_cap)
{
	.name = "vivid-000-sdr-cap",
};

FIXTURE_VARIANT_ADD(node, meta_cap)
{
	.name = "vivid-000-meta-cap",
};

FIXTURE_VARIANT_ADD(node, meta_out)
{
	.name = "vivid-000-meta-out",
	.output = true,
};

FIXTURE_VARIANT_ADD(node, touch_cap)
{
	.name = "vivid-000-touch-cap",
	.keeps_frames = true,
};

static int open_node(const char *name, char *path, size_t size)
{
	if (!vr_find_video("vivid", name, path, size))
		return -1;
	return open(path, O_RDWR | O_CLOEXEC);
}

FIXTURE_SETUP(node)
{
	common_setup(_metadata, &self->c);
	if (!vr_find_video("vivid", variant->name, self->path,
			   sizeof(self->path)))
		SKIP(return, "vivid has no node %s", variant->name);
	self->fd = open(self->path, O_RDWR | O_CLOEXEC);
	ASSERT_LE(0, self->fd);
}

FIXTURE_TEARDOWN(node)
{
	if (self->fd >= 0)
		close(self->fd);
	common_teardown(_metadata, &self->c);
}

#define CMD(x) { #x, x }

/* Everything that does not wait, tried on a handle of a removed node */
TEST_F_TIMEOUT(node, refused, TIMEOUT_S)
{
	static const struct cmd cmds[] = {
		CMD(VIDIOC_QUERYCAP), CMD(VIDIOC_ENUM_FMT), CMD(VIDIOC_G_FMT),
		CMD(VIDIOC_S_FMT), CMD(VIDIOC_TRY_FMT), CMD(VIDIOC_REQBUFS),
		CMD(VIDIOC_CREATE_BUFS), CMD(VIDIOC_QUERYBUF),
		CMD(VIDIOC_PREPARE_BUF), CMD(VIDIOC_QBUF), CMD(VIDIOC_DQBUF),
		CMD(VIDIOC_EXPBUF), CMD(VIDIOC_STREAMON), CMD(VIDIOC_STREAMOFF),
		CMD(VIDIOC_G_PARM), CMD(VIDIOC_G_STD), CMD(VIDIOC_ENUMSTD),
		CMD(VIDIOC_ENUMINPUT),
		CMD(VIDIOC_G_INPUT), CMD(VIDIOC_S_INPUT), CMD(VIDIOC_G_OUTPUT),
		CMD(VIDIOC_G_TUNER), CMD(VIDIOC_G_MODULATOR),
		CMD(VIDIOC_G_FREQUENCY), CMD(VIDIOC_S_FREQUENCY),
		CMD(VIDIOC_QUERYCTRL), CMD(VIDIOC_QUERY_EXT_CTRL),
		CMD(VIDIOC_G_CTRL), CMD(VIDIOC_S_CTRL),
		CMD(VIDIOC_G_EXT_CTRLS), CMD(VIDIOC_S_EXT_CTRLS),
		CMD(VIDIOC_TRY_EXT_CTRLS),
		CMD(VIDIOC_QUERYMENU), CMD(VIDIOC_G_PRIORITY),
		CMD(VIDIOC_S_PRIORITY), CMD(VIDIOC_LOG_STATUS),
		CMD(VIDIOC_G_SELECTION), CMD(VIDIOC_G_EDID),
		CMD(VIDIOC_SUBSCRIBE_EVENT), CMD(VIDIOC_UNSUBSCRIBE_EVENT),
		CMD(VIDIOC_DQEVENT), CMD(VIDIOC_QUERY_DV_TIMINGS),
		/* and what nobody implements */
		{ "unknown V4L2 ioctl", _IO('V', 191) },
		{ "private ioctl", _IOWR('V', BASE_VIDIOC_PRIVATE, int) },
		{ "foreign ioctl", _IOR('@', 7, int) },
	};
	const char *path = "/dev/v4l2_removal_node";
	struct stat st;
	int fd;

	/* an inode that removal does not delete, and that knows the cdev */
	ASSERT_EQ(0, fstat(self->fd, &st));
	unlink(path);
	ASSERT_EQ(0, mknod(path, S_IFCHR | 0600, st.st_rdev));
	fd = open(path, O_RDWR | O_CLOEXEC);
	EXPECT_LE(0, fd);

	do_unbind(_metadata);
	check_ioctls(_metadata, self->fd, cmds, ARRAY_SIZE(cmds));
	/* the device is gone before the pointer is bad */
	EXPECT_EQ(-1, ioctl(self->fd, VIDIOC_S_CTRL, NULL));
	EXPECT_EQ(ENODEV, errno)
		TH_LOG("bad pointer: %s", strerror(errno));
	check_read_write(_metadata, self->fd);
	check_mmap(_metadata, self->fd);
	check_poll_new(_metadata, self->fd);
	check_open(_metadata, self->path, self->fd);
	EXPECT_EQ(-1, open(path, O_RDWR | O_CLOEXEC));
	EXPECT_EQ(ENODEV, errno)
		TH_LOG("open of a static node: %s", strerror(errno));
	close(fd);
	unlink(path);
}

/*
 * Handles that wait for events only, as any node allows: three sleepers, and
 * an epoll instance that is asked later and outlives the handle it watches.
 */
TEST_F_TIMEOUT(node, poll_asleep, TIMEOUT_S)
{
	struct epoll_event ev = { .events = EPOLLPRI };
	int efd;

	ASSERT_EQ(0, vr_subscribe_ctrl(self->fd));
	efd = epoll_create1(EPOLL_CLOEXEC);
	ASSERT_LE(0, efd);
	ASSERT_EQ(0, epoll_ctl(efd, EPOLL_CTL_ADD, self->fd, &ev));
	EXPECT_EQ(0, epoll_wait(efd, &ev, 1, 0));
	check_poll_asleep(_metadata, self->c.call, self->fd, POLLPRI);
	EXPECT_EQ(1, epoll_wait(efd, &ev, 1, VR_CALL_MS));
	EXPECT_EQ(EPOLLERR | EPOLLHUP | EPOLLPRI, (int)ev.events);
	EXPECT_EQ(0, close(self->fd));
	self->fd = -1;
	EXPECT_EQ(0, epoll_wait(efd, &ev, 1, 0));
	EXPECT_EQ(0, close(efd));
}

/* DQEVENT, with read() on capture and receiver nodes, write() on the others */
TEST_F_TIMEOUT(node, blocked, TIMEOUT_S)
{
	struct vr_call *event = &self->c.call[0], *rw = &self->c.call[1];
	struct io_arg io = { .fd = self->fd };
	struct vr_queue q;

	ASSERT_EQ(0, vr_subscribe_ctrl(self->fd));
	if (variant->radio) {
		io.size = 3;	/* one RDS block */
		ASSERT_EQ(0, vr_radio_block(self->fd, variant->output));
	} else {
		ASSERT_EQ(0, vr_queue_init(&q, self->fd));
		io.size = vr_frame_size(&q);
		ASSERT_LT(0, (ssize_t)io.size);
		if (!variant->keeps_frames)
			ASSERT_EQ(0, vr_set_ctrl(self->fd, VR_CID_PERC_DROPPED,
						 100));
	}
	start_asleep(_metadata, event, call_dqevent, &self->fd);
	if (!variant->no_write)
		start_asleep(_metadata, rw,
			     variant->output ? call_write : call_read, &io);
	do_unbind(_metadata);
	expect_enodev(_metadata, event, "DQEVENT");
	if (!variant->no_write)
		expect_enodev(_metadata, rw,
			      variant->output ? "write" : "read");
}

/* An event arrives, as this program, which may be a 32-bit one, knows it */
static void check_event(struct __test_metadata *_metadata, int fd)
{
	struct v4l2_event_subscription sub = {
		.type = V4L2_EVENT_CTRL,
		.id = VR_CID_BOOLEAN,
		.flags = V4L2_EVENT_SUB_FL_SEND_INITIAL,
	};
	struct v4l2_event ev = {};

	ASSERT_EQ(0, vr_ioctl(fd, VIDIOC_SUBSCRIBE_EVENT, &sub));
	ASSERT_EQ(0, vr_ioctl(fd, VIDIOC_DQEVENT, &ev));
	EXPECT_EQ((__u32)V4L2_EVENT_CTRL, ev.type);
	EXPECT_EQ(0U, ev.pending);
	EXPECT_LT(0, ev.timestamp.tv_sec + ev.timestamp.tv_nsec);
	EXPECT_EQ((__u32)VR_CID_BOOLEAN, ev.id);
}

/* The handle lives on in several places, and goes when a new node is in use */
TEST_F_TIMEOUT(node, late_close, TIMEOUT_S)
{
	struct vr_call *call = &self->c.call[0];
	struct v4l2_capability cap;
	struct holders h;
	char path[64];
	int fd;

	ASSERT_EQ(0, vr_subscribe_ctrl(self->fd));
	hold(_metadata, &h, call, self->fd);
	EXPECT_EQ(0, close(self->fd));
	self->fd = -1;
	do_unbind(_metadata);

	do_bind(_metadata);
	fd = open_node(variant->name, path, sizeof(path));
	ASSERT_LE(0, fd);
	EXPECT_EQ(0, vr_ioctl(fd, VIDIOC_QUERYCAP, &cap));
	EXPECT_EQ(-1, vr_ioctl(h.dup, VIDIOC_QUERYCAP, &cap));
	EXPECT_EQ(ENODEV, errno);
	release(_metadata, &h, call);

	/* the new node does not notice */
	EXPECT_EQ(0, vr_ioctl(fd, VIDIOC_QUERYCAP, &cap));
	check_event(_metadata, fd);
	EXPECT_EQ(0, close(fd));
}

/* ---------------------------------------- queues: the nodes that stream */

FIXTURE(queue)
{
	struct common c;
	char path[64];
	struct vr_queue q;
};

FIXTURE_VARIANT(queue)
{
	const char *name;
	bool keeps_frames;
};

FIXTURE_VARIANT_ADD(queue, vid_cap)
{
	.name = "vivid-000-vid-cap",
};

FIXTURE_VARIANT_ADD(queue, vid_out)
{
	.name = "vivid-000-vid-out",
};

FIXTURE_VARIANT_ADD(queue, vbi_cap)
{
	.name = "vivid-000-vbi-cap",
};

FIXTURE_VARIANT_ADD(queue, vbi_out)
{
	.name = "vivid-000-vbi-out",
};

FIXTURE_VARIANT_ADD(queue, sdr_cap)
{
	.name = "vivid-000-sdr-cap",
};

FIXTURE_VARIANT_ADD(queue, meta_cap)
{
	.name = "vivid-000-meta-cap",
};

FIXTURE_VARIANT_ADD(queue, meta_out)
{
	.name = "vivid-000-meta-out",
};

FIXTURE_VARIANT_ADD(queue, touch_cap)
{
	.name = "vivid-000-touch-cap",
	.keeps_frames = true,
};

FIXTURE_SETUP(queue)
{
	int fd;

	common_setup(_metadata, &self->c);
	if (!vr_find_video("vivid", variant->name, self->path,
			   sizeof(self->path)))
		SKIP(return, "vivid has no node %s", variant->name);
	fd = open(self->path, O_RDWR | O_CLOEXEC);
	ASSERT_LE(0, fd);
	ASSERT_EQ(0, vr_queue_init(&self->q, fd));
}

FIXTURE_TEARDOWN(queue)
{
	vr_queue_unmap(&self->q);
	if (self->q.fd >= 0)
		close(self->q.fd);
	common_teardown(_metadata, &self->c);
}

TEST_F_TIMEOUT(queue, blocked_dqbuf, TIMEOUT_S)
{
	struct vr_call *call = &self->c.call[0];

	ASSERT_EQ(0, vr_queue_start_blocked(&self->q, variant->keeps_frames));
	start_asleep(_metadata, call, call_dqbuf, &self->q);
	do_unbind(_metadata);
	expect_enodev(_metadata, call, "DQBUF");
}

TEST_F_TIMEOUT(queue, poll_asleep, TIMEOUT_S)
{
	ASSERT_EQ(0, vr_queue_start_blocked(&self->q, variant->keeps_frames));
	check_poll_asleep(_metadata, self->c.call, self->q.fd,
			  self->q.output ? POLLOUT : POLLIN);
}

/* Frames flow: DQBUF, QBUF, over and over, until the device goes */
TEST_F_TIMEOUT(queue, streaming, TIMEOUT_S)
{
	struct vr_call *call = &self->c.call[0];
	__u64 end = vr_now_us() + VR_CALL_MS * 1000ULL;

	ASSERT_EQ(0, vr_queue_start(&self->q));
	ASSERT_LT(0, vr_start(call, call_stream, &self->q));
	while (__atomic_load_n(&call->calls, __ATOMIC_SEQ_CST) < 3) {
		ASSERT_FALSE(vr_has_returned(call));
		ASSERT_GT(end, vr_now_us());
		vr_nap(2);
	}
	do_unbind(_metadata);
	expect_enodev(_metadata, call, "DQBUF or QBUF");
	/* twice the same: what happened in between must not be lost */
	EXPECT_EQ(-1, vr_dqbuf(&self->q));
	EXPECT_EQ(ENODEV, errno);
}

/* Buffers and DMABUFs outlive their device, and the handle they came from */
TEST_F_TIMEOUT(queue, buffers, TIMEOUT_S)
{
	struct v4l2_exportbuffer exp = {
		.type = self->q.type,
		.flags = O_RDWR | O_CLOEXEC,
	};
	struct dma_buf_sync sync = {
		.flags = DMA_BUF_SYNC_START | DMA_BUF_SYNC_RW,
	};
	unsigned char *mem, *dma, *again;
	size_t len, i;

	ASSERT_EQ(0, vr_queue_alloc(&self->q));
	mem = self->q.buf[0].mem;
	len = self->q.buf[0].len;
	ASSERT_EQ(0, vr_ioctl(self->q.fd, VIDIOC_EXPBUF, &exp));
	dma = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_SHARED, exp.fd, 0);
	ASSERT_NE(MAP_FAILED, dma);
	for (i = 0; i < len; i++)
		mem[i] = i % 251;

	do_unbind(_metadata);
	EXPECT_EQ(0, vr_ioctl(exp.fd, DMA_BUF_IOCTL_SYNC, &sync));
	for (i = 0; i < len && dma[i] == i % 251; i++)
		;
	EXPECT_EQ(len, i);
	memset(dma, 0x5a, len);
	EXPECT_EQ(0x5a, mem[0]);
	EXPECT_EQ(0x5a, mem[len - 1]);

	/* the handle goes; the memory stays */
	EXPECT_EQ(0, close(self->q.fd));
	self->q.fd = -1;
	do_bind(_metadata);
	memset(mem, 0xa5, len);
	again = mmap(NULL, len, PROT_READ, MAP_SHARED, exp.fd, 0);
	ASSERT_NE(MAP_FAILED, again);
	for (i = 0; i < len && dma[i] == 0xa5 && again[i] == 0xa5; i++)
		;
	EXPECT_EQ(len, i);
	munmap(again, len);
	vr_queue_unmap(&self->q);
	EXPECT_EQ(0xa5, dma[len - 1]);
	EXPECT_EQ(0, munmap(dma, len));
	EXPECT_EQ(0, close(exp.fd));
}

/* Unbound while it streams, bound again, closed when the new one streams */
TEST_F_TIMEOUT(queue, rebind_streaming, TIMEOUT_S)
{
	struct vr_queue new;
	char path[64];
	int fd, i;

	ASSERT_EQ(0, vr_queue_start(&self->q));
	do_unbind(_metadata);
	do_bind(_metadata);

	fd = open_node(variant->name, path, sizeof(path));
	ASSERT_LE(0, fd);
	ASSERT_EQ(0, vr_queue_init(&new, fd));
	ASSERT_EQ(0, vr_queue_start(&new));
	EXPECT_EQ(-1, vr_ioctl(self->q.fd, VIDIOC_STREAMOFF, &self->q.type));
	EXPECT_EQ(ENODEV, errno);
	vr_queue_unmap(&self->q);
	EXPECT_EQ(0, close(self->q.fd));
	self->q.fd = -1;
	for (i = 0; i < 3; i++) {
		int index = vr_dqbuf(&new);

		EXPECT_LE(0, index);
		EXPECT_EQ(0, vr_qbuf(&new, index));
	}
	vr_queue_unmap(&new);
	EXPECT_EQ(0, close(fd));
}

/* ------------------------------------------------------- the media node */

FIXTURE(media)
{
	struct common c;
	char path[64];
	int fd;
};

FIXTURE_SETUP(media)
{
	common_setup(_metadata, &self->c);
	if (!vr_find_media("vivid", "platform:vivid-000", self->path,
			   sizeof(self->path)))
		SKIP(return, "vivid has no media node");
	self->fd = open(self->path, O_RDWR | O_CLOEXEC);
	ASSERT_LE(0, self->fd);
}

FIXTURE_TEARDOWN(media)
{
	if (self->fd >= 0)
		close(self->fd);
	common_teardown(_metadata, &self->c);
}

TEST_F_TIMEOUT(media, refused, TIMEOUT_S)
{
	static const struct cmd cmds[] = {
		CMD(MEDIA_IOC_DEVICE_INFO), CMD(MEDIA_IOC_ENUM_ENTITIES),
		CMD(MEDIA_IOC_ENUM_LINKS), CMD(MEDIA_IOC_SETUP_LINK),
		CMD(MEDIA_IOC_G_TOPOLOGY), CMD(MEDIA_IOC_REQUEST_ALLOC),
		{ "unknown media ioctl", _IO('|', 0xff) },
	};

	do_unbind(_metadata);
	check_ioctls(_metadata, self->fd, cmds, ARRAY_SIZE(cmds));
	check_read_write(_metadata, self->fd);
	check_mmap(_metadata, self->fd);
	check_poll_new(_metadata, self->fd);
	check_open(_metadata, self->path, self->fd);
}

TEST_F_TIMEOUT(media, poll_asleep, TIMEOUT_S)
{
	check_poll_asleep(_metadata, self->c.call, self->fd, POLLPRI);
}

TEST_F_TIMEOUT(media, late_close, TIMEOUT_S)
{
	struct vr_call *call = &self->c.call[0];
	struct media_device_info info;
	struct holders h;
	char path[64];
	int fd;

	hold(_metadata, &h, call, self->fd);
	EXPECT_EQ(0, close(self->fd));
	self->fd = -1;
	do_unbind(_metadata);

	do_bind(_metadata);
	ASSERT_TRUE(vr_find_media("vivid", "platform:vivid-000", path,
				  sizeof(path)));
	fd = open(path, O_RDWR | O_CLOEXEC);
	ASSERT_LE(0, fd);
	EXPECT_EQ(-1, vr_ioctl(h.dup, MEDIA_IOC_DEVICE_INFO, &info));
	EXPECT_EQ(ENODEV, errno);
	release(_metadata, &h, call);
	EXPECT_EQ(0, vr_ioctl(fd, MEDIA_IOC_DEVICE_INFO, &info));
	EXPECT_EQ(0, close(fd));
}

/* ---------------------------------------------------- both CEC adapters */

FIXTURE(cec)
{
	struct common c;
	char path[64];
	int fd;
};

FIXTURE_VARIANT(cec)
{
	const char *name;
};

FIXTURE_VARIANT_ADD(cec, receiver)
{
	.name = "vivid-000-vid-cap0",
};

FIXTURE_VARIANT_ADD(cec, transmitter)
{
	.name = "vivid-000-vid-out0",
};

FIXTURE_SETUP(cec)
{
	struct cec_event ev;

	common_setup(_metadata, &self->c);
	if (!vr_find_cec("vivid", variant->name, self->path,
			 sizeof(self->path)))
		SKIP(return, "vivid has no CEC adapter %s", variant->name);
	self->fd = open(self->path, O_RDWR | O_CLOEXEC);
	ASSERT_LE(0, self->fd);
	/* every open begins with an event that tells the state */
	ASSERT_EQ(0, vr_ioctl(self->fd, CEC_DQEVENT, &ev));
}

FIXTURE_TEARDOWN(cec)
{
	if (self->fd >= 0)
		close(self->fd);
	common_teardown(_metadata, &self->c);
}

TEST_F_TIMEOUT(cec, refused, TIMEOUT_S)
{
	static const struct cmd cmds[] = {
		CMD(CEC_ADAP_G_CAPS), CMD(CEC_ADAP_G_PHYS_ADDR),
		CMD(CEC_ADAP_G_LOG_ADDRS), CMD(CEC_ADAP_S_LOG_ADDRS),
		CMD(CEC_TRANSMIT), CMD(CEC_RECEIVE), CMD(CEC_DQEVENT),
		CMD(CEC_G_MODE), CMD(CEC_S_MODE),
		{ "unknown CEC ioctl", _IO('a', 0xff) },
	};

	do_unbind(_metadata);
	check_ioctls(_metadata, self->fd, cmds, ARRAY_SIZE(cmds));
	check_poll_new(_metadata, self->fd);
	check_open(_metadata, self->path, self->fd);
}

TEST_F_TIMEOUT(cec, poll_asleep, TIMEOUT_S)
{
	check_poll_asleep(_metadata, self->c.call, self->fd, POLLIN | POLLPRI);
}

TEST_F_TIMEOUT(cec, blocked, TIMEOUT_S)
{
	struct vr_call *msg = &self->c.call[0], *event = &self->c.call[1];

	start_asleep(_metadata, msg, call_cec_receive, &self->fd);
	start_asleep(_metadata, event, call_cec_dqevent, &self->fd);
	do_unbind(_metadata);
	expect_enodev(_metadata, msg, "CEC_RECEIVE");
	expect_enodev(_metadata, event, "CEC_DQEVENT");
}

TEST_F_TIMEOUT(cec, late_close, TIMEOUT_S)
{
	struct vr_call *call = &self->c.call[0];
	struct cec_caps caps;
	struct holders h;
	char path[64];
	int fd;

	hold(_metadata, &h, call, self->fd);
	EXPECT_EQ(0, close(self->fd));
	self->fd = -1;
	do_unbind(_metadata);

	do_bind(_metadata);
	ASSERT_TRUE(vr_find_cec("vivid", variant->name, path, sizeof(path)));
	fd = open(path, O_RDWR | O_CLOEXEC);
	ASSERT_LE(0, fd);
	EXPECT_EQ(-1, vr_ioctl(h.dup, CEC_ADAP_G_CAPS, &caps));
	EXPECT_EQ(ENODEV, errno);
	release(_metadata, &h, call);
	EXPECT_EQ(0, vr_ioctl(fd, CEC_ADAP_G_CAPS, &caps));
	EXPECT_EQ(0, close(fd));
}

/* ----------------------------- vivid's own, reversible, disconnect control */

FIXTURE(simulated)
{
	struct common c;
	int fd[ARRAY_SIZE(node_names)];	/* one handle per node, or -1 */
	char path[ARRAY_SIZE(node_names)][64];
};

FIXTURE_SETUP(simulated)
{
	char name[64];
	unsigned int i;

	common_setup(_metadata, &self->c);
	for (i = 0; i < ARRAY_SIZE(node_names); i++) {
		snprintf(name, sizeof(name), "vivid-000-%s", node_names[i]);
		self->fd[i] = open_node(name, self->path[i],
					sizeof(self->path[i]));
	}
	if (self->fd[0] < 0)
		SKIP(return, "vivid has no video capture node");
}

static void simulated_close(int *fd)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(node_names); i++) {
		if (fd[i] >= 0)
			close(fd[i]);
		fd[i] = -1;
	}
}

FIXTURE_TEARDOWN(simulated)
{
	simulated_close(self->fd);
	common_teardown(_metadata, &self->c);
}

static void check_disconnected(struct __test_metadata *_metadata,
			       const int *fd)
{
	struct v4l2_capability cap;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(node_names); i++) {
		if (fd[i] < 0)
			continue;
		errno = 0;
		EXPECT_EQ(-1, vr_ioctl(fd[i], VIDIOC_QUERYCAP, &cap));
		EXPECT_EQ(ENODEV, errno)
			TH_LOG("%s: %s", node_names[i], strerror(errno));
	}
}

/* All nodes go, and come back with the last close */
TEST_F_TIMEOUT(simulated, reconnect, TIMEOUT_S)
{
	struct v4l2_capability cap;
	unsigned int i;
	int fd;

	ASSERT_EQ(0, vr_set_ctrl(self->fd[0], VR_CID_DISCONNECT, 1));
	check_disconnected(_metadata, self->fd);
	check_poll_new(_metadata, self->fd[0]);
	for (i = 0; i < ARRAY_SIZE(node_names); i++) {
		if (self->fd[i] < 0)
			continue;
		EXPECT_EQ(-1, open(self->path[i], O_RDWR | O_CLOEXEC));
		EXPECT_EQ(ENODEV, errno);
	}
	simulated_close(self->fd);
	for (i = 0; i < ARRAY_SIZE(node_names); i++) {
		if (!self->path[i][0])
			continue;
		fd = open(self->path[i], O_RDWR | O_CLOEXEC);
		EXPECT_LE(0, fd)
			TH_LOG("%s: %s", node_names[i], strerror(errno));
		EXPECT_EQ(0, vr_ioctl(fd, VIDIOC_QUERYCAP, &cap));
		close(fd);
	}
}

TEST_F_TIMEOUT(simulated, sleepers, TIMEOUT_S)
{
	struct poll_arg pri = { self->fd[0], POLLPRI, -1 };
	struct vr_call *call = self->c.call;

	ASSERT_EQ(0, vr_subscribe_ctrl(self->fd[0]));
	start_asleep(_metadata, &call[0], call_poll, &pri);
	start_asleep(_metadata, &call[1], call_epoll, &pri);
	start_asleep(_metadata, &call[2], call_dqevent, &self->fd[0]);
	ASSERT_EQ(0, vr_set_ctrl(self->fd[0], VR_CID_DISCONNECT, 1));
	deadline = vr_now_us() + VR_CALL_MS * 1000ULL;
	expect_bits(_metadata, &call[0], POLLERR | POLLHUP | POLLPRI, "poll");
	expect_bits(_metadata, &call[1], EPOLLERR | EPOLLHUP | EPOLLPRI,
		    "epoll");
	expect_enodev(_metadata, &call[2], "DQEVENT");
}

/* The real removal comes in between: it is not lost, and not undone */
TEST_F_TIMEOUT(simulated, unbind, TIMEOUT_S)
{
	unsigned int i;
	int fd;

	ASSERT_EQ(0, vr_set_ctrl(self->fd[0], VR_CID_DISCONNECT, 1));
	do_unbind(_metadata);
	check_disconnected(_metadata, self->fd);
	fd = dup(self->fd[0]);
	ASSERT_LE(0, fd);
	check_open(_metadata, self->path[0], fd);
	simulated_close(self->fd);
	check_open(_metadata, self->path[0], fd);
	EXPECT_EQ(0, close(fd));
	for (i = 0; i < ARRAY_SIZE(node_names); i++)
		if (self->path[i][0])
			EXPECT_EQ(-1, access(self->path[i], F_OK));
}

/* The last close, which reconnects, runs while the device is removed */
TEST_F_TIMEOUT(simulated, unbind_closing, 2 * TIMEOUT_S)
{
	struct vr_call *call = &self->c.call[0];
	char path[64];
	int round, fd;

	for (round = 0; round < 4; round++) {
		simulated_close(self->fd);
		if (!vr_is_bound(&vr_vivid))
			do_bind(_metadata);
		fd = open_node("vivid-000-vid-cap", path, sizeof(path));
		ASSERT_LE(0, fd);
		start_asleep(_metadata, call, call_pause, NULL);
		ASSERT_EQ(0, vr_set_ctrl(fd, VR_CID_DISCONNECT, 1));
		close(fd);
		/* the child's is the last one; its exit closes it */
		kill(call->pid, SIGKILL);
		do_unbind(_metadata);
		EXPECT_TRUE(vr_kill(call));
		EXPECT_EQ(-1, access(path, F_OK));
	}
}

/* ------------------------------------------------- more than one at once */

FIXTURE(driver)
{
	struct common c;
};

FIXTURE_SETUP(driver)
{
	common_setup(_metadata, &self->c);
}

FIXTURE_TEARDOWN(driver)
{
	common_teardown(_metadata, &self->c);
}

static int count_one(const char *name, void *arg)
{
	++*(int *)arg;
	return 0;
}

static int count_nodes(void)
{
	int n = 0;

	vr_for_each(VR_VIDEO, "vivid", NULL, count_one, &n);
	vr_for_each(VR_MEDIA, "vivid", NULL, count_one, &n);
	vr_for_each(VR_CEC, "vivid", NULL, count_one, &n);
	return n;
}

/* Nobody has anything open */
TEST_F_TIMEOUT(driver, idle, TIMEOUT_S)
{
	int n = count_nodes();

	EXPECT_LT(0, n);
	do_unbind(_metadata);
	EXPECT_EQ(0, count_nodes());
	do_bind(_metadata);
	EXPECT_EQ(n, count_nodes());
}

/* Every node is held open, several times, and everything is closed backwards */
TEST_F_TIMEOUT(driver, all_nodes, TIMEOUT_S)
{
	int fd[2 * ARRAY_SIZE(node_names) + 3];
	unsigned int i, n = 0;
	char name[64], path[64];

	for (i = 0; i < 2 * ARRAY_SIZE(node_names); i++) {
		snprintf(name, sizeof(name), "vivid-000-%s", node_names[i / 2]);
		fd[n] = open_node(name, path, sizeof(path));
		if (fd[n] < 0)
			continue;
		vr_subscribe_ctrl(fd[n]);
		n++;
	}
	if (vr_find_media("vivid", "platform:vivid-000", path, sizeof(path)))
		fd[n++] = open(path, O_RDWR | O_CLOEXEC);
	if (vr_find_cec("vivid", "vivid-000-vid-cap0", path, sizeof(path)))
		fd[n++] = open(path, O_RDWR | O_CLOEXEC);
	if (vr_find_cec("vivid", "vivid-000-vid-out0", path, sizeof(path)))
		fd[n++] = open(path, O_RDWR | O_CLOEXEC);
	do_unbind(_metadata);
	while (n--)
		EXPECT_EQ(0, close(fd[n]));
}

/*
 * vivid's instances share one platform device and go together; a simulated
 * disconnect is one instance's own.
 */
TEST_F_TIMEOUT(driver, two_instances, TIMEOUT_S)
{
	struct v4l2_capability cap;
	char path[64];
	int fd[2];

	fd[1] = open_node("vivid-001-vid-cap", path, sizeof(path));
	if (fd[1] < 0)
		SKIP(return, "vivid has one instance (n_devs=2 makes two)");
	fd[0] = open_node("vivid-000-vid-cap", path, sizeof(path));
	ASSERT_LE(0, fd[0]);

	ASSERT_EQ(0, vr_set_ctrl(fd[0], VR_CID_DISCONNECT, 1));
	EXPECT_EQ(-1, vr_ioctl(fd[0], VIDIOC_QUERYCAP, &cap));
	EXPECT_EQ(ENODEV, errno);
	EXPECT_EQ(0, vr_ioctl(fd[1], VIDIOC_QUERYCAP, &cap));
	EXPECT_EQ(0, close(fd[0]));
	fd[0] = open_node("vivid-000-vid-cap", path, sizeof(path));
	ASSERT_LE(0, fd[0]);
	EXPECT_EQ(0, vr_ioctl(fd[0], VIDIOC_QUERYCAP, &cap));

	/* the second sleeps in DQEVENT while the first is removed */
	ASSERT_EQ(0, vr_subscribe_ctrl(fd[1]));
	start_asleep(_metadata, &self->c.call[0], call_dqevent, &fd[1]);
	do_unbind(_metadata);
	expect_enodev(_metadata, &self->c.call[0], "DQEVENT");
	EXPECT_EQ(-1, vr_ioctl(fd[0], VIDIOC_QUERYCAP, &cap));
	EXPECT_EQ(ENODEV, errno);
	do_bind(_metadata);
	EXPECT_EQ(0, close(fd[0]));
	fd[0] = open_node("vivid-001-vid-cap", path, sizeof(path));
	ASSERT_LE(0, fd[0]);
	EXPECT_EQ(0, vr_ioctl(fd[0], VIDIOC_QUERYCAP, &cap));
	EXPECT_EQ(0, close(fd[0]));
	EXPECT_EQ(0, close(fd[1]));
}

/* ----------------- calls asleep in a page fault that userspace has to serve */

/* Shared with the child that makes the call */
struct fault {
	int fd;			/* the video capture node */
	long (*fn)(int fd, void *page);
	int uffd;		/* the child's descriptor, once there is one */
	void *page;		/* of the child: not there until it is served */
};

struct fault_call {
	struct vr_call *call;
	struct fault *f;
	int uffd;		/* ours */
};

FIXTURE(userfault)
{
	struct common c;
	struct fault_call fc;
};

FIXTURE_SETUP(userfault)
{
	char path[64];

	common_setup(_metadata, &self->c);
	self->fc.call = &self->c.call[0];
	self->fc.uffd = syscall(SYS_userfaultfd, O_CLOEXEC);
	if (self->fc.uffd < 0)
		SKIP(return, "userfaultfd: %s", strerror(errno));
	close(self->fc.uffd);
	self->fc.uffd = -1;
	self->fc.f = vr_shared(sizeof(*self->fc.f));
	ASSERT_NE(NULL, self->fc.f);
	self->fc.f->uffd = -1;
	self->fc.f->fd = open_node("vivid-000-vid-cap", path, sizeof(path));
	if (self->fc.f->fd < 0)
		SKIP(return, "vivid has no video capture node");
}

FIXTURE_TEARDOWN(userfault)
{
	/* a child that is killed leaves its page fault */
	common_teardown(_metadata, &self->c);
	if (self->fc.uffd >= 0)
		close(self->fc.uffd);
	if (self->fc.f && self->fc.f->fd >= 0)
		close(self->fc.f->fd);
}

/* A userfaultfd serves the process that made it: that has to be the child */
static long call_fault(struct vr_call *call, void *arg)
{
	struct uffdio_api api = { .api = UFFD_API };
	struct uffdio_register reg = { .mode = UFFDIO_REGISTER_MODE_MISSING };
	size_t size = sysconf(_SC_PAGESIZE);
	struct fault *f = arg;
	int uffd;

	f->page = mmap(NULL, size, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	uffd = syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK);
	reg.range.start = (uintptr_t)f->page;
	reg.range.len = size;
	if (f->page == MAP_FAILED || uffd < 0 ||
	    ioctl(uffd, UFFDIO_API, &api) ||
	    ioctl(uffd, UFFDIO_REGISTER, &reg))
		return -1;
	__atomic_store_n(&f->uffd, uffd, __ATOMIC_SEQ_CST);
	return f->fn(f->fd, f->page);
}

static long fault_copy_in(int fd, void *page)
{
	return ioctl(fd, VIDIOC_S_CTRL, page);
}

static long fault_array_in(int fd, void *page)
{
	struct v4l2_ext_controls ctrls = {
		.count = 1,
		.controls = page,
	};

	return ioctl(fd, VIDIOC_S_EXT_CTRLS, &ctrls);
}

static long fault_copy_out(int fd, void *page)
{
	struct v4l2_capability *cap = page;
	int ret = ioctl(fd, VIDIOC_QUERYCAP, cap);

	return ret ?: strcmp((char *)cap->driver, "vivid");
}

static long fault_read(int fd, void *page)
{
	return read(fd, page, 16);
}

/* Start a call and see it asleep in the page fault */
static void start_fault(struct __test_metadata *_metadata,
			struct fault_call *fc,
			long (*fn)(int fd, void *page))
{
	struct vr_call *call = fc->call;
	__u64 end = vr_now_us() + VR_CALL_MS * 1000ULL;
	struct pollfd pfd = { .events = POLLIN };
	struct uffd_msg msg;
	int pidfd, uffd;

	fc->f->fn = fn;
	ASSERT_LT(0, vr_start(call, call_fault, fc->f));
	while ((uffd = __atomic_load_n(&fc->f->uffd, __ATOMIC_SEQ_CST)) < 0) {
		ASSERT_FALSE(vr_has_returned(call))
			TH_LOG("userfaultfd: %s", strerror(call->err));
		ASSERT_GT(end, vr_now_us());
		vr_nap(1);
	}
	pidfd = syscall(SYS_pidfd_open, call->pid, 0);
	ASSERT_LE(0, pidfd);
	fc->uffd = syscall(SYS_pidfd_getfd, pidfd, uffd, 0);
	ASSERT_LE(0, fc->uffd)
		TH_LOG("pidfd_getfd: %s", strerror(errno));
	close(pidfd);

	pfd.fd = fc->uffd;
	ASSERT_EQ(1, poll(&pfd, 1, VR_CALL_MS))
		TH_LOG("no page fault: %s, %ld (%s)", vr_where(call), call->ret,
		       strerror(call->err));
	ASSERT_EQ((ssize_t)sizeof(msg),
		  read(fc->uffd, &msg, sizeof(msg)));
	ASSERT_EQ(UFFD_EVENT_PAGEFAULT, msg.event);
}

static void serve_fault(struct __test_metadata *_metadata,
			struct fault_call *fc)
{
	struct uffdio_zeropage zero = {
		.range.start = (uintptr_t)fc->f->page,
		.range.len = sysconf(_SC_PAGESIZE),
	};

	ASSERT_EQ(0, ioctl(fc->uffd, UFFDIO_ZEROPAGE, &zero))
		TH_LOG("UFFDIO_ZEROPAGE: %s", strerror(errno));
	deadline = vr_now_us() + VR_CALL_MS * 1000ULL;
}

/* The device goes while the argument is on its way in: it is not there */
static void check_fault_in(struct __test_metadata *_metadata,
			   struct fault_call *fc,
			   long (*fn)(int fd, void *page))
{
	start_fault(_metadata, fc, fn);
	do_unbind(_metadata);
	EXPECT_FALSE(vr_has_returned(fc->call));
	serve_fault(_metadata, fc);
	expect_enodev(_metadata, fc->call, "ioctl");
}

TEST_F_TIMEOUT(userfault, copy_in, TIMEOUT_S)
{
	check_fault_in(_metadata, &self->fc, fault_copy_in);
}

TEST_F_TIMEOUT(userfault, array_in, TIMEOUT_S)
{
	check_fault_in(_metadata, &self->fc, fault_array_in);
}

/* The device goes while the result is on its way out: it arrives */
TEST_F_TIMEOUT(userfault, copy_out, TIMEOUT_S)
{
	struct vr_call *call = &self->c.call[0];

	start_fault(_metadata, &self->fc, fault_copy_out);
	do_unbind(_metadata);
	EXPECT_FALSE(vr_has_returned(call));
	serve_fault(_metadata, &self->fc);
	if (expect_returned(_metadata, call, "ioctl"))
		EXPECT_EQ(0, call->ret)
			TH_LOG("ioctl: %ld (%s)", call->ret,
			       strerror(call->err));
}

static bool wait_kmsg(int kmsg, const char *what)
{
	__u64 end = vr_now_us() + vr_bind_ms * 1000ULL;
	const char * const words[] = { what, NULL };
	char line[2048];

	while (vr_now_us() < end) {
		if (vr_kmsg_find(kmsg, words, line, sizeof(line)))
			return true;
		vr_nap(10);
	}
	return false;
}

/*
 * read() copies in the driver or in videobuf2: removal has to wait until that
 * is done, says for whom, and is the only one that waits.
 */
TEST_F_TIMEOUT(userfault, read, TIMEOUT_S)
{
	static const struct vr_driver other = { "vim2m", "vim2m.0" };
	struct vr_bind_arg arg = { &vr_vivid, "unbind" };
	struct vr_call *call = &self->c.call[0], *unbind = &self->c.call[1];
	int kmsg = vr_kmsg_open();
	char who[64];

	if (!vr_is_bound(&other))
		SKIP(return, "no vim2m to remove in the meantime");
	self->c.expected = "removal waits for 1 calls in progress since ";
	ASSERT_LE(0, kmsg);
	start_fault(_metadata, &self->fc, fault_read);
	ASSERT_LT(0, vr_start(unbind, vr_bind_call, &arg));
	EXPECT_TRUE(wait_kmsg(kmsg, self->c.expected))
		TH_LOG("the kernel does not say that removal waits");
	snprintf(who, sizeof(who), "[%d] in a call for ", call->pid);
	EXPECT_TRUE(wait_kmsg(kmsg, who))
		TH_LOG("the kernel does not name %d", call->pid);
	close(kmsg);
	EXPECT_FALSE(vr_has_returned(call));
	EXPECT_FALSE(vr_has_returned(unbind));

	EXPECT_LE(0, vr_unbind(&other, NULL));
	EXPECT_LE(0, vr_bind(&other));

	serve_fault(_metadata, &self->fc);
	if (expect_returned(_metadata, call, "read"))
		EXPECT_EQ(16, call->ret)
			TH_LOG("read: %ld (%s)", call->ret,
			       strerror(call->err));
	if (expect_returned(_metadata, unbind, "unbind"))
		EXPECT_EQ(0, unbind->ret);
}

/* ------------------- requests: late, since an old kernel may not survive */

enum { REQUEST, NODE, MEDIA, NFDS };

struct request {
	int fd[NFDS];
	struct vr_queue q;
};

FIXTURE(request)
{
	struct common c;
	struct request r;
};

/* A request that holds a buffer of the video capture node */
static void request_open(struct __test_metadata *_metadata,
			 struct request *r)
{
	char path[64];

	ASSERT_TRUE(vr_find_media("vivid", "platform:vivid-000", path,
				  sizeof(path)));
	r->fd[MEDIA] = open(path, O_RDWR | O_CLOEXEC);
	ASSERT_LE(0, r->fd[MEDIA]);
	r->fd[NODE] = open_node("vivid-000-vid-cap", path, sizeof(path));
	ASSERT_LE(0, r->fd[NODE]);
	ASSERT_EQ(0, vr_queue_init(&r->q, r->fd[NODE]));
	ASSERT_EQ(0, vr_queue_alloc(&r->q));
	ASSERT_EQ(0, vr_set_ctrl(r->fd[NODE], VR_CID_PERC_DROPPED, 100));
	ASSERT_EQ(0, vr_ioctl(r->fd[MEDIA], MEDIA_IOC_REQUEST_ALLOC,
			      &r->fd[REQUEST]));
	ASSERT_EQ(0, vr_qbuf_req(&r->q, 0, r->fd[REQUEST]));
}

static void request_queue(struct __test_metadata *_metadata,
			  struct request *r)
{
	ASSERT_EQ(0, vr_ioctl(r->fd[REQUEST], MEDIA_REQUEST_IOC_QUEUE,
			      NULL));
	ASSERT_EQ(0, vr_ioctl(r->fd[NODE], VIDIOC_STREAMON, &r->q.type));
}

static void request_close(struct __test_metadata *_metadata,
			  struct request *r, int which)
{
	if (r->fd[which] < 0)
		return;
	if (which == NODE)
		vr_queue_unmap(&r->q);
	EXPECT_EQ(0, close(r->fd[which]));
	r->fd[which] = -1;
}

static void check_request(struct __test_metadata *_metadata, int fd)
{
	errno = 0;
	EXPECT_EQ(-1, vr_ioctl(fd, MEDIA_REQUEST_IOC_QUEUE, NULL));
	EXPECT_EQ(ENODEV, errno)
		TH_LOG("MEDIA_REQUEST_IOC_QUEUE: %s", strerror(errno));
	errno = 0;
	EXPECT_EQ(-1, vr_ioctl(fd, MEDIA_REQUEST_IOC_REINIT, NULL));
	EXPECT_EQ(ENODEV, errno)
		TH_LOG("MEDIA_REQUEST_IOC_REINIT: %s", strerror(errno));
}

FIXTURE_SETUP(request)
{
	struct v4l2_requestbuffers probe = {
		.type = V4L2_BUF_TYPE_VIDEO_CAPTURE,
		.memory = V4L2_MEMORY_MMAP,
	};
	char path[64];
	int fd, i;

	for (i = 0; i < NFDS; i++)
		self->r.fd[i] = -1;
	common_setup(_metadata, &self->c);
	fd = open_node("vivid-000-vid-cap", path, sizeof(path));
	if (fd < 0 || !vr_find_media("vivid", "platform:vivid-000", path,
				     sizeof(path)))
		SKIP(return, "vivid has no media or video capture node");
	probe.type = vr_buf_type(fd);
	ASSERT_EQ(0, vr_ioctl(fd, VIDIOC_REQBUFS, &probe));
	close(fd);
	if (!(probe.capabilities & V4L2_BUF_CAP_SUPPORTS_REQUESTS))
		SKIP(return, "vivid was loaded without requests");
	request_open(_metadata, &self->r);
}

FIXTURE_TEARDOWN(request)
{
	int i;

	for (i = 0; i < NFDS; i++)
		request_close(_metadata, &self->r, i);
	common_teardown(_metadata, &self->c);
}

TEST_F_TIMEOUT(request, ioctl, TIMEOUT_S)
{
	do_unbind(_metadata);
	check_request(_metadata, self->r.fd[REQUEST]);
}

TEST_F_TIMEOUT(request, ioctl_queued, TIMEOUT_S)
{
	request_queue(_metadata, &self->r);
	do_unbind(_metadata);
	check_request(_metadata, self->r.fd[REQUEST]);
}

TEST_F_TIMEOUT(request, poll_asleep, TIMEOUT_S)
{
	struct poll_arg arg = { self->r.fd[REQUEST], POLLPRI, -1 };
	struct vr_call *call = &self->c.call[0];

	request_queue(_metadata, &self->r);
	start_asleep(_metadata, call, call_poll, &arg);
	do_unbind(_metadata);
	if (expect_returned(_metadata, call, "poll"))
		EXPECT_LT(0, call->ret);
}

TEST_F_TIMEOUT(request, close_order, 6 * TIMEOUT_S)
{
	static const int order[6][NFDS] = {
		{ REQUEST, NODE, MEDIA }, { REQUEST, MEDIA, NODE },
		{ NODE, REQUEST, MEDIA }, { NODE, MEDIA, REQUEST },
		{ MEDIA, REQUEST, NODE }, { MEDIA, NODE, REQUEST },
	};
	int i, j;

	for (i = 0; i < 6; i++) {
		if (i) {
			do_bind(_metadata);
			request_open(_metadata, &self->r);
		}
		request_queue(_metadata, &self->r);
		do_unbind(_metadata);
		for (j = 0; j < NFDS; j++)
			request_close(_metadata, &self->r, order[i][j]);
	}
}

/* The request is all that is left of the device */
TEST_F_TIMEOUT(request, alone, TIMEOUT_S)
{
	struct poll_arg arg = { self->r.fd[REQUEST], POLLPRI, VR_CALL_MS };

	request_close(_metadata, &self->r, NODE);
	request_close(_metadata, &self->r, MEDIA);
	do_unbind(_metadata);
	EXPECT_LT(0, call_poll(NULL, &arg));
	check_request(_metadata, self->r.fd[REQUEST]);
	wait_freed();
	EXPECT_LT(0, call_poll(NULL, &arg));
	check_request(_metadata, self->r.fd[REQUEST]);
	do_bind(_metadata);
	request_close(_metadata, &self->r, REQUEST);
}

/* -------------------------------------------------------- the framebuffer */

FIXTURE(framebuffer)
{
	struct common c;
	char path[64];
	int fd;
};

static bool find_fb(char *path, size_t size)
{
	struct fb_fix_screeninfo fix;
	int fd, i;

	for (i = 0; i < 32; i++) {
		snprintf(path, size, "/dev/fb%d", i);
		fd = open(path, O_RDWR | O_CLOEXEC);
		if (fd < 0)
			continue;
		memset(&fix, 0, sizeof(fix));
		vr_ioctl(fd, FBIOGET_FSCREENINFO, &fix);
		close(fd);
		if (!strcmp(fix.id, "vioverlay fb"))
			return true;
	}
	return false;
}

FIXTURE_SETUP(framebuffer)
{
	common_setup(_metadata, &self->c);
	if (!find_fb(self->path, sizeof(self->path)))
		SKIP(return, "vivid has no framebuffer (bit 16 of node_types)");
	self->fd = open(self->path, O_RDWR | O_CLOEXEC);
	ASSERT_LE(0, self->fd);
}

FIXTURE_TEARDOWN(framebuffer)
{
	if (self->fd >= 0)
		close(self->fd);
	common_teardown(_metadata, &self->c);
}

TEST_F_TIMEOUT(framebuffer, held, TIMEOUT_S)
{
	static const struct cmd cmds[] = {
		CMD(FBIOGET_FSCREENINFO), CMD(FBIOGET_VSCREENINFO),
		CMD(FBIOPAN_DISPLAY),
	};
	char path[64];

	do_unbind(_metadata);
	check_ioctls(_metadata, self->fd, cmds, ARRAY_SIZE(cmds));
	check_read_write(_metadata, self->fd);
	do_bind(_metadata);
	EXPECT_TRUE(find_fb(path, sizeof(path)));
	EXPECT_EQ(0, close(self->fd));
	self->fd = -1;
	EXPECT_TRUE(find_fb(path, sizeof(path)));
}

/* ------------------- every node of the device that is not a V4L2 node */

FIXTURE(others)
{
	struct common c;
	int media, cec[2], fb;
};

static int open_path(const char *path)
{
	return open(path, O_RDWR | O_CLOEXEC);
}

FIXTURE_SETUP(others)
{
	__u32 mode = CEC_MODE_NO_INITIATOR | CEC_MODE_MONITOR_ALL;
	char path[64];
	int i;

	common_setup(_metadata, &self->c);
	self->media = -1;
	self->cec[0] = -1;
	self->cec[1] = -1;
	self->fb = -1;
	if (vr_find_media("vivid", "platform:vivid-000", path, sizeof(path)))
		self->media = open_path(path);
	if (vr_find_cec("vivid", "vivid-000-vid-cap0", path, sizeof(path)))
		self->cec[0] = open_path(path);
	if (vr_find_cec("vivid", "vivid-000-vid-out0", path, sizeof(path)))
		self->cec[1] = open_path(path);
	if (find_fb(path, sizeof(path)))
		self->fb = open_path(path);
	/* a mode that the adapter is told of, and told again at close */
	for (i = 0; i < 2; i++)
		if (self->cec[i] >= 0)
			EXPECT_EQ(0, vr_ioctl(self->cec[i], CEC_S_MODE, &mode));
}

FIXTURE_TEARDOWN(others)
{
	common_teardown(_metadata, &self->c);
}

/* They do not hold what a V4L2 node holds, and have to do without */
TEST_F_TIMEOUT(others, alone, TIMEOUT_S)
{
	static const struct cmd media = CMD(MEDIA_IOC_G_TOPOLOGY);
	static const struct cmd cec = CMD(CEC_ADAP_G_PHYS_ADDR);
	static const struct cmd fb = CMD(FBIOGET_VSCREENINFO);
	int i;

	do_unbind(_metadata);
	wait_freed();
	if (self->media >= 0) {
		check_ioctls(_metadata, self->media, &media, 1);
		EXPECT_EQ(0, close(self->media));
	}
	for (i = 0; i < 2; i++) {
		if (self->cec[i] < 0)
			continue;
		check_ioctls(_metadata, self->cec[i], &cec, 1);
		EXPECT_EQ(0, close(self->cec[i]));
	}
	if (self->fb >= 0) {
		check_ioctls(_metadata, self->fb, &fb, 1);
		EXPECT_EQ(0, close(self->fb));
	}
}

int main(int argc, char **argv)
{
	const char *why = NULL;

	if (geteuid())
		why = "needs root";
	else if (!vr_has_driver(&vr_vivid))
		why = "needs the vivid driver (CONFIG_VIDEO_VIVID)";
	if (why && argc < 2) {
		ksft_print_header();
		ksft_exit_skip("%s\n", why);
	}
	stuck = vr_shared(sizeof(*stuck));
	if (!stuck)
		ksft_exit_fail_perror("mmap");
	return test_harness_run(argc, argv);
}
