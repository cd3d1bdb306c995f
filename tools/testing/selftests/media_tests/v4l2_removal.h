/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the removal tests share: find the nodes of a driver, unbind and bind
 * it without ever waiting for good, make a call in another process and see
 * whether it sleeps, and set up a queue so that it streams or blocks.
 *
 * Nothing here reports: functions return -1 with errno set, or what they
 * measured.  Calls that may block are made in a forked process and not in a
 * thread: it can be given up, and User Mode Linux runs the threads of one
 * process on one stub.
 */
#ifndef V4L2_REMOVAL_H
#define V4L2_REMOVAL_H

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <sys/wait.h>

#include <linux/cec.h>
#include <linux/media.h>
#include <linux/videodev2.h>

/* A call that has to return "at once", a call that has to fall asleep */
#define VR_CALL_MS	20000

/* Controls of vivid, from drivers/media/test-drivers/vivid/vivid-ctrls.c */
#define VR_CID_VIVID_BASE	(0x00f00000 | 0xf000)
#define VR_CID_BOOLEAN		((V4L2_CID_USER_BASE | 0xf000) + 1)
#define VR_CID_PERC_DROPPED	(VR_CID_VIVID_BASE + 64)
#define VR_CID_DISCONNECT	(VR_CID_VIVID_BASE + 65)
#define VR_CID_TX_RDS_MODE	(VR_CID_VIVID_BASE + 94)

/* An unbind, a bind: longer than this is a hang */
static unsigned int vr_bind_ms = 120000;

static inline __u64 vr_now_us(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000000ULL + ts.tv_nsec / 1000;
}

static inline void vr_nap(unsigned int ms)
{
	struct timespec ts = { ms / 1000, ms % 1000 * 1000000L };

	nanosleep(&ts, NULL);
}

/* An ioctl that cannot be interrupted by a signal of ours */
static inline int vr_ioctl(int fd, unsigned long cmd, void *arg)
{
	int ret;

	do {
		ret = ioctl(fd, cmd, arg);
	} while (ret < 0 && errno == EINTR);
	return ret;
}

/* ---------------------------------------------------------------- sysfs */

static inline int vr_read_line(const char *path, char *buf, size_t size)
{
	ssize_t n;
	int fd;

	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -1;
	n = read(fd, buf, size - 1);
	close(fd);
	if (n < 0)
		return -1;
	buf[n] = 0;
	buf[strcspn(buf, "\n")] = 0;
	return 0;
}

/* The last component of what the link @path points to */
static inline int vr_link_name(const char *path, char *buf, size_t size)
{
	char target[PATH_MAX];
	const char *name;
	ssize_t n;

	n = readlink(path, target, sizeof(target) - 1);
	if (n < 0)
		return -1;
	target[n] = 0;
	name = strrchr(target, '/');
	name = name ? name + 1 : target;
	if (strlen(name) >= size)
		return -1;
	memcpy(buf, name, strlen(name) + 1);
	return 0;
}

/*
 * Call @fn with the name of each device in @dir of sysfs that @driver made for
 * @device, or for any if that is NULL, until it returns non-zero.  @up leads
 * from there to the parent device.
 */
static inline int vr_for_each(const char *dir, const char *up,
			      const char *driver, const char *device,
			      int (*fn)(const char *name, void *arg), void *arg)
{
	char path[PATH_MAX], parent[PATH_MAX], bound[64];
	struct dirent *de;
	int ret = 0;
	DIR *d;

	snprintf(path, sizeof(path), "/sys/%s", dir);
	d = opendir(path);
	if (!d)
		return 0;
	while (!ret && (de = readdir(d))) {
		if (de->d_name[0] == '.')
			continue;
		snprintf(path, sizeof(path), "/sys/%s/%s/%s/driver", dir,
			 de->d_name, up);
		if (vr_link_name(path, bound, sizeof(bound)) ||
		    strcmp(bound, driver))
			continue;
		snprintf(path, sizeof(path), "/sys/%s/%s/%s", dir, de->d_name,
			 up);
		if (device && (!realpath(path, parent) ||
			       strcmp(strrchr(parent, '/') + 1, device)))
			continue;
		ret = fn(de->d_name, arg);
	}
	closedir(d);
	return ret;
}

#define VR_VIDEO	"class/video4linux", "device"
#define VR_MEDIA	"bus/media/devices", ".."
#define VR_CEC		"bus/cec/devices", ".."

struct vr_match {
	const char *want;
	char *path;
	size_t size;
};

static inline int vr_match_sysfs_name(const char *name, void *arg)
{
	char path[PATH_MAX], seen[64];
	struct vr_match *m = arg;

	snprintf(path, sizeof(path), "/sys/class/video4linux/%s/name", name);
	if (vr_read_line(path, seen, sizeof(seen)) || strcmp(seen, m->want))
		return 0;
	snprintf(m->path, m->size, "/dev/%s", name);
	return 1;
}

static inline int vr_match_media(const char *name, void *arg)
{
	struct media_device_info info = {};
	struct vr_match *m = arg;
	int fd, ret;

	snprintf(m->path, m->size, "/dev/%s", name);
	fd = open(m->path, O_RDWR | O_CLOEXEC);
	if (fd < 0)
		return 0;
	ret = vr_ioctl(fd, MEDIA_IOC_DEVICE_INFO, &info);
	close(fd);
	return !ret && (!*m->want || !strcmp(info.bus_info, m->want));
}

static inline int vr_match_cec(const char *name, void *arg)
{
	struct vr_match *m = arg;
	struct cec_caps caps = {};
	int fd, ret;

	snprintf(m->path, m->size, "/dev/%s", name);
	fd = open(m->path, O_RDWR | O_CLOEXEC);
	if (fd < 0)
		return 0;
	ret = vr_ioctl(fd, CEC_ADAP_G_CAPS, &caps);
	close(fd);
	return !ret && (!*m->want || !strcmp(caps.name, m->want));
}

/* The path of a video node by its name in sysfs, or false */
static inline bool vr_find_video(const char *driver, const char *want,
				 char *path, size_t size)
{
	struct vr_match m = { want, path, size };

	return vr_for_each(VR_VIDEO, driver, NULL, vr_match_sysfs_name, &m);
}

/* The path of a media node by its bus info ("" is any), or false */
static inline bool vr_find_media(const char *driver, const char *want,
				 char *path, size_t size)
{
	struct vr_match m = { want, path, size };

	return vr_for_each(VR_MEDIA, driver, NULL, vr_match_media, &m);
}

/* The path of a CEC adapter by its name ("" is any), or false */
static inline bool vr_find_cec(const char *driver, const char *want,
			       char *path, size_t size)
{
	struct vr_match m = { want, path, size };

	return vr_for_each(VR_CEC, driver, NULL, vr_match_cec, &m);
}

/* -------------------------------------------- calls in another process */

enum { VR_IDLE, VR_CALLING, VR_RETURNED };

/*
 * A call made by a child.  Lives in memory shared with it (vr_shared()); the
 * child does nothing between setting VR_CALLING and making the call.
 */
struct vr_call {
	pid_t pid;
	int state;
	long ret;		/* what the call returned */
	int err;		/* errno, if that was negative */
	unsigned int calls;	/* how many that returned something good */
	__u64 when;		/* CLOCK_MONOTONIC in us, at the return */
};

static inline void *vr_shared(size_t size)
{
	void *mem = mmap(NULL, size, PROT_READ | PROT_WRITE,
			 MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	return mem == MAP_FAILED ? NULL : mem;
}

static inline pid_t vr_start(struct vr_call *call,
			     long (*fn)(struct vr_call *call, void *arg),
			     void *arg)
{
	pid_t pid, parent = getpid();

	memset(call, 0, sizeof(*call));
	pid = fork();
	if (pid) {
		call->pid = pid;	/* shared: not the child's zero */
		return pid;
	}

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(1);
	__atomic_store_n(&call->state, VR_CALLING, __ATOMIC_SEQ_CST);
	call->ret = fn(call, arg);
	call->err = errno;
	call->when = vr_now_us();
	__atomic_store_n(&call->state, VR_RETURNED, __ATOMIC_SEQ_CST);
	_exit(0);
}

static inline bool vr_has_returned(struct vr_call *call)
{
	return __atomic_load_n(&call->state, __ATOMIC_SEQ_CST) == VR_RETURNED;
}

/* One look: is the child in a system call, and asleep there? */
static inline bool vr_sleeps_now(struct vr_call *call)
{
	char path[64], line[512], *p;

	if (__atomic_load_n(&call->state, __ATOMIC_SEQ_CST) != VR_CALLING)
		return false;
	snprintf(path, sizeof(path), "/proc/%d/stat", call->pid);
	if (vr_read_line(path, line, sizeof(line)))
		return false;
	p = strrchr(line, ')');
	if (!p || strncmp(p, ") S", 3))
		return false;
	/* where it can be seen, also in which one: "running" is in none */
	snprintf(path, sizeof(path), "/proc/%d/syscall", call->pid);
	return vr_read_line(path, line, sizeof(line)) ||
	       strcmp(line, "running");
}

/* For a message: what /proc tells about where the child is */
static inline const char *vr_where(struct vr_call *call)
{
	char path[64], line[512] = "", wchan[64] = "", *p;
	static char where[256];

	snprintf(path, sizeof(path), "/proc/%d/stat", call->pid);
	vr_read_line(path, line, sizeof(line));
	snprintf(path, sizeof(path), "/proc/%d/wchan", call->pid);
	vr_read_line(path, wchan, sizeof(wchan));
	p = strrchr(line, ')');
	snprintf(where, sizeof(where), "%s, state %c, in %s",
		 vr_has_returned(call) ? "returned" : "not returned",
		 p && p[1] ? p[2] : '?', wchan);
	return where;
}

/*
 * Wait until the child's call is asleep.  A lock on the way may put it to
 * sleep for a moment: only ten looks in a row count.
 */
static inline bool vr_wait_asleep(struct vr_call *call)
{
	__u64 end = vr_now_us() + VR_CALL_MS * 1000ULL;
	int seen = 0;

	while (seen < 10) {
		if (vr_has_returned(call) || vr_now_us() > end)
			return false;
		seen = vr_sleeps_now(call) ? seen + 1 : 0;
		vr_nap(2);
	}
	return true;
}

/* Wait until the child's call has returned, and reap the child */
static inline bool vr_wait_returned(struct vr_call *call, __u64 deadline)
{
	while (!vr_has_returned(call)) {
		if (vr_now_us() > deadline)
			return false;
		vr_nap(1);
	}
	waitpid(call->pid, NULL, 0);
	call->pid = 0;
	return true;
}

/*
 * Get rid of the child, whatever it does.  A task that not even SIGKILL ends
 * is left behind: false.
 */
static inline bool vr_kill(struct vr_call *call)
{
	__u64 end = vr_now_us() + VR_CALL_MS * 1000ULL;

	if (call->pid <= 0)
		return true;
	kill(call->pid, SIGKILL);
	while (waitpid(call->pid, NULL, WNOHANG) == 0) {
		if (vr_now_us() > end)
			return false;
		vr_nap(1);
	}
	call->pid = 0;
	return true;
}

/* ------------------------------------------------ what the kernel says */

static const char * const vr_kmsg_bad[] = {
	"BUG:", "WARNING:", "KASAN:", "Oops", "ODEBUG:", "refcount_t:",
	"general protection fault", "possible recursive locking",
	"possible circular locking", "suspicious RCU usage",
	"DEBUG_LOCKS_WARN_ON", "INFO: task", "in progress", NULL
};

/* Only what comes from now on; does not block */
static inline int vr_kmsg_open(void)
{
	int kmsg = open("/dev/kmsg", O_RDONLY | O_NONBLOCK | O_CLOEXEC);

	if (kmsg >= 0)
		lseek(kmsg, 0, SEEK_END);
	return kmsg;
}

/* Read on to the kernel's next message with one of @words in it, if any */
static inline bool vr_kmsg_find(int kmsg, const char * const *words,
				char *line, size_t size)
{
	char *text;
	ssize_t n;
	int i;

	for (;;) {
		n = read(kmsg, line, size - 1);
		if (n < 0 && errno == EPIPE)	/* overwritten: go on */
			continue;
		if (n <= 0)
			return false;
		line[n] = 0;
		line[strcspn(line, "\n")] = 0;
		/* "priority,...;text": facilities but 0 are userspace's */
		text = strchr(line, ';');
		if (!text || strtoul(line, NULL, 10) >= 8)
			continue;
		for (i = 0; words[i]; i++) {
			if (strstr(text, words[i])) {
				memmove(line, text + 1, strlen(text));
				return true;
			}
		}
	}
}

/* ---------------------------------- a descriptor on its way in a socket */

union vr_cmsg {
	struct cmsghdr head;
	char buf[CMSG_SPACE(sizeof(int))];
};

static inline void vr_fd_msg(struct msghdr *msg, union vr_cmsg *cmsg,
			     struct iovec *iov)
{
	static char byte;

	memset(cmsg, 0, sizeof(*cmsg));
	iov->iov_base = &byte;
	iov->iov_len = 1;
	memset(msg, 0, sizeof(*msg));
	msg->msg_iov = iov;
	msg->msg_iovlen = 1;
	msg->msg_control = cmsg;
	msg->msg_controllen = sizeof(*cmsg);
}

/* Returns what sendmsg() does: 1 is good */
static inline ssize_t vr_send_fd(int sock, int fd)
{
	union vr_cmsg cmsg;
	struct msghdr msg;
	struct iovec iov;

	vr_fd_msg(&msg, &cmsg, &iov);
	cmsg.head.cmsg_level = SOL_SOCKET;
	cmsg.head.cmsg_type = SCM_RIGHTS;
	cmsg.head.cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(&cmsg.head), &fd, sizeof(fd));
	return sendmsg(sock, &msg, 0);
}

/* Returns the descriptor that vr_send_fd() sent, or -1 */
static inline int vr_recv_fd(int sock)
{
	union vr_cmsg cmsg;
	struct msghdr msg;
	struct iovec iov;
	int fd;

	vr_fd_msg(&msg, &cmsg, &iov);
	if (recvmsg(sock, &msg, MSG_DONTWAIT | MSG_CMSG_CLOEXEC) != 1 ||
	    cmsg.head.cmsg_type != SCM_RIGHTS)
		return -1;
	memcpy(&fd, CMSG_DATA(&cmsg.head), sizeof(fd));
	return fd;
}

/* ------------------------------------------------------ unbind and bind */

/* A platform driver with one device */
struct vr_driver {
	const char *name;	/* of the driver */
	const char *device;	/* on the platform bus */
	bool hardware;		/* not a test driver, which needs none */
};

static const struct vr_driver vr_drivers[] = {
	{ "vivid", "vivid.0" },
	{ "vim2m", "vim2m.0" },
	{ "vicodec", "vicodec.0" },
	{ "visl", "visl.0" },
	{ "vimc", "vimc.0" },
};

static const struct vr_driver vr_vivid = { "vivid", "vivid.0" };

#define VR_BIND_PATH	"/sys/bus/platform/drivers/%s/%s"
#define VR_DEVICE_PATH	"/sys/bus/platform/devices/%s"

#define VR_MAX_DRIVERS	8

/* Is @name in the comma separated @list?  No list has all. */
static inline bool vr_chosen(const char *list, const char *name)
{
	size_t len = strlen(name);

	if (!list)
		return true;
	while (strncmp(list, name, len) || (list[len] && list[len] != ',')) {
		list = strchr(list, ',');
		if (!list++)
			return false;
	}
	return true;
}

/*
 * Put into @drivers, of VR_MAX_DRIVERS, those that the comma separated @list
 * names: test drivers by their names, others as NAME/DEVICE.  No list has all
 * the test drivers.  Returns how many, or 0 and says why: one is unknown, or
 * they are too many.
 */
static inline unsigned int vr_choose(const char *list,
				     struct vr_driver *drivers)
{
	unsigned int i, n = 0, ntest = sizeof(vr_drivers) / sizeof(*vr_drivers);
	char *name, *device, *copy, *save = NULL;

	if (!list) {
		memcpy(drivers, vr_drivers, sizeof(vr_drivers));
		return ntest;
	}
	copy = strdup(list);	/* the names stay in there */
	for (name = strtok_r(copy, ",", &save); name;
	     name = strtok_r(NULL, ",", &save)) {
		if (n == VR_MAX_DRIVERS) {
			fprintf(stderr, "more than %u drivers\n", n);
			return 0;
		}
		device = strchr(name, '/');
		if (device) {
			*device++ = 0;
			drivers[n++] = (struct vr_driver){ name, device, true };
			continue;
		}
		for (i = 0; i < ntest && strcmp(name, vr_drivers[i].name); i++)
			;
		if (i == ntest) {
			fprintf(stderr, "no driver %s\n", name);
			return 0;
		}
		drivers[n++] = vr_drivers[i];
	}
	return n;
}

static inline bool vr_is_bound(const struct vr_driver *drv)
{
	char path[PATH_MAX];

	snprintf(path, sizeof(path), VR_BIND_PATH, drv->name, drv->device);
	return !access(path, F_OK);
}

static inline bool vr_has_driver(const struct vr_driver *drv)
{
	char path[PATH_MAX];

	snprintf(path, sizeof(path), VR_BIND_PATH, drv->name, "bind");
	return !access(path, F_OK);
}

/* The name of the driver's module; that of the driver if it is built in */
static inline void vr_module(const struct vr_driver *drv, char *buf,
			     size_t size)
{
	char path[PATH_MAX];

	snprintf(path, sizeof(path), VR_BIND_PATH, drv->name, "module");
	if (vr_link_name(path, buf, size))
		snprintf(buf, size, "%s", drv->name);
}

/*
 * The driver that made @drv's device, as that of a bus on a SoC does, and its
 * own device: while that is unbound, @drv's is not only unbound, but gone.
 * False if there is none, or it is not on the platform bus.
 */
static inline bool vr_bus_of(const struct vr_driver *drv,
			     struct vr_driver *bus)
{
	static char name[64], device[64];
	char path[PATH_MAX], target[PATH_MAX], *p;

	snprintf(path, sizeof(path), VR_DEVICE_PATH "/../driver", drv->device);
	if (vr_link_name(path, name, sizeof(name)))
		return false;
	snprintf(path, sizeof(path), VR_DEVICE_PATH "/..", drv->device);
	if (!realpath(path, target))
		return false;
	p = strrchr(target, '/');
	snprintf(device, sizeof(device), "%s", p ? p + 1 : target);
	*bus = (struct vr_driver){ name, device, true };
	return vr_is_bound(bus);
}

struct vr_bind_arg {
	const struct vr_driver *drv;
	const char *file;
};

static inline long vr_bind_call(struct vr_call *call, void *arg)
{
	struct vr_bind_arg *b = arg;
	char path[PATH_MAX];
	ssize_t ret;
	int fd;

	(void)call;
	snprintf(path, sizeof(path), VR_BIND_PATH, b->drv->name, b->file);
	fd = open(path, O_WRONLY);
	if (fd < 0)
		return -1;
	ret = write(fd, b->drv->device, strlen(b->drv->device));
	return ret < 0 ? -1 : 0;
}

/*
 * Write the device's name to the driver's "unbind" or "bind" file, in a child:
 * a removal that hangs must not take the test with it.  Returns the time it
 * took in us, or -1 (ETIMEDOUT if it did not return).
 */
static inline __s64 vr_bind_write(const struct vr_driver *drv,
				  const char *file, __u64 *started)
{
	struct vr_bind_arg arg = { drv, file };
	static struct vr_call *call;
	__u64 start;

	if (!call)
		call = vr_shared(sizeof(*call));
	if (!call)
		return -1;
	start = vr_now_us();
	if (started)
		*started = start;
	if (vr_start(call, vr_bind_call, &arg) < 0)
		return -1;
	if (!vr_wait_returned(call, start + vr_bind_ms * 1000ULL)) {
		kill(call->pid, SIGKILL);
		call = NULL;	/* it may still write there */
		errno = ETIMEDOUT;
		return -1;
	}
	if (call->ret) {
		errno = call->err;
		return -1;
	}
	return call->when - start;
}

static inline __s64 vr_unbind(const struct vr_driver *drv, __u64 *started)
{
	return vr_bind_write(drv, "unbind", started);
}

static inline __s64 vr_bind(const struct vr_driver *drv)
{
	return vr_bind_write(drv, "bind", NULL);
}

/* -------------------------------------------------------- a vb2 queue */

#define VR_MAX_BUFS	16

struct vr_queue {
	int fd;
	unsigned int type;
	bool mplane, output;
	unsigned int count;
	struct {
		void *mem;	/* the first plane */
		size_t len;
	} buf[VR_MAX_BUFS];
	size_t plane_len[VIDEO_MAX_PLANES];	/* with mplane */
};

/* The buffer type that the node's capabilities name, or 0 */
static inline unsigned int vr_buf_type(int fd)
{
	static const struct {
		__u32 cap;
		unsigned int type;
	} map[] = {
		{ V4L2_CAP_VIDEO_CAPTURE, V4L2_BUF_TYPE_VIDEO_CAPTURE },
		{ V4L2_CAP_VIDEO_CAPTURE_MPLANE,
		  V4L2_BUF_TYPE_VIDEO_CAPTURE_MPLANE },
		{ V4L2_CAP_VIDEO_OUTPUT, V4L2_BUF_TYPE_VIDEO_OUTPUT },
		{ V4L2_CAP_VIDEO_OUTPUT_MPLANE,
		  V4L2_BUF_TYPE_VIDEO_OUTPUT_MPLANE },
		{ V4L2_CAP_VBI_CAPTURE, V4L2_BUF_TYPE_VBI_CAPTURE },
		{ V4L2_CAP_VBI_OUTPUT, V4L2_BUF_TYPE_VBI_OUTPUT },
		{ V4L2_CAP_SLICED_VBI_CAPTURE,
		  V4L2_BUF_TYPE_SLICED_VBI_CAPTURE },
		{ V4L2_CAP_SLICED_VBI_OUTPUT,
		  V4L2_BUF_TYPE_SLICED_VBI_OUTPUT },
		{ V4L2_CAP_SDR_CAPTURE, V4L2_BUF_TYPE_SDR_CAPTURE },
		{ V4L2_CAP_META_CAPTURE, V4L2_BUF_TYPE_META_CAPTURE },
		{ V4L2_CAP_META_OUTPUT, V4L2_BUF_TYPE_META_OUTPUT },
		{ }
	};
	struct v4l2_capability cap = {};
	unsigned int i;

	if (vr_ioctl(fd, VIDIOC_QUERYCAP, &cap))
		return 0;
	for (i = 0; map[i].cap; i++)
		if (cap.device_caps & map[i].cap)
			return map[i].type;
	return 0;
}

/* Those of all queues, of m2m first the capture queue; how many there are */
static inline unsigned int vr_buf_types(int fd, unsigned int types[2])
{
	struct v4l2_capability cap = {};

	types[0] = vr_buf_type(fd);
	types[1] = 0;
	vr_ioctl(fd, VIDIOC_QUERYCAP, &cap);
	if (cap.device_caps & V4L2_CAP_VIDEO_M2M) {
		types[0] = V4L2_BUF_TYPE_VIDEO_CAPTURE;
		types[1] = V4L2_BUF_TYPE_VIDEO_OUTPUT;
	}
	if (cap.device_caps & V4L2_CAP_VIDEO_M2M_MPLANE) {
		types[0] = V4L2_BUF_TYPE_VIDEO_CAPTURE_MPLANE;
		types[1] = V4L2_BUF_TYPE_VIDEO_OUTPUT_MPLANE;
	}
	return types[1] ? 2 : types[0] ? 1 : 0;
}

/* struct v4l2_buffer with its planes, ready for an ioctl */
struct vr_buf {
	struct v4l2_buffer b;
	struct v4l2_plane plane[VIDEO_MAX_PLANES];
};

static inline void vr_buf_init(const struct vr_queue *q, struct vr_buf *vb,
			       unsigned int index)
{
	memset(vb, 0, sizeof(*vb));
	vb->b.type = q->type;
	vb->b.memory = V4L2_MEMORY_MMAP;
	vb->b.index = index;
	if (q->mplane) {
		vb->b.m.planes = vb->plane;
		vb->b.length = VIDEO_MAX_PLANES;
	}
}

/* Queue a buffer; with @req_fd (not -1) as part of that request */
static inline int vr_qbuf_req(struct vr_queue *q, unsigned int index,
			      int req_fd)
{
	struct vr_buf vb;
	unsigned int i;

	vr_buf_init(q, &vb, index);
	if (q->output) {
		vb.b.field = V4L2_FIELD_NONE;
		if (!q->mplane)
			vb.b.bytesused = q->buf[index].len;
		for (i = 0; q->mplane && i < VIDEO_MAX_PLANES; i++)
			vb.plane[i].bytesused = q->plane_len[i];
	}
	if (req_fd >= 0) {
		vb.b.flags = V4L2_BUF_FLAG_REQUEST_FD;
		vb.b.request_fd = req_fd;
	}
	return vr_ioctl(q->fd, VIDIOC_QBUF, &vb.b);
}

static inline int vr_qbuf(struct vr_queue *q, unsigned int index)
{
	return vr_qbuf_req(q, index, -1);
}

/* A request of the media device, or -1 */
static inline int vr_request_alloc(const char *path)
{
	int media, fd = -1;

	media = open(path, O_RDWR | O_CLOEXEC);
	if (media < 0)
		return -1;
	if (vr_ioctl(media, MEDIA_IOC_REQUEST_ALLOC, &fd))
		fd = -1;
	close(media);
	return fd;
}

/* Queue a buffer in a request, with the control that vicodec wants there */
static inline int vr_qbuf_in_request(struct vr_queue *q, unsigned int index,
				     int req)
{
	struct v4l2_ctrl_fwht_params fwht = {};
	struct v4l2_ext_control ctrl = {
		.id = V4L2_CID_STATELESS_FWHT_PARAMS,
		.size = sizeof(fwht),
		.ptr = &fwht,
	};
	struct v4l2_ext_controls ctrls = { .count = 1, .controls = &ctrl };

	if (!vr_ioctl(q->fd, VIDIOC_G_EXT_CTRLS, &ctrls)) {
		ctrls.which = V4L2_CTRL_WHICH_REQUEST_VAL;
		ctrls.request_fd = req;
		if (vr_ioctl(q->fd, VIDIOC_S_EXT_CTRLS, &ctrls))
			return -1;
	}
	return vr_qbuf_req(q, index, req);
}

/* The same, at once, and without a handle of the request */
static inline int vr_qbuf_by_request(struct vr_queue *q, unsigned int index,
				     const char *media)
{
	int ret, req = vr_request_alloc(media);

	ret = vr_qbuf_in_request(q, index, req);
	if (!ret)
		ret = vr_ioctl(req, MEDIA_REQUEST_IOC_QUEUE, NULL);
	close(req);
	return ret;
}

/* Dequeue a buffer; its index, or -1 */
static inline int vr_dqbuf(struct vr_queue *q)
{
	struct vr_buf vb;

	vr_buf_init(q, &vb, 0);
	if (ioctl(q->fd, VIDIOC_DQBUF, &vb.b))
		return -1;
	return vb.b.index;
}

static inline void vr_queue_init_type(struct vr_queue *q, int fd,
				      unsigned int type)
{
	memset(q, 0, sizeof(*q));
	q->fd = fd;
	q->type = type;
	q->mplane = V4L2_TYPE_IS_MULTIPLANAR(type);
	q->output = V4L2_TYPE_IS_OUTPUT(type);
}

/* Find the node's buffer type and bring it where it can stream at all */
static inline int vr_queue_init(struct vr_queue *q, int fd)
{
	int webcam = 0, tv = 1, ret = 0;

	vr_queue_init_type(q, fd, vr_buf_type(fd));
	if (!q->type) {
		errno = EINVAL;
		return -1;
	}
	/*
	 * vivid's input 0 is a webcam, only that has metadata; input 1 is a TV
	 * tuner, only that has VBI. Other drivers have no inputs.
	 */
	if (q->type == V4L2_BUF_TYPE_META_CAPTURE)
		ret = vr_ioctl(fd, VIDIOC_S_INPUT, &webcam);
	if (q->type == V4L2_BUF_TYPE_VBI_CAPTURE ||
	    q->type == V4L2_BUF_TYPE_SLICED_VBI_CAPTURE)
		ret = vr_ioctl(fd, VIDIOC_S_INPUT, &tv);
	return ret && errno != ENOTTY ? ret : 0;
}

static inline int vr_queue_alloc(struct vr_queue *q)
{
	struct v4l2_requestbuffers req = {
		.count = 4,
		.type = q->type,
		.memory = V4L2_MEMORY_MMAP,
	};
	struct vr_buf vb;
	unsigned int i, j;

	if (vr_ioctl(q->fd, VIDIOC_REQBUFS, &req))
		return -1;
	q->count = req.count < VR_MAX_BUFS ? req.count : VR_MAX_BUFS;
	for (i = 0; i < q->count; i++) {
		vr_buf_init(q, &vb, i);
		if (vr_ioctl(q->fd, VIDIOC_QUERYBUF, &vb.b))
			return -1;
		q->buf[i].len = q->mplane ? vb.plane[0].length : vb.b.length;
		for (j = 0; q->mplane && j < vb.b.length; j++)
			q->plane_len[j] = vb.plane[j].length;
		q->buf[i].mem = mmap(NULL, q->buf[i].len,
				     PROT_READ | PROT_WRITE, MAP_SHARED, q->fd,
				     q->mplane ? vb.plane[0].m.mem_offset :
				     vb.b.m.offset);
		if (q->buf[i].mem == MAP_FAILED) {
			q->buf[i].mem = NULL;
			return -1;
		}
	}
	return 0;
}

static inline void vr_queue_unmap(struct vr_queue *q)
{
	unsigned int i;

	for (i = 0; i < q->count; i++) {
		if (q->buf[i].mem)
			munmap(q->buf[i].mem, q->buf[i].len);
		q->buf[i].mem = NULL;
	}
}

static inline int vr_set_ctrl(int fd, __u32 id, __s32 value)
{
	struct v4l2_control c = { .id = id, .value = value };

	return vr_ioctl(fd, VIDIOC_S_CTRL, &c);
}

/* Allocate, queue all, and start */
static inline int vr_queue_start(struct vr_queue *q)
{
	unsigned int i;

	if (vr_queue_alloc(q))
		return -1;
	for (i = 0; i < q->count; i++)
		if (vr_qbuf(q, i))
			return -1;
	return vr_ioctl(q->fd, VIDIOC_STREAMON, &q->type);
}

/*
 * Stream, with no buffer that will ever come back: vivid drops every frame.
 * Touch nodes do not do that; there, take out what was put in.
 */
static inline int vr_queue_start_blocked(struct vr_queue *q, bool drain)
{
	unsigned int i;

	if (!drain && vr_set_ctrl(q->fd, VR_CID_PERC_DROPPED, 100))
		return -1;
	if (vr_queue_start(q))
		return -1;
	for (i = 0; drain && i < q->count; i++)
		if (vr_dqbuf(q) < 0)
			return -1;
	return 0;
}

/* The size of one read() or write() of the node: that of one buffer */
static inline ssize_t vr_frame_size(struct vr_queue *q)
{
	struct v4l2_requestbuffers none = {
		.type = q->type,
		.memory = V4L2_MEMORY_MMAP,
	};
	size_t len;

	if (vr_queue_alloc(q))
		return -1;
	len = q->buf[0].len;
	vr_queue_unmap(q);
	q->count = 0;
	return vr_ioctl(q->fd, VIDIOC_REQBUFS, &none) ? -1 : (ssize_t)len;
}

/* Make read() or write() of a radio node wait for RDS data for good */
static inline int vr_radio_block(int fd, bool tx)
{
	struct v4l2_modulator mod = {};

	if (!tx)
		return vr_set_ctrl(fd, V4L2_CID_RDS_RECEPTION, 0);
	/* RDS by write() and not by controls */
	if (vr_set_ctrl(fd, VR_CID_TX_RDS_MODE, 0) ||
	    vr_ioctl(fd, VIDIOC_G_MODULATOR, &mod))
		return -1;
	mod.txsubchans &= ~V4L2_TUNER_SUB_RDS;
	return vr_ioctl(fd, VIDIOC_S_MODULATOR, &mod);
}

static inline int vr_subscribe_ctrl(int fd)
{
	struct v4l2_event_subscription sub = {
		.type = V4L2_EVENT_CTRL,
		.id = VR_CID_BOOLEAN,
	};

	return vr_ioctl(fd, VIDIOC_SUBSCRIBE_EVENT, &sub);
}

/* ------------------------------------------------ the calls that sleep */

struct io_arg {
	int fd;
	size_t size;
};

static inline long call_read(struct vr_call *call, void *arg)
{
	struct io_arg *io = arg;
	char *buf = malloc(io->size);
	ssize_t ret;

	while ((ret = read(io->fd, buf, io->size)) > 0)
		call->calls++;
	return ret;
}

static inline long call_write(struct vr_call *call, void *arg)
{
	struct io_arg *io = arg;
	char *buf = calloc(1, io->size);
	ssize_t ret;

	while ((ret = write(io->fd, buf, io->size)) > 0)
		call->calls++;
	return ret;
}

static inline long call_dqbuf(struct vr_call *call, void *arg)
{
	return vr_dqbuf(arg);
}

static inline long call_stream(struct vr_call *call, void *arg)
{
	int index;

	for (;;) {
		index = vr_dqbuf(arg);
		if (index < 0)
			return -1;
		if (vr_qbuf(arg, index))
			return -1;
		call->calls++;
	}
}

static inline long call_dqevent(struct vr_call *call, void *arg)
{
	struct v4l2_event ev;

	return ioctl(*(int *)arg, VIDIOC_DQEVENT, &ev);
}

static inline long call_cec_receive(struct vr_call *call, void *arg)
{
	struct cec_msg msg = {};

	return ioctl(*(int *)arg, CEC_RECEIVE, &msg);
}

/* Removal may bring a last event: what comes after that counts */
static inline long call_cec_dqevent(struct vr_call *call, void *arg)
{
	struct cec_event ev;

	while (!ioctl(*(int *)arg, CEC_DQEVENT, &ev))
		call->calls++;
	return -1;
}

struct poll_arg {
	int fd;
	unsigned int events;	/* poll's, and the same for select and epoll */
	int timeout;		/* in ms, -1 for ever */
};

/* Returns the bits that poll() gave */
static inline long call_poll(struct vr_call *call, void *arg)
{
	struct poll_arg *p = arg;
	struct pollfd pfd = { .fd = p->fd, .events = p->events };
	int ret = poll(&pfd, 1, p->timeout);

	return ret > 0 ? pfd.revents : ret;
}

/* Returns POLLIN, POLLOUT, POLLPRI for the sets that select() left it in */
static inline long call_select(struct vr_call *call, void *arg)
{
	struct poll_arg *p = arg;
	struct timeval tv = { .tv_sec = p->timeout / 1000 };
	fd_set in, out, pri;
	int ret;

	FD_ZERO(&in);
	FD_ZERO(&out);
	FD_ZERO(&pri);
	if (p->events & POLLIN)
		FD_SET(p->fd, &in);
	if (p->events & POLLOUT)
		FD_SET(p->fd, &out);
	if (p->events & POLLPRI)
		FD_SET(p->fd, &pri);
	ret = select(p->fd + 1, &in, &out, &pri, p->timeout < 0 ? NULL : &tv);
	if (ret <= 0)
		return ret;
	return (FD_ISSET(p->fd, &in) ? POLLIN : 0) |
	       (FD_ISSET(p->fd, &out) ? POLLOUT : 0) |
	       (FD_ISSET(p->fd, &pri) ? POLLPRI : 0);
}

/* Returns the bits that epoll_wait() gave */
static inline long call_epoll(struct vr_call *call, void *arg)
{
	struct poll_arg *p = arg;
	struct epoll_event ev = { .events = p->events };
	int ret, efd;

	efd = epoll_create1(EPOLL_CLOEXEC);
	if (efd < 0)
		return -1;
	ret = epoll_ctl(efd, EPOLL_CTL_ADD, p->fd, &ev);
	if (!ret)
		ret = epoll_wait(efd, &ev, 1, p->timeout);
	close(efd);
	return ret > 0 ? (long)ev.events : ret;
}

static inline long call_pause(struct vr_call *call, void *arg)
{
	return pause();
}

#endif /* V4L2_REMOVAL_H */
