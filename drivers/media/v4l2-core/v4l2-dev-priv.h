/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * V4L2 device nodes, for the V4L2 core only.
 */
#ifndef _V4L2_DEV_PRIV_H_
#define _V4L2_DEV_PRIV_H_

#include <linux/bitops.h>
#include <linux/cdev_drain.h>
#include <linux/fs.h>

#include <media/v4l2-dev.h>
#include <media/v4l2-ioctl.h>

/*
 * v4l2_enter() - begin a call from userspace into a video device
 *
 * Brackets, with v4l2_exit(), every file operation but ->release(), before
 * anything of the video_device is looked at. Returns false if the call has to
 * fail with -ENODEV. Not to be nested, see cdev_enter().
 */
static inline bool __must_check v4l2_enter(struct file *filp,
					   struct cdev_call *call)
{
	struct cdev *cdev = file_inode(filp)->i_cdev;

	if (!cdev_enter(cdev, call))
		return false;

	if (likely(!test_bit(V4L2_FL_SIM_DISCONNECTED,
			     &video_devdata(filp)->flags)))
		return true;

	cdev_exit(cdev, call);
	return false;
}

static inline void v4l2_exit(struct file *filp, struct cdev_call *call)
{
	cdev_exit(file_inode(filp)->i_cdev, call);
}

long v4l2_usercopy(struct file *filp, unsigned int cmd, unsigned long arg);

struct video_device *v4l2_next_node(struct v4l2_device *v4l2_dev,
				    struct video_device *prev);
void v4l2_refuse_nodes(struct v4l2_device *v4l2_dev);

#endif /* _V4L2_DEV_PRIV_H_ */
