/* SPDX-License-Identifier: GPL-2.0 */
/* The two queues of a mem2mem device */
#ifndef DEMO_M2M_H
#define DEMO_M2M_H

#include "media_tests/v4l2_removal.h"

/* 0, or V4L2_CAP_VIDEO_M2M or V4L2_CAP_VIDEO_M2M_MPLANE */
static inline __u32 m2m_caps(int fd)
{
	struct v4l2_capability cap = {};

	if (vr_ioctl(fd, VIDIOC_QUERYCAP, &cap))
		return 0;
	return cap.device_caps & (V4L2_CAP_VIDEO_M2M |
				  V4L2_CAP_VIDEO_M2M_MPLANE);
}

static inline void m2m_queue_init(struct vr_queue *q, int fd, __u32 caps,
				  bool output)
{
	memset(q, 0, sizeof(*q));
	q->fd = fd;
	q->mplane = caps == V4L2_CAP_VIDEO_M2M_MPLANE;
	q->output = output;
	if (output)
		q->type = q->mplane ? V4L2_BUF_TYPE_VIDEO_OUTPUT_MPLANE :
				      V4L2_BUF_TYPE_VIDEO_OUTPUT;
	else
		q->type = q->mplane ? V4L2_BUF_TYPE_VIDEO_CAPTURE_MPLANE :
				      V4L2_BUF_TYPE_VIDEO_CAPTURE;
}

#endif
