// SPDX-License-Identifier: GPL-2.0
/*
 * bench: what calls cost, in instructions.  For a guest whose TSC counts these
 * instead of time (QEMU's -icount shift=0): there a call costs the same whenever
 * it goes the same way.  What it prints elsewhere is time, and noise.
 *
 * Each call is made REPS times, after whatever it needs, which is not counted.
 * Prints BENCH<TAB>call<TAB>minimum<TAB>median, without what counting costs.  A
 * call that cannot be made is an error.
 */
#include <err.h>
#include <fcntl.h>
#include <linux/v4l2-subdev.h>
#include <poll.h>

#include "media_tests/v4l2_removal.h"

#define REPS	401

static struct {
	__u64 sample[REPS];
	unsigned int n;
} counted;
static __u64 overhead;

static inline __u64 now(void)
{
	__u32 low, high;

	asm volatile("lfence; rdtsc" : "=a" (low), "=d" (high) :: "memory");
	return (__u64)high << 32 | low;
}

static int compare(const void *a, const void *b)
{
	__u64 x = *(__u64 *)a, y = *(__u64 *)b;

	return x < y ? -1 : x > y;
}

static void add(__u64 instructions)
{
	counted.sample[counted.n++] = instructions - overhead;
}

static __u64 least(void)
{
	qsort(counted.sample, counted.n, sizeof(__u64), compare);
	counted.n = 0;
	return counted.sample[0];
}

static void result(const char *call)
{
	__u64 min = least();

	printf("BENCH\t%s\t%llu\t%llu\n", call, min, counted.sample[REPS / 2]);
}

/* A call that must succeed, each time after what it needs */
#define BENCH_AFTER(call, needs, expr) do {				\
	unsigned int rep_;						\
	bool good_;							\
	__u64 from_;							\
									\
	for (rep_ = 0; rep_ < REPS; rep_++) {				\
		needs;							\
		from_ = now();						\
		good_ = (expr);						\
		add(now() - from_);					\
		if (!good_)						\
			err(1, "%s", call);				\
	}								\
	result(call);							\
} while (0)

#define BENCH(call, expr)	BENCH_AFTER(call, (void)0, expr)

static int open_or_die(const char *path)
{
	int fd = open(path, O_RDWR | O_NONBLOCK | O_CLOEXEC);

	if (fd < 0)
		err(1, "%s", path);
	return fd;
}

static bool open_and_close(const char *path)
{
	int fd = open(path, O_RDWR | O_CLOEXEC);

	return fd >= 0 && !close(fd);
}

static bool map_and_unmap(int fd, size_t len)
{
	void *mem = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	return mem != MAP_FAILED && !munmap(mem, len);
}

static bool poll_now(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLPRI };

	return poll(&p, 1, 0) >= 0;
}

static bool read_nothing(int fd)
{
	char c;

	return read(fd, &c, 1) < 0 && errno == EAGAIN;
}

/* A cdev that has nothing to do with all this, and a call that has no file */
static void others(void)
{
	int fd = open_or_die("/dev/null");
	char c;

	BENCH("getppid", getppid() >= 0);
	BENCH("null open+close", open_and_close("/dev/null"));
	BENCH("null read", read(fd, &c, 1) == 0);
	close(fd);
}

/* Small frames: nobody looks at them */
static void start(struct vr_queue *q, int fd, unsigned int type)
{
	struct v4l2_format f = { .type = type };

	vr_queue_init_type(q, fd, type);
	if (vr_ioctl(fd, VIDIOC_G_FMT, &f))
		err(1, "VIDIOC_G_FMT");
	f.fmt.pix.width = 320;
	f.fmt.pix.height = 180;
	f.fmt.pix.sizeimage = 0;
	if (vr_ioctl(fd, VIDIOC_S_FMT, &f) || vr_queue_start(q))
		err(1, "streaming");
}

/* A buffer out and in again, once there is one */
static __u64 turn(struct vr_queue *q)
{
	struct pollfd p = {
		.fd = q->fd,
		.events = q->output ? POLLOUT : POLLIN,
	};
	__u64 from;
	bool good;
	int i;

	if (poll(&p, 1, 10000) != 1 || p.revents & POLLERR)
		errx(1, "no buffer came back");
	from = now();
	i = vr_dqbuf(q);
	good = i >= 0 && !vr_qbuf(q, i);
	from = now() - from;
	if (!good)
		err(1, "QBUF, DQBUF");
	return from;
}

static void vivid(void)
{
	struct v4l2_control ctrl = { .id = VR_CID_BOOLEAN };
	struct v4l2_capability cap;
	unsigned int i = 0;
	struct v4l2_event ev;
	struct media_device_info info;
	struct vr_queue q;
	char path[64];
	int fd, other;

	if (!vr_find_video("vivid", "vivid-000-vid-cap", path, sizeof(path)))
		errx(1, "vivid has no node");
	fd = open_or_die(path);
	BENCH("vivid open+close", open_and_close(path));
	BENCH("vivid QUERYCAP", !ioctl(fd, VIDIOC_QUERYCAP, &cap));
	BENCH("vivid G_CTRL", !ioctl(fd, VIDIOC_G_CTRL, &ctrl));
	BENCH("vivid poll", poll_now(fd));
	/* an event is not sent to the file that caused it; it is on by default */
	other = open_or_die(path);
	if (vr_subscribe_ctrl(fd))
		err(1, "VIDIOC_SUBSCRIBE_EVENT");
	BENCH_AFTER("vivid DQEVENT", vr_set_ctrl(other, VR_CID_BOOLEAN, i++ & 1),
	      !ioctl(fd, VIDIOC_DQEVENT, &ev));
	close(other);

	start(&q, fd, V4L2_BUF_TYPE_VIDEO_CAPTURE);
	BENCH("vivid mmap+munmap", map_and_unmap(fd, q.buf[0].len));
	for (i = 0; i < REPS; i++)
		add(turn(&q));
	result("vivid QBUF+DQBUF");
	vr_queue_unmap(&q);
	close(fd);

	fd = open_or_die(path);
	if (vr_set_ctrl(fd, VR_CID_PERC_DROPPED, 100))
		err(1, "VR_CID_PERC_DROPPED");
	BENCH("vivid read", read_nothing(fd));
	vr_set_ctrl(fd, VR_CID_PERC_DROPPED, 0);
	close(fd);

	if (!vr_find_media("vivid", "", path, sizeof(path)))
		errx(1, "vivid has no media node");
	fd = open_or_die(path);
	BENCH("media open+close", open_and_close(path));
	BENCH("media DEVICE_INFO", !ioctl(fd, MEDIA_IOC_DEVICE_INFO, &info));
	close(fd);
}

/* vim2m has no read(). */
static void vim2m(void)
{
	/* each file has controls of its own: its events are of its own doing */
	struct v4l2_event_subscription sub = {
		.type = V4L2_EVENT_CTRL,
		.id = V4L2_CID_HFLIP,
		.flags = V4L2_EVENT_SUB_FL_ALLOW_FEEDBACK,
	};
	struct v4l2_control ctrl = { .id = V4L2_CID_HFLIP };
	struct v4l2_capability cap;
	struct vr_queue in, out;
	struct v4l2_event ev;
	unsigned int i = 0;
	char path[64];
	int fd, other;

	if (!vr_find_video("vim2m", "vim2m", path, sizeof(path)))
		errx(1, "vim2m has no node");
	fd = open_or_die(path);
	BENCH("vim2m open+close", open_and_close(path));
	BENCH("vim2m QUERYCAP", !ioctl(fd, VIDIOC_QUERYCAP, &cap));
	BENCH("vim2m G_CTRL", !ioctl(fd, VIDIOC_G_CTRL, &ctrl));
	BENCH("vim2m poll", poll_now(fd));
	/* on a file that will not stream; the control is off by default */
	other = open_or_die(path);
	if (vr_ioctl(other, VIDIOC_SUBSCRIBE_EVENT, &sub))
		err(1, "VIDIOC_SUBSCRIBE_EVENT");
	BENCH_AFTER("vim2m DQEVENT", vr_set_ctrl(other, V4L2_CID_HFLIP, ++i & 1),
		    !ioctl(other, VIDIOC_DQEVENT, &ev));
	close(other);
	start(&out, fd, V4L2_BUF_TYPE_VIDEO_OUTPUT);
	start(&in, fd, V4L2_BUF_TYPE_VIDEO_CAPTURE);
	BENCH("vim2m mmap+munmap", map_and_unmap(fd, out.buf[0].len));
	for (i = 0; i < REPS; i++)
		add(turn(&in) + turn(&out));
	result("vim2m QBUF+DQBUF");
	close(fd);
}

static void subdev(void)
{
	struct v4l2_subdev_format f = {
		.which = V4L2_SUBDEV_FORMAT_ACTIVE,
	};
	char path[64];
	int fd;

	if (!vr_find_video("vimc", "Sensor A", path, sizeof(path)))
		errx(1, "vimc has no sub-device node");
	fd = open_or_die(path);
	BENCH("subdev open+close", open_and_close(path));
	BENCH("subdev G_FMT", !ioctl(fd, VIDIOC_SUBDEV_G_FMT, &f));
	close(fd);
}

int main(void)
{
	unsigned int i;
	__u64 from;

	for (i = 0; i < REPS; i++) {
		from = now();
		add(now() - from);
	}
	overhead = least();
	others();
	vivid();
	vim2m();
	subdev();
	return 0;
}
