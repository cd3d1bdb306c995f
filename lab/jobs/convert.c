// SPDX-License-Identifier: GPL-2.0
/*
 * convert NODE: feed a mem2mem device, as fast as it goes.  Prints a "<" for each
 * frame that comes out, and at the end what ended it.
 */
#include "../demo/m2m.h"

static int start(struct vr_queue *q)
{
	unsigned int i;

	if (vr_queue_alloc(q))
		return -1;
	for (i = 0; i < q->count; i++)
		if (vr_qbuf(q, i))
			return -1;
	return vr_ioctl(q->fd, VIDIOC_STREAMON, &q->type);
}

/* Take a buffer, and give it back at once */
static int next(struct vr_queue *q)
{
	int index = vr_dqbuf(q);

	return index < 0 ? -1 : vr_qbuf(q, index);
}

int main(int argc, char **argv)
{
	struct vr_queue in, out;
	__u32 caps;
	int fd;

	fd = open(argc == 2 ? argv[1] : "", O_RDWR | O_CLOEXEC);
	caps = fd < 0 ? 0 : m2m_caps(fd);
	if (!caps) {
		fprintf(stderr, "usage: %s NODE, of a mem2mem device\n", argv[0]);
		return 2;
	}
	m2m_queue_init(&in, fd, caps, true);
	m2m_queue_init(&out, fd, caps, false);
	if (!start(&in) && !start(&out))
		while (!next(&out) && !next(&in))
			(void)!write(STDOUT_FILENO, "<", 1);
	printf("\n%s\n", strerror(errno));
	return 1;
}
