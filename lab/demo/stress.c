// SPDX-License-Identifier: GPL-2.0
/*
 * stress DRIVER[,DRIVER...]|all CYCLES [WORKERS [REST]]: WORKERS processes
 * (default: 8, or 4 for each driver) open nodes of the drivers at random and stream
 * (both queues of a m2m device, with requests where it takes them), read, write,
 * poll, wait for events, map, pass DMABUFs from one driver to another, set up
 * subdevs and links, and close, some of it much later.  Under them all the drivers
 * are unbound and bound CYCLES times, each at a moment of its own, so that they
 * overlap, but not sooner than REST milliseconds (default: 200) after the others
 * are bound.
 *
 * Fails if an unbind or a bind does not return in time; if a worker's call is
 * still asleep some seconds after the device it was made on is gone (such a
 * worker is killed and replaced); if a drain was not woken; or if memory, or the
 * highest minor number, has grown once everything is closed and unbound.
 *
 * What calls answered is counted and shown; which errors are fine depends on what
 * else goes on, so they are for the reader.  So are the times of unbinding: with a
 * debug kernel in an emulator, and more processes than processors, they say more
 * about the load than about the driver.
 *
 * The result once more for scripts, as RESULT<TAB>check<TAB>pass|fail<TAB>seen, and
 * what can be drawn as DATA<TAB>...
 */
#include <linux/v4l2-subdev.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "m2m.h"

#define MAX_WORKERS	64
#define MAX_NODES	64
#define MAX_ERRNO	134
#define MAX_KEPT	6
/*
 * All these processes have to run on few processors, so time alone proves nothing:
 * a call that began before the unbind hangs when it is asleep after so long, and
 * in each of so many looks from then on.  One that merely got no processor is
 * runnable.  An unbind may have to wait for such a one, so it gets more looks.
 */
#define LATE_US		(VR_CALL_MS * 1000ULL)
#define LATE_LOOKS	100
#define BIND_US		60000000ULL
#define BIND_LOOKS	3000
#define LOOK_MS		10
/* And whatever the looks say */
#define END_US		600000000ULL

enum op {
	OP_OPEN, OP_IOCTL, OP_CTRL, OP_SETUP, OP_STREAM, OP_DQBUF, OP_READ,
	OP_WRITE, OP_POLL, OP_EPOLL, OP_DQEVENT, OP_REQUEST, OP_CEC, OP_MMAP,
	OP_DMABUF, OP_SUBDEV, OP_GRAPH, OP_SIMULATED, OP_CLOSE, NOPS
};

static const char * const op_names[NOPS] = {
	"open", "ioctl", "control", "set up", "stream", "DQBUF", "read",
	"write", "poll", "epoll", "DQEVENT", "request", "CEC", "mmap",
	"DMABUF", "subdev", "media graph", "simulated disconnect", "close",
};

/* Those that are told to go */
static struct vr_driver drivers[VR_MAX_DRIVERS];
static unsigned int ndrivers;

struct worker {
	pid_t pid;
	/* the call it is in, or NOPS; since when, and on whose node */
	int op;
	__u64 since;
	unsigned int drv;
	char node[32];
	unsigned int looks;	/* main()'s, that found it asleep there */
	int hurried;		/* by main(), until the call ends */
	unsigned int good[NOPS];
	unsigned int bad[NOPS][MAX_ERRNO];
};

static struct shared {
	int stop;
	/* one frame of vicodec's encoder, for its decoders */
	unsigned int frame_lock, frame_len;
	unsigned char frame[1 << 19];
	struct worker worker[MAX_WORKERS];
} *shared;

/* ----------------------------------------------------------- the workers */

static struct worker *me;
static unsigned int drv;	/* whose node it is at */

static void begin(enum op op)
{
	me->since = vr_now_us();
	me->drv = drv;
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
	if (__atomic_exchange_n(&me->hurried, 0, __ATOMIC_SEQ_CST))
		setpriority(PRIO_PROCESS, 0, 0);
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

/* What outlives its device, and is closed at some time, and in some order */
static struct kept {
	int fd;
	unsigned int drv;
	void *mem;
	size_t len;
} kept[MAX_KEPT];

static void let_go(struct kept *k)
{
	unsigned int here = drv;

	drv = k->drv;
	if (k->mem)
		munmap(k->mem, k->len);
	if (k->fd > 0) {
		begin(OP_CLOSE);
		end(close(k->fd));
	}
	drv = here;
	memset(k, 0, sizeof(*k));
}

static void keep(int fd, void *mem, size_t len)
{
	struct kept *k = &kept[rnd(MAX_KEPT)];

	let_go(k);
	*k = (struct kept){ fd, drv, mem, len };
}

/* Now, or late */
static void put(int fd)
{
	if (!rnd(3)) {
		keep(fd, NULL, 0);
		return;
	}
	begin(OP_CLOSE);
	end(close(fd));
}

static bool is(const char *driver)
{
	return !strcmp(drivers[drv].name, driver);
}

/*
 * Small frames: more of them, and User Mode Linux has one mapping of the host for
 * each page.
 */
static void small_format(struct vr_queue *q)
{
	struct v4l2_format f = { .type = q->type };

	if (vr_ioctl(q->fd, VIDIOC_G_FMT, &f))
		return;
	switch (q->type) {
	case V4L2_BUF_TYPE_VIDEO_CAPTURE:
	case V4L2_BUF_TYPE_VIDEO_OUTPUT:
		f.fmt.pix.width = 320;
		f.fmt.pix.height = 180;
		f.fmt.pix.sizeimage = 0;
		break;
	case V4L2_BUF_TYPE_VIDEO_CAPTURE_MPLANE:
	case V4L2_BUF_TYPE_VIDEO_OUTPUT_MPLANE:
		f.fmt.pix_mp.width = 320;
		f.fmt.pix_mp.height = 180;
		f.fmt.pix_mp.plane_fmt[0].sizeimage = 0;
		/* which draws them in a call, and has none below 640x360 by default */
		if (is("visl")) {
			f.fmt.pix_mp.width = 160;
			f.fmt.pix_mp.height = 96;
			if (q->output)
				f.fmt.pix_mp.pixelformat = V4L2_PIX_FMT_MPEG2_SLICE;
		}
		break;
	default:
		return;
	}
	vr_ioctl(q->fd, VIDIOC_S_FMT, &f);
}

/*
 * vimc's scaled node shares a sensor with a raw one, and whichever starts second
 * makes vimc WARN, on the base as well: so only the raw ones stream.  Looked up by
 * number, which is this node's as long as it is open, even if the name is another
 * one's by now.
 */
static bool may_stream(int fd)
{
	char path[64], name[64] = "";
	struct stat st;

	if (fstat(fd, &st))
		return false;
	snprintf(path, sizeof(path), "/sys/dev/char/%u:%u/name",
		 major(st.st_rdev), minor(st.st_rdev));
	vr_read_line(path, name, sizeof(name));
	return strncmp(name, "RGB/YUV Capture", 15);
}

/* The formats along vimc's pipeline do not match by default. */
static bool vimc_format(int fd)
{
	static const char * const sensors[] = { "Sensor A", "Sensor B" };
	struct v4l2_subdev_format sf = {
		.which = V4L2_SUBDEV_FORMAT_ACTIVE,
		.format = {
			.width = 640, .height = 480,
			.code = MEDIA_BUS_FMT_SRGGB8_1X8,
			.field = V4L2_FIELD_NONE,
			.colorspace = V4L2_COLORSPACE_SRGB,
		},
	};
	struct v4l2_format f = { .type = V4L2_BUF_TYPE_VIDEO_CAPTURE };
	unsigned int i;
	char path[64];
	int sd;

	for (i = 0; i < 2; i++) {
		if (!vr_find_video("vimc", sensors[i], path, sizeof(path)))
			continue;
		sd = open(path, O_RDWR | O_CLOEXEC);
		if (sd < 0)
			continue;
		begin(OP_SUBDEV);
		end(vr_ioctl(sd, VIDIOC_SUBDEV_S_FMT, &sf));
		put(sd);
	}
	if (vr_ioctl(fd, VIDIOC_G_FMT, &f))
		return false;
	f.fmt.pix.pixelformat = V4L2_PIX_FMT_SRGGB8;
	f.fmt.pix.width = 640;
	f.fmt.pix.height = 480;
	return !vr_ioctl(fd, VIDIOC_S_FMT, &f);
}

static int set_up(struct vr_queue *q)
{
	int ret;

	begin(OP_SETUP);
	ret = end(vr_queue_alloc(q));
	if (ret)
		vr_queue_unmap(q);
	return ret;
}

static int dequeue(struct vr_queue *q)
{
	begin(OP_DQBUF);
	return end(vr_dqbuf(q));
}

static int queue(struct vr_queue *q, int index)
{
	begin(OP_STREAM);
	return end(vr_qbuf(q, index));
}

static int start(struct vr_queue *q)
{
	begin(OP_STREAM);
	return end(vr_ioctl(q->fd, VIDIOC_STREAMON, &q->type));
}

static void do_stream(int fd)
{
	struct vr_queue q;
	unsigned int i, n;
	int ret;

	begin(OP_SETUP);
	ret = end(vr_queue_init(&q, fd));
	if (ret)
		return;
	if (!is("vimc"))
		small_format(&q);
	else if (!vimc_format(fd))
		return;
	ret = set_up(&q);
	for (i = 0; !ret && i < q.count; i++)
		ret = queue(&q, i);
	if (!ret)
		ret = start(&q);
	n = rnd(8);
	/* blocks for good once no buffer is left: then the unbind ends it */
	for (i = 0; !ret && i < n; i++) {
		int index = dequeue(&q);

		if (index < 0)
			break;
		if (rnd(3))
			ret = queue(&q, index);
	}
	if (q.count && !rnd(4)) {
		/* what is mapped stays, the handle goes */
		keep(-1, q.buf[0].mem, q.buf[0].len);
		q.buf[0].mem = NULL;
	}
	vr_queue_unmap(&q);
}

/* ------------------------------------------------------ mem2mem, requests */

/* As in the driver: what the encoder puts before each frame, big endian */
#define FWHT_HEADER	44
#define FWHT_FLAGS	5	/* 32 bit words into it */

static void frame_lock(void)
{
	while (__atomic_exchange_n(&shared->frame_lock, 1, __ATOMIC_ACQUIRE))
		vr_nap(1);
}

static void frame_unlock(void)
{
	__atomic_store_n(&shared->frame_lock, 0, __ATOMIC_RELEASE);
}

/* Fill an output buffer of a decoder; the flags of the frame, or 0 */
static __u32 put_frame(struct vr_queue *q, unsigned int i, bool header)
{
	unsigned int skip = header ? 0 : FWHT_HEADER, len;
	__u32 flags = 0;

	frame_lock();
	len = shared->frame_len;
	if (len > FWHT_HEADER && len <= q->buf[i].len) {
		memcpy(q->buf[i].mem, shared->frame + skip, len - skip);
		memcpy(&flags, shared->frame + FWHT_FLAGS * 4, sizeof(flags));
	}
	frame_unlock();
	return __builtin_bswap32(flags);
}

static void take_frame(struct vr_queue *q, unsigned int i)
{
	frame_lock();
	if (!shared->frame_len && q->buf[i].len <= sizeof(shared->frame)) {
		memcpy(shared->frame, q->buf[i].mem, q->buf[i].len);
		shared->frame_len = q->buf[i].len;
	}
	frame_unlock();
}

/* Queue an output buffer in a request of its own */
static int queue_request(struct vr_queue *q, unsigned int i, int media)
{
	struct v4l2_ctrl_fwht_params params = {
		.version = V4L2_FWHT_VERSION, .width = 640, .height = 360,
	};
	struct v4l2_ext_control ctrl = {
		.id = V4L2_CID_STATELESS_FWHT_PARAMS,
		.size = sizeof(params), .ptr = &params,
	};
	struct v4l2_ext_controls ctrls = {
		.which = V4L2_CTRL_WHICH_REQUEST_VAL,
		.count = 1, .controls = &ctrl,
	};
	struct pollfd p = { .events = POLLPRI };
	int ret, req;

	begin(OP_REQUEST);
	if (end(ioctl(media, MEDIA_IOC_REQUEST_ALLOC, &req)) < 0)
		return -1;
	if (is("vicodec")) {
		params.flags = put_frame(q, i, false);
		ctrls.request_fd = req;
		begin(OP_CTRL);
		end(ioctl(q->fd, VIDIOC_S_EXT_CTRLS, &ctrls));
	}
	begin(OP_STREAM);
	ret = end(vr_qbuf_req(q, i, req));
	/* at times it is never queued, and only closed */
	if (!ret && rnd(8)) {
		begin(OP_REQUEST);
		ret = end(ioctl(req, MEDIA_REQUEST_IOC_QUEUE, NULL));
		if (!ret && !rnd(4)) {
			p.fd = req;
			begin(OP_POLL);
			end(poll(&p, 1, rnd(2) ? -1 : 20));
		}
	}
	put(req);
	return ret;
}

static void do_m2m(int fd, const char *node, __u32 caps)
{
	struct v4l2_requestbuffers none = { .memory = V4L2_MEMORY_MMAP };
	struct vr_queue in, out;
	char path[64], name[64] = "";
	/* the queue that nobody feeds, if any: then the other one is blocked on */
	enum { BOTH, NO_OUT, NO_CAP, NMODES } mode = rnd(NMODES);
	bool encoder;
	int media = -1, ret, index;
	unsigned int i, n;

	snprintf(path, sizeof(path), "/sys/class/video4linux/%s/name",
		 strrchr(node, '/') + 1);
	vr_read_line(path, name, sizeof(name));
	encoder = strstr(name, "encoder");
	m2m_queue_init(&out, fd, caps, true);
	small_format(&out);
	m2m_queue_init(&in, fd, caps, false);
	small_format(&in);
	none.type = out.type;
	begin(OP_SETUP);
	if (end(vr_ioctl(fd, VIDIOC_REQBUFS, &none)) < 0)
		return;
	if ((none.capabilities & V4L2_BUF_CAP_SUPPORTS_REQUESTS) && rnd(4) &&
	    vr_find_media(drivers[drv].name, "", path, sizeof(path)))
		media = open(path, O_RDWR | O_CLOEXEC);
	ret = set_up(&out);
	if (!ret)
		ret = set_up(&in);
	for (i = 0; !ret && mode != NO_CAP && i < in.count; i++)
		ret = queue(&in, i);
	if (!ret && !rnd(2))
		ret = start(&out) < 0 || start(&in) < 0;
	for (i = 0; !ret && mode != NO_OUT && i < out.count; i++) {
		if (media >= 0) {
			ret = queue_request(&out, i, media);
		} else {
			if (is("vicodec") && !encoder)
				put_frame(&out, i, true);
			ret = queue(&out, i);
		}
	}
	/* a second STREAMON does nothing */
	if (!ret)
		ret = start(&out) < 0 || start(&in) < 0;
	n = rnd(8);
	for (i = 0; !ret && i < n; i++) {
		bool cap = mode == BOTH ? rnd(2) : mode == NO_OUT;

		index = dequeue(cap ? &in : &out);
		if (index < 0)
			break;
		if (cap && encoder)
			take_frame(&in, index);
		if (mode == BOTH && rnd(4) && (cap || media < 0))
			ret = queue(cap ? &in : &out, index);
	}
	if (!rnd(4)) {
		begin(OP_STREAM);
		end(vr_ioctl(fd, VIDIOC_STREAMOFF, rnd(2) ? &in.type :
							    &out.type));
	}
	if (media >= 0)
		put(media);
	vr_queue_unmap(&out);
	vr_queue_unmap(&in);
}

/* ------------------------------------------------------------- the others */

static bool pick(unsigned int d, char *path, size_t size);

/* A buffer of this node, in the output queue of another, of any driver */
static void do_dmabuf(int fd)
{
	struct v4l2_requestbuffers req = {
		.count = 2, .memory = V4L2_MEMORY_DMABUF,
	};
	struct v4l2_exportbuffer exp = { .flags = O_RDWR | O_CLOEXEC };
	unsigned int here = drv;
	struct vr_queue q, other;
	struct vr_buf vb;
	char path[32];
	__u32 m2m;
	int fd2;

	m2m = m2m_caps(fd);
	if (m2m)
		m2m_queue_init(&q, fd, m2m, false);
	else if (vr_queue_init(&q, fd))
		return;
	small_format(&q);
	if (set_up(&q))
		return;
	exp.type = q.type;
	begin(OP_DMABUF);
	if (end(vr_ioctl(fd, VIDIOC_EXPBUF, &exp)) < 0)
		goto unmap;

	drv = rnd(ndrivers);
	if (!pick(drv, path, sizeof(path)))
		goto done;
	begin(OP_OPEN);
	fd2 = end(open(path, O_RDWR | O_CLOEXEC));
	if (fd2 < 0)
		goto done;
	m2m = m2m_caps(fd2);
	if (m2m) {
		m2m_queue_init(&other, fd2, m2m, true);
	} else if (!may_stream(fd2) || vr_queue_init(&other, fd2)) {
		put(fd2);
		goto done;
	}
	small_format(&other);
	req.type = other.type;
	begin(OP_DMABUF);
	if (!end(vr_ioctl(fd2, VIDIOC_REQBUFS, &req))) {
		vr_buf_init(&other, &vb, 0);
		vb.b.memory = V4L2_MEMORY_DMABUF;
		vb.b.field = V4L2_FIELD_NONE;
		if (other.mplane) {
			vb.plane[0].m.fd = exp.fd;
			vb.plane[0].bytesused = q.buf[0].len;
		} else {
			vb.b.m.fd = exp.fd;
			vb.b.bytesused = q.buf[0].len;
		}
		begin(OP_DMABUF);
		if (!end(vr_ioctl(fd2, VIDIOC_QBUF, &vb.b))) {
			start(&other);
			vr_nap(rnd(100));
		}
	}
	put(fd2);
done:
	drv = here;
	if (rnd(2)) {
		keep(exp.fd, q.buf[0].mem, q.buf[0].len);
		q.buf[0].mem = NULL;
	} else {
		close(exp.fd);
	}
unmap:
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
	put(efd);
}

static void do_dqevent(int fd)
{
	struct v4l2_event ev;

	vr_subscribe_ctrl(fd);
	begin(OP_DQEVENT);
	end(ioctl(fd, VIDIOC_DQEVENT, &ev));
}

static void do_subdev(int fd)
{
	struct v4l2_subdev_mbus_code_enum code = {};
	struct v4l2_subdev_capability cap = {};
	struct v4l2_subdev_format f = {};
	unsigned int i, n = rnd(10);

	for (i = 0; i < n; i++) {
		begin(OP_SUBDEV);
		switch (rnd(4)) {
		case 0:
			end(ioctl(fd, VIDIOC_SUBDEV_QUERYCAP, &cap));
			break;
		case 1:
			code.index = rnd(4);
			end(ioctl(fd, VIDIOC_SUBDEV_ENUM_MBUS_CODE, &code));
			break;
		default:
			f.which = rnd(2) ? V4L2_SUBDEV_FORMAT_TRY :
					   V4L2_SUBDEV_FORMAT_ACTIVE;
			f.pad = rnd(2);
			if (!end(ioctl(fd, VIDIOC_SUBDEV_G_FMT, &f)) &&
			    rnd(2)) {
				begin(OP_SUBDEV);
				end(ioctl(fd, VIDIOC_SUBDEV_S_FMT, &f));
			}
		}
	}
	if (!rnd(3))
		do_dqevent(fd);
	else if (!rnd(2))
		do_poll(fd);
}

static void do_graph(int fd)
{
	struct media_entity_desc e = { .id = MEDIA_ENT_ID_FLAG_NEXT };
	struct media_link_desc links[16] = {};
	struct media_links_enum l = { .links = links };
	struct media_v2_topology t = {};

	begin(OP_GRAPH);
	end(ioctl(fd, MEDIA_IOC_G_TOPOLOGY, &t));
	for (;;) {
		begin(OP_GRAPH);
		if (end(ioctl(fd, MEDIA_IOC_ENUM_ENTITIES, &e)) < 0)
			break;
		if (e.links && e.links <= 16) {
			l.entity = e.id;
			begin(OP_GRAPH);
			if (!end(ioctl(fd, MEDIA_IOC_ENUM_LINKS, &l))) {
				/* as it is, and what is not allowed to be */
				if (rnd(2))
					links[0].flags ^= MEDIA_LNK_FL_ENABLED;
				begin(OP_GRAPH);
				end(ioctl(fd, MEDIA_IOC_SETUP_LINK, links));
			}
		}
		e.id |= MEDIA_ENT_ID_FLAG_NEXT;
	}
}

static void do_media(int fd)
{
	int req;

	if (rnd(2))
		do_graph(fd);
	begin(OP_REQUEST);
	if (end(ioctl(fd, MEDIA_IOC_REQUEST_ALLOC, &req)) < 0)
		return;
	if (rnd(2))
		vr_nap(rnd(50));
	begin(OP_REQUEST);
	end(ioctl(req, rnd(2) ? MEDIA_REQUEST_IOC_REINIT :
				MEDIA_REQUEST_IOC_QUEUE));
	/* it may outlive everything else */
	put(req);
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
	unsigned int what;
	__u32 m2m;
	void *mem;

	if (strstr(path, "subdev")) {
		do_subdev(fd);
		return;
	}
	if (strstr(path, "media")) {
		do_media(fd);
		return;
	}
	if (strstr(path, "cec")) {
		do_cec(fd);
		return;
	}
	what = rnd(20);
	/* nothing that starts it, as poll() does, too */
	if (!may_stream(fd))
		what = 12 + rnd(4);
	switch (what) {
	case 0 ... 5:
		m2m = m2m_caps(fd);
		if (m2m)
			do_m2m(fd, path, m2m);
		else
			do_stream(fd);
		break;
	case 6 ... 8:
		do_io(fd);
		break;
	case 9 ... 11:
		do_poll(fd);
		break;
	case 12 ... 13:
		do_dqevent(fd);
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
		if (rnd(4) || !is("vivid"))
			break;
		begin(OP_SIMULATED);
		end(vr_set_ctrl(fd, VR_CID_DISCONNECT, 1));
		break;
	case 17:
		do_dmabuf(fd);
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

/* A node of driver @d, or false */
static bool pick(unsigned int d, char *path, size_t size)
{
	const struct vr_driver *drv = &drivers[d];
	struct list list = {};

	if (!vr_for_each(VR_VIDEO, drv->name, drv->device, add_node, &list) &&
	    !vr_for_each(VR_MEDIA, drv->name, drv->device, add_node, &list))
		vr_for_each(VR_CEC, drv->name, drv->device, add_node, &list);
	if (!list.n)
		return false;
	snprintf(path, size, "%s", list.path[rnd(list.n)]);
	return true;
}

static void __attribute__((noreturn)) worker(void)
{
	char path[32];
	unsigned int i;
	int fd;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	srandom(getpid());
	while (!__atomic_load_n(&shared->stop, __ATOMIC_SEQ_CST)) {
		drv = rnd(ndrivers);
		if (!pick(drv, path, sizeof(path))) {
			vr_nap(10);
			continue;
		}
		snprintf(me->node, sizeof(me->node), "%s", path);
		begin(OP_OPEN);
		fd = end(open(path, O_RDWR | O_CLOEXEC |
				    (rnd(4) ? 0 : O_NONBLOCK)));
		if (fd < 0) {
			vr_nap(20);
			continue;
		}
		use_node(fd, path);
		put(fd);
	}
	for (i = 0; i < MAX_KEPT; i++)
		let_go(&kept[i]);
	_exit(0);
}

/* --------------------------------------------------------------- memory */

#define MAX_FIGURES	400

/* Objects in each slab cache, and some of /proc/meminfo in KiB */
struct figures {
	unsigned int n;
	struct figure {
		char name[48];
		bool kib;
		long value;
	} f[MAX_FIGURES];
};

/*
 * KASAN keeps what was freed in quarantine, and SLUB keeps free objects at hand:
 * shrinking a cache gives up both, and dentries and inodes are only cached.
 */
static void shrink(void)
{
	char path[PATH_MAX];
	struct dirent *de;
	DIR *d;
	int fd;

	fd = open("/proc/sys/vm/drop_caches", O_WRONLY | O_CLOEXEC);
	if (fd >= 0) {
		if (write(fd, "2", 1) < 0)
			perror("drop_caches");
		close(fd);
	}
	d = opendir("/sys/kernel/slab");
	while (d && (de = readdir(d))) {
		snprintf(path, sizeof(path), "/sys/kernel/slab/%s/shrink",
			 de->d_name);
		fd = open(path, O_WRONLY | O_CLOEXEC);
		if (fd < 0)
			continue;
		if (write(fd, "1", 1) < 0)
			perror(path);
		close(fd);
	}
	if (d)
		closedir(d);
}

static long figure(const struct figures *fs, const char *name)
{
	unsigned int i;

	for (i = 0; i < fs->n; i++)
		if (!strcmp(fs->f[i].name, name))
			return fs->f[i].value;
	return 0;
}

static void add_meminfo(struct figures *fs)
{
	static const char * const wanted[] = {
		"Slab:", "VmallocUsed:", "Percpu:", "MemFree:",
	};
	char line[512];
	struct figure *f;
	unsigned int i;
	FILE *file;

	file = fopen("/proc/meminfo", "r");
	while (file && fs->n < MAX_FIGURES && fgets(line, sizeof(line), file)) {
		f = &fs->f[fs->n];
		f->kib = true;
		if (sscanf(line, "%47s %ld", f->name, &f->value) != 2)
			continue;
		for (i = 0; i < sizeof(wanted) / sizeof(wanted[0]); i++)
			if (!strcmp(f->name, wanted[i]))
				fs->n++;
	}
	if (file)
		fclose(file);
}

/*
 * What is in no cache, as kmalloc() of more than two pages: the state of a driver
 * may well be that large.  It is what the sum has more than all caches.
 */
static void add_large(struct figures *fs, long cached_kib)
{
	struct figure *f = &fs->f[fs->n];

	if (fs->n == MAX_FIGURES)
		return;
	snprintf(f->name, sizeof(f->name), "large objects:");
	f->kib = true;
	f->value = figure(fs, "Slab:") - cached_kib;
	fs->n++;
}

static bool get_figures(struct figures *fs)
{
	long page_kib = sysconf(_SC_PAGESIZE) / 1024, cached_kib = 0;
	long pages, slabs;
	char line[512];
	struct figure *f;
	FILE *file;

	shrink();
	fs->n = 0;
	file = fopen("/proc/slabinfo", "r");
	if (!file)
		return false;
	while (fs->n < MAX_FIGURES && fgets(line, sizeof(line), file)) {
		f = &fs->f[fs->n];
		f->kib = false;
		if (line[0] == '#' ||
		    sscanf(line, "%47s %ld %*d %*d %*d %ld : tunables %*d %*d %*d : slabdata %*d %ld",
			   f->name, &f->value, &pages, &slabs) != 4)
			continue;
		cached_kib += slabs * pages * page_kib;
		fs->n++;
	}
	fclose(file);
	add_meminfo(fs);
	add_large(fs, cached_kib);
	return cached_kib > 0;
}

/* For a plot: with all that is open and bound at the moment */
static void sample_memory(unsigned int cycles)
{
	static struct figures fs;
	unsigned int i;

	fs.n = 0;
	add_meminfo(&fs);
	for (i = 0; i < fs.n; i++)
		printf("DATA\tmemory\t%u\t%s\t%ld\n", cycles, fs.f[i].name,
		       fs.f[i].value);
}

/*
 * Not memory of the drivers: areas of vmalloc() are given back in bulk, after some
 * 32 MiB (VmallocUsed counts exactly); what kmemleak and debugobjects keep is about
 * other memory.  Nor is the sum of all caches and large objects, which are counted
 * by themselves, nor what is free, which is what all the rest leaves.
 */
static bool is_counted(const struct figure *f)
{
	static const char * const others[] = {
		"vmap_area", "kmemleak_object", "kmemleak_scan_area",
		"debug_objects_cache", "Slab:", "MemFree:",
	};
	unsigned int i;

	for (i = 0; i < sizeof(others) / sizeof(others[0]); i++)
		if (!strcmp(f->name, others[i]))
			return false;
	return true;
}

/*
 * The tolerance.  What leaks with every cycle leaks at least one object, or one
 * page, in each: half of that is too much.  Below some absolute number it is noise:
 * the kernel's own threads, a log line, this process; a slab that one object keeps.
 * Noise does not grow with the cycles: with many of them, what leaks more seldom
 * shows as well.  Per-CPU objects can be small, and are counted by the chunk.
 */
static long too_much(const struct figure *f, unsigned int cycles)
{
	long noise = f->kib ? 2048 : 128;
	long tolerated = (f->kib ? 4L : 1L) * cycles / 2;

	if (!strcmp(f->name, "Percpu:"))
		return 256;
	if (tolerated < noise)
		return noise;
	return tolerated < 4 * noise ? tolerated : 4 * noise;
}

/* What came nearest to its tolerance, below or above */
static void print_nearest(const struct figures *before,
			  const struct figures *after, unsigned int cycles)
{
	const struct figure *nearest = NULL;
	unsigned int i;
	long most = 0;

	for (i = 0; i < after->n; i++) {
		const struct figure *f = &after->f[i];
		long grew = f->value - figure(before, f->name);
		long permille = 1000 * grew / too_much(f, cycles);

		if (is_counted(f) && permille > most) {
			most = permille;
			nearest = f;
		}
	}
	if (nearest)
		printf("memory: nearest to its limit: %s, %+ld, with %ld it fails\n",
		       nearest->name,
		       nearest->value - figure(before, nearest->name),
		       too_much(nearest, cycles));
}

/* Prints what grew; returns how many figures did */
static unsigned int grown(const struct figures *before,
			  const struct figures *after, unsigned int cycles)
{
	unsigned int i, n = 0;

	for (i = 0; i < after->n; i++) {
		const struct figure *f = &after->f[i];
		long was = figure(before, f->name);

		if (!is_counted(f) || f->value - was < too_much(f, cycles))
			continue;
		n++;
		printf("memory: %s was %ld%s, is %ld after %u cycles\n", f->name,
		       was, f->kib ? " KiB" : "", f->value, cycles);
	}
	return n;
}

#define SETTLE_US	90000000ULL

/*
 * All is closed and unbound.  DEBUG_KOBJECT_RELEASE delays each release by up to
 * 4 s, parents after their children: so what is measured here falls for a while.
 * What counts is what it has fallen to when it does not for 8 s.
 */
static bool settled(struct figures *fs)
{
	__u64 end = vr_now_us() + SETTLE_US, still = vr_now_us() + 8000000;
	struct figures now;

	if (!get_figures(fs))
		return false;
	now = *fs;	/* if reading them took all the time */
	while (vr_now_us() < still && vr_now_us() < end) {
		unsigned int i;

		vr_nap(2000);
		get_figures(&now);
		for (i = 0; i < fs->n; i++)
			if (!fs->f[i].kib && figure(&now, fs->f[i].name) + 16 <
					     fs->f[i].value)
				break;
		if (i < fs->n) {
			*fs = now;
			still = vr_now_us() + 8000000;
		}
	}
	*fs = now;
	return true;
}

/* ---------------------------------------------------- drains and minors */

#define TRACING		"/sys/kernel/tracing/"

/* How long each cdev_drain() waited */
static struct {
	int fd;
	unsigned int n, room;
	__u32 *us;
	char text[8192];
	size_t len;
	unsigned int lost;	/* times that events were */
} drains = { .fd = -1 };

/*
 * cdev_drain() looks for itself after 10 s, and the kernel complains if it has to
 * go on.  If it ends then, nobody has woken it.
 */
#define UNWOKEN_US	9000000

static void start_drains(void)
{
	int fd = open(TRACING "events/cdev/cdev_drain_end/enable",
		      O_WRONLY | O_CLOEXEC);

	if (fd < 0 || write(fd, "1", 1) < 0) {
		printf("drains: this kernel has no trace event for them\n");
		return;
	}
	close(fd);
	drains.fd = open(TRACING "trace_pipe",
			 O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	if (drains.fd < 0)
		perror(TRACING "trace_pipe");
}

static void add_drain(const char *line)
{
	const char *ns = strstr(line, "waited_ns=");

	if (strstr(line, "LOST"))
		drains.lost++;
	if (!ns)
		return;
	if (drains.n == drains.room) {
		drains.room = drains.room * 2 + 1024;
		drains.us = realloc(drains.us, drains.room * sizeof(__u32));
		if (!drains.us) {
			perror("drains");
			exit(2);
		}
	}
	drains.us[drains.n++] = atoll(ns + strlen("waited_ns=")) / 1000;
}

/* The kernel keeps some ten thousand of them: to be called after each round */
static void read_drains(void)
{
	char *line, *end;
	ssize_t ret;

	if (drains.fd < 0)
		return;
	while ((ret = read(drains.fd, drains.text + drains.len,
			   sizeof(drains.text) - 1 - drains.len)) > 0) {
		drains.len += ret;
		drains.text[drains.len] = '\0';
		for (line = drains.text; (end = strchr(line, '\n')); line = end + 1) {
			*end = '\0';
			add_drain(line);
		}
		drains.len -= line - drains.text;
		memmove(drains.text, line, drains.len);
	}
}

/* Of the nodes that there are */
static int highest_minor(void)
{
	int minor, highest = -1;
	char path[PATH_MAX];
	struct dirent *de;
	FILE *file;
	DIR *d;

	d = opendir("/sys/class/video4linux");
	while (d && (de = readdir(d))) {
		snprintf(path, sizeof(path), "/sys/class/video4linux/%s/dev",
			 de->d_name);
		file = fopen(path, "r");
		if (!file)
			continue;
		if (fscanf(file, "%*d:%d", &minor) == 1 && minor > highest)
			highest = minor;
		fclose(file);
	}
	if (d)
		closedir(d);
	return highest;
}

/* -------------------------------------------------------- unbind and bind */

static unsigned int nworkers, hung, died;

static void spawn(struct worker *w)
{
	pid_t pid;

	w->op = NOPS;
	w->looks = 0;
	w->hurried = 0;
	pid = fork();
	if (!pid) {
		me = w;
		worker();
	}
	w->pid = pid;
}

/* Is it in a call on @d, which began before that was unbound? */
static bool is_late(struct worker *w, unsigned int d, __u64 unbound)
{
	return w->pid > 0 &&
	       __atomic_load_n(&w->op, __ATOMIC_SEQ_CST) != NOPS &&
	       w->since < unbound && w->drv == d;
}

static bool is_asleep(pid_t pid)
{
	char path[64], line[512], *p;

	snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	if (vr_read_line(path, line, sizeof(line)))
		return false;
	p = strrchr(line, ')');
	return p && (!strncmp(p, ") S", 3) || !strncmp(p, ") D", 3));
}

/* Is the call of @w still asleep, although it was to end at @since? */
static bool hangs(struct worker *w, __u64 since)
{
	__u64 now = vr_now_us();

	if (now < since + LATE_US)
		return false;
	w->looks = is_asleep(w->pid) ? w->looks + 1 : 0;
	return w->looks >= LATE_LOOKS || now > since + END_US;
}

/* Kill it; say so only once for each call of each driver */
static void end_hung(struct worker *w)
{
	static unsigned int said[VR_MAX_DRIVERS][NOPS];
	__u64 limit = vr_now_us() + END_US;
	int op = w->op;

	hung++;
	if (op < NOPS && !said[w->drv][op]++)
		printf("%s: in %s of %s for %llu s, in spite of the unbind\n",
		       drivers[w->drv].name, op_names[op], w->node,
		       (vr_now_us() - w->since) / 1000000);
	kill(w->pid, SIGKILL);
	while (waitpid(w->pid, NULL, WNOHANG) == 0) {
		if (vr_now_us() > limit) {
			printf("%s: and not even SIGKILL ends it\n", w->node);
			break;
		}
		vr_nap(1);
	}
	w->pid = 0;
}

static void reap(bool replace)
{
	unsigned int i;
	int st;

	for (i = 0; i < nworkers; i++) {
		struct worker *w = &shared->worker[i];

		if (w->pid > 0 && waitpid(w->pid, &st, WNOHANG) == w->pid) {
			w->pid = 0;
			if (st) {
				printf("a worker died (status 0x%x)\n", st);
				died++;
			}
		}
		if (replace && !w->pid)
			spawn(w);
	}
}

/* What one driver goes through in each round */
struct cycle {
	enum { REST, UNBINDING, BINDING, ENDING, DONE } state;
	__u64 at;		/* when the state began, or rest ends */
	__u64 unbound;		/* when its unbind was begun */
	struct vr_call *call;
	struct vr_bind_arg arg;
	unsigned int looks;	/* that found the unbind or bind asleep */
	unsigned int n;
	__u32 *ms;		/* of each unbind */
	__u32 bind_ms;		/* the longest */
	const char *stuck;
};

static struct cycle cycle[VR_MAX_DRIVERS];
static unsigned int rest_ms = 200;

/*
 * What unbinds, and who is at the driver's nodes and may have to be waited for, go
 * ahead of the rest: so the time is that of their calls, and not of all that wants
 * the CPU.
 */
static void hurry(unsigned int d)
{
	unsigned int i;

	for (i = 0; i < nworkers; i++) {
		struct worker *w = &shared->worker[i];

		if (w->pid <= 0 || w->drv != d)
			continue;
		__atomic_store_n(&w->hurried, 1, __ATOMIC_SEQ_CST);
		setpriority(PRIO_PROCESS, w->pid, -20);
	}
}

static long bind_call(struct vr_call *call, void *arg)
{
	setpriority(PRIO_PROCESS, 0, -20);
	return vr_bind_call(call, arg);
}

static void begin_bind(struct cycle *c, const char *file)
{
	c->arg.file = file;
	c->at = vr_now_us();
	c->looks = 0;
	vr_start(c->call, bind_call, &c->arg);
}

/* Has it returned?  If it failed, or did not in time, the round ends there */
static bool bind_returned(struct cycle *c)
{
	if (!vr_wait_returned(c->call, 0)) {
		__u64 us = vr_now_us() - c->at;

		if (us < BIND_US)
			return false;
		c->looks = is_asleep(c->call->pid) ? c->looks + 1 : 0;
		if (c->looks < BIND_LOOKS && us < END_US)
			return false;
		printf("%s: %s did not return in %llu s: %s\n",
		       c->arg.drv->name, c->arg.file, us / 1000000,
		       vr_where(c->call));
		c->stuck = c->arg.file;
	} else if (c->call->ret) {
		printf("%s: %s failed: %s\n", c->arg.drv->name, c->arg.file,
		       strerror(c->call->err));
		c->stuck = c->arg.file;
	}
	return true;
}

static void step(unsigned int d, bool rebind)
{
	struct cycle *c = &cycle[d];
	unsigned int i, late = 0;
	__u64 now = vr_now_us();

	switch (c->state) {
	case REST:
		if (now < c->at)
			break;
		c->state = UNBINDING;
		c->unbound = now;
		begin_bind(c, "unbind");
		hurry(d);
		break;
	case UNBINDING:
		if (!bind_returned(c))
			break;
		c->ms[c->n++] = ((c->stuck ? now : c->call->when) - c->at) /
				1000;
		c->state = rebind && !c->stuck ? BINDING : ENDING;
		if (c->state == BINDING)
			begin_bind(c, "bind");
		else
			c->at = now;
		break;
	case BINDING:
		if (!bind_returned(c))
			break;
		if (!c->stuck && (c->call->when - c->at) / 1000 > c->bind_ms)
			c->bind_ms = (c->call->when - c->at) / 1000;
		c->state = ENDING;
		c->at = now;
		break;
	case ENDING:
		/* old calls are to end, whether it is bound again or not */
		for (i = 0; i < nworkers; i++) {
			struct worker *w = &shared->worker[i];

			if (!is_late(w, d, c->unbound)) {
				if (w->drv == d)
					w->looks = 0;
				continue;
			}
			late++;
			if (hangs(w, c->at)) {
				end_hung(w);
				if (rebind)
					spawn(w);
			}
		}
		if (!late)
			c->state = DONE;
		break;
	case DONE:
		break;
	}
}

/* Unbind all of them and, unless it is the last time, bind them again */
static bool run_round(bool rebind)
{
	unsigned int d, done;
	bool good = true;

	for (d = 0; d < ndrivers; d++) {
		cycle[d].state = REST;
		/* some of them at the same time, the others apart */
		cycle[d].at = vr_now_us() + 1000 * (rest_ms + 200 * rnd(4));
	}
	if (!rebind)
		__atomic_store_n(&shared->stop, 1, __ATOMIC_SEQ_CST);
	do {
		reap(rebind);
		for (done = 0, d = 0; d < ndrivers; d++) {
			step(d, rebind);
			done += cycle[d].state == DONE;
		}
		vr_nap(LOOK_MS);
	} while (done < ndrivers);
	for (d = 0; d < ndrivers; d++)
		good &= !cycle[d].stuck;
	return good;
}

/* After the last round: nobody has a reason left */
static void end_workers(void)
{
	__u64 since = vr_now_us();
	unsigned int i, left;

	do {
		reap(false);
		for (left = 0, i = 0; i < nworkers; i++) {
			struct worker *w = &shared->worker[i];

			if (w->pid <= 0)
				continue;
			left++;
			if (w->op == NOPS)
				w->looks = 0;
			if (hangs(w, since))
				end_hung(w);
		}
		vr_nap(LOOK_MS);
	} while (left);
}

static bool bind_all(void)
{
	unsigned int d;

	for (d = 0; d < ndrivers; d++)
		if (vr_bind(&drivers[d]) < 0)
			cycle[d].stuck = "the last bind";
	for (d = 0; d < ndrivers; d++)
		if (cycle[d].stuck)
			return false;
	return true;
}

/* @cycles times, under load; at the end all is unbound and closed */
static bool run(unsigned int cycles)
{
	unsigned int i, every = cycles / 100 + 1;
	bool good = true;

	__atomic_store_n(&shared->stop, 0, __ATOMIC_SEQ_CST);
	for (i = 0; i < nworkers; i++)
		spawn(&shared->worker[i]);
	for (i = 1; good && i <= cycles; i++) {
		good = run_round(i < cycles);
		read_drains();
		if (i % every == 0)
			sample_memory(i);
	}
	if (!good) {
		for (i = 0; i < nworkers; i++)
			if (shared->worker[i].pid > 0)
				kill(shared->worker[i].pid, SIGKILL);
		return false;
	}
	end_workers();
	return true;
}

/* -------------------------------------------------------------- the rest */

static int compare(const void *a, const void *b)
{
	__u32 x = *(__u32 *)a, y = *(__u32 *)b;

	return x < y ? -1 : x > y;
}

/* For a plot: how many are below each power of two, and not below the one before */
static void histogram(const char *what, const char *unit, const __u32 *sorted,
		      unsigned int n)
{
	unsigned int i = 0, from;
	__u64 limit;

	for (limit = 1; i < n; limit *= 2) {
		for (from = i; i < n && sorted[i] < limit; i++)
			;
		printf("DATA\t%s\t%llu\t%s\t%u\n", what, limit, unit, i - from);
	}
}

/* All in order? */
static bool report_drains(void)
{
	__u32 *us = drains.us;
	bool good;

	if (!drains.n)
		return true;
	qsort(us, drains.n, sizeof(us[0]), compare);
	printf("drains   %u: min %u, median %u, p99 %u, max %u us\n", drains.n,
	       us[0], us[drains.n / 2], us[(drains.n * 99ULL - 1) / 100],
	       us[drains.n - 1]);
	histogram("drain", "us", us, drains.n);
	good = us[drains.n - 1] < UNWOKEN_US && !drains.lost;
	printf("RESULT\tdrains\t%s\t%u, longest %u us, events lost %u times\n",
	       good ? "pass" : "fail", drains.n, us[drains.n - 1], drains.lost);
	return good;
}

static void report(void)
{
	unsigned int op, err, i, d, sum;

	for (op = 0; op < NOPS; op++) {
		for (sum = 0, i = 0; i < nworkers; i++)
			sum += shared->worker[i].good[op];
		printf("%-20s %6u good", op_names[op], sum);
		for (err = 0; err < MAX_ERRNO; err++) {
			for (sum = 0, i = 0; i < nworkers; i++)
				sum += shared->worker[i].bad[op][err];
			if (sum)
				printf(", %u %s", sum, err ?
				       strerrorname_np(err) : "?");
		}
		printf("\n");
	}
	for (d = 0; d < ndrivers; d++) {
		struct cycle *c = &cycle[d];
		unsigned int slow = 0;

		if (!c->n)
			continue;
		qsort(c->ms, c->n, sizeof(c->ms[0]), compare);
		for (i = 0; i < c->n; i++)
			slow += c->ms[i] > 1000;
		printf("%-8s %u unbinds: min %u, median %u, p99 %u, max %u ms, %u above 1 s; longest bind %u ms\n",
		       drivers[d].name, c->n, c->ms[0], c->ms[c->n / 2],
		       c->ms[(c->n * 99 - 1) / 100], c->ms[c->n - 1], slow,
		       c->bind_ms);
		histogram(drivers[d].name, "ms", c->ms, c->n);
	}
}

static void usage(const char *self)
{
	fprintf(stderr,
		"usage: %s DRIVER[,DRIVER...]|all CYCLES [WORKERS [REST]]\n",
		self);
	exit(2);
}

static void parse(char **argv, int argc)
{
	ndrivers = vr_choose(strcmp(argv[1], "all") ? argv[1] : NULL, drivers);
	nworkers = ndrivers == 1 ? 8 : 4 * ndrivers;
	if (argc > 3)
		nworkers = atoi(argv[3]);
	if (argc > 4)
		rest_ms = atoi(argv[4]);
	if (!ndrivers || !nworkers || nworkers > MAX_WORKERS)
		usage(argv[0]);
}

int main(int argc, char **argv)
{
	static struct figures before, after;
	unsigned int d, warm, cycles, n = 0, i, count = 0;
	const char *stuck = NULL, *memory = "pass", *calls = "pass";
	unsigned int opened = 0, called = 0;
	int minor, minor_after = -1;
	__u32 longest = 0;
	bool good, woken;

	if (argc < 3)
		usage(argv[0]);
	cycles = atoi(argv[2]);
	if (!cycles)
		usage(argv[0]);
	parse(argv, argc);
	setvbuf(stdout, NULL, _IOLBF, 0);
	srandom(getpid());
	vr_bind_ms = END_US / 1000;
	shared = vr_shared(sizeof(*shared));
	if (!shared)
		return 2;
	for (d = 0; d < ndrivers; d++) {
		struct cycle *c = &cycle[d];

		if (!vr_is_bound(&drivers[d])) {
			fprintf(stderr, "%s is not bound to %s\n",
				drivers[d].device, drivers[d].name);
			return 2;
		}
		c->arg.drv = &drivers[d];
		c->call = vr_shared(sizeof(*c->call));
		c->ms = calloc(cycles, sizeof(*c->ms));
		if (!c->call || !c->ms)
			return 2;
	}

	minor = highest_minor();
	start_drains();
	/* The first cycles fill caches of all kinds: memory is compared after */
	warm = cycles >= 20 ? 5 : cycles > 1 ? 1 : 0;
	good = true;
	if (warm) {
		good = run(warm) && settled(&before) && bind_all();
		cycles -= warm;
	}
	if (good)
		good = run(cycles);
	if (good && warm) {
		good = settled(&after);
		n = grown(&before, &after, cycles);
		print_nearest(&before, &after, cycles);
		for (i = 0; i < after.n; i++)
			if (after.f[i].kib)
				printf("memory: %s %ld KiB after %u cycles, %+ld after %u more\n",
				       after.f[i].name,
				       figure(&before, after.f[i].name), warm,
				       after.f[i].value -
				       figure(&before, after.f[i].name),
				       cycles);
	}
	if (n || !good)
		memory = "fail";
	if (good) {
		/* as long as DEBUG_KOBJECT_RELEASE may keep one */
		vr_nap(5000);
		good = bind_all();
		minor_after = highest_minor();
	}
	report();
	woken = report_drains();
	for (d = 0; d < ndrivers; d++) {
		struct cycle *c = &cycle[d];

		count += c->n;
		if (c->stuck)
			stuck = c->stuck;
		if (c->n && c->ms[c->n - 1] > longest)
			longest = c->ms[c->n - 1];
	}
	good &= !stuck;
	printf("RESULT\tunbind under load\t%s\t%u of %u, longest %u ms%s%s\n",
	       good ? "pass" : "fail", count - !!stuck,
	       (warm + cycles) * ndrivers, longest,
	       stuck ? ", stuck in " : "", stuck ? stuck : "");
	if (warm)
		printf("RESULT\tmemory after load\t%s\t%u figures of %u grew\n",
		       memory, n, after.n);
	if (good)
		printf("RESULT\tminor numbers\t%s\thighest %d, after load %d\n",
		       minor_after > minor ? "fail" : "pass", minor,
		       minor_after);
	/* or it was not under load */
	for (i = 0; i < nworkers; i++) {
		opened += shared->worker[i].good[OP_OPEN];
		called += shared->worker[i].good[OP_IOCTL];
	}
	if (hung || died || opened < cycles || called < cycles)
		calls = "fail";
	printf("RESULT\tcalls under load\t%s\t%u hung, %u of %u workers died, nodes opened %u times\n",
	       calls, hung, died, nworkers, opened);
	return !good || !woken || !strcmp(calls, "fail") || n ||
	       minor_after > minor;
}
