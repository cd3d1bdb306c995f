// SPDX-License-Identifier: GPL-2.0
/*
 * Unbind, rebind and unload the media test drivers, in every combination of
 *
 *  - a driver: vivid, vim2m, vicodec, visl, vimc
 *  - a scenario: in what order handles are closed and the driver is unbound,
 *    bound, unloaded and loaded, or its device removed and added
 *  - a state that the handle of a node is in when the driver goes
 *  - a node: video, subdev, media, CEC, and a request
 *
 * Each combination is one result, a skipped one says why it is impossible.
 * What is expected is what v4l2_removal.c says at its top.  After each, a new
 * node must be there, and work: stream a few frames, if it can.
 *
 * All nodes of a driver go through a state and a scenario at the same time.
 * What the kernel reports meanwhile (KASAN, lockdep, WARN ...) fails them all;
 * with DEBUG_KOBJECT_RELEASE a report can come up to some seconds late, and
 * fail the next ones.  With KASAN, boot with kasan_multi_shot: otherwise only
 * the first report of a boot is seen.
 *
 * -d, -s and -t choose drivers, scenarios and states, as lists with commas.
 * -d NAME/DEVICE is any platform driver, as in /sys/bus/platform/drivers.  No
 * frames are expected of it, and where it does not stream without hardware,
 * that is a state that is skipped.  Its device can be removed if a driver made
 * it, as on some buses of a device tree; elsewhere there is no such scenario.
 * Until it is bound again, nothing may use its clocks or runtime PM.
 */
#include <getopt.h>
#include <stdarg.h>

#include <sys/syscall.h>

#include <linux/media-bus-format.h>
#include <linux/v4l2-subdev.h>

#include "../kselftest.h"
#include "v4l2_removal.h"

#define MAX_NODES	40
#define FRAMES		3

enum kind { VIDEO, SUBDEV, MEDIA, REQUEST, CEC };

static const char * const kind_names[] = {
	"video", "subdev", "media", "request", "cec",
};

/* What a sleeper has to return: these, or the bits of a poll */
#define WANT_ENODEV	-1L
#define WANT_BITS	-2L	/* any */

struct node {
	enum kind kind;
	char name[64];		/* by which it is found again */
	char path[64];
	bool missing;		/* since the last bind */

	/* of a video node */
	__u32 caps;
	unsigned int types[2], ntypes;	/* of m2m: capture, output */
	bool requests;		/* its (output) queue takes them */

	/* the handle, and what the state made of it */
	int fd;
	int aux;		/* a request's video node, and vice versa */
	int sock[2];		/* where the handle is on its way */
	pid_t holder;		/* the child that has it */
	int holder_fd;
	struct vr_queue q[2];	/* as types */
	unsigned char *dma;	/* a mapping of the DMABUF, */
	int dma_fd;
	struct vr_queue import;	/* and the queue that imported it */
	struct vr_call *call;
	unsigned int ncalls;
	const char *what[2];
	long want[2];

	int result;		/* KSFT_* */
	char why[200];
};

static struct node nodes[MAX_NODES];
static unsigned int nnodes;
static const struct vr_driver *drv;
static struct vr_driver bus;	/* what makes the driver's device, */
static bool has_bus;		/* if any */
static const struct vr_driver *goes;	/* which of them is unbound */
static char module[64];		/* of the driver */
static struct vr_call *calls;	/* two for each node */
static bool stuck;		/* an unbind, a bind, an unload did not end */

/* The first reason counts */
static __printf(3, 4) void set_result(struct node *n, int result,
				      const char *fmt, ...)
{
	va_list ap;

	if (n->result != KSFT_PASS)
		return;
	n->result = result;
	va_start(ap, fmt);
	vsnprintf(n->why, sizeof(n->why), fmt, ap);
	va_end(ap);
}

#define fail(n, ...)	set_result(n, KSFT_FAIL, __VA_ARGS__)
#define skip(n, ...)	set_result(n, KSFT_SKIP, __VA_ARGS__)

/*
 * Nodes that cannot stream beside others get an unbind of their own: vimc's two
 * pipelines begin at the same sensor, which starts only once, vivid has VBI
 * from its TV tuner and metadata from its webcam, and a request needs the queue
 * of a video node, of which vivid has one for all handles.
 */
static unsigned int round_now;

static unsigned int round_of(const struct node *n)
{
	return n->kind == REQUEST ||
	       n->types[0] == V4L2_BUF_TYPE_VBI_CAPTURE ||
	       n->types[0] == V4L2_BUF_TYPE_SLICED_VBI_CAPTURE ||
	       !strcmp(n->name, "RGB/YUV Capture");
}

/* The node after @n, the first one after NULL, NULL after the last one */
static struct node *next_node(struct node *n)
{
	n = n ? n + 1 : nodes;
	return n < nodes + nnodes ? n : NULL;
}

static bool is_tested(const struct node *n)
{
	return n->result != KSFT_SKIP && round_of(n) == round_now;
}

/* ... that takes part in what is going on */
static struct node *next_tested(struct node *n)
{
	while ((n = next_node(n)) && !is_tested(n))
		;
	return n;
}

/* --------------------------------------------------------- find nodes */

static struct node *find_node(enum kind kind, const char *name)
{
	struct node *n = NULL;

	while ((n = next_node(n)))
		if (n->kind == kind && !strcmp(n->name, name))
			return n;
	return NULL;
}

/* No handle, and nothing made of it */
static void reset(struct node *n)
{
	n->fd = -1;
	n->aux = -1;
	n->sock[0] = -1;
	n->sock[1] = -1;
	n->holder = 0;
	memset(n->q, 0, sizeof(n->q));
	n->dma = NULL;
	n->dma_fd = -1;
	n->import.fd = -1;
	n->ncalls = 0;
}

static struct node *add_node(enum kind kind, const char *name, const char *path)
{
	struct node *n = NULL;

	/* there may be more than one of that name */
	while ((n = next_node(n)))
		if (n->missing && n->kind == kind && !strcmp(n->name, name))
			break;
	if (!n) {
		if (nnodes == MAX_NODES)
			ksft_exit_fail_msg("too many nodes\n");
		n = &nodes[nnodes];
		memset(n, 0, sizeof(*n));
		n->kind = kind;
		n->call = &calls[2 * nnodes++];
		snprintf(n->name, sizeof(n->name), "%s", name);
		reset(n);
	}
	snprintf(n->path, sizeof(n->path), "%s", path);
	n->missing = false;
	return n;
}

static int see_video(const char *name, void *arg)
{
	char path[PATH_MAX], title[64];
	enum kind kind;

	snprintf(path, sizeof(path), "/sys/class/video4linux/%s/name", name);
	if (vr_read_line(path, title, sizeof(title)))
		return 0;
	kind = strncmp(name, "v4l-subdev", 10) ? VIDEO : SUBDEV;
	snprintf(path, sizeof(path), "/dev/%s", name);
	add_node(kind, title, path);
	return 0;
}

static int see_media(const char *name, void *arg)
{
	struct media_device_info info = {};
	char path[64];
	int fd;

	snprintf(path, sizeof(path), "/dev/%s", name);
	fd = open(path, O_RDWR | O_CLOEXEC);
	if (fd >= 0 && !vr_ioctl(fd, MEDIA_IOC_DEVICE_INFO, &info)) {
		add_node(MEDIA, info.bus_info, path);
		add_node(REQUEST, info.bus_info, path);
	}
	close(fd);
	return 0;
}

static int see_cec(const char *name, void *arg)
{
	struct cec_caps caps = {};
	char path[64];
	int fd;

	snprintf(path, sizeof(path), "/dev/%s", name);
	fd = open(path, O_RDWR | O_CLOEXEC);
	if (fd >= 0 && !vr_ioctl(fd, CEC_ADAP_G_CAPS, &caps))
		add_node(CEC, caps.name, path);
	close(fd);
	return 0;
}

/* What the node can do */
static void probe_video(struct node *n)
{
	struct v4l2_requestbuffers req = { .memory = V4L2_MEMORY_MMAP };
	struct v4l2_capability cap = {};
	int fd;

	if (n->kind != VIDEO || n->caps)
		return;
	fd = open(n->path, O_RDWR | O_CLOEXEC);
	vr_ioctl(fd, VIDIOC_QUERYCAP, &cap);
	n->caps = cap.device_caps;
	n->ntypes = vr_buf_types(fd, n->types);
	if (n->ntypes) {
		req.type = n->types[n->ntypes - 1];
		vr_ioctl(fd, VIDIOC_REQBUFS, &req);
	}
	n->requests = req.capabilities & V4L2_BUF_CAP_SUPPORTS_REQUESTS;
	close(fd);
}

/* The driver's nodes, after a bind under new paths */
static void find_nodes(void)
{
	struct node *n = NULL;

	while ((n = next_node(n)))
		n->missing = true;
	vr_for_each(VR_VIDEO, drv->name, drv->device, see_video, NULL);
	vr_for_each(VR_MEDIA, drv->name, drv->device, see_media, NULL);
	vr_for_each(VR_CEC, drv->name, drv->device, see_cec, NULL);
	while ((n = next_node(n))) {
		probe_video(n);
		if (n->missing)
			fail(n, "there is no such node");
	}
}

/* ------------------------------------------------- open, and what it takes */

/* What vimc needs all along its pipelines, also those that do not stream */
#define VIMC_W	160
#define VIMC_H	120

static void vimc_formats(void)
{
	static const struct {
		const char *name;
		__u32 code;
	} pads[] = {
		{ "Sensor A", MEDIA_BUS_FMT_SBGGR8_1X8 },
		{ "Sensor B", MEDIA_BUS_FMT_SBGGR8_1X8 },
		{ "Debayer A", MEDIA_BUS_FMT_SBGGR8_1X8 },
		{ "Debayer B", MEDIA_BUS_FMT_SBGGR8_1X8 },
		{ "Scaler", MEDIA_BUS_FMT_RGB888_1X24 },
	};
	struct node *n = NULL;
	unsigned int i;
	int fd;

	if (strcmp(drv->name, "vimc"))
		return;
	for (i = 0; i < ARRAY_SIZE(pads); i++) {
		struct v4l2_subdev_format f = {
			.which = V4L2_SUBDEV_FORMAT_ACTIVE,
		};

		n = find_node(SUBDEV, pads[i].name);
		if (!n)
			continue;
		fd = open(n->path, O_RDWR | O_CLOEXEC);
		vr_ioctl(fd, VIDIOC_SUBDEV_G_FMT, &f);
		f.format.code = pads[i].code;
		f.format.width = VIMC_W;
		f.format.height = VIMC_H;
		vr_ioctl(fd, VIDIOC_SUBDEV_S_FMT, &f);
		close(fd);
	}
	n = NULL;
	while ((n = next_node(n))) {
		struct v4l2_format f = { .type = V4L2_BUF_TYPE_VIDEO_CAPTURE };

		if (n->kind != VIDEO)
			continue;
		fd = open(n->path, O_RDWR | O_CLOEXEC);
		vr_ioctl(fd, VIDIOC_G_FMT, &f);
		f.fmt.pix.pixelformat = round_of(n) ? V4L2_PIX_FMT_RGB24 :
						      V4L2_PIX_FMT_SBGGR8;
		f.fmt.pix.width = VIMC_W;
		f.fmt.pix.height = VIMC_H;
		f.fmt.pix.bytesperline = 0;
		vr_ioctl(fd, VIDIOC_S_FMT, &f);
		close(fd);
	}
}

static struct node *request_node(void)
{
	struct node *n = NULL;

	while ((n = next_node(n)))
		if (n->kind == REQUEST)
			return n;
	return NULL;
}

/* Open a video node and set up its queues, without buffers */
static int open_video(struct node *n, int *fd)
{
	struct vr_queue q;
	unsigned int i;
	int ret = 0;

	*fd = open(n->path, O_RDWR | O_CLOEXEC);
	if (*fd < 0)
		return -1;
	for (i = 0; i < n->ntypes; i++)
		vr_queue_init_type(&n->q[i], *fd, n->types[i]);
	if (n->ntypes == 1)
		ret = vr_queue_init(&q, *fd);
	return ret;
}

static void open_node(struct node *n)
{
	struct cec_event ev;

	switch (n->kind) {
	case VIDEO:
		if (open_video(n, &n->fd))
			fail(n, "open: %s", strerror(errno));
		break;
	case REQUEST:
		n->fd = vr_request_alloc(n->path);
		if (n->fd < 0 && errno == ENOTTY)
			skip(n, "the driver has no requests");
		break;
	default:
		n->fd = open(n->path, O_RDWR | O_CLOEXEC);
	}
	if (n->fd < 0)
		fail(n, "open: %s", strerror(errno));
	/* every open begins with an event that tells the state */
	else if (n->kind == CEC && vr_ioctl(n->fd, CEC_DQEVENT, &ev))
		fail(n, "CEC_DQEVENT: %s", strerror(errno));
}

/*
 * That did not work.  What has hardware may lack what it streams from, such as
 * a sensor.
 */
static void no_stream(struct node *n, const char *what)
{
	if (drv->hardware)
		skip(n, "%s: %s", what, strerror(errno));
	else
		fail(n, "%s: %s", what, strerror(errno));
}

static int stream_on(struct vr_queue *q)
{
	return vr_ioctl(q->fd, VIDIOC_STREAMON, &q->type);
}

/* Allocate and queue all buffers, and start */
static int stream(struct node *n)
{
	unsigned int i, j;

	if (n->ntypes == 1)
		return vr_queue_start(&n->q[0]);
	for (i = 0; i < n->ntypes; i++) {
		if (vr_queue_alloc(&n->q[i]))
			return -1;
		for (j = 0; j < n->q[i].count; j++) {
			if (!vr_qbuf(&n->q[i], j))
				continue;
			/* stateless decoders take nothing but requests */
			if (errno != EBADR ||
			    vr_qbuf_by_request(&n->q[i], j,
					       request_node()->path))
				return -1;
		}
		if (stream_on(&n->q[i]))
			return -1;
	}
	return 0;
}

/* Stream, so that no buffer comes back */
static int stream_blocked(struct node *n)
{
	unsigned int i, j;

	/* no frame comes of hardware that is not there */
	if (n->ntypes == 1 && drv->hardware)
		return vr_queue_start(&n->q[0]);
	/* vivid's touch node has that control, and does not heed it */
	if (n->ntypes == 1)
		return vr_queue_start_blocked(&n->q[0],
			n->caps & V4L2_CAP_TOUCH ||
			vr_set_ctrl(n->fd, VR_CID_PERC_DROPPED, 100));
	for (i = 0; i < n->ntypes; i++) {
		if (vr_queue_alloc(&n->q[i]) || stream_on(&n->q[i]))
			return -1;
		/* nothing to convert: capture buffers stay where they are */
		for (j = 0; !i && j < n->q[i].count; j++)
			if (vr_qbuf(&n->q[i], j))
				return -1;
	}
	return 0;
}

/* ------------------------------------------------------------- states */

static void start(struct node *n, const char *what, long want,
		  long (*fn)(struct vr_call *call, void *arg), void *arg)
{
	unsigned int i = n->ncalls++;

	n->what[i] = what;
	n->want[i] = want;
	if (vr_start(&n->call[i], fn, arg) < 0)
		fail(n, "fork: %s", strerror(errno));
}

static void enter_open(struct node *n)
{
}

static void alloc(struct node *n)
{
	unsigned int i;

	if (!n->ntypes)
		skip(n, "a radio node has no queue");
	for (i = 0; i < n->ntypes; i++)
		if (vr_queue_alloc(&n->q[i]))
			no_stream(n, "REQBUFS");
}

static void enter_reqbufs(struct node *n)
{
	unsigned int i;

	alloc(n);
	for (i = 0; i < n->ntypes; i++)
		vr_queue_unmap(&n->q[i]);
}

static void enter_streamon(struct node *n)
{
	if (!n->ntypes)
		skip(n, "a radio node has no queue");
	else if (stream(n))
		no_stream(n, "streaming");
}

static void enter_dqbuf(struct node *n, bool output)
{
	unsigned int i;

	for (i = 0; i < n->ntypes; i++) {
		if (n->q[i].output != output)
			continue;
		if (stream_blocked(n))
			no_stream(n, "streaming");
		else
			start(n, "DQBUF", WANT_ENODEV, call_dqbuf, &n->q[i]);
		return;
	}
	skip(n, "the node has no %s queue", output ? "output" : "capture");
}

static void enter_dqbuf_capture(struct node *n)
{
	enter_dqbuf(n, false);
}

static void enter_dqbuf_output(struct node *n)
{
	enter_dqbuf(n, true);
}

static void enter_io(struct node *n, bool output)
{
	static struct io_arg io;	/* a child has its own copy */
	bool tx = n->caps & V4L2_CAP_MODULATOR;
	ssize_t size = 3;		/* one RDS block */
	int ret = 0;

	if (!(n->caps & V4L2_CAP_READWRITE)) {
		skip(n, "no V4L2_CAP_READWRITE");
		return;
	}
	if (output != (n->ntypes ? n->q[0].output : tx)) {
		skip(n, "the node is an %s", output ? "input" : "output");
		return;
	}
	if (n->types[0] == V4L2_BUF_TYPE_VIDEO_OUTPUT) {
		skip(n, "it demands a payload, and vb2's write() sets none");
		return;
	}
	if (n->ntypes) {
		size = vr_frame_size(&n->q[0]);
		/* where there is no such control, calls return now and then */
		vr_set_ctrl(n->fd, VR_CID_PERC_DROPPED, 100);
	} else {
		ret = vr_radio_block(n->fd, tx);
	}
	if (ret || size <= 0) {
		no_stream(n, "set-up");
		return;
	}
	io.fd = n->fd;
	io.size = size;
	if (output)
		start(n, "write", WANT_ENODEV, call_write, &io);
	else
		start(n, "read", WANT_ENODEV, call_read, &io);
}

static void enter_read(struct node *n)
{
	enter_io(n, false);
}

static void enter_write(struct node *n)
{
	enter_io(n, true);
}

static void enter_request(struct node *n, bool queue);

static bool has_events(struct node *n)
{
	struct v4l2_event ev;
	int ret;

	fcntl(n->fd, F_SETFL, O_NONBLOCK);
	ret = vr_ioctl(n->fd, VIDIOC_DQEVENT, &ev);
	if (ret && errno == ENOTTY)
		skip(n, "the node has no events");
	fcntl(n->fd, F_SETFL, 0);
	return n->result == KSFT_PASS;
}

/* Asleep until something happens, which does not */
static void enter_polling(struct node *n, const char *what,
			  long (*fn)(struct vr_call *call, void *arg),
			  bool sets)
{
	static struct poll_arg arg;	/* a child has its own copy */
	unsigned int i, events = POLLPRI;
	long want;

	/* an error at once is what they have otherwise */
	if (n->kind == SUBDEV && !has_events(n))
		return;
	if (n->kind == CEC)
		events |= POLLIN;
	for (i = 0; i < n->ntypes; i++)
		events |= n->q[i].output ? POLLOUT : POLLIN;
	want = sets ? events : POLLERR | POLLHUP | POLLPRI;
	if (n->kind == REQUEST) {
		/* POLLIN for select(), which shows it an error */
		events |= POLLIN;
		want = WANT_BITS;
		enter_request(n, true);
	} else if (n->ntypes && stream_blocked(n)) {
		no_stream(n, "streaming");
	}
	if (n->result != KSFT_PASS)
		return;
	arg = (struct poll_arg){ n->fd, events, -1 };
	start(n, what, want, fn, &arg);
}

static void enter_poll(struct node *n)
{
	enter_polling(n, "poll", call_poll, false);
}

static void enter_select(struct node *n)
{
	enter_polling(n, "select", call_select, true);
}

static void enter_epoll(struct node *n)
{
	enter_polling(n, "epoll", call_epoll, false);
}

static void enter_dqevent(struct node *n)
{
	struct v4l2_query_ext_ctrl ctrl = {
		.id = V4L2_CTRL_FLAG_NEXT_CTRL,
	};
	struct v4l2_event_subscription sub = { .type = V4L2_EVENT_CTRL };

	if (n->kind == CEC) {
		start(n, "CEC_RECEIVE", WANT_ENODEV, call_cec_receive, &n->fd);
		start(n, "CEC_DQEVENT", WANT_ENODEV, call_cec_dqevent, &n->fd);
		return;
	}
	if (!has_events(n))
		return;
	/* where there are no controls, there are others, or none comes */
	while (!vr_ioctl(n->fd, VIDIOC_QUERY_EXT_CTRL, &ctrl)) {
		sub.id = ctrl.id;
		if (!vr_ioctl(n->fd, VIDIOC_SUBSCRIBE_EVENT, &sub))
			break;
		ctrl.id |= V4L2_CTRL_FLAG_NEXT_CTRL;
	}
	start(n, "DQEVENT", WANT_ENODEV, call_dqevent, &n->fd);
}

static void enter_mapped(struct node *n)
{
	alloc(n);
}

/*
 * A queue of another driver, with a buffer that is not larger than a page: of
 * vim2m, which has one for each handle, or of vivid, which has one.
 */
static int open_import(struct vr_queue *q)
{
	struct v4l2_format f = { .type = V4L2_BUF_TYPE_VIDEO_OUTPUT };
	bool vim2m = strcmp(drv->name, "vim2m");
	char path[64];
	int fd;

	if (!vr_find_video(vim2m ? "vim2m" : "vivid",
			   vim2m ? "vim2m" : "vivid-000-meta-cap", path,
			   sizeof(path)))
		return 1;
	fd = open(path, O_RDWR | O_CLOEXEC);
	if (fd < 0)
		return -1;
	if (!vim2m)
		return vr_queue_init(q, fd);
	vr_queue_init_type(q, fd, f.type);
	if (vr_ioctl(fd, VIDIOC_G_FMT, &f))
		return -1;
	f.fmt.pix.width = 32;
	f.fmt.pix.height = 32;
	f.fmt.pix.bytesperline = 0;
	return vr_ioctl(fd, VIDIOC_S_FMT, &f);
}

/*
 * vim2m maps what it imports into the kernel.  Drivers that never look at their
 * buffers allocate them with DMA_ATTR_NO_KERNEL_MAPPING: there, dma_buf_vmap()
 * fails, and warns.
 */
static bool is_importable(const struct node *n)
{
	return strcmp(drv->name, "hantro-vpu") || !strstr(n->name, "-dec");
}

static int import_dmabuf(struct node *n)
{
	struct v4l2_requestbuffers req = {
		.count = 1,
		.type = n->import.type,
		.memory = V4L2_MEMORY_DMABUF,
	};
	struct v4l2_buffer b = {
		.type = n->import.type,
		.memory = V4L2_MEMORY_DMABUF,
		.field = V4L2_FIELD_NONE,
		.m.fd = n->dma_fd,
	};

	if (vr_ioctl(n->import.fd, VIDIOC_REQBUFS, &req) ||
	    vr_ioctl(n->import.fd, VIDIOC_QBUF, &b))
		return -1;
	return stream_on(&n->import);
}

static void enter_dmabuf(struct node *n)
{
	struct v4l2_exportbuffer exp = {
		.type = n->types[0],
		.flags = O_RDWR | O_CLOEXEC,
	};
	int ret;

	alloc(n);
	if (n->result != KSFT_PASS)
		return;
	ret = open_import(&n->import);
	if (ret > 0) {
		skip(n, "there is no other driver that could import");
		return;
	}
	if (ret || vr_ioctl(n->fd, VIDIOC_EXPBUF, &exp)) {
		fail(n, "EXPBUF: %s", strerror(errno));
		return;
	}
	n->dma_fd = exp.fd;
	n->dma = mmap(NULL, n->q[0].buf[0].len, PROT_READ | PROT_WRITE,
		      MAP_SHARED, exp.fd, 0);
	if (n->dma == MAP_FAILED) {
		n->dma = NULL;
		fail(n, "mmap of the DMABUF: %s", strerror(errno));
	} else if (is_importable(n) && import_dmabuf(n)) {
		fail(n, "import: %s", strerror(errno));
	}
}

/*
 * A request with a buffer in it, and queued if @queue.  That of a request node
 * is of the first video node that takes requests.
 */
static void enter_request(struct node *n, bool queue)
{
	struct node *v = n->kind == REQUEST ? NULL : n;
	struct vr_queue *q;
	int req;

	while (!v || !v->requests) {
		v = v == n ? NULL : next_node(v);
		if (!v) {
			skip(n, "no queue takes requests");
			return;
		}
	}
	if (n->kind == REQUEST) {
		struct node tmp = *v;

		if (open_video(&tmp, &n->aux)) {
			fail(n, "open %s: %s", v->path, strerror(errno));
			return;
		}
		n->q[0] = tmp.q[v->ntypes - 1];
		q = &n->q[0];
		req = n->fd;
	} else {
		n->aux = vr_request_alloc(request_node()->path);
		q = &n->q[n->ntypes - 1];
		req = n->aux;
	}
	/* of m2m, the other queue stays off: nothing runs */
	vr_set_ctrl(q->fd, VR_CID_PERC_DROPPED, 100);
	if (vr_queue_alloc(q) || vr_qbuf_in_request(q, 0, req))
		no_stream(n, "buffer in a request");
	else if (queue && vr_ioctl(req, MEDIA_REQUEST_IOC_QUEUE, NULL))
		no_stream(n, "MEDIA_REQUEST_IOC_QUEUE");
	else if (queue && stream_on(q))
		no_stream(n, "STREAMON");
}

static void enter_request_alloc(struct node *n)
{
	enter_request(n, false);
}

static void enter_request_queued(struct node *n)
{
	enter_request(n, true);
}

static void enter_dup(struct node *n)
{
	int fd = dup(n->fd);

	if (fd < 0 || close(n->fd))
		fail(n, "dup: %s", strerror(errno));
	n->fd = fd;
}

static void enter_scm(struct node *n)
{
	if (socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0, n->sock) ||
	    vr_send_fd(n->sock[0], n->fd) != 1 || close(n->fd))
		fail(n, "SCM_RIGHTS: %s", strerror(errno));
	n->fd = -1;
}

/* A child that has this handle, and no other */
static long call_hold(struct vr_call *call, void *arg)
{
	int fd = *(int *)arg;

	if (fd > 3)
		syscall(SYS_close_range, 3, fd - 1, 0);
	syscall(SYS_close_range, fd + 1, ~0U, 0);
	return pause();
}

static void enter_fork(struct node *n)
{
	start(n, "holder", 0, call_hold, &n->fd);
	if (!vr_wait_asleep(&n->call[0]))
		fail(n, "the child does not hold: %s", vr_where(&n->call[0]));
	n->holder = n->call[0].pid;
	n->holder_fd = n->fd;
	if (close(n->fd))
		fail(n, "close: %s", strerror(errno));
	n->fd = -1;
}

/* Get a handle back from where it is */
static void regain(struct node *n)
{
	int pidfd;

	if (n->sock[1] >= 0) {
		n->fd = vr_recv_fd(n->sock[1]);
	} else if (n->holder) {
		pidfd = syscall(SYS_pidfd_open, n->holder, 0);
		n->fd = syscall(SYS_pidfd_getfd, pidfd, n->holder_fd, 0);
		close(pidfd);
	} else {
		return;
	}
	if (n->fd < 0)
		fail(n, "the handle cannot be received");
}

#define K(x)	(1 << (x))

static const struct state {
	const char *name;
	void (*enter)(struct node *n);
	unsigned int kinds;
	const char *reason;	/* why there is no such state for others */
} states[] = {
	{ "open", enter_open, ~0, NULL },
	{ "reqbufs", enter_reqbufs, K(VIDEO), "has no queue" },
	{ "streamon", enter_streamon, K(VIDEO), "has no queue" },
	{ "dqbuf-capture", enter_dqbuf_capture, K(VIDEO), "has no queue" },
	{ "dqbuf-output", enter_dqbuf_output, K(VIDEO), "has no queue" },
	{ "read", enter_read, K(VIDEO), "is not read" },
	{ "write", enter_write, K(VIDEO), "is not written" },
	{ "poll", enter_poll, ~0, NULL },
	{ "select", enter_select, ~0, NULL },
	{ "epoll", enter_epoll, ~0, NULL },
	{ "dqevent", enter_dqevent, K(VIDEO) | K(SUBDEV) | K(CEC),
	  "has no events" },
	{ "mapped", enter_mapped, K(VIDEO), "has no buffers" },
	{ "dmabuf", enter_dmabuf, K(VIDEO), "has no buffers" },
	{ "request-alloc", enter_request_alloc, K(VIDEO) | K(REQUEST),
	  "takes no part in requests" },
	{ "request-queued", enter_request_queued, K(VIDEO) | K(REQUEST),
	  "takes no part in requests" },
	{ "dup", enter_dup, ~0, NULL },
	{ "scm", enter_scm, ~0, NULL },
	{ "fork", enter_fork, ~0, NULL },
};

/* Take everything down that a state has set up; the last close included */
static void leave(struct node *n)
{
	unsigned int i;

	for (i = 0; i < n->ncalls; i++)
		if (!vr_kill(&n->call[i]))
			fail(n, "SIGKILL does not end %s: %s", n->what[i],
			     vr_where(&n->call[i]));
	for (i = 0; i < 2; i++) {
		vr_queue_unmap(&n->q[i]);
		if (n->sock[i] >= 0 && close(n->sock[i]))
			fail(n, "close of a socket: %s", strerror(errno));
	}
	if (n->fd >= 0 && close(n->fd))
		fail(n, "close: %s", strerror(errno));
	if (n->aux >= 0 && close(n->aux))
		fail(n, "close: %s", strerror(errno));
	if (n->import.fd >= 0) {
		if (vr_ioctl(n->import.fd, VIDIOC_STREAMOFF, &n->import.type))
			fail(n, "STREAMOFF of the importer: %s",
			     strerror(errno));
		close(n->import.fd);
	}
	if (n->dma && munmap(n->dma, n->q[0].buf[0].len))
		fail(n, "munmap of the DMABUF: %s", strerror(errno));
	if (n->dma_fd >= 0 && close(n->dma_fd))
		fail(n, "close of the DMABUF: %s", strerror(errno));
	reset(n);
}

/* ------------------------------------------------------------- checks */

static const struct query {
	const char *name;
	unsigned long cmd;
} queries[] = {
	[VIDEO] = { "VIDIOC_QUERYCAP", VIDIOC_QUERYCAP },
	[SUBDEV] = { "VIDIOC_SUBDEV_QUERYCAP", VIDIOC_SUBDEV_QUERYCAP },
	[MEDIA] = { "MEDIA_IOC_DEVICE_INFO", MEDIA_IOC_DEVICE_INFO },
	[REQUEST] = { "MEDIA_REQUEST_IOC_REINIT", MEDIA_REQUEST_IOC_REINIT },
	[CEC] = { "CEC_ADAP_G_CAPS", CEC_ADAP_G_CAPS },
};

/* @call was made; it must have failed with ENODEV */
static void expect_enodev(struct node *n, const char *call, long ret)
{
	if (ret >= 0)
		fail(n, "%s succeeds", call);
	else if (errno != ENODEV)
		fail(n, "%s: %s", call, strerror(errno));
}

static void expect_bits(struct node *n, const char *call, long want, long ret)
{
	if (want == WANT_BITS ? ret <= 0 : ret != want)
		fail(n, "%s: 0x%lx", call, ret);
}

/* From the start of the removal to the return of the last call, in us */
static __u64 longest_wake;

/* The sleepers: they return, and that at once */
static void check_woken(struct node *n, __u64 start, __u64 deadline)
{
	unsigned int i;

	for (i = 0; i < n->ncalls; i++) {
		struct vr_call *call = &n->call[i];

		if (n->holder)
			continue;
		if (!vr_wait_returned(call, deadline)) {
			fail(n, "%s sleeps on: %s", n->what[i], vr_where(call));
			continue;
		}
		if (call->when > start + longest_wake)
			longest_wake = call->when - start;
		errno = call->err;
		if (n->want[i] == WANT_ENODEV)
			expect_enodev(n, n->what[i], call->ret);
		else
			expect_bits(n, n->what[i], n->want[i], call->ret);
	}
}

static void check_fd(struct node *n, enum kind type, int fd)
{
	struct poll_arg all = { fd, POLLIN | POLLOUT | POLLPRI, VR_CALL_MS };
	long bits = POLLERR | POLLHUP | POLLPRI;
	__u64 arg[512] = {};
	char path[32];
	void *mem;

	if (fd < 0)
		return;
	expect_enodev(n, queries[type].name, ioctl(fd, queries[type].cmd, arg));
	if (type == REQUEST) {
		expect_enodev(n, "MEDIA_REQUEST_IOC_QUEUE",
			      ioctl(fd, MEDIA_REQUEST_IOC_QUEUE, NULL));
		expect_bits(n, "poll", WANT_BITS, call_poll(NULL, &all));
		return;
	}
	expect_bits(n, "poll", bits, call_poll(NULL, &all));
	expect_bits(n, "epoll", bits, call_epoll(NULL, &all));
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	expect_enodev(n, "open of the handle", open(path, O_RDWR | O_NONBLOCK));
	if (type == CEC)	/* has none of these */
		return;
	expect_enodev(n, "read", read(fd, arg, sizeof(arg)));
	expect_enodev(n, "write", write(fd, arg, sizeof(arg)));
	mem = mmap(NULL, 4096, PROT_READ, MAP_SHARED, fd, 0);
	expect_enodev(n, "mmap", mem == MAP_FAILED ? -1 : 0);
}

static void check_gone(struct node *n)
{
	check_fd(n, n->kind, n->fd);
	check_fd(n, n->kind == VIDEO ? REQUEST : VIDEO, n->aux);
}

/* Mappings and DMABUFs are memory as before */
static void check_memory(struct node *n)
{
	unsigned int i;

	for (i = 0; i < 2; i++) {
		unsigned char *mem = n->q[i].buf[0].mem;
		size_t len = n->q[i].buf[0].len;

		if (!mem)
			continue;
		memset(mem, 0x5a, len);
		if (mem[len - 1] != 0x5a)
			fail(n, "a mapped buffer does not keep what it gets");
		if (!i && n->dma && n->dma[len - 1] != 0x5a)
			fail(n, "the DMABUF is another memory");
	}
}

static void check_path(struct node *n)
{
	if (!access(n->path, F_OK))
		fail(n, "%s is still there", n->path);
}

/* ---------------------------------------------------- is the new node well? */

/* Take frames; of an m2m device, those that it has read */
static int take_frames(struct node *n)
{
	struct vr_queue *q = &n->q[n->ntypes - 1];
	struct poll_arg arg = {
		q->fd, q->output ? POLLOUT : POLLIN, VR_CALL_MS,
	};
	int i;

	for (i = 0; i < FRAMES; i++) {
		long bits = call_poll(NULL, &arg);

		if (!(bits & arg.events)) {
			fail(n, "new node: frame %d: poll: 0x%lx", i, bits);
			return -1;
		}
		if (vr_dqbuf(q) < 0) {
			fail(n, "new node: frame %d: %s", i, strerror(errno));
			return -1;
		}
	}
	return 0;
}

/*
 * Every node that took part is there again, and works, whatever handles of the
 * old ones there are: all that can stream do so at the same time.
 */
static void check_health(void)
{
	static struct node fresh[MAX_NODES];
	struct node *n = NULL, *f;
	__u64 arg[512];

	find_nodes();
	vimc_formats();
	while ((n = next_tested(n))) {
		f = &fresh[n - nodes];
		*f = *n;
		reset(f);
		f->result = KSFT_PASS;
		if (!n->missing)
			open_node(f);
	}
	while ((n = next_tested(n))) {
		f = &fresh[n - nodes];
		if (f->fd < 0 || n->kind == REQUEST)
			continue;
		if (f->ntypes && !drv->hardware && stream(f))
			fail(f, "streaming: %s", strerror(errno));
		memset(arg, 0, sizeof(arg));
		if (ioctl(f->fd, queries[n->kind].cmd, arg))
			fail(f, "%s: %s", queries[n->kind].name,
			     strerror(errno));
	}
	while ((n = next_tested(n))) {
		f = &fresh[n - nodes];
		if (f->fd >= 0 && f->ntypes && f->result == KSFT_PASS &&
		    !drv->hardware)
			take_frames(f);
	}
	while ((n = next_tested(n))) {
		f = &fresh[n - nodes];
		leave(f);
		if (f->result == KSFT_FAIL)
			fail(n, "new node: %s", f->why);
	}
}

static void fail_all(const char *what, const char *why)
{
	struct node *n = NULL;

	while ((n = next_tested(n)))
		fail(n, "%s: %s", what, why);
}

/* ------------------------------------- what a driver does to its hardware */

/*
 * A driver whose device is gone, or bound to nobody, may not use its clocks or
 * runtime PM any more.  Both have events.  What it does to registers then is a
 * page fault, if devm mapped them.
 */
#define TRACING "/sys/kernel/tracing/"

static int write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_TRUNC | O_CLOEXEC), ret;

	if (fd < 0)
		return -1;
	ret = write(fd, text, strlen(text));
	close(fd);
	return ret < 0 ? -1 : 0;
}

/*
 * Add to a filter of events the clocks that the device has, one in a line.
 * They know their user by its name, or by that of its node in the device tree.
 */
static bool clock_filter(char *filter, size_t size)
{
	FILE *f = fopen("/sys/kernel/debug/clk/clk_summary", "r");
	char line[512], first[64], clock[64] = "", path[PATH_MAX];
	char target[PATH_MAX] = "";
	const char *node = drv->device;
	size_t len = 0;

	if (!f)
		return false;
	snprintf(path, sizeof(path), VR_DEVICE_PATH "/of_node", drv->device);
	if (readlink(path, target, sizeof(target) - 1) > 0)
		node = strrchr(target, '/') + 1;
	while (fgets(line, sizeof(line), f)) {
		if (sscanf(line, "%63s", first) != 1)
			continue;
		/* what begins far to the right is one more user of the last */
		if (strspn(line, " ") < 100)
			strcpy(clock, first);
		if (!strstr(line, drv->device) && !strstr(line, node))
			continue;
		if (len + 100 > size)
			break;
		len += snprintf(filter + len, size - len, "%sname == \"%s\"",
				len ? " || " : "", clock);
	}
	fclose(f);
	return len;
}

static void watch_device(void)
{
	char filter[1024];

	write_file(TRACING "events/rpm/enable", "0");
	write_file(TRACING "events/clk/enable", "0");
	if (!drv->hardware)
		return;
	snprintf(filter, sizeof(filter), "name == \"%s\"", drv->device);
	if (write_file(TRACING "events/rpm/filter", filter) ||
	    write_file(TRACING "events/rpm/enable", "1"))
		ksft_print_msg("runtime PM is not watched\n");
	if (!clock_filter(filter, sizeof(filter)) ||
	    write_file(TRACING "events/clk/filter", filter) ||
	    write_file(TRACING "events/clk/enable", "1"))
		ksft_print_msg("clocks are not watched\n");
}

/* The device is gone since the trace was emptied */
static void check_unused(void)
{
	FILE *f = drv->hardware ? fopen(TRACING "trace", "r") : NULL;
	char line[300];

	if (!f)
		return;
	while (fgets(line, sizeof(line), f)) {
		if (line[0] == '#')
			continue;
		line[strcspn(line, "\n")] = 0;
		ksft_print_msg("after the removal: %s\n", line);
		fail_all("used after the removal", line);
	}
	fclose(f);
}

/* ---------------------------------------------------------- the driver */

static bool do_unbind(void)
{
	char path[PATH_MAX];
	struct node *n = NULL;

	if (vr_unbind(goes, NULL) >= 0) {
		write_file(TRACING "trace", "");
		snprintf(path, sizeof(path), VR_DEVICE_PATH, drv->device);
		if (goes != drv && !access(path, F_OK))
			fail_all("removal", "the device is still there");
		while ((n = next_tested(n)))
			check_path(n);
		return true;
	}
	stuck = errno == ETIMEDOUT;
	fail_all("unbind", strerror(errno));
	return false;
}

static bool do_bind(void)
{
	if (vr_bind(goes) >= 0)
		return true;
	stuck = errno == ETIMEDOUT;
	fail_all("bind", strerror(errno));
	return false;
}

/* The module's reference count, or -1 if the driver is built in */
static int module_refs(void)
{
	char path[PATH_MAX], line[32];

	snprintf(path, sizeof(path), "/sys/module/%s/refcnt", module);
	return vr_read_line(path, line, sizeof(line)) ? -1 : atoi(line);
}

/*
 * Wait until what nobody holds any more is freed.  DEBUG_KOBJECT_RELEASE puts
 * off each release by up to 4 s, when it says so, and each may lead to another.
 * Only then may the module go, since a release may be its code: a reference to
 * the module is dropped with the last one to the object, not by its release.
 */
#define RELEASE_MS	5000

static void wait_released(int kmsg)
{
	static const char * const put_off[] = { "kobject_release", NULL };
	__u64 last = 0, end = vr_now_us() + vr_bind_ms * 1000ULL;
	char line[2048];

	do {
		while (vr_kmsg_find(kmsg, put_off, line, sizeof(line)))
			last = vr_now_us();
		vr_nap(50);
	} while (vr_now_us() < end &&
		 ((last && vr_now_us() < last + RELEASE_MS * 1000ULL) ||
		  module_refs() > 0));
}

static long call_unload(struct vr_call *call, void *arg)
{
	return syscall(SYS_delete_module, module, O_NONBLOCK);
}

static long call_load(struct vr_call *call, void *arg)
{
	execlp("modprobe", "modprobe", module, NULL);
	return -1;
}

/* Load or unload the module, in a child as an unbind */
static bool module_call(const char *what,
			long (*fn)(struct vr_call *call, void *arg))
{
	static struct vr_call *call;
	__u64 end = vr_now_us() + vr_bind_ms * 1000ULL;
	int status;

	if (!call)
		call = vr_shared(sizeof(*call));
	vr_start(call, fn, NULL);
	while (!waitpid(call->pid, &status, WNOHANG)) {
		if (vr_now_us() > end) {
			kill(call->pid, SIGKILL);
			call = NULL;	/* it may still write there */
			stuck = true;
			fail_all(what, "does not return");
			return false;
		}
		vr_nap(1);
	}
	if (vr_has_returned(call) && call->ret)
		fail_all(what, strerror(call->err));
	else if (status)
		fail_all(what, "failed");
	else
		return true;
	return false;
}

/* ---------------------------------------------------------- scenarios */

/* What happens after the states were entered, and the driver was unbound */
enum step { END, LEAVE, BIND, USE, HEALTH, UNLOAD };

static const struct scenario {
	const char *name;
	bool closed;	/* left before the unbind */
	enum step steps[8];
	bool device;	/* what goes and comes is the device, by its bus */
} scenarios[] = {
	{ "unbind-rebind", true, { BIND, HEALTH } },
	{ "hot-unbind-rebind", false, { USE, LEAVE, BIND, HEALTH } },
	{ "hot-rebind", false, { BIND, LEAVE, HEALTH } },
	{ "hot-rebind-late-close", false,
	  { BIND, USE, HEALTH, LEAVE, HEALTH } },
	{ "module-unload", false,
	  { BIND, USE, LEAVE, UNLOAD, HEALTH } },
	{ "device-removal", false, { USE, LEAVE, BIND, HEALTH }, true },
	{ "device-removal-late-close", false,
	  { BIND, USE, HEALTH, LEAVE, HEALTH }, true },
};

static void leave_all(void)
{
	struct node *n = NULL;

	while ((n = next_tested(n)))
		leave(n);
}

static bool do_step(enum step step)
{
	struct node *n = NULL;
	int kmsg;
	bool ok;

	switch (step) {
	case LEAVE:
		leave_all();
		return true;
	case BIND:
		check_unused();
		return do_bind();
	case USE:
		while ((n = next_tested(n))) {
			regain(n);
			check_gone(n);
		}
		return true;
	case HEALTH:
		check_health();
		return true;
	case UNLOAD:
		kmsg = vr_kmsg_open();
		ok = do_unbind();
		wait_released(kmsg);
		ok = ok && module_call("unload", call_unload);
		/* the name of the driver is in sysfs until it is released */
		wait_released(kmsg);
		close(kmsg);
		check_unused();
		return ok && module_call("load", call_load);
	default:
		return false;
	}
}

/* An open handle keeps the module; whose handle, is seen one by one */
static void open_nodes(bool unload)
{
	struct node *n = NULL;

	while ((n = next_tested(n))) {
		int refs = unload ? module_refs() : 0;

		open_node(n);
		if (unload && n->result == KSFT_PASS && module_refs() <= refs)
			fail(n, "the module could be unloaded");
	}
}

static void run_round(const struct scenario *sc, const struct state *st)
{
	bool unload = !strcmp(sc->name, "module-unload");
	/* a driver may give a buffer back without its hardware */
	int no_sleep = drv->hardware ? KSFT_SKIP : KSFT_FAIL;
	char line[2048];
	struct node *n = NULL;
	bool any = false;
	__u64 start, deadline;
	int kmsg, i;

	while ((n = next_tested(n)))
		any = true;
	if (!any)
		return;
	kmsg = vr_kmsg_open();
	goes = sc->device ? &bus : drv;
	if (vr_is_bound(drv) || do_bind()) {
		find_nodes();
		vimc_formats();
		open_nodes(unload);
	}
	while ((n = next_tested(n)))
		if (n->result == KSFT_PASS)
			st->enter(n);
	while ((n = next_node(n))) {
		unsigned int c;

		for (c = 0; is_tested(n) && c < n->ncalls; c++)
			if (!vr_wait_asleep(&n->call[c]))
				set_result(n, no_sleep,
					   "%s does not sleep: %s, %ld (%s)",
					   n->what[c], vr_where(&n->call[c]),
					   n->call[c].ret,
					   strerror(n->call[c].err));
		if (n->result == KSFT_SKIP)
			leave(n);
	}
	any = false;
	while ((n = next_tested(n)))
		any = true;
	if (!any) {
		close(kmsg);
		return;
	}
	if (sc->closed)
		leave_all();
	start = vr_now_us();
	if (do_unbind()) {
		deadline = vr_now_us() + VR_CALL_MS * 1000ULL;
		while ((n = next_tested(n))) {
			check_woken(n, start, deadline);
			check_memory(n);
		}
		for (i = 0; !stuck && do_step(sc->steps[i]); i++)
			;
	}
	if (!stuck)
		leave_all();
	while (vr_kmsg_find(kmsg, vr_kmsg_bad, line, sizeof(line))) {
		ksft_print_msg("kernel: %s\n", line);
		fail_all("kernel", line);
	}
	close(kmsg);
}

static void run(const struct scenario *sc, const struct state *st,
		unsigned int *count)
{
	struct node *n = NULL;
	char name[200], *p;

	while ((n = next_node(n))) {
		n->result = KSFT_PASS;
		n->why[0] = 0;
		if (!(st->kinds & K(n->kind)))
			skip(n, "a %s node %s", kind_names[n->kind],
			     st->reason);
		else if (!strcmp(sc->name, "module-unload") &&
			 module_refs() < 0)
			skip(n, "the driver is built in");
	}
	for (round_now = 0; round_now < 2 && !stuck; round_now++)
		run_round(sc, st);
	while ((n = next_node(n))) {
		snprintf(name, sizeof(name), "%s.%s.%s.%s:%s", drv->name,
			 sc->name, st->name, kind_names[n->kind], n->name);
		for (p = name; *p; p++)
			if (*p == ' ')
				*p = '_';
		ksft_test_result_code(n->result, name,
				      n->why[0] ? "%s" : NULL, n->why);
		count[n->result == KSFT_PASS ? 0 :
		      n->result == KSFT_FAIL ? 1 : 2]++;
	}
	fflush(stdout);
}

/* Count the cells; with @count, run them */
static unsigned int run_cells(const char *s, const char *t, unsigned int *count)
{
	unsigned int i, j, cells = 0;

	for (i = 0; i < ARRAY_SIZE(scenarios); i++) {
		if (!vr_chosen(s, scenarios[i].name) ||
		    (scenarios[i].device && !has_bus))
			continue;
		for (j = 0; j < ARRAY_SIZE(states) && !stuck; j++) {
			if (!vr_chosen(t, states[j].name))
				continue;
			cells += nnodes;
			if (count)
				run(&scenarios[i], &states[j], count);
		}
	}
	return cells;
}

static bool start_driver(const struct vr_driver *d)
{
	drv = d;
	nnodes = 0;
	vr_module(d, module, sizeof(module));
	if (!vr_is_bound(drv) && vr_bind(drv) < 0)
		return false;
	has_bus = vr_bus_of(drv, &bus);
	watch_device();
	find_nodes();
	return true;
}

int main(int argc, char **argv)
{
	const char *d = NULL, *s = NULL, *t = NULL;
	struct vr_driver drivers[VR_MAX_DRIVERS];
	unsigned int i, n, cells = 0;
	int opt;

	while ((opt = getopt(argc, argv, "d:s:t:")) != -1) {
		switch (opt) {
		case 'd':
			d = optarg;
			break;
		case 's':
			s = optarg;
			break;
		case 't':
			t = optarg;
			break;
		default:
			fprintf(stderr,
				"usage: %s [-d LIST] [-s LIST] [-t LIST]\n",
				argv[0]);
			return KSFT_FAIL;
		}
	}
	ksft_print_header();
	if (geteuid())
		ksft_exit_skip("needs root\n");
	calls = vr_shared(2 * MAX_NODES * sizeof(*calls));
	if (!calls)
		ksft_exit_fail_perror("mmap");
	n = vr_choose(d, drivers);
	for (i = 0; i < n; i++) {
		if (!vr_has_driver(&drivers[i]) || !start_driver(&drivers[i])) {
			ksft_print_msg("%s: not here\n", drivers[i].name);
			continue;
		}
		ksft_print_msg("%s: %u nodes\n", drv->name, nnodes);
		cells += run_cells(s, t, NULL);
	}
	if (!cells)
		ksft_exit_skip("no such driver, scenario or state here\n");
	ksft_set_plan(cells);
	for (i = 0; i < n && !stuck; i++) {
		unsigned int count[3] = {};

		longest_wake = 0;
		if (!vr_has_driver(&drivers[i]) || !start_driver(&drivers[i]))
			continue;
		run_cells(s, t, count);
		ksft_print_msg("%s: %u passed, %u failed, %u skipped\n",
			       drv->name, count[0], count[1], count[2]);
		ksft_print_msg("%s: removal woke the last call after %llu ms\n",
			       drv->name, longest_wake / 1000);
	}
	if (stuck)
		ksft_exit_fail_msg("%s: unbind, bind or unload hangs\n",
				   drv->name);
	ksft_finished();
}
