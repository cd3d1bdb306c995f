// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Safe removal of V4L2 devices: refuse calls from userspace, wake those that
 * sleep, wait for those in progress, undo what open handles set up.
 */

#include <linux/export.h>
#include <linux/kernel.h>
#include <linux/rwsem.h>

#include <media/v4l2-dev.h>
#include <media/v4l2-device.h>
#include <media/v4l2-event.h>
#include <media/v4l2-fh.h>
#include <media/v4l2-mem2mem.h>
#include <media/videobuf2-core.h>

#include "v4l2-dev-priv.h"

/*
 * While a file is being opened or closed, the driver may not have what belongs
 * to its handle yet, or have freed it. No call can sleep in there then, nor
 * start a job.
 */
static void v4l2_fhs_disconnect(struct video_device *vdev)
{
	struct v4l2_fh *fh;

	guard(spinlock_irqsave)(&vdev->fh_lock);
	list_for_each_entry(fh, &vdev->fh_list, list) {
		if (!fh->is_open)
			continue;
		if (fh->m2m_ctx)
			v4l2_m2m_ctx_disconnect(fh->m2m_ctx);
		if (vdev->fops->disconnect)
			vdev->fops->disconnect(fh);
	}
}

void video_device_disconnect(struct video_device *vdev)
{
	if (!vdev || !vdev->cdev)
		return;

	cdev_disconnect(vdev->cdev);

	/* Wake only now: who is woken has to see that the device is gone. */
	v4l2_event_wake_all(vdev);
	if (vdev->queue)
		vb2_queue_disconnect(vdev->queue);
	v4l2_fhs_disconnect(vdev);
}
EXPORT_SYMBOL_GPL(video_device_disconnect);

void video_device_drain(struct video_device *vdev)
{
	if (vdev && vdev->cdev)
		cdev_drain(vdev->cdev);
}
EXPORT_SYMBOL_GPL(video_device_drain);

void v4l2_nodes_disconnect(struct v4l2_device *v4l2_dev)
{
	struct video_device *vdev = NULL;

	v4l2_refuse_nodes(v4l2_dev);
	while ((vdev = v4l2_next_node(v4l2_dev, vdev)))
		video_device_disconnect(vdev);
}
EXPORT_SYMBOL_GPL(v4l2_nodes_disconnect);

void v4l2_nodes_drain(struct v4l2_device *v4l2_dev)
{
	struct video_device *vdev = NULL;

	while ((vdev = v4l2_next_node(v4l2_dev, vdev)))
		video_device_drain(vdev);
}
EXPORT_SYMBOL_GPL(v4l2_nodes_drain);

/* As vb2_fop_release() of the file that owns the queue */
static void v4l2_queue_finish(struct video_device *vdev)
{
	struct vb2_queue *q = vdev->queue;

	if (!q)
		return;

	mutex_lock(q->lock);
	q->buf_ops->queue_release(q);
	q->owner = NULL;
	mutex_unlock(q->lock);
}

static void v4l2_fh_finish(struct v4l2_fh *fh)
{
	if (fh->finished)
		return;

	if (fh->m2m_ctx)
		fh->m2m_ctx->finish(fh->m2m_ctx);
	/* Control events may belong to a handler that goes with a subdev. */
	v4l2_event_unsubscribe_all(fh);
	if (fh->vdev->fops->shutdown)
		fh->vdev->fops->shutdown(fh);
	fh->finished = true;
}

void v4l2_finish_handles(struct video_device *vdev)
{
	struct mutex *req_queue_lock = NULL;
	struct v4l2_fh *fh;

	if (!vdev || !vdev->cdev)
		return;
	if (WARN_ON(!cdev_is_disconnected(vdev->cdev)))
		return;

	/*
	 * With opens drained and closes excluded, nobody adds handles to the
	 * list or removes them from it, so that it needs no spinlock.
	 */
	down_write(&vdev->close_sem);
	/* Ending streaming and queueing a request exclude each other. */
	if (v4l2_device_supports_requests(vdev->v4l2_dev)) {
		req_queue_lock = &vdev->v4l2_dev->mdev->req_queue_mutex;
		mutex_lock(req_queue_lock);
	}
	v4l2_queue_finish(vdev);
	list_for_each_entry(fh, &vdev->fh_list, list)
		v4l2_fh_finish(fh);
	if (req_queue_lock)
		mutex_unlock(req_queue_lock);
	up_write(&vdev->close_sem);
}
EXPORT_SYMBOL_GPL(v4l2_finish_handles);

void v4l2_nodes_finish_handles(struct v4l2_device *v4l2_dev)
{
	struct video_device *vdev = NULL;

	while ((vdev = v4l2_next_node(v4l2_dev, vdev)))
		v4l2_finish_handles(vdev);
}
EXPORT_SYMBOL_GPL(v4l2_nodes_finish_handles);
