// SPDX-License-Identifier: GPL-2.0
/*
 * frames NODE COUNT [OUTPUT [CAPTURE]]: stream, and print "frame" for each captured
 * buffer, or "failed" if it has the error flag; after COUNT of them stop, 0 is never.
 * A mem2mem device is fed with what its buffers hold, in those pixel formats.
 */
#include <glob.h>
#include <linux/media.h>
#include <poll.h>

#include "../demo/m2m.h"

static const char *node;

static int die(const char *what)
{
	printf("%s: %s\n", what, strerror(errno));
	return 1;
}

/* small, and in that pixel format, if the driver likes it */
static int set_format(struct vr_queue *q, const char *fourcc)
{
	struct v4l2_format f = { .type = q->type };

	if (vr_ioctl(q->fd, VIDIOC_G_FMT, &f))
		return -1;
	if (q->mplane) {
		f.fmt.pix_mp.width = 320;
		f.fmt.pix_mp.height = 240;
		f.fmt.pix_mp.field = V4L2_FIELD_ANY;
	} else {
		f.fmt.pix.width = 320;
		f.fmt.pix.height = 240;
		f.fmt.pix.field = V4L2_FIELD_ANY;
	}
	if (fourcc) {
		__u32 p = v4l2_fourcc(fourcc[0], fourcc[1], fourcc[2], fourcc[3]);

		if (q->mplane)
			f.fmt.pix_mp.pixelformat = p;
		else
			f.fmt.pix.pixelformat = p;
	}
	return vr_ioctl(q->fd, VIDIOC_S_FMT, &f);
}

/* The media device of the node's device */
static int open_media(void)
{
	char path[64];
	glob_t g;
	int fd;

	snprintf(path, sizeof(path), "/sys/class/video4linux/%.16s/device/media[0-9]*",
		 strrchr(node, '/') + 1);
	if (glob(path, 0, NULL, &g))
		return -1;
	snprintf(path, sizeof(path), "/dev/%.16s", strrchr(g.gl_pathv[0], '/') + 1);
	fd = open(path, O_RDWR);
	globfree(&g);
	return fd;
}

/* Queue; a stateless decoder wants a request with each frame */
static int give(struct vr_queue *q, unsigned int index)
{
	static int media = -1;
	int req, ret;

	ret = vr_qbuf(q, index);
	if (!ret || errno != EBADR)
		return ret;
	if (media < 0)
		media = open_media();
	if (media < 0 || ioctl(media, MEDIA_IOC_REQUEST_ALLOC, &req))
		return -1;
	ret = vr_qbuf_req(q, index, req);
	if (!ret)
		ret = ioctl(req, MEDIA_REQUEST_IOC_QUEUE, NULL);
	close(req);
	return ret;
}

/* Allocate and queue all */
static int set_up(struct vr_queue *q)
{
	unsigned int i;

	if (vr_queue_alloc(q))
		return die("REQBUFS");
	for (i = 0; i < q->count; i++)
		if (give(q, i))
			return die("QBUF");
	return 0;
}

/* Take a buffer, tell, and give it back */
static int turn(struct vr_queue *q, bool tell)
{
	struct vr_buf vb;

	vr_buf_init(q, &vb, 0);
	if (ioctl(q->fd, VIDIOC_DQBUF, &vb.b))
		return die("DQBUF");
	if (tell)
		puts(vb.b.flags & V4L2_BUF_FLAG_ERROR ? "failed" : "frame");
	return give(q, vb.b.index) ? die("QBUF") : 0;
}

int main(int argc, char **argv)
{
	struct vr_queue cap, out;
	unsigned int n = 0, count;
	struct pollfd p = { .events = POLLIN };
	__u32 caps;

	if (argc < 3) {
		fprintf(stderr, "usage: %s NODE COUNT [OUTPUT [CAPTURE]]\n", argv[0]);
		return 2;
	}
	setlinebuf(stdout);
	node = argv[1];
	count = atoi(argv[2]);
	p.fd = open(node, O_RDWR);
	if (p.fd < 0)
		return die(node);
	caps = m2m_caps(p.fd);
	if (caps) {
		p.events |= POLLOUT;
		m2m_queue_init(&out, p.fd, caps, true);
		m2m_queue_init(&cap, p.fd, caps, false);
		if (set_format(&out, argv[3]) || set_format(&cap, argc > 4 ? argv[4] : NULL))
			return die("S_FMT");
		if (set_up(&out) || set_up(&cap))
			return 1;
		if (vr_ioctl(p.fd, VIDIOC_STREAMON, &out.type))
			return die("STREAMON");
	} else if (vr_queue_init(&cap, p.fd) || set_up(&cap)) {
		return 1;
	}
	if (vr_ioctl(p.fd, VIDIOC_STREAMON, &cap.type))
		return die("STREAMON");
	while (!count || n < count) {
		/* asleep in DQBUF, where there is but one queue */
		p.revents = POLLIN;
		if (caps && poll(&p, 1, -1) < 0)
			return die("poll");
		if (p.revents & POLLOUT && turn(&out, false))
			return 1;
		if (p.revents & (POLLIN | POLLERR)) {
			if (turn(&cap, true))
				return 1;
			n++;
		}
	}
	if (vr_ioctl(p.fd, VIDIOC_STREAMOFF, &cap.type))
		return die("STREAMOFF");
	puts("done");
	return 0;
}
