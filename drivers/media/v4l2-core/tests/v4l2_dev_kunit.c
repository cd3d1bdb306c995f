// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * KUnit tests for the removal of V4L2 devices.
 *
 * The operations of the driver of these devices block on completions where a
 * test wants them to, and are called through the files of real nodes, by tasks
 * of their own, so that a test steps through what calls and removal can do to
 * each other. No test depends on time: what has to happen is waited for, what
 * must not happen is looked for once the task in question is known to be
 * asleep. The limit of each wait only matters if the code under test is broken.
 * In that case what the tasks use is leaked, as they might still use it.
 *
 * A report by KASAN, lockdep or WARN does not fail a KUnit case by itself, so
 * that this is looked for when a case ends.
 */

#include <kunit/device.h>
#include <kunit/test.h>

#include <linux/cdev_drain.h>
#include <linux/fs_struct.h>
#include <linux/init_syscalls.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/poll.h>
#include <linux/slab.h>
#include <linux/videodev2.h>
#include <linux/wait_bit.h>

#include <media/media-device.h>
#include <media/v4l2-dev.h>
#include <media/v4l2-device.h>
#include <media/v4l2-event.h>
#include <media/v4l2-ioctl.h>
#include <media/v4l2-mem2mem.h>
#include <media/videobuf2-v4l2.h>
#include <media/videobuf2-vmalloc.h>

#include <trace/events/cdev.h>
#include <trace/events/printk.h>
#include <trace/events/v4l2.h>

#include "v4l2_kunit.h"

#define MAX_STUBS	3
#define NUM_NODES	3
#define M2M		2	/* the node with a context for each file */
#define NUM_BUFS	3

#define POLL_GONE	(EPOLLERR | EPOLLHUP | EPOLLPRI)

/* Most of these have no argument, so that no user memory is needed. */
#define STUB_IOC_STOP		_IO('V', BASE_VIDIOC_PRIVATE + 0)
#define STUB_IOC_DQBUF		_IO('V', BASE_VIDIOC_PRIVATE + 1)
#define STUB_IOC_VB2_READ	_IO('V', BASE_VIDIOC_PRIVATE + 2)
#define STUB_IOC_DISCONNECT	_IO('V', BASE_VIDIOC_PRIVATE + 3)
#define STUB_IOC_SIM_DISCONNECT	_IO('V', BASE_VIDIOC_PRIVATE + 4)
#define STUB_IOC_DRAIN		_IO('V', BASE_VIDIOC_PRIVATE + 5)
#define STUB_IOC_M2M_CAPTURE	_IO('V', BASE_VIDIOC_PRIVATE + 6)
#define STUB_IOC_M2M_OUTPUT	_IO('V', BASE_VIDIOC_PRIVATE + 7)
#define STUB_IOC_REMOVE_OTHER	_IO('V', BASE_VIDIOC_PRIVATE + 8)
#define STUB_IOC_SET		_IOW('V', BASE_VIDIOC_PRIVATE + 9, int)
#define STUB_IOC_GET		_IOR('V', BASE_VIDIOC_PRIVATE + 10, int)
#define STUB_IOC_DRAIN_OTHER	_IO('V', BASE_VIDIOC_PRIVATE + 11)
#define STUB_IOC_REMOVE		_IO('V', BASE_VIDIOC_PRIVATE + 12)

static bool bad_drivers;
module_param(bad_drivers, bool, 0444);
MODULE_PARM_DESC(bad_drivers,
		 "Run the cases of suites v4l2_dev_bad and v4l2_dev_lockdep, which have to make the kernel report something; one for each boot");

/* Of the lock of a device that another one removes */
static struct lock_class_key other_lock_key;

/* Where the driver, or the core on its way to or from it, can be stopped. */
enum stub_op {
	OP_OPEN,
	OP_READ,
	OP_WRITE,
	OP_POLL,
	OP_IOCTL,
	OP_COMPAT_IOCTL,
	OP_MMAP,
	OP_RELEASE,
	OP_SHUTDOWN,
	OP_RUN,
	OP_FLAGGED,		/* disconnected, nobody woken */
	OP_RETURNED,		/* the driver has, the call is counted still */
	NUM_OPS
};

struct stub_gate {
	bool stop;
	atomic_t calls;
	struct completion inside;
	struct completion go;
};

/* The state of the driver: freed with the last reference to v4l2_dev. */
struct stub {
	struct v4l2_device v4l2_dev;
	struct media_device mdev;	/* of stub_alloc() only */
	struct video_device vdev[NUM_NODES];
	char path[NUM_NODES][24];
	struct mutex lock;		/* of the first node and the queue */
	struct vb2_queue queue;
	struct list_head bufs;
	struct stub_gate gate[NUM_OPS];
	int open_error;
	int value;			/* of STUB_IOC_SET, read and write */
	struct stub *other;		/* that an ioctl removes */
	bool other_class;		/* this is one, and lockdep knows it */
	int *regs;			/* of the hardware, until remove() */
	int *devm;			/* until remove(), used by release() */
	atomic_t released_finished;
	atomic_t disconnects;		/* of open handles */

	struct v4l2_m2m_dev *m2m_dev;
	bool finish_in_run;		/* the hardware is that fast */
	bool finish_in_abort;
	atomic_t aborts;
	atomic_t stops;			/* of streaming on a m2m queue */
};

/* A file of the m2m node */
struct stub_m2m {
	struct v4l2_fh fh;
	struct stub *s;
	struct mutex lock;		/* of both queues */
	atomic_t runs;
};

struct stub_buf {
	struct vb2_v4l2_buffer vb;
	struct list_head list;
};

struct v4l2_test {
	struct test_base base;
	struct stub *stub[MAX_STUBS];
	int num_stubs;
};

/* Outlives the tests, as what they allocate may do. */
static atomic_t stubs_live = ATOMIC_INIT(0);

/* The driver */

static void stub_stop(struct stub *s, enum stub_op op)
{
	struct stub_gate *gate = &s->gate[op];

	atomic_inc(&gate->calls);
	if (READ_ONCE(gate->stop)) {
		complete(&gate->inside);
		wait_to_go(&gate->go);
	}
}

static void stub_use(int *memory)
{
	if (memory)
		(void)READ_ONCE(*memory);
}

static int stub_calls(struct stub *s, enum stub_op op)
{
	return atomic_read(&s->gate[op].calls);
}

static int stub_open(struct file *file)
{
	struct v4l2_event_subscription sub = { .type = V4L2_EVENT_EOS };
	struct stub *s = video_drvdata(file);
	int ret;

	stub_stop(s, OP_OPEN);
	if (s->open_error)
		return s->open_error;
	ret = v4l2_fh_open(file);
	if (ret)
		return ret;
	ret = v4l2_event_subscribe(file_to_v4l2_fh(file), &sub, 2, NULL);
	if (ret)
		v4l2_fh_release(file);
	return ret;
}

static int stub_release(struct file *file)
{
	struct stub *s = video_drvdata(file);

	stub_stop(s, OP_RELEASE);
	stub_use(s->devm);
	if (file_to_v4l2_fh(file)->finished)
		atomic_inc(&s->released_finished);
	if (video_devdata(file)->queue) {
		guard(mutex)(&s->lock);
		vb2_queue_release(&s->queue);
	}
	return v4l2_fh_release(file);
}

static struct stub_m2m *file_m2m(struct file *file)
{
	return container_of(file_to_v4l2_fh(file), struct stub_m2m, fh);
}

static int stub_m2m_queue_init(void *priv, struct vb2_queue *src,
			       struct vb2_queue *dst);

static int stub_m2m_open(struct file *file)
{
	struct stub *s = video_drvdata(file);
	struct stub_m2m *m;

	m = kzalloc_obj(*m);
	if (!m)
		return -ENOMEM;
	m->s = s;
	mutex_init(&m->lock);
	v4l2_fh_init(&m->fh, video_devdata(file));
	m->fh.m2m_ctx = v4l2_m2m_ctx_init(s->m2m_dev, m, stub_m2m_queue_init);
	if (IS_ERR(m->fh.m2m_ctx)) {
		int ret = PTR_ERR(m->fh.m2m_ctx);

		v4l2_fh_exit(&m->fh);
		kfree(m);
		return ret;
	}
	v4l2_fh_add(&m->fh, file);
	return 0;
}

/* The context goes first, as in most drivers: the list has a stale pointer. */
static int stub_m2m_release(struct file *file)
{
	struct stub_m2m *m = file_m2m(file);

	v4l2_m2m_ctx_release(m->fh.m2m_ctx);
	stub_stop(m->s, OP_RELEASE);
	v4l2_fh_del(&m->fh, file);
	v4l2_fh_exit(&m->fh);
	mutex_destroy(&m->lock);
	kfree(m);
	return 0;
}

static void stub_disconnect(struct v4l2_fh *fh)
{
	struct stub *s = video_get_drvdata(fh->vdev);

	atomic_inc(&s->disconnects);
}

static void stub_shutdown(struct v4l2_fh *fh)
{
	stub_stop(video_get_drvdata(fh->vdev), OP_SHUTDOWN);
}

static ssize_t stub_read(struct file *file, char __user *buf, size_t size,
			 loff_t *pos)
{
	struct stub *s = video_drvdata(file);

	stub_stop(s, OP_READ);
	stub_use(s->regs);
	if (size && copy_to_user(buf, &s->value, sizeof(s->value)))
		return -EFAULT;
	return size;
}

static ssize_t stub_write(struct file *file, const char __user *buf,
			  size_t size, loff_t *pos)
{
	struct stub *s = video_drvdata(file);

	stub_stop(s, OP_WRITE);
	if (size && copy_from_user(&s->value, buf, sizeof(s->value)))
		return -EFAULT;
	return size;
}

static __poll_t stub_poll(struct file *file, struct poll_table_struct *wait)
{
	stub_stop(video_drvdata(file), OP_POLL);
	return v4l2_event_pending(file_to_v4l2_fh(file)) ? EPOLLPRI : EPOLLIN;
}

static int stub_mmap(struct file *file, struct vm_area_struct *vma)
{
	stub_stop(video_drvdata(file), OP_MMAP);
	return 0;
}

#ifdef CONFIG_COMPAT
static long stub_compat_ioctl32(struct file *file, unsigned int cmd,
				unsigned long arg)
{
	stub_stop(video_drvdata(file), OP_COMPAT_IOCTL);
	return 0;
}
#endif

/* A driver that removes another device, as that of a bridge may do. */
static void stub_drain_other(struct stub *s)
{
	v4l2_nodes_disconnect(&s->other->v4l2_dev);
	v4l2_nodes_drain(&s->other->v4l2_dev);
}

static void stub_remove_other(struct stub *s)
{
	struct stub *other = s->other;

	stub_drain_other(s);
	v4l2_nodes_finish_handles(&other->v4l2_dev);
	video_unregister_device(&other->vdev[0]);
}

static long stub_default(struct file *file, void *priv, bool valid_prio,
			 unsigned int cmd, void *arg)
{
	struct video_device *vdev = video_devdata(file);
	struct v4l2_buffer buf = {
		.type = V4L2_BUF_TYPE_VIDEO_CAPTURE,
		.memory = V4L2_MEMORY_MMAP,
	};
	struct stub *s = video_drvdata(file);
	struct vb2_queue *q;
	loff_t pos = 0;

	switch (cmd) {
	case STUB_IOC_M2M_OUTPUT:
		buf.type = V4L2_BUF_TYPE_VIDEO_OUTPUT;
		fallthrough;
	case STUB_IOC_M2M_CAPTURE:
		q = v4l2_m2m_get_vq(file_to_v4l2_fh(file)->m2m_ctx, buf.type);
		scoped_guard(mutex, q->lock)
			return vb2_dqbuf(q, &buf, false);
		break;
	case STUB_IOC_STOP:
		stub_stop(s, OP_IOCTL);
		return 0;
	case STUB_IOC_DQBUF:
		return vb2_dqbuf(&s->queue, &buf, false);
	case STUB_IOC_VB2_READ:
		/* waits for a buffer before it looks at this one */
		return vb2_read(&s->queue, (char __user *)PAGE_SIZE, 16, &pos,
				false);
	case STUB_IOC_DISCONNECT:
		video_device_disconnect(vdev);
		return 0;
	case STUB_IOC_SIM_DISCONNECT:
		video_device_sim_disconnect(vdev);
		return 0;
	case STUB_IOC_DRAIN:
		video_device_drain(vdev);
		return 0;
	case STUB_IOC_REMOVE:
		video_device_disconnect(vdev);
		video_device_drain(vdev);
		return 0;
	case STUB_IOC_DRAIN_OTHER:
		stub_drain_other(s);
		return 0;
	case STUB_IOC_REMOVE_OTHER:
		stub_remove_other(s);
		return 0;
	case STUB_IOC_SET:
		stub_stop(s, OP_IOCTL);
		s->value = *(int *)arg;
		return 0;
	case STUB_IOC_GET:
		stub_stop(s, OP_IOCTL);
		*(int *)arg = s->value;
		return 0;
	}
	return -ENOTTY;
}

static int stub_log_status(struct file *file, void *priv)
{
	return 0;
}

/* Only for the core to take the type of a buffer for valid */
static int stub_g_fmt(struct file *file, void *priv, struct v4l2_format *fmt)
{
	return 0;
}

static int stub_dqbuf(struct file *file, void *priv, struct v4l2_buffer *buf)
{
	stub_stop(video_drvdata(file), OP_IOCTL);
	return 0;
}

static int stub_subscribe_event(struct v4l2_fh *fh,
				const struct v4l2_event_subscription *sub)
{
	return v4l2_event_subscribe(fh, sub, 2, NULL);
}

static const struct v4l2_ioctl_ops stub_ioctl_ops = {
	.vidioc_default = stub_default,
	.vidioc_log_status = stub_log_status,
	.vidioc_g_fmt_vid_cap = stub_g_fmt,
	.vidioc_dqbuf = stub_dqbuf,
	.vidioc_subscribe_event = stub_subscribe_event,
	.vidioc_unsubscribe_event = v4l2_event_unsubscribe,
};

static const struct v4l2_file_operations stub_fops = {
	.owner = THIS_MODULE,
	.open = stub_open,
	.release = stub_release,
	.disconnect = stub_disconnect,
	.shutdown = stub_shutdown,
	.read = stub_read,
	.write = stub_write,
	.poll = stub_poll,
	.unlocked_ioctl = video_ioctl2,
#ifdef CONFIG_COMPAT
	.compat_ioctl32 = stub_compat_ioctl32,
#endif
	.mmap = stub_mmap,
};

/* The second node has what is mandatory, and no lock and no queue either. */
static const struct v4l2_file_operations stub_min_fops = {
	.owner = THIS_MODULE,
	.open = stub_open,
	.release = stub_release,
	.unlocked_ioctl = video_ioctl2,
};

static const struct v4l2_file_operations stub_m2m_fops = {
	.owner = THIS_MODULE,
	.open = stub_m2m_open,
	.release = stub_m2m_release,
	.unlocked_ioctl = video_ioctl2,
};

static int stub_queue_setup(struct vb2_queue *q, unsigned int *num_buffers,
			    unsigned int *num_planes, unsigned int sizes[],
			    struct device *alloc_devs[])
{
	if (*num_planes)
		return sizes[0] < PAGE_SIZE ? -EINVAL : 0;
	*num_planes = 1;
	sizes[0] = PAGE_SIZE;
	return 0;
}

static void stub_buf_queue(struct vb2_buffer *vb)
{
	struct vb2_v4l2_buffer *vbuf = to_vb2_v4l2_buffer(vb);
	struct stub *s = vb2_get_drv_priv(vb->vb2_queue);

	list_add_tail(&container_of(vbuf, struct stub_buf, vb)->list, &s->bufs);
}

static int stub_start_streaming(struct vb2_queue *q, unsigned int count)
{
	return 0;
}

static void stub_return_bufs(struct stub *s)
{
	struct stub_buf *buf, *next;

	list_for_each_entry_safe(buf, next, &s->bufs, list) {
		list_del(&buf->list);
		vb2_buffer_done(&buf->vb.vb2_buf, VB2_BUF_STATE_ERROR);
	}
}

static void stub_stop_streaming(struct vb2_queue *q)
{
	stub_return_bufs(vb2_get_drv_priv(q));
}

static const struct vb2_ops stub_vb2_ops = {
	.queue_setup = stub_queue_setup,
	.buf_queue = stub_buf_queue,
	.start_streaming = stub_start_streaming,
	.stop_streaming = stub_stop_streaming,
};

static int stub_queue_init(struct stub *s)
{
	struct vb2_queue *q = &s->queue;

	memset(q, 0, sizeof(*q));
	q->type = V4L2_BUF_TYPE_VIDEO_CAPTURE;
	q->io_modes = VB2_MMAP | VB2_READ;
	q->drv_priv = s;
	q->buf_struct_size = sizeof(struct stub_buf);
	q->ops = &stub_vb2_ops;
	q->mem_ops = &vb2_vmalloc_memops;
	q->timestamp_flags = V4L2_BUF_FLAG_TIMESTAMP_MONOTONIC;
	q->lock = &s->lock;
	return vb2_queue_init(q);
}

static void stub_m2m_buf_queue(struct vb2_buffer *vb)
{
	struct stub_m2m *m = vb2_get_drv_priv(vb->vb2_queue);

	v4l2_m2m_buf_queue(m->fh.m2m_ctx, to_vb2_v4l2_buffer(vb));
}

static void stub_m2m_stop_streaming(struct vb2_queue *q)
{
	struct stub_m2m *m = vb2_get_drv_priv(q);
	struct vb2_v4l2_buffer *vbuf;

	atomic_inc(&m->s->stops);
	for (;;) {
		if (q->is_output)
			vbuf = v4l2_m2m_src_buf_remove(m->fh.m2m_ctx);
		else
			vbuf = v4l2_m2m_dst_buf_remove(m->fh.m2m_ctx);
		if (!vbuf)
			return;
		v4l2_m2m_buf_done(vbuf, VB2_BUF_STATE_ERROR);
	}
}

static const struct vb2_ops stub_m2m_vb2_ops = {
	.queue_setup = stub_queue_setup,
	.buf_queue = stub_m2m_buf_queue,
	.start_streaming = stub_start_streaming,
	.stop_streaming = stub_m2m_stop_streaming,
};

static int stub_m2m_queue_init(void *priv, struct vb2_queue *src,
			       struct vb2_queue *dst)
{
	struct stub_m2m *m = priv;
	struct vb2_queue *q[] = { src, dst };
	int i, ret;

	src->type = V4L2_BUF_TYPE_VIDEO_OUTPUT;
	dst->type = V4L2_BUF_TYPE_VIDEO_CAPTURE;
	for (i = 0; i < ARRAY_SIZE(q); i++) {
		q[i]->io_modes = VB2_MMAP;
		q[i]->drv_priv = m;
		q[i]->buf_struct_size = sizeof(struct v4l2_m2m_buffer);
		q[i]->ops = &stub_m2m_vb2_ops;
		q[i]->mem_ops = &vb2_vmalloc_memops;
		q[i]->timestamp_flags = V4L2_BUF_FLAG_TIMESTAMP_COPY;
		q[i]->lock = &m->lock;
		ret = vb2_queue_init(q[i]);
		if (ret)
			return ret;
	}
	return 0;
}

/* What an interrupt would do */
static void stub_finish_job(struct stub_m2m *m)
{
	struct v4l2_m2m_ctx *m2m_ctx = m->fh.m2m_ctx;

	v4l2_m2m_buf_done(v4l2_m2m_src_buf_remove(m2m_ctx),
			  VB2_BUF_STATE_DONE);
	v4l2_m2m_buf_done(v4l2_m2m_dst_buf_remove(m2m_ctx),
			  VB2_BUF_STATE_DONE);
	v4l2_m2m_job_finish(m->s->m2m_dev, m2m_ctx);
}

static void stub_device_run(void *priv)
{
	struct stub_m2m *m = priv;

	int run = atomic_inc_return(&m->runs);

	if (m->s->finish_in_run)
		stub_finish_job(m);
	/* the next one, which may follow at once, goes through */
	if (run == 1)
		stub_stop(m->s, OP_RUN);
}

static void stub_job_abort(void *priv)
{
	struct stub_m2m *m = priv;

	atomic_inc(&m->s->aborts);
	if (m->s->finish_in_abort)
		v4l2_m2m_job_finish(m->s->m2m_dev, m->fh.m2m_ctx);
}

static const struct v4l2_m2m_ops stub_m2m_ops = {
	.device_run = stub_device_run,
	.job_abort = stub_job_abort,
};

static void stub_free(struct v4l2_device *v4l2_dev)
{
	struct stub *s = container_of(v4l2_dev, struct stub, v4l2_dev);

	if (s->mdev.dev)
		media_device_cleanup(&s->mdev);
	v4l2_m2m_release(s->m2m_dev);
	mutex_destroy(&s->lock);
	kfree(s);
	atomic_dec(&stubs_live);
	wake_up_var(&stubs_live);
}

static int stub_register(struct stub *s)
{
	strscpy(s->v4l2_dev.name, "v4l2_kunit");
	return v4l2_device_register(NULL, &s->v4l2_dev);
}

static void stub_init(struct kunit *test, struct stub *s)
{
	struct v4l2_test *t = test->priv;
	int i;

	mutex_init(&s->lock);
	INIT_LIST_HEAD(&s->bufs);
	for (i = 0; i < NUM_OPS; i++) {
		init_completion(&s->gate[i].inside);
		init_completion(&s->gate[i].go);
	}
	atomic_inc(&stubs_live);
	t->stub[t->num_stubs++] = s;
	KUNIT_ASSERT_EQ(test, stub_queue_init(s), 0);
}

static struct stub *stub_create(struct kunit *test)
{
	struct v4l2_test *t = test->priv;
	struct stub *s;

	KUNIT_ASSERT_LT(test, t->num_stubs, MAX_STUBS);
	s = kzalloc_obj(*s);
	KUNIT_ASSERT_NOT_NULL(test, s);
	if (stub_register(s)) {
		kfree(s);
		KUNIT_FAIL_AND_ABORT(test, "v4l2_device_register() failed");
	}
	s->v4l2_dev.release = stub_free;
	stub_init(test, s);
	return s;
}

/* Of a driver of its own, as far as lockdep can tell */
static struct stub *stub_create_other(struct kunit *test)
{
	struct stub *s = stub_create(test);

	lockdep_set_class(&s->lock, &other_lock_key);
	s->other_class = true;
	return s;
}

static void stub_mdev_release(struct media_device *mdev)
{
	v4l2_device_put(&container_of(mdev, struct stub, mdev)->v4l2_dev);
}

static const struct media_device_ops stub_mdev_ops = {
	.release = stub_mdev_release,
};

/*
 * As a driver that uses the helpers does it, with a media device. The name has
 * to be new: DEBUG_KOBJECT_RELEASE keeps that of the driver for a while.
 */
static struct stub *stub_alloc(struct kunit *test, const char *name)
{
	struct v4l2_test *t = test->priv;
	struct device *dev;
	struct stub *s;

	KUNIT_ASSERT_LT(test, t->num_stubs, MAX_STUBS);
	dev = kunit_device_register(test, name);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, dev);
	s = v4l2_device_alloc(dev, struct stub, v4l2_dev, stub_free);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, s);
	stub_init(test, s);
	s->mdev.dev = dev;
	s->mdev.ops = &stub_mdev_ops;
	strscpy(s->mdev.model, "v4l2_kunit");
	media_device_init(&s->mdev);
	s->v4l2_dev.mdev = &s->mdev;
	KUNIT_ASSERT_EQ(test, media_device_register(&s->mdev), 0);
	v4l2_device_get(&s->v4l2_dev);	/* for stub_mdev_release() */
	return s;
}

static int stub_register_node(struct stub *s, int i)
{
	struct video_device *vdev = &s->vdev[i];

	strscpy(vdev->name, "v4l2_kunit");
	vdev->v4l2_dev = &s->v4l2_dev;
	vdev->release = video_device_release_empty;
	vdev->ioctl_ops = &stub_ioctl_ops;
	vdev->device_caps = V4L2_CAP_VIDEO_CAPTURE | V4L2_CAP_STREAMING |
			    V4L2_CAP_READWRITE;
	if (i == 0) {
		vdev->fops = &stub_fops;
		vdev->lock = &s->lock;
		vdev->queue = &s->queue;
	} else if (i == M2M) {
		vdev->fops = &stub_m2m_fops;
		vdev->vfl_dir = VFL_DIR_M2M;
		vdev->device_caps = V4L2_CAP_VIDEO_M2M | V4L2_CAP_STREAMING;
	} else {
		vdev->fops = &stub_min_fops;
	}
	video_set_drvdata(vdev, s);
	/* The class is that of the place in the source: here is another one. */
	if (s->other_class)
		return video_register_device(vdev, VFL_TYPE_VIDEO, -1);
	return video_register_device(vdev, VFL_TYPE_VIDEO, -1);
}

static void __init stub_add_node(struct kunit *test, struct stub *s, int i)
{
	int ret = 0;

	KUNIT_ASSERT_EQ(test, stub_register_node(s, i), 0);
	snprintf(s->path[i], sizeof(s->path[i]), "/v4l2_kunit%d",
		 s->vdev[i].minor);
	scoped_with_init_fs()
		ret = init_mknod(s->path[i], S_IFCHR | 0600,
				 new_encode_dev(s->vdev[i].dev.devt));
	KUNIT_ASSERT_EQ(test, ret, 0);
}

static void __init stub_unlink_nodes(struct stub *s)
{
	int i;

	for (i = 0; i < NUM_NODES; i++)
		if (s->path[i][0]) {
			scoped_with_init_fs()
				init_unlink(s->path[i]);
		}
}

/* The last steps of remove(). Memory remains for the files that are open. */
static void stub_remove(struct v4l2_test *t, struct stub *s)
{
	int i;

	for (i = 0; i < NUM_NODES; i++)
		video_unregister_device(&s->vdev[i]);
	if (s->v4l2_dev.mdev)
		media_device_unregister(&s->mdev);
	v4l2_device_unregister(&s->v4l2_dev);
	for (i = 0; i < MAX_STUBS; i++)
		if (t->stub[i] == s)
			t->stub[i] = NULL;
	v4l2_device_put(&s->v4l2_dev);
}

/* Files */

static struct file *open_path(const char *path)
{
	/* Tests run in a nullfs kthread; borrow the init fs. */
	scoped_with_init_fs()
		return filp_open(path, O_RDWR, 0);
	return NULL;
}

static struct file *open_node(struct kunit *test, struct stub *s, int i)
{
	struct file *file = open_path(s->path[i]);

	remember_file(test, file);
	return file;
}

static int in_flight(struct video_device *vdev)
{
	return cdev_calls_in_flight(vdev->cdev);
}

static long do_ioctl(struct file *file, unsigned int cmd)
{
	return file->f_op->unlocked_ioctl(file, cmd, 0);
}

static long do_op(struct stub *s, struct file *file, enum stub_op op)
{
	loff_t pos = 0;

	switch (op) {
	case OP_OPEN:
		file = open_path(s->path[0]);
		if (IS_ERR(file))
			return PTR_ERR(file);
		__fput_sync(file);
		return 0;
	case OP_READ:
		return vfs_read(file, NULL, 0, &pos);
	case OP_WRITE:
		return vfs_write(file, NULL, 0, &pos);
	case OP_POLL:
		return (__force long)vfs_poll(file, NULL);
	case OP_IOCTL:
		return do_ioctl(file, STUB_IOC_STOP);
#ifdef CONFIG_COMPAT
	case OP_COMPAT_IOCTL:
		return file->f_op->compat_ioctl(file, STUB_IOC_STOP, 0);
#endif
	case OP_MMAP:
		return file->f_op->mmap(file, NULL);
	default:
		return -EINVAL;
	}
}

static long accepted(enum stub_op op)
{
	return op == OP_POLL ? (__force long)EPOLLIN : 0;
}

/* Of a call that was in the driver when the device went. */
static long overtaken(enum stub_op op)
{
	return op == OP_POLL ? (__force long)POLL_GONE : 0;
}

static long refused(enum stub_op op)
{
	return op == OP_POLL ? (__force long)POLL_GONE : -ENODEV;
}

/* Tasks */

static long task_op(struct test_task *tt)
{
	return do_op(tt->s, tt->file, tt->op);
}

static long task_ioctl(struct test_task *tt)
{
	return do_ioctl(tt->file, tt->cmd);
}

static long task_close(struct test_task *tt)
{
	__fput_sync(tt->file);
	return 0;
}

static long user_read(struct test_task *tt, unsigned long addr)
{
	loff_t pos = 0;

	return vfs_read(tt->file, (char __user *)addr, sizeof(int), &pos);
}

static long task_user_read(struct test_task *tt)
{
	return user_call(tt, user_read);
}

static long user_write(struct test_task *tt, unsigned long addr)
{
	loff_t pos = 0;

	return vfs_write(tt->file, (char __user *)addr, sizeof(int), &pos);
}

static long task_user_write(struct test_task *tt)
{
	return user_call(tt, user_write);
}

static long task_drain(struct test_task *tt)
{
	video_device_drain(tt->vdev);
	return 0;
}

static long task_disconnect_and_drain(struct test_task *tt)
{
	video_device_disconnect(tt->vdev);
	video_device_drain(tt->vdev);
	return 0;
}

static long task_nodes_remove(struct test_task *tt)
{
	v4l2_nodes_disconnect(&tt->s->v4l2_dev);
	v4l2_nodes_drain(&tt->s->v4l2_dev);
	return 0;
}

static long task_quiesce(struct test_task *tt)
{
	v4l2_device_quiesce(&tt->s->v4l2_dev);
	return 0;
}

static long task_finish(struct test_task *tt)
{
	v4l2_finish_handles(tt->vdev);
	return 0;
}

static long task_m2m_schedule(struct test_task *tt)
{
	v4l2_m2m_try_schedule(file_fh(tt->file)->m2m_ctx);
	return 0;
}

/* What a job leaves pending is not run before this task is done. */
static long task_m2m_finish_and_close(struct test_task *tt)
{
	sched_set_fifo(current);
	migrate_disable();
	stub_finish_job(file_m2m(tt->file));
	__fput_sync(tt->file);
	migrate_enable();
	return 0;
}

static long task_vb2_unregister(struct test_task *tt)
{
	vb2_video_unregister_device(tt->vdev);
	return 0;
}

static long task_unregister(struct test_task *tt)
{
	video_unregister_device(tt->vdev);
	return 0;
}

static long task_wait_for_all_buffers(struct test_task *tt)
{
	return vb2_wait_for_all_buffers(&tt->s->queue);
}

/* Not in the task of the test, which could not be stopped if it hung. */
static void drain(struct kunit *test, struct video_device *vdev)
{
	struct test_task *tt = start_task(test, task_drain, .vdev = vdev);

	KUNIT_ASSERT_TRUE(test, is_done(tt));
}

static void finish(struct kunit *test, struct video_device *vdev)
{
	struct test_task *tt = start_task(test, task_finish, .vdev = vdev);

	KUNIT_ASSERT_TRUE(test, is_done(tt));
}

/* Let a task go into the driver, and stop there. */
static struct test_task *start_op(struct kunit *test, struct stub *s,
				  struct file *file, enum stub_op op)
{
	struct test_task *tt;

	WRITE_ONCE(s->gate[op].stop, true);
	tt = start_task(test, task_op, .s = s, .file = file, .op = op);
	KUNIT_ASSERT_TRUE(test, wait_for(&s->gate[op].inside));
	WRITE_ONCE(s->gate[op].stop, false);
	return tt;
}

static void let_go(struct stub *s, enum stub_op op)
{
	complete(&s->gate[op].go);
}

/*
 * Where the core has a tracepoint, it can be stopped as well: readers of these
 * are protected by SRCU, so that they may sleep.
 */
static void probe_disconnect(void *data, dev_t dev, int in_flight)
{
	struct stub *s = data;

	if (dev == s->vdev[0].dev.devt)
		stub_stop(s, OP_FLAGGED);
}

static void probe_dqbuf(void *data, int minor, struct v4l2_buffer *buf)
{
	struct stub *s = data;

	if (minor == s->vdev[0].minor)
		stub_stop(s, OP_RETURNED);
}

/* Let a task disconnect the first node, and stop before it wakes anybody. */
static struct test_task *start_disconnect(struct kunit *test, struct stub *s)
{
	struct stub_gate *gate = &s->gate[OP_FLAGGED];
	struct test_task *tt;
	bool inside;

	if (!IS_ENABLED(CONFIG_TRACEPOINTS))
		kunit_skip(test, "needs CONFIG_TRACEPOINTS");

	WRITE_ONCE(gate->stop, true);
	KUNIT_ASSERT_EQ(test, 0,
			register_trace_cdev_disconnect(probe_disconnect, s));
	tt = start_task(test, task_disconnect_and_drain, .vdev = &s->vdev[0]);
	inside = wait_for(&gate->inside);
	unregister_trace_cdev_disconnect(probe_disconnect, s);
	WRITE_ONCE(gate->stop, false);
	KUNIT_ASSERT_TRUE(test, inside);
	return tt;
}

/* Let a task call the driver, and stop when it has returned from there. */
static struct test_task *start_return(struct kunit *test, struct stub *s,
				      struct file *file)
{
	struct stub_gate *gate = &s->gate[OP_RETURNED];
	struct v4l2_buffer *buf;
	struct user_page *user;
	struct test_task *tt;
	bool inside;

	if (!IS_ENABLED(CONFIG_TRACEPOINTS))
		kunit_skip(test, "needs CONFIG_TRACEPOINTS");

	user = create_user_page(test);
	buf = page_address(user->page);
	buf->type = V4L2_BUF_TYPE_VIDEO_CAPTURE;
	WRITE_ONCE(gate->stop, true);
	KUNIT_ASSERT_EQ(test, register_trace_v4l2_dqbuf(probe_dqbuf, s), 0);
	tt = start_task(test, task_user_ioctl, .file = file, .user = user,
			.cmd = VIDIOC_DQBUF);
	inside = wait_for(&gate->inside);
	unregister_trace_v4l2_dqbuf(probe_dqbuf, s);
	WRITE_ONCE(gate->stop, false);
	KUNIT_ASSERT_TRUE(test, inside);
	return tt;
}

/* Fixture */

static int __init v4l2_test_init(struct kunit *test)
{
	struct v4l2_test *t;

	t = kzalloc_obj(*t);
	if (!t)
		return -ENOMEM;
	test->priv = t;
	watch_kernel(&t->base);
	stub_add_node(test, stub_create(test), 0);
	return 0;
}

/* Returns false if it had to leave something behind. */
static bool __init v4l2_test_end(struct kunit *test)
{
	struct v4l2_test *t = test->priv;
	struct stub *s;
	int i, j;

	for (i = 0; i < MAX_STUBS; i++) {
		s = t->stub[i];
		if (!s)
			continue;
		stub_unlink_nodes(s);
		for (j = 0; j < NUM_OPS; j++)
			complete_all(&s->gate[j].go);
		/* and whatever sleeps in the core */
		for (j = 0; j < NUM_NODES; j++)
			if (t->base.num_tasks &&
			    video_is_registered(&s->vdev[j]))
				video_device_disconnect(&s->vdev[j]);
	}
	if (!tasks_are_done(test))
		return false;
	close_files(&t->base);
	for (i = 0; i < MAX_STUBS; i++)
		if (t->stub[i])
			stub_remove(t, t->stub[i]);
	return true;
}

static void __init v4l2_test_exit(struct kunit *test)
{
	if (!test->priv || !v4l2_test_end(test))
		return;

	expect_no_report(test);
	kfree(test->priv);
}

static struct stub *the_stub(struct kunit *test)
{
	struct v4l2_test *t = test->priv;

	return t->stub[0];
}

/* Calls, for each operation that is counted */

static const struct op_param {
	const char *name;
	enum stub_op op;
} op_params[] = {
	{ "open", OP_OPEN },
	{ "read", OP_READ },
	{ "write", OP_WRITE },
	{ "poll", OP_POLL },
	{ "ioctl", OP_IOCTL },
	{ "compat_ioctl", OP_COMPAT_IOCTL },
	{ "mmap", OP_MMAP },
};

KUNIT_ARRAY_PARAM_DESC(op, op_params, name);

static enum stub_op get_op(struct kunit *test)
{
	const struct op_param *param = test->param_value;

	if (param->op == OP_COMPAT_IOCTL && !IS_ENABLED(CONFIG_COMPAT))
		kunit_skip(test, "needs CONFIG_COMPAT");
	return param->op;
}

/* The state of the call × that of the removal, for calls that do not sleep */
static void drain_waits_for_call(struct kunit *test)
{
	enum stub_op op = get_op(test);
	struct stub *s = the_stub(test);
	struct video_device *vdev = &s->vdev[0];
	struct test_task *call, *drainer;
	struct file *file;
	int opens;

	file = open_node(test, s, 0);
	opens = stub_calls(s, OP_OPEN);
	KUNIT_EXPECT_EQ(test, do_op(s, file, op), accepted(op));
	KUNIT_EXPECT_EQ(test, in_flight(vdev), 0);
	call = start_op(test, s, file, op);
	KUNIT_EXPECT_EQ(test, in_flight(vdev), 1);

	/* disconnected, nobody woken */
	cdev_disconnect(vdev->cdev);
	KUNIT_EXPECT_TRUE(test, video_is_disconnected(vdev));
	KUNIT_EXPECT_EQ(test, do_op(s, file, op), refused(op));

	/* woken */
	video_device_disconnect(vdev);
	KUNIT_EXPECT_EQ(test, do_op(s, file, op), refused(op));
	KUNIT_EXPECT_TRUE(test, is_asleep(call));

	/* being drained */
	drainer = start_task(test, task_drain, .vdev = vdev);
	KUNIT_EXPECT_TRUE(test, is_asleep(drainer));
	KUNIT_EXPECT_EQ(test, do_op(s, file, op), refused(op));
	KUNIT_EXPECT_EQ(test, in_flight(vdev), 1);

	/* The call returns, and that ends it. */
	let_go(s, op);
	KUNIT_ASSERT_TRUE(test, is_done(drainer));
	KUNIT_ASSERT_TRUE(test, is_done(call));
	KUNIT_EXPECT_EQ(test, call->ret, overtaken(op));
	KUNIT_EXPECT_EQ(test, do_op(s, file, op), refused(op));

	finish(test, vdev);
	KUNIT_EXPECT_EQ(test, do_op(s, file, op), refused(op));
	video_unregister_device(vdev);
	KUNIT_EXPECT_EQ(test, do_op(s, file, op), refused(op));

	/* None of the refused calls has come to the driver. */
	KUNIT_EXPECT_EQ(test, stub_calls(s, op), op == OP_OPEN ? opens + 2 : 2);
	KUNIT_EXPECT_EQ(test, in_flight(vdev), 0);
}

enum point { BEFORE_FLAG, BEFORE_WAKE, BEFORE_DRAIN, IN_DRAIN, REMOVED };

/* A call that is over before the drain is waited for by nobody. */
static void call_ends(struct kunit *test, enum point end)
{
	enum stub_op op = get_op(test);
	struct stub *s = the_stub(test);
	struct video_device *vdev = &s->vdev[0];
	struct test_task *call;
	enum point at;

	call = start_op(test, s, open_node(test, s, 0), op);
	for (at = BEFORE_FLAG; at <= BEFORE_DRAIN; at++) {
		KUNIT_EXPECT_EQ(test, in_flight(vdev), at <= end);
		if (at == end) {
			let_go(s, op);
			KUNIT_ASSERT_TRUE(test, is_done(call));
			KUNIT_EXPECT_EQ(test, in_flight(vdev), 0);
		}
		if (at == BEFORE_FLAG)
			cdev_disconnect(vdev->cdev);
		else if (at == BEFORE_WAKE)
			video_device_disconnect(vdev);
	}
	drain(test, vdev);
	KUNIT_EXPECT_EQ(test, call->ret,
			end == BEFORE_FLAG ? accepted(op) : overtaken(op));
	KUNIT_EXPECT_EQ(test, stub_calls(s, op), op == OP_OPEN ? 2 : 1);
}

static void call_ends_before_flag(struct kunit *test)
{
	call_ends(test, BEFORE_FLAG);
}

static void call_ends_before_wake(struct kunit *test)
{
	call_ends(test, BEFORE_WAKE);
}

static void call_ends_before_drain(struct kunit *test)
{
	call_ends(test, BEFORE_DRAIN);
}

/* The driver has returned, but what called it has not done so yet. */
static void drain_waits_for_return(struct kunit *test)
{
	struct stub *s = the_stub(test);
	struct video_device *vdev = &s->vdev[0];
	struct test_task *call, *drainer;
	struct file *file;

	file = open_node(test, s, 0);
	call = start_return(test, s, file);
	KUNIT_EXPECT_EQ(test, stub_calls(s, OP_IOCTL), 1);
	KUNIT_EXPECT_FALSE(test, mutex_is_locked(&s->lock));
	KUNIT_EXPECT_EQ(test, in_flight(vdev), 1);
	cdev_disconnect(vdev->cdev);
	KUNIT_EXPECT_EQ(test, in_flight(vdev), 1);
	video_device_disconnect(vdev);
	KUNIT_EXPECT_TRUE(test, is_asleep(call));
	drainer = start_task(test, task_drain, .vdev = vdev);
	KUNIT_EXPECT_TRUE(test, is_asleep(drainer));
	KUNIT_EXPECT_EQ(test, in_flight(vdev), 1);

	let_go(s, OP_RETURNED);
	KUNIT_ASSERT_TRUE(test, is_done(drainer));
	KUNIT_ASSERT_TRUE(test, is_done(call));
	KUNIT_EXPECT_EQ(test, call->ret, 0);
	KUNIT_EXPECT_EQ(test, in_flight(vdev), 0);
}

static void unregister_does_not_wait(struct kunit *test)
{
	enum stub_op op = get_op(test);
	struct stub *s = the_stub(test);
	struct video_device *vdev = &s->vdev[0];
	struct test_task *call, *unregister;
	struct file *file;

	file = open_node(test, s, 0);
	call = start_op(test, s, file, op);
	unregister = start_task(test, task_unregister, .vdev = vdev);
	KUNIT_ASSERT_TRUE(test, is_done(unregister));
	KUNIT_EXPECT_TRUE(test, is_asleep(call));
	KUNIT_EXPECT_EQ(test, in_flight(vdev), 1);
	KUNIT_EXPECT_TRUE(test, video_is_disconnected(vdev));
	KUNIT_EXPECT_FALSE(test, video_is_registered(vdev));
	KUNIT_EXPECT_EQ(test, do_op(s, file, op), refused(op));
	let_go(s, op);
	KUNIT_ASSERT_TRUE(test, is_done(call));
	KUNIT_EXPECT_EQ(test, call->ret, overtaken(op));
	KUNIT_EXPECT_EQ(test, in_flight(vdev), 0);
}

/* The core converts the ioctls it knows, and does not count them twice. */
static void compat_ioctl_of_core(struct kunit *test)
{
#ifdef CONFIG_COMPAT
	struct stub *s = the_stub(test);
	struct file *file = open_node(test, s, 0);

	KUNIT_EXPECT_EQ(test, 0,
			file->f_op->compat_ioctl(file, VIDIOC_LOG_STATUS, 0));
	KUNIT_EXPECT_EQ(test, in_flight(&s->vdev[0]), 0);
	video_device_disconnect(&s->vdev[0]);
	drain(test, &s->vdev[0]);
	KUNIT_EXPECT_EQ(test, -ENODEV,
			file->f_op->compat_ioctl(file, VIDIOC_LOG_STATUS, 0));
	KUNIT_EXPECT_EQ(test, stub_calls(s, OP_COMPAT_IOCTL), 0);
#else
	kunit_skip(test, "needs CONFIG_COMPAT");
#endif
}

/* An ioctl that waits for the lock does not come to the driver any more. */
static void ioctl_waiting_for_lock(struct kunit *test)
{
	struct stub *s = the_stub(test);
	struct video_device *vdev = &s->vdev[0];
	struct test_task *first, *second, *drainer;
	struct file *file;

	file = open_node(test, s, 0);
	first = start_op(test, s, file, OP_IOCTL);
	second = start_task(test, task_ioctl, .file = file,
			    .cmd = STUB_IOC_STOP);
	KUNIT_EXPECT_TRUE(test, is_asleep(second));
	KUNIT_EXPECT_EQ(test, in_flight(vdev), 2);
	video_device_disconnect(vdev);
	drainer = start_task(test, task_drain, .vdev = vdev);
	KUNIT_EXPECT_TRUE(test, is_asleep(drainer));
	let_go(s, OP_IOCTL);
	KUNIT_ASSERT_TRUE(test, is_done(drainer));
	KUNIT_ASSERT_TRUE(test, is_done(first));
	KUNIT_ASSERT_TRUE(test, is_done(second));
	KUNIT_EXPECT_EQ(test, first->ret, 0);
	KUNIT_EXPECT_EQ(test, second->ret, -ENODEV);
	KUNIT_EXPECT_EQ(test, stub_calls(s, OP_IOCTL), 1);
}

/* Operations that the driver does not have fail as the others do. */
static void __init missing_operations(struct kunit *test)
{
	struct stub *s = the_stub(test);
	struct file *file;

	stub_add_node(test, s, 1);
	file = open_node(test, s, 1);
	KUNIT_EXPECT_EQ(test, do_op(s, file, OP_READ), -EINVAL);
	KUNIT_EXPECT_EQ(test, do_op(s, file, OP_WRITE), -EINVAL);
	KUNIT_EXPECT_EQ(test, do_op(s, file, OP_MMAP), -ENODEV);
	KUNIT_EXPECT_EQ(test, do_op(s, file, OP_POLL),
			(__force long)DEFAULT_POLLMASK);
	KUNIT_EXPECT_EQ(test, in_flight(&s->vdev[1]), 0);

	video_device_disconnect(&s->vdev[1]);
	KUNIT_EXPECT_EQ(test, do_op(s, file, OP_READ), -ENODEV);
	KUNIT_EXPECT_EQ(test, do_op(s, file, OP_WRITE), -ENODEV);
	KUNIT_EXPECT_EQ(test, do_op(s, file, OP_MMAP), -ENODEV);
	KUNIT_EXPECT_EQ(test, do_op(s, file, OP_POLL),
			(__force long)POLL_GONE);
	drain(test, &s->vdev[1]);
}

static void open_that_fails(struct kunit *test)
{
	struct stub *s = the_stub(test);
	struct video_device *vdev = &s->vdev[0];
	unsigned int refs = kref_read(&vdev->dev.kobj.kref);

	s->open_error = -EPROTO;
	KUNIT_EXPECT_EQ(test, do_op(s, NULL, OP_OPEN), -EPROTO);
	KUNIT_EXPECT_EQ(test, in_flight(vdev), 0);
	KUNIT_EXPECT_EQ(test, kref_read(&vdev->dev.kobj.kref), refs);
	KUNIT_EXPECT_EQ(test, stub_calls(s, OP_RELEASE), 0);

	/* nor is a reference left by an open that is refused */
	s->open_error = 0;
	video_device_disconnect(vdev);
	KUNIT_EXPECT_EQ(test, do_op(s, NULL, OP_OPEN), -ENODEV);
	KUNIT_EXPECT_EQ(test, in_flight(vdev), 0);
	KUNIT_EXPECT_EQ(test, kref_read(&vdev->dev.kobj.kref), refs);
	KUNIT_EXPECT_EQ(test, stub_calls(s, OP_OPEN), 1);
}

static void disconnect_in_call(struct kunit *test)
{
	struct stub *s = the_stub(test);
	struct file *file = open_node(test, s, 0);

	KUNIT_EXPECT_EQ(test, do_ioctl(file, STUB_IOC_DISCONNECT), 0);
	KUNIT_EXPECT_EQ(test, in_flight(&s->vdev[0]), 0);
	KUNIT_EXPECT_EQ(test, do_ioctl(file, STUB_IOC_DISCONNECT), -ENODEV);
	drain(test, &s->vdev[0]);
}

static void drain_in_call(struct kunit *test)
{
	struct stub *s = the_stub(test);
	struct video_device *vdev = &s->vdev[0];
	struct file *file = open_node(test, s, 0);

	if (!IS_ENABLED(CONFIG_BUG))
		kunit_skip(test, "needs CONFIG_BUG");
	if (!IS_ENABLED(CONFIG_DEBUG_CDEV_CALLS) &&
	    !(IS_ENABLED(CONFIG_LOCKDEP) && debug_locks))
		kunit_skip(test, "needs CONFIG_DEBUG_CDEV_CALLS or lockdep");

	/* without the first part of removal */
	kunit_warning_suppress(test) {
		KUNIT_EXPECT_EQ(test, do_ioctl(file, STUB_IOC_DRAIN), 0);
		KUNIT_EXPECT_SUPPRESSED_WARNING_COUNT(test, 1);
	}

	/* and with it */
	kunit_warning_suppress(test) {
		KUNIT_EXPECT_EQ(test, do_ioctl(file, STUB_IOC_REMOVE), 0);
		KUNIT_EXPECT_SUPPRESSED_WARNING_COUNT(test, 1);
	}
	KUNIT_EXPECT_TRUE(test, video_is_disconnected(vdev));
	drain(test, vdev);
}

/* State of the node */

static void registered_until_unregistered(struct kunit *test)
{
	struct stub *s = the_stub(test);
	struct video_device *vdev = &s->vdev[0];
	unsigned int refs;

	open_node(test, s, 0);
	KUNIT_EXPECT_TRUE(test, video_is_registered(vdev));
	KUNIT_EXPECT_FALSE(test, video_is_disconnected(vdev));

	/* Drivers see by this that they still have to unregister. */
	video_device_disconnect(vdev);
	video_device_disconnect(vdev);
	drain(test, vdev);
	KUNIT_EXPECT_TRUE(test, video_is_registered(vdev));
	KUNIT_EXPECT_TRUE(test, video_is_disconnected(vdev));
	KUNIT_EXPECT_TRUE(test, device_is_registered(&vdev->dev));

	/* Which is not a no-op for that it was disconnected before. */
	video_unregister_device(vdev);
	KUNIT_EXPECT_FALSE(test, video_is_registered(vdev));
	KUNIT_EXPECT_TRUE(test, video_is_disconnected(vdev));
	KUNIT_EXPECT_FALSE(test, device_is_registered(&vdev->dev));

	/* A second time is. */
	refs = kref_read(&vdev->dev.kobj.kref);
	video_unregister_device(vdev);
	KUNIT_EXPECT_EQ(test, kref_read(&vdev->dev.kobj.kref), refs);

	/* As is the rest, with the file still open. */
	video_device_disconnect(vdev);
	drain(test, vdev);
	finish(test, vdev);
}

static void never_registered(struct kunit *test)
{
	struct video_device *vdev;

	vdev = kunit_kzalloc(test, sizeof(*vdev), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, vdev);
	video_device_disconnect(vdev);
	video_device_drain(vdev);
	v4l2_finish_handles(vdev);
	video_unregister_device(vdev);
	video_device_disconnect(NULL);
	video_device_drain(NULL);
	v4l2_finish_handles(NULL);
	video_unregister_device(NULL);
}

static bool stubs_are(int number)
{
	/* DEBUG_KOBJECT_RELEASE delays the release by up to four seconds. */
	return wait_var_event_timeout(&stubs_live,
				      atomic_read(&stubs_live) == number, WAIT);
}

static void expect_all_refused(struct kunit *test, struct file *file)
{
	int i;

	for (i = 0; i < ARRAY_SIZE(op_params); i++) {
		enum stub_op op = op_params[i].op;

		if (op == OP_OPEN || (op == OP_COMPAT_IOCTL &&
				      !IS_ENABLED(CONFIG_COMPAT)))
			continue;
		KUNIT_EXPECT_EQ_MSG(test, do_op(NULL, file, op), refused(op),
				    "%s", op_params[i].name);
	}
	KUNIT_EXPECT_EQ(test, do_ioctl(file, VIDIOC_DQEVENT), -ENODEV);
}

static void __init close_after_remove(struct kunit *test)
{
	struct v4l2_test *t = test->priv;
	struct stub *s = the_stub(test);
	struct file *one, *two, *new;
	struct stub *rebound;
	char path[24];
	int minor;

	/* With nothing left of other cases, minors are given out in order. */
	stub_unlink_nodes(s);
	stub_remove(t, s);
	KUNIT_ASSERT_TRUE(test, stubs_are(0));
	s = stub_create(test);
	stub_add_node(test, s, 0);

	one = open_node(test, s, 0);
	two = open_node(test, s, 0);
	minor = s->vdev[0].minor;
	strscpy(path, s->path[0]);
	v4l2_nodes_disconnect(&s->v4l2_dev);
	v4l2_nodes_drain(&s->v4l2_dev);
	v4l2_nodes_finish_handles(&s->v4l2_dev);
	stub_remove(t, s);

	/* The device comes back while files of the old one are open. */
	rebound = stub_create(test);
	stub_add_node(test, rebound, 0);
	KUNIT_EXPECT_NE(test, rebound->vdev[0].minor, minor);
	new = open_node(test, rebound, 0);
	expect_all_refused(test, one);
	expect_all_refused(test, two);
	KUNIT_EXPECT_EQ(test, do_op(rebound, new, OP_READ), 0);

	/* The old node leads nowhere, through an inode that knew the cdev. */
	KUNIT_EXPECT_EQ(test, PTR_ERR_OR_ZERO(open_path(path)), -ENODEV);

	/* Only the last close frees it, and the driver sees each of them. */
	close_file(test, one);
	KUNIT_EXPECT_EQ(test, stub_calls(s, OP_RELEASE), 1);
	KUNIT_EXPECT_EQ(test, atomic_read(&stubs_live), 2);
	expect_all_refused(test, two);
	close_file(test, two);
	KUNIT_EXPECT_TRUE(test, stubs_are(1));

	/*
	 * With the minor in use again, the old name leads to the new device, if
	 * not before the inode forgot the old one: see DEBUG_KOBJECT_RELEASE.
	 */
	KUNIT_ASSERT_EQ(test, stub_register_node(rebound, 1), 0);
	strscpy(rebound->path[1], path);
	KUNIT_ASSERT_EQ(test, rebound->vdev[1].minor, minor);
	poll_timeout_us(new = open_path(path), !IS_ERR(new), 1000,
			WAIT_S * USEC_PER_SEC, false);
	KUNIT_ASSERT_FALSE(test, IS_ERR(new));
	KUNIT_EXPECT_PTR_EQ(test, video_devdata(new), &rebound->vdev[1]);
	KUNIT_EXPECT_EQ(test, do_ioctl(new, STUB_IOC_STOP), 0);
	KUNIT_EXPECT_EQ(test, in_flight(&rebound->vdev[1]), 0);
	__fput_sync(new);
}

/* What sleeps in the core */

enum how { DISCONNECT, NODES, UNREGISTER, SIM };

static const struct how_param {
	const char *name;
	enum how how;
} how_params[] = {
	{ "video_device_disconnect", DISCONNECT },
	{ "v4l2_nodes_disconnect", NODES },
	{ "video_unregister_device", UNREGISTER },
	{ "video_device_sim_disconnect", SIM },
};

KUNIT_ARRAY_PARAM_DESC(how, how_params, name);

static enum how get_how(struct kunit *test)
{
	const struct how_param *param = test->param_value;

	return param->how;
}

static void remove_node(struct stub *s, int i, enum how how)
{
	switch (how) {
	case DISCONNECT:
		video_device_disconnect(&s->vdev[i]);
		break;
	case NODES:
		v4l2_nodes_disconnect(&s->v4l2_dev);
		break;
	case UNREGISTER:
		video_unregister_device(&s->vdev[i]);
		break;
	case SIM:
		video_device_sim_disconnect(&s->vdev[i]);
		break;
	}
}

/* Two sleepers, with and without video_device.lock */
static void __init dqevent_asleep(struct kunit *test)
{
	enum how how = get_how(test);
	struct stub *s = the_stub(test);
	struct test_task *call[4];
	int i, node;

	stub_add_node(test, s, 1);
	for (i = 0; i < 4; i++)
		call[i] = start_task(test, task_ioctl,
				     .file = open_node(test, s, i / 2),
				     .cmd = VIDIOC_DQEVENT);
	for (i = 0; i < 4; i++)
		KUNIT_EXPECT_TRUE(test, is_asleep(call[i]));

	/* It is for the removal to wake them, and not for the state. */
	for (node = 0; how != SIM && node < 2; node++)
		cdev_disconnect(s->vdev[node].cdev);
	for (i = 0; i < 4; i++)
		KUNIT_EXPECT_TRUE(test, is_asleep(call[i]));

	for (node = 0; node < 2; node++)
		remove_node(s, node, how);
	for (i = 0; i < 4; i++) {
		KUNIT_ASSERT_TRUE(test, is_done(call[i]));
		KUNIT_EXPECT_EQ(test, call[i]->ret, -ENODEV);
	}
	KUNIT_EXPECT_FALSE(test, mutex_is_locked(&s->lock));
	for (node = 0; node < 2; node++)
		KUNIT_EXPECT_EQ(test, in_flight(&s->vdev[node]), 0);
}

/* Drained before it is woken, to see that it is this that ends it */
static void asleep_in_drain(struct kunit *test, int node, struct file *file,
			    unsigned int cmd)
{
	struct stub *s = the_stub(test);
	struct video_device *vdev = &s->vdev[node];
	struct test_task *call, *drainer;

	call = start_task(test, task_ioctl, .file = file, .cmd = cmd);
	KUNIT_EXPECT_TRUE(test, is_asleep(call));
	cdev_disconnect(vdev->cdev);
	drainer = start_task(test, task_drain, .vdev = vdev);
	KUNIT_EXPECT_TRUE(test, is_asleep(drainer));
	KUNIT_EXPECT_TRUE(test, is_asleep(call));

	remove_node(s, node, get_how(test));
	KUNIT_ASSERT_TRUE(test, is_done(call));
	KUNIT_EXPECT_EQ(test, call->ret, -ENODEV);
	KUNIT_ASSERT_TRUE(test, is_done(drainer));
	KUNIT_EXPECT_FALSE(test, mutex_is_locked(&s->lock));
}

/* With video_device.lock */
static void dqevent_in_drain(struct kunit *test)
{
	if (get_how(test) == SIM)
		kunit_skip(test, "is not drained");

	asleep_in_drain(test, 0, open_node(test, the_stub(test), 0),
			VIDIOC_DQEVENT);
}

/* and without */
static void __init dqevent_in_drain_unlocked(struct kunit *test)
{
	if (get_how(test) == SIM)
		kunit_skip(test, "is not drained");

	stub_add_node(test, the_stub(test), 1);
	asleep_in_drain(test, 1, open_node(test, the_stub(test), 1),
			VIDIOC_DQEVENT);
}

/* Who comes second finds the flag set, but not that all are awake already. */
static void two_disconnects(struct kunit *test)
{
	struct stub *s = the_stub(test);
	struct video_device *vdev = &s->vdev[0];
	struct test_task *sleeper, *reader, *first, *second;
	struct file *file = open_node(test, s, 0);

	sleeper = start_task(test, task_ioctl, .file = file,
			     .cmd = VIDIOC_DQEVENT);
	KUNIT_ASSERT_TRUE(test, is_asleep(sleeper));
	reader = start_op(test, s, file, OP_READ);
	first = start_disconnect(test, s);
	KUNIT_EXPECT_TRUE(test, video_is_disconnected(vdev));
	KUNIT_EXPECT_TRUE(test, is_asleep(sleeper));

	second = start_task(test, task_disconnect_and_drain, .vdev = vdev);
	KUNIT_ASSERT_TRUE(test, is_done(sleeper));
	KUNIT_EXPECT_EQ(test, sleeper->ret, -ENODEV);
	KUNIT_EXPECT_TRUE(test, is_asleep(second));
	KUNIT_EXPECT_EQ(test, atomic_read(&s->disconnects), 1);

	/* Each waits for the call that is left. */
	let_go(s, OP_FLAGGED);
	KUNIT_EXPECT_TRUE(test, is_asleep(first));
	KUNIT_EXPECT_EQ(test, atomic_read(&s->disconnects), 2);
	KUNIT_EXPECT_TRUE(test, is_asleep(second));
	KUNIT_EXPECT_EQ(test, in_flight(vdev), 1);
	let_go(s, OP_READ);
	KUNIT_ASSERT_TRUE(test, is_done(first));
	KUNIT_ASSERT_TRUE(test, is_done(second));
	KUNIT_ASSERT_TRUE(test, is_done(reader));
	KUNIT_EXPECT_EQ(test, reader->ret, 0);
}

/* An event that is there is of no interest any more. */
static void dqevent_pending(struct kunit *test)
{
	static const struct v4l2_event ev = { .type = V4L2_EVENT_EOS };
	enum how how = get_how(test);
	struct stub *s = the_stub(test);
	struct v4l2_event got;
	struct file *file;

	file = open_node(test, s, 0);
	v4l2_event_queue(&s->vdev[0], &ev);
	v4l2_event_queue(&s->vdev[0], &ev);
	KUNIT_EXPECT_EQ(test, v4l2_event_pending(file_fh(file)), 2);
	KUNIT_EXPECT_EQ(test, do_op(s, file, OP_POLL), (__force long)EPOLLPRI);
	scoped_guard(mutex, &s->lock)
		KUNIT_EXPECT_EQ(test, 0,
				v4l2_event_dequeue(file_fh(file), &got, false));

	remove_node(s, 0, how);
	KUNIT_EXPECT_EQ(test, do_ioctl(file, VIDIOC_DQEVENT), -ENODEV);
	KUNIT_EXPECT_EQ(test, do_op(s, file, OP_POLL), (__force long)POLL_GONE);
	/* by a call that came in before */
	scoped_guard(mutex, &s->lock)
		KUNIT_EXPECT_EQ(test, -ENODEV,
				v4l2_event_dequeue(file_fh(file), &got, false));
}

/* What select() and epoll do, without a task to be put to sleep */
struct test_poll {
	poll_table pt;
	struct video_device *vdev;
	wait_queue_entry_t entry[4];
	wait_queue_head_t *head[4];
	int num;
	int wakes, wakes_gone;
	bool disconnect;
};

static int test_poll_wake(wait_queue_entry_t *entry, unsigned int mode,
			  int sync, void *key)
{
	struct test_poll *p = entry->private;

	p->wakes++;
	if (video_is_disconnected(p->vdev))
		p->wakes_gone++;
	return 1;
}

static void test_poll_queue(struct file *file, wait_queue_head_t *head,
			    poll_table *pt)
{
	struct test_poll *p = container_of(pt, struct test_poll, pt);

	if (p->num == ARRAY_SIZE(p->entry))
		return;
	if (p->disconnect)
		video_device_disconnect(p->vdev);
	init_waitqueue_func_entry(&p->entry[p->num], test_poll_wake);
	p->entry[p->num].private = p;
	p->head[p->num] = head;
	add_wait_queue(head, &p->entry[p->num]);
	p->num++;
}

static void __init poll_asleep(struct kunit *test)
{
	enum how how = get_how(test);
	struct stub *s = the_stub(test);
	struct file *file[2];
	struct test_poll *poll, *p;
	int node, i;

	stub_add_node(test, s, 1);
	poll = kunit_kcalloc(test, ARRAY_SIZE(file), sizeof(*poll), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, poll);
	for (node = 0; node < ARRAY_SIZE(file); node++)
		file[node] = open_node(test, s, node);

	/* One driver has a poll that waits for nothing, the other has none. */
	for (node = 0; node < ARRAY_SIZE(file); node++) {
		p = &poll[node];
		p->vdev = &s->vdev[node];
		init_poll_funcptr(&p->pt, test_poll_queue);
		vfs_poll(file[node], &p->pt);
		KUNIT_EXPECT_EQ(test, p->num, 1);
		KUNIT_EXPECT_PTR_EQ(test, p->head[0],
				    &file_fh(file[node])->wait);
		KUNIT_EXPECT_EQ(test, p->wakes, 0);
	}
	for (node = 0; node < ARRAY_SIZE(file); node++) {
		p = &poll[node];
		remove_node(s, node, how);
		KUNIT_EXPECT_GE(test, p->wakes, 1);
		/* What is woken looks again, and must see it. */
		KUNIT_EXPECT_EQ(test, p->wakes_gone, p->wakes);
		p->pt._qproc = NULL;
		KUNIT_EXPECT_EQ(test, (__force long)POLL_GONE,
				(__force long)vfs_poll(file[node], &p->pt));
		for (i = 0; i < p->num; i++)
			remove_wait_queue(p->head[i], &p->entry[i]);
	}
}

/* Who is about to wait while others are woken has to see why. */
static void poll_about_to_sleep(struct kunit *test)
{
	struct stub *s = the_stub(test);
	struct file *file = open_node(test, s, 0);
	struct test_poll *p;

	p = kunit_kzalloc(test, sizeof(*p), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, p);
	p->vdev = &s->vdev[0];
	p->disconnect = true;
	init_poll_funcptr(&p->pt, test_poll_queue);
	KUNIT_EXPECT_EQ(test, (__force long)vfs_poll(file, &p->pt),
			(__force long)POLL_GONE);
	KUNIT_EXPECT_EQ(test, p->num, 1);
	KUNIT_EXPECT_EQ(test, p->wakes, 0);
	if (p->num)
		remove_wait_queue(p->head[0], &p->entry[0]);
}

/* Removal begins while poll is in the driver, which has looked already. */
static void poll_in_progress(struct kunit *test)
{
	struct stub *s = the_stub(test);
	struct file *file = open_node(test, s, 0);
	struct test_task *call;

	call = start_op(test, s, file, OP_POLL);
	video_device_disconnect(&s->vdev[0]);
	let_go(s, OP_POLL);
	KUNIT_ASSERT_TRUE(test, is_done(call));
	/* as in vb2_fop_poll(), which may wait for a lock before it looks */
	KUNIT_EXPECT_EQ(test, call->ret, (__force long)POLL_GONE);
	KUNIT_EXPECT_EQ(test, do_op(s, file, OP_POLL), (__force long)POLL_GONE);
}

/* videobuf2 */

static int reqbufs(struct stub *s, unsigned int count)
{
	struct v4l2_requestbuffers req = {
		.count = count,
		.type = V4L2_BUF_TYPE_VIDEO_CAPTURE,
		.memory = V4L2_MEMORY_MMAP,
	};

	guard(mutex)(&s->lock);
	return vb2_reqbufs(&s->queue, &req);
}

static int qbuf(struct stub *s, unsigned int index)
{
	struct v4l2_buffer buf = {
		.index = index,
		.type = V4L2_BUF_TYPE_VIDEO_CAPTURE,
		.memory = V4L2_MEMORY_MMAP,
	};

	guard(mutex)(&s->lock);
	return vb2_qbuf(&s->queue, NULL, &buf);
}

static int dqbuf_nonblock(struct stub *s)
{
	struct v4l2_buffer buf = {
		.type = V4L2_BUF_TYPE_VIDEO_CAPTURE,
		.memory = V4L2_MEMORY_MMAP,
	};

	guard(mutex)(&s->lock);
	return vb2_dqbuf(&s->queue, &buf, true);
}

static int streamon(struct stub *s)
{
	guard(mutex)(&s->lock);
	return vb2_streamon(&s->queue, V4L2_BUF_TYPE_VIDEO_CAPTURE);
}

static int streamoff(struct stub *s)
{
	guard(mutex)(&s->lock);
	return vb2_streamoff(&s->queue, V4L2_BUF_TYPE_VIDEO_CAPTURE);
}

static void start_streaming(struct kunit *test, struct stub *s)
{
	int i;

	KUNIT_ASSERT_EQ(test, reqbufs(s, NUM_BUFS), 0);
	for (i = 0; i < NUM_BUFS; i++)
		KUNIT_ASSERT_EQ(test, qbuf(s, i), 0);
	KUNIT_ASSERT_EQ(test, streamon(s), 0);
}

static void vb2_asleep(struct kunit *test, unsigned int cmd)
{
	struct stub *s = the_stub(test);
	struct file *file;

	if (get_how(test) == SIM)
		kunit_skip(test, "its driver has to do that itself");

	file = open_node(test, s, 0);
	if (cmd == STUB_IOC_DQBUF)
		start_streaming(test, s);
	asleep_in_drain(test, 0, file, cmd);

	/* Buffers are the driver's until streaming ends. */
	KUNIT_EXPECT_FALSE(test, list_empty(&s->bufs));
	close_file(test, file);
	KUNIT_EXPECT_TRUE(test, list_empty(&s->bufs));
}

static void vb2_dqbuf_asleep(struct kunit *test)
{
	vb2_asleep(test, STUB_IOC_DQBUF);
}

static void vb2_read_asleep(struct kunit *test)
{
	vb2_asleep(test, STUB_IOC_VB2_READ);
}

/* Sticky, and before all other errors */
static void vb2_stays_disconnected(struct kunit *test)
{
	struct v4l2_create_buffers create = {
		.count = 1,
		.memory = V4L2_MEMORY_MMAP,
		.format = {
			.type = V4L2_BUF_TYPE_VIDEO_CAPTURE,
			.fmt.pix.sizeimage = PAGE_SIZE,
		},
	};
	struct stub *s = the_stub(test);
	struct file *file;
	__poll_t mask;
	int i;

	file = open_node(test, s, 0);
	start_streaming(test, s);
	KUNIT_EXPECT_EQ(test, dqbuf_nonblock(s), -EAGAIN);
	KUNIT_EXPECT_EQ(test, do_op(s, file, OP_POLL), (__force long)EPOLLIN);
	KUNIT_EXPECT_FALSE(test, vb2_queue_is_disconnected(&s->queue));

	video_device_disconnect(&s->vdev[0]);
	/* streaming; with an error; streaming off; no buffers */
	for (i = 0; i < 4; i++) {
		KUNIT_EXPECT_TRUE(test, vb2_queue_is_disconnected(&s->queue));
		KUNIT_EXPECT_EQ(test, dqbuf_nonblock(s), -ENODEV);
		if (i < 3)
			KUNIT_EXPECT_EQ(test, qbuf(s, 0), -ENODEV);
		KUNIT_EXPECT_EQ(test, streamon(s), -ENODEV);
		KUNIT_EXPECT_EQ(test, reqbufs(s, NUM_BUFS), -ENODEV);
		scoped_guard(mutex, &s->lock) {
			KUNIT_EXPECT_EQ(test, -ENODEV,
					vb2_create_bufs(&s->queue, &create));
			mask = vb2_core_poll(&s->queue, file, NULL);
		}
		KUNIT_EXPECT_EQ(test, (__force long)mask,
				(__force long)(EPOLLERR | EPOLLHUP));
		if (i == 0) {
			vb2_queue_error(&s->queue);
		} else if (i == 1) {
			KUNIT_EXPECT_EQ(test, streamoff(s), 0);
			KUNIT_EXPECT_TRUE(test, list_empty(&s->bufs));
		} else if (i == 2) {
			KUNIT_EXPECT_EQ(test, vb2_get_num_buffers(&s->queue),
					NUM_BUFS);
			KUNIT_EXPECT_EQ(test, reqbufs(s, 0), 0);
			KUNIT_EXPECT_EQ(test, vb2_get_num_buffers(&s->queue),
					0);
		}
	}
}

static void __init vb2_connected_again(struct kunit *test)
{
	struct stub *s = the_stub(test);

	/* by initialisation */
	video_device_disconnect(&s->vdev[0]);
	KUNIT_EXPECT_EQ(test, reqbufs(s, NUM_BUFS), -ENODEV);
	scoped_guard(mutex, &s->lock)
		vb2_queue_release(&s->queue);
	s->queue.name[0] = '\0';
	KUNIT_ASSERT_EQ(test, vb2_queue_init(&s->queue), 0);
	KUNIT_EXPECT_FALSE(test, vb2_queue_is_disconnected(&s->queue));
	KUNIT_EXPECT_EQ(test, reqbufs(s, NUM_BUFS), 0);
	KUNIT_EXPECT_EQ(test, reqbufs(s, 0), 0);

	/* by another node that has it */
	vb2_queue_disconnect(&s->queue);
	KUNIT_EXPECT_EQ(test, reqbufs(s, NUM_BUFS), -ENODEV);
	s->vdev[1].queue = &s->queue;
	stub_add_node(test, s, 1);
	KUNIT_EXPECT_FALSE(test, vb2_queue_is_disconnected(&s->queue));
	KUNIT_EXPECT_EQ(test, reqbufs(s, NUM_BUFS), 0);
	KUNIT_EXPECT_EQ(test, reqbufs(s, 0), 0);
}

/* It waits for the hardware, which still writes into the buffers. */
static void vb2_wait_for_hardware(struct kunit *test)
{
	struct stub *s = the_stub(test);
	struct test_task *waiter;

	open_node(test, s, 0);
	start_streaming(test, s);
	waiter = start_task(test, task_wait_for_all_buffers, .s = s);
	KUNIT_EXPECT_TRUE(test, is_asleep(waiter));
	video_device_disconnect(&s->vdev[0]);
	KUNIT_EXPECT_TRUE(test, is_asleep(waiter));
	drain(test, &s->vdev[0]);
	KUNIT_EXPECT_TRUE(test, is_asleep(waiter));
	stub_return_bufs(s);
	KUNIT_ASSERT_TRUE(test, is_done(waiter));
	KUNIT_EXPECT_EQ(test, waiter->ret, 0);
}

/* All that removal needs, in one call */
static void vb2_unregister(struct kunit *test)
{
	struct stub *s = the_stub(test);
	struct video_device *vdev = &s->vdev[0];
	struct test_task *call, *dqbuf, *remover;
	struct file *file;

	file = open_node(test, s, 0);
	start_streaming(test, s);
	dqbuf = start_task(test, task_ioctl, .file = file,
			   .cmd = STUB_IOC_DQBUF);
	KUNIT_EXPECT_TRUE(test, is_asleep(dqbuf));
	call = start_op(test, s, file, OP_READ);

	remover = start_task(test, task_vb2_unregister, .vdev = vdev);
	KUNIT_ASSERT_TRUE(test, is_done(dqbuf));
	KUNIT_EXPECT_EQ(test, dqbuf->ret, -ENODEV);
	KUNIT_EXPECT_TRUE(test, is_asleep(remover));
	KUNIT_EXPECT_FALSE(test, list_empty(&s->bufs));
	KUNIT_EXPECT_FALSE(test, file_fh(file)->finished);
	let_go(s, OP_READ);
	KUNIT_ASSERT_TRUE(test, is_done(call));
	KUNIT_ASSERT_TRUE(test, is_done(remover));

	KUNIT_EXPECT_FALSE(test, video_is_registered(vdev));
	KUNIT_EXPECT_TRUE(test, list_empty(&s->bufs));
	KUNIT_EXPECT_EQ(test, vb2_get_num_buffers(&s->queue), 0);
	KUNIT_EXPECT_TRUE(test, file_fh(file)->finished);
	KUNIT_EXPECT_EQ(test, stub_calls(s, OP_SHUTDOWN), 1);
	close_file(test, file);
	KUNIT_EXPECT_EQ(test, atomic_read(&s->released_finished), 1);
}

/* The first goes on when the second is through with the removal. */
static void disconnect_is_late(struct kunit *test)
{
	struct stub *s = the_stub(test);
	struct video_device *vdev = &s->vdev[0];
	struct test_task *first;
	struct file *file;

	file = open_node(test, s, 0);
	start_streaming(test, s);
	first = start_disconnect(test, s);
	video_device_disconnect(vdev);
	drain(test, vdev);
	finish(test, vdev);
	video_unregister_device(vdev);
	let_go(s, OP_FLAGGED);
	KUNIT_ASSERT_TRUE(test, is_done(first));
	KUNIT_EXPECT_TRUE(test, file_fh(file)->finished);
	KUNIT_EXPECT_EQ(test, stub_calls(s, OP_SHUTDOWN), 1);
	KUNIT_EXPECT_FALSE(test, video_is_registered(vdev));
	KUNIT_EXPECT_EQ(test, do_op(s, file, OP_READ), -ENODEV);
}

static const struct lock_param {
	const char *name;
	unsigned int cmd;
	bool releases;			/* the lock while it sleeps */
} lock_params[] = {
	{ "in_driver", STUB_IOC_STOP, false },
	{ "dqevent", VIDIOC_DQEVENT, true },
	{ "dqbuf", STUB_IOC_DQBUF, true },
};

KUNIT_ARRAY_PARAM_DESC(lock, lock_params, name);

/*
 * Two nodes with one lock: a call sleeps in the first; in the other, one waits
 * for the lock that the sleeper has or, if it released it, needs again.
 */
static void __init nodes_share_lock(struct kunit *test)
{
	const struct lock_param *param = test->param_value;
	struct test_task *sleeper, *holder, *waiter, *drainer[2];
	struct stub *s = the_stub(test);
	struct file *file[2];
	int i;

	s->vdev[1].lock = &s->lock;
	stub_add_node(test, s, 1);
	for (i = 0; i < 2; i++)
		file[i] = open_node(test, s, i);
	if (param->cmd == STUB_IOC_DQBUF)
		start_streaming(test, s);

	if (param->releases) {
		sleeper = start_task(test, task_ioctl, .file = file[0],
				     .cmd = param->cmd);
		KUNIT_ASSERT_TRUE(test, is_asleep(sleeper));
		KUNIT_EXPECT_FALSE(test, mutex_is_locked(&s->lock));
		holder = start_op(test, s, file[1], OP_IOCTL);
	} else {
		sleeper = start_op(test, s, file[0], OP_IOCTL);
		holder = sleeper;
	}
	waiter = start_task(test, task_ioctl, .file = file[1],
			    .cmd = STUB_IOC_STOP);
	KUNIT_EXPECT_TRUE(test, is_asleep(waiter));

	v4l2_nodes_disconnect(&s->v4l2_dev);
	for (i = 0; i < 2; i++)
		drainer[i] = start_task(test, task_drain, .vdev = &s->vdev[i]);
	for (i = 0; i < 2; i++)
		KUNIT_EXPECT_TRUE(test, is_asleep(drainer[i]));
	KUNIT_EXPECT_TRUE(test, is_asleep(sleeper));
	KUNIT_EXPECT_TRUE(test, is_asleep(waiter));
	KUNIT_EXPECT_EQ(test, in_flight(&s->vdev[0]), 1);
	KUNIT_EXPECT_EQ(test, in_flight(&s->vdev[1]), 1 + param->releases);

	let_go(s, OP_IOCTL);
	for (i = 0; i < 2; i++)
		KUNIT_ASSERT_TRUE(test, is_done(drainer[i]));
	KUNIT_ASSERT_TRUE(test, is_done(holder));
	KUNIT_ASSERT_TRUE(test, is_done(sleeper));
	KUNIT_ASSERT_TRUE(test, is_done(waiter));
	KUNIT_EXPECT_EQ(test, holder->ret, 0);
	KUNIT_EXPECT_EQ(test, sleeper->ret, param->releases ? -ENODEV : 0);
	KUNIT_EXPECT_EQ(test, waiter->ret, -ENODEV);
	KUNIT_EXPECT_EQ(test, stub_calls(s, OP_IOCTL), 1);
	KUNIT_EXPECT_FALSE(test, mutex_is_locked(&s->lock));
}

/* m2m */

static struct stub * __init the_m2m_stub(struct kunit *test)
{
	struct stub *s = the_stub(test);

	s->m2m_dev = v4l2_m2m_init(&stub_m2m_ops);
	if (IS_ERR(s->m2m_dev))
		s->m2m_dev = NULL;
	KUNIT_ASSERT_NOT_NULL(test, s->m2m_dev);
	stub_add_node(test, s, M2M);
	return s;
}

static struct vb2_queue *m2m_queue(struct file *file, enum v4l2_buf_type type)
{
	return v4l2_m2m_get_vq(file_fh(file)->m2m_ctx, type);
}

/* Opens the node, queues buffers, and streams: ready for a job. */
static struct file *open_m2m(struct kunit *test, struct stub *s)
{
	static const enum v4l2_buf_type types[] = {
		V4L2_BUF_TYPE_VIDEO_OUTPUT, V4L2_BUF_TYPE_VIDEO_CAPTURE,
	};
	struct file *file = open_node(test, s, M2M);
	int i;

	for (i = 0; i < ARRAY_SIZE(types); i++) {
		struct v4l2_requestbuffers req = {
			.count = NUM_BUFS,
			.type = types[i],
			.memory = V4L2_MEMORY_MMAP,
		};
		struct v4l2_buffer buf = {
			.type = types[i],
			.memory = V4L2_MEMORY_MMAP,
			.bytesused = PAGE_SIZE,
		};
		struct vb2_queue *q = m2m_queue(file, types[i]);

		mutex_lock(q->lock);
		KUNIT_EXPECT_EQ(test, vb2_reqbufs(q, &req), 0);
		for (buf.index = 0; buf.index < req.count; buf.index++)
			KUNIT_EXPECT_EQ(test, vb2_qbuf(q, NULL, &buf), 0);
		KUNIT_EXPECT_EQ(test, vb2_streamon(q, types[i]), 0);
		mutex_unlock(q->lock);
	}
	return file;
}

static int m2m_runs(struct file *file)
{
	return atomic_read(&file_m2m(file)->runs);
}

/* Runs a job, if it may, without stopping anywhere. */
static void m2m_schedule(struct kunit *test, struct file *file)
{
	struct test_task *tt;

	tt = start_task(test, task_m2m_schedule, .file = file);
	KUNIT_ASSERT_TRUE(test, is_done(tt));
}

/* Runs one, and stops in device_run(). */
static struct test_task *m2m_start_run(struct kunit *test, struct file *file)
{
	struct stub *s = file_m2m(file)->s;
	struct test_task *tt;

	WRITE_ONCE(s->gate[OP_RUN].stop, true);
	tt = start_task(test, task_m2m_schedule, .file = file);
	KUNIT_ASSERT_TRUE(test, wait_for(&s->gate[OP_RUN].inside));
	WRITE_ONCE(s->gate[OP_RUN].stop, false);
	return tt;
}

static const struct m2m_param {
	const char *name;
	unsigned int cmd;
	enum v4l2_buf_type type;
} m2m_params[] = {
	{ "capture", STUB_IOC_M2M_CAPTURE, V4L2_BUF_TYPE_VIDEO_CAPTURE },
	{ "output", STUB_IOC_M2M_OUTPUT, V4L2_BUF_TYPE_VIDEO_OUTPUT },
};

KUNIT_ARRAY_PARAM_DESC(m2m, m2m_params, name);

/* On either queue, with a job that never ends */
static void __init m2m_dqbuf_asleep(struct kunit *test)
{
	const struct m2m_param *param = test->param_value;
	struct stub *s = the_m2m_stub(test);
	struct file *file = open_m2m(test, s);
	struct test_task *call;

	m2m_schedule(test, file);
	KUNIT_EXPECT_EQ(test, m2m_runs(file), 1);
	call = start_task(test, task_ioctl, .file = file, .cmd = param->cmd);
	KUNIT_EXPECT_TRUE(test, is_asleep(call));
	video_device_disconnect(&s->vdev[M2M]);
	KUNIT_ASSERT_TRUE(test, is_done(call));
	KUNIT_EXPECT_EQ(test, call->ret, -ENODEV);
	drain(test, &s->vdev[M2M]);
	/* The hardware has what it has. */
	KUNIT_EXPECT_TRUE(test, vb2_is_streaming(m2m_queue(file, param->type)));
	stub_finish_job(file_m2m(file));
}

/* What was queued behind a running job is not run, but for other devices. */
static void __init m2m_disconnect_job(struct kunit *test)
{
	struct stub *s = the_m2m_stub(test);
	struct file *first = open_m2m(test, s);
	struct file *second = open_m2m(test, s);
	struct file *third = open_m2m(test, s);

	m2m_schedule(test, first);
	m2m_schedule(test, second);
	m2m_schedule(test, third);
	v4l2_m2m_ctx_disconnect(file_fh(first)->m2m_ctx);
	v4l2_m2m_ctx_disconnect(file_fh(second)->m2m_ctx);
	stub_finish_job(file_m2m(first));
	/* runs the next one, if the work has not done so yet */
	m2m_schedule(test, third);
	KUNIT_EXPECT_EQ(test, m2m_runs(third), 1);
	stub_finish_job(file_m2m(third));
	m2m_schedule(test, second);
	m2m_schedule(test, first);
	KUNIT_EXPECT_EQ(test, m2m_runs(first), 1);
	KUNIT_EXPECT_EQ(test, m2m_runs(second), 0);

	close_file(test, second);
	s->finish_in_abort = true;
	close_file(test, third);
	close_file(test, first);
}

/* Ended with the hardware alive, and nothing of it is left for close(). */
static void __init m2m_finish(struct kunit *test)
{
	struct stub *s = the_m2m_stub(test);
	struct video_device *vdev = &s->vdev[M2M];
	struct file *file = open_m2m(test, s);
	struct test_task *finisher;
	struct vb2_queue *q;

	m2m_schedule(test, file);
	video_device_disconnect(vdev);
	drain(test, vdev);
	finisher = start_task(test, task_finish, .vdev = vdev);
	KUNIT_EXPECT_TRUE(test, is_asleep(finisher));
	KUNIT_EXPECT_EQ(test, atomic_read(&s->aborts), 1);
	stub_finish_job(file_m2m(file));
	KUNIT_ASSERT_TRUE(test, is_done(finisher));
	KUNIT_EXPECT_EQ(test, m2m_runs(file), 1);
	KUNIT_EXPECT_EQ(test, atomic_read(&s->stops), 2);
	q = m2m_queue(file, V4L2_BUF_TYPE_VIDEO_OUTPUT);
	KUNIT_EXPECT_EQ(test, vb2_get_num_buffers(q), 0);
	q = m2m_queue(file, V4L2_BUF_TYPE_VIDEO_CAPTURE);
	KUNIT_EXPECT_EQ(test, vb2_get_num_buffers(q), 0);
	KUNIT_EXPECT_TRUE(test, file_fh(file)->finished);

	video_unregister_device(vdev);
	close_file(test, file);
	KUNIT_EXPECT_EQ(test, atomic_read(&s->stops), 2);
	KUNIT_EXPECT_EQ(test, atomic_read(&s->aborts), 1);
}

/* The driver is told of each handle that is open, and of no other. */
static void disconnect_handles(struct kunit *test)
{
	struct stub *s = the_stub(test);
	struct file *closing = open_node(test, s, 0);
	struct test_task *closer;

	open_node(test, s, 0);
	open_node(test, s, 0);
	WRITE_ONCE(s->gate[OP_RELEASE].stop, true);
	closer = start_task(test, task_close,
			    .file = forget_file(test, closing));
	KUNIT_ASSERT_TRUE(test, wait_for(&s->gate[OP_RELEASE].inside));
	WRITE_ONCE(s->gate[OP_RELEASE].stop, false);
	video_device_disconnect(&s->vdev[0]);
	KUNIT_EXPECT_EQ(test, atomic_read(&s->disconnects), 2);
	let_go(s, OP_RELEASE);
	KUNIT_ASSERT_TRUE(test, is_done(closer));
}

/* A handle that is being closed is in the list, its context is not valid. */
static void __init m2m_disconnect_in_close(struct kunit *test)
{
	struct stub *s = the_m2m_stub(test);
	struct file *file = open_m2m(test, s);
	struct test_task *closer;

	WRITE_ONCE(s->gate[OP_RELEASE].stop, true);
	closer = start_task(test, task_close, .file = forget_file(test, file));
	KUNIT_ASSERT_TRUE(test, wait_for(&s->gate[OP_RELEASE].inside));
	video_device_disconnect(&s->vdev[M2M]);
	let_go(s, OP_RELEASE);
	KUNIT_ASSERT_TRUE(test, is_done(closer));
}

/*
 * Files are closed after the driver has released its m2m device. With the flaw,
 * it takes a reference with it that is not its own, but that of a file.
 */
static void __init m2m_late_close_of(struct kunit *test, bool one_put_more)
{
	struct stub *s = the_m2m_stub(test);
	struct file *first = open_m2m(test, s);
	struct file *second = open_m2m(test, s);

	m2m_schedule(test, first);
	m2m_schedule(test, second);
	v4l2_m2m_get(s->m2m_dev);	/* for stub_finish_job() */
	v4l2_m2m_release(s->m2m_dev);
	stub_finish_job(file_m2m(first));
	m2m_schedule(test, second);
	KUNIT_EXPECT_EQ(test, m2m_runs(first), 1);
	KUNIT_EXPECT_EQ(test, m2m_runs(second), 0);
	v4l2_m2m_put(s->m2m_dev);
	if (one_put_more)
		v4l2_m2m_put(s->m2m_dev);
	s->m2m_dev = NULL;
	close_file(test, first);
	close_file(test, second);
}

static void __init m2m_late_close(struct kunit *test)
{
	m2m_late_close_of(test, false);
}

/* The last job leaves work pending that is for nobody. */
static void __init m2m_close_before_work(struct kunit *test)
{
	struct stub *s = the_m2m_stub(test);
	struct file *file = open_m2m(test, s);
	struct test_task *closer;

	m2m_schedule(test, file);
	KUNIT_EXPECT_EQ(test, m2m_runs(file), 1);
	v4l2_m2m_release(s->m2m_dev);	/* the file has another reference */
	closer = start_task(test, task_m2m_finish_and_close,
			    .file = forget_file(test, file));
	KUNIT_ASSERT_TRUE(test, is_done(closer));
	s->m2m_dev = NULL;
}

/* Not aborted before it has started, and there until it has. */
static void __init m2m_cancel_in_run(struct kunit *test)
{
	struct stub *s = the_m2m_stub(test);
	struct file *file = open_m2m(test, s);
	struct test_task *run, *closer;

	s->finish_in_abort = true;
	run = m2m_start_run(test, file);
	closer = start_task(test, task_close, .file = forget_file(test, file));
	KUNIT_EXPECT_TRUE(test, is_asleep(closer));
	KUNIT_EXPECT_EQ(test, atomic_read(&s->aborts), 0);
	let_go(s, OP_RUN);
	KUNIT_ASSERT_TRUE(test, is_done(run));
	KUNIT_ASSERT_TRUE(test, is_done(closer));
	KUNIT_EXPECT_EQ(test, atomic_read(&s->aborts), 1);
}

/* There until device_run() returns, even if the job has ended before. */
static void __init m2m_finished_in_run(struct kunit *test)
{
	struct stub *s = the_m2m_stub(test);
	struct file *file = open_m2m(test, s);
	struct test_task *run, *closer;

	s->finish_in_run = true;
	run = m2m_start_run(test, file);
	closer = start_task(test, task_close, .file = forget_file(test, file));
	KUNIT_EXPECT_TRUE(test, is_asleep(closer));
	let_go(s, OP_RUN);
	KUNIT_ASSERT_TRUE(test, is_done(run));
	KUNIT_ASSERT_TRUE(test, is_done(closer));
	KUNIT_EXPECT_EQ(test, atomic_read(&s->aborts), 0);
}

/* An interrupt that comes after the job was ended has no buffers to return. */
static void __init m2m_late_interrupt(struct kunit *test)
{
	struct stub *s = the_m2m_stub(test);
	struct file *first = open_m2m(test, s);
	struct file *second = open_m2m(test, s);
	struct v4l2_m2m_ctx *m2m_ctx = file_fh(second)->m2m_ctx;

	m2m_schedule(test, first);
	m2m_schedule(test, second);
	v4l2_m2m_buf_done_and_job_finish(s->m2m_dev, m2m_ctx,
					 VB2_BUF_STATE_DONE);
	KUNIT_EXPECT_EQ(test, v4l2_m2m_num_src_bufs_ready(m2m_ctx), NUM_BUFS);
	KUNIT_EXPECT_EQ(test, v4l2_m2m_num_dst_bufs_ready(m2m_ctx), NUM_BUFS);
	stub_finish_job(file_m2m(first));
	s->finish_in_abort = true;
}

/* Handles */

static bool is_subscribed(struct file *file)
{
	return !list_empty(&file_fh(file)->subscribed);
}

static void __init finish_handles(struct kunit *test)
{
	static const struct v4l2_event ev = { .type = V4L2_EVENT_EOS };
	struct stub *s = the_stub(test);
	struct file *file[3];
	int i;

	/* two of a driver that has a shutdown, one of one that has not */
	stub_add_node(test, s, 1);
	for (i = 0; i < 3; i++)
		file[i] = open_node(test, s, i / 2);
	v4l2_event_queue(&s->vdev[0], &ev);
	v4l2_event_queue(&s->vdev[1], &ev);

	v4l2_nodes_disconnect(&s->v4l2_dev);
	v4l2_nodes_drain(&s->v4l2_dev);
	for (i = 0; i < 3; i++) {
		KUNIT_EXPECT_FALSE(test, file_fh(file[i])->finished);
		KUNIT_EXPECT_TRUE(test, is_subscribed(file[i]));
		KUNIT_EXPECT_EQ(test, v4l2_event_pending(file_fh(file[i])), 1);
	}
	finish(test, &s->vdev[0]);
	KUNIT_EXPECT_EQ(test, stub_calls(s, OP_SHUTDOWN), 2);
	KUNIT_EXPECT_FALSE(test, file_fh(file[2])->finished);
	v4l2_nodes_finish_handles(&s->v4l2_dev);
	finish(test, &s->vdev[1]);
	KUNIT_EXPECT_EQ(test, stub_calls(s, OP_SHUTDOWN), 2);

	/* An event that comes late has nowhere to go. */
	v4l2_event_queue(&s->vdev[0], &ev);
	for (i = 0; i < 3; i++) {
		KUNIT_EXPECT_TRUE(test, file_fh(file[i])->finished);
		KUNIT_EXPECT_FALSE(test, is_subscribed(file[i]));
		KUNIT_EXPECT_EQ(test, v4l2_event_pending(file_fh(file[i])), 0);
	}

	/* Closing comes when it comes. */
	close_file(test, file[0]);
	video_unregister_device(&s->vdev[0]);
	close_file(test, file[1]);
	close_file(test, file[2]);
	KUNIT_EXPECT_EQ(test, stub_calls(s, OP_RELEASE), 3);
	KUNIT_EXPECT_EQ(test, atomic_read(&s->released_finished), 3);
	KUNIT_EXPECT_EQ(test, stub_calls(s, OP_SHUTDOWN), 2);
}

static void finish_without_disconnect(struct kunit *test)
{
	struct stub *s = the_stub(test);
	struct file *file = open_node(test, s, 0);

	if (!IS_ENABLED(CONFIG_BUG))
		kunit_skip(test, "needs CONFIG_BUG");

	kunit_warning_suppress(test) {
		v4l2_finish_handles(&s->vdev[0]);
		KUNIT_EXPECT_SUPPRESSED_WARNING_COUNT(test, 1);
	}
	KUNIT_EXPECT_EQ(test, stub_calls(s, OP_SHUTDOWN), 0);
	KUNIT_EXPECT_FALSE(test, file_fh(file)->finished);
	close_file(test, file);
	KUNIT_EXPECT_EQ(test, atomic_read(&s->released_finished), 0);
}

static const struct close_param {
	const char *name;
	int node;
	enum point begin;
} close_params[] = {
	{ "before_flag", 0, BEFORE_FLAG },
	{ "before_wake", 0, BEFORE_WAKE },
	{ "before_drain", 0, BEFORE_DRAIN },
	{ "in_drain", 0, IN_DRAIN },
	{ "removed", 0, REMOVED },
	{ "m2m_before_flag", M2M, BEFORE_FLAG },
	{ "m2m_before_wake", M2M, BEFORE_WAKE },
	{ "m2m_before_drain", M2M, BEFORE_DRAIN },
	{ "m2m_in_drain", M2M, IN_DRAIN },
	{ "m2m_removed", M2M, REMOVED },
};

KUNIT_ARRAY_PARAM_DESC(close, close_params, name);

/* Whenever it begins: a close is not refused, and drain waits for none. */
static void __init close_in_progress(struct kunit *test)
{
	const struct close_param *param = test->param_value;
	struct test_task *call, *drainer = NULL, *closer = NULL;
	bool m2m = param->node == M2M;
	struct file *file, *closing;
	struct video_device *vdev;
	struct stub *s;
	enum point at;

	s = m2m ? the_m2m_stub(test) : the_stub(test);
	vdev = &s->vdev[param->node];
	file = m2m ? open_m2m(test, s) : open_node(test, s, 0);
	closing = m2m ? open_m2m(test, s) : open_node(test, s, 0);
	call = start_op(test, s, file, OP_IOCTL);
	WRITE_ONCE(s->gate[OP_RELEASE].stop, true);
	for (at = BEFORE_FLAG; at <= REMOVED; at++) {
		switch (at) {
		case BEFORE_FLAG:
			break;
		case BEFORE_WAKE:
			cdev_disconnect(vdev->cdev);
			break;
		case BEFORE_DRAIN:
			video_device_disconnect(vdev);
			break;
		case IN_DRAIN:
			drainer = start_task(test, task_drain, .vdev = vdev);
			KUNIT_EXPECT_TRUE(test, is_asleep(drainer));
			break;
		case REMOVED:
			KUNIT_EXPECT_TRUE(test, is_asleep(drainer));
			KUNIT_EXPECT_EQ(test, in_flight(vdev), 1);
			let_go(s, OP_IOCTL);
			KUNIT_ASSERT_TRUE(test, is_done(call));
			KUNIT_ASSERT_TRUE(test, is_done(drainer));
			break;
		}
		if (at != param->begin)
			continue;
		closer = start_task(test, task_close,
				    .file = forget_file(test, closing));
		KUNIT_ASSERT_TRUE(test, wait_for(&s->gate[OP_RELEASE].inside));
		WRITE_ONCE(s->gate[OP_RELEASE].stop, false);
	}
	KUNIT_EXPECT_EQ(test, call->ret, 0);
	KUNIT_EXPECT_TRUE(test, is_asleep(closer));
	let_go(s, OP_RELEASE);
	KUNIT_ASSERT_TRUE(test, is_done(closer));
	KUNIT_EXPECT_EQ(test, stub_calls(s, OP_RELEASE), 1);
	finish(test, vdev);
	KUNIT_EXPECT_TRUE(test, file_fh(file)->finished);
}

static void close_holds_off_finish(struct kunit *test)
{
	struct stub *s = the_stub(test);
	struct video_device *vdev = &s->vdev[0];
	struct test_task *closer, *finisher;
	struct file *file;

	file = open_node(test, s, 0);
	open_node(test, s, 0);
	WRITE_ONCE(s->gate[OP_RELEASE].stop, true);
	closer = start_task(test, task_close, .file = forget_file(test, file));
	KUNIT_ASSERT_TRUE(test, wait_for(&s->gate[OP_RELEASE].inside));
	WRITE_ONCE(s->gate[OP_RELEASE].stop, false);

	/* Nobody waits for it in drain: there could be another one by then. */
	video_device_disconnect(vdev);
	drain(test, vdev);

	finisher = start_task(test, task_finish, .vdev = vdev);
	KUNIT_EXPECT_TRUE(test, is_asleep(finisher));
	KUNIT_EXPECT_EQ(test, stub_calls(s, OP_SHUTDOWN), 0);
	let_go(s, OP_RELEASE);
	KUNIT_ASSERT_TRUE(test, is_done(finisher));
	KUNIT_ASSERT_TRUE(test, is_done(closer));

	/* the other one */
	KUNIT_EXPECT_EQ(test, stub_calls(s, OP_SHUTDOWN), 1);
	KUNIT_EXPECT_EQ(test, atomic_read(&s->released_finished), 0);
}

static void finish_holds_off_close(struct kunit *test)
{
	struct stub *s = the_stub(test);
	struct video_device *vdev = &s->vdev[0];
	struct test_task *closer, *finisher;
	struct file *file;

	file = open_node(test, s, 0);
	video_device_disconnect(vdev);
	drain(test, vdev);
	WRITE_ONCE(s->gate[OP_SHUTDOWN].stop, true);
	finisher = start_task(test, task_finish, .vdev = vdev);
	KUNIT_ASSERT_TRUE(test, wait_for(&s->gate[OP_SHUTDOWN].inside));

	closer = start_task(test, task_close, .file = forget_file(test, file));
	KUNIT_EXPECT_TRUE(test, is_asleep(closer));
	KUNIT_EXPECT_EQ(test, stub_calls(s, OP_RELEASE), 0);
	let_go(s, OP_SHUTDOWN);
	KUNIT_ASSERT_TRUE(test, is_done(finisher));
	KUNIT_ASSERT_TRUE(test, is_done(closer));
	KUNIT_EXPECT_EQ(test, stub_calls(s, OP_SHUTDOWN), 1);
	KUNIT_EXPECT_EQ(test, stub_calls(s, OP_RELEASE), 1);
	KUNIT_EXPECT_EQ(test, atomic_read(&s->released_finished), 1);
}

/* All nodes of a device */

static void __init nodes_disconnect_before_drain(struct kunit *test)
{
	struct stub *s = the_stub(test);
	struct test_task *call, *remover;
	struct file *file, *other_file;
	struct stub *other;
	int first;

	stub_add_node(test, s, 1);
	other = stub_create(test);
	stub_add_node(test, other, 0);
	other_file = open_node(test, other, 0);

	/* The call is in the one that is drained first, by order of minors. */
	first = s->vdev[0].minor < s->vdev[1].minor ? 0 : 1;
	file = open_node(test, s, !first);
	call = start_op(test, s, open_node(test, s, first), OP_IOCTL);

	remover = start_task(test, task_nodes_remove, .s = s);
	KUNIT_EXPECT_TRUE(test, is_asleep(remover));
	KUNIT_EXPECT_TRUE(test, video_is_disconnected(&s->vdev[0]));
	KUNIT_EXPECT_TRUE(test, video_is_disconnected(&s->vdev[1]));
	KUNIT_EXPECT_EQ(test, do_op(s, file, OP_IOCTL), -ENODEV);
	let_go(s, OP_IOCTL);
	KUNIT_ASSERT_TRUE(test, is_done(remover));
	KUNIT_ASSERT_TRUE(test, is_done(call));
	KUNIT_EXPECT_EQ(test, call->ret, 0);
	KUNIT_EXPECT_TRUE(test, video_is_registered(&s->vdev[0]));
	KUNIT_EXPECT_TRUE(test, video_is_registered(&s->vdev[1]));

	/* That of somebody else has nothing to do with it. */
	KUNIT_EXPECT_FALSE(test, video_is_disconnected(&other->vdev[0]));
	KUNIT_EXPECT_EQ(test, do_op(other, other_file, OP_READ), 0);
}

/* Also those that were disconnected before, and the last one too. */
static void __init nodes_drain_all(struct kunit *test)
{
	struct stub *s = the_stub(test);
	struct test_task *call, *remover;
	int last;

	stub_add_node(test, s, 1);
	last = s->vdev[0].minor < s->vdev[1].minor ? 1 : 0;
	call = start_op(test, s, open_node(test, s, last), OP_IOCTL);
	video_device_disconnect(&s->vdev[last]);
	remover = start_task(test, task_nodes_remove, .s = s);
	KUNIT_EXPECT_TRUE(test, is_asleep(remover));
	let_go(s, OP_IOCTL);
	KUNIT_ASSERT_TRUE(test, is_done(remover));
	KUNIT_ASSERT_TRUE(test, is_done(call));
	KUNIT_EXPECT_EQ(test, call->ret, 0);
}

static void __init register_late(struct kunit *test)
{
	struct stub *s = the_stub(test);
	struct stub *other = stub_create(test);

	v4l2_nodes_disconnect(&s->v4l2_dev);
	KUNIT_EXPECT_EQ(test, stub_register_node(s, 1), -ENODEV);
	KUNIT_EXPECT_FALSE(test, video_is_registered(&s->vdev[1]));
	KUNIT_EXPECT_EQ(test, s->vdev[1].minor, -1);
	KUNIT_EXPECT_EQ(test, kref_read(&s->v4l2_dev.ref), 2);
	/* Its memory belongs to the caller, and nothing hangs on it. */
	KUNIT_EXPECT_NULL(test, s->vdev[1].cdev);
	KUNIT_EXPECT_NULL(test, s->vdev[1].dev.kobj.name);
	/* What the driver does in any case must not hurt. */
	video_device_disconnect(&s->vdev[1]);
	video_device_drain(&s->vdev[1]);
	v4l2_finish_handles(&s->vdev[1]);
	video_unregister_device(&s->vdev[1]);

	/* A device that had no node yet refuses them just as well, */
	v4l2_nodes_disconnect(&other->v4l2_dev);
	v4l2_nodes_drain(&other->v4l2_dev);
	v4l2_nodes_finish_handles(&other->v4l2_dev);
	KUNIT_EXPECT_EQ(test, stub_register_node(other, 0), -ENODEV);

	/* until it is registered again. */
	v4l2_device_unregister(&other->v4l2_dev);
	KUNIT_ASSERT_EQ(test, stub_register(other), 0);
	memset(&other->vdev[0], 0, sizeof(other->vdev[0]));
	stub_add_node(test, other, 0);
	KUNIT_EXPECT_EQ(test, do_op(other, open_node(test, other, 0), OP_READ),
			0);
}

static const struct quiesce_param {
	const char *name;
	bool media_last;
} quiesce_params[] = {
	{ "video_call_last", false },
	{ "media_call_last", true },
};

KUNIT_ARRAY_PARAM_DESC(quiesce, quiesce_params, name);

static void __init quiesce_and_remove(struct kunit *test)
{
	const struct quiesce_param *param = test->param_value;
	struct v4l2_test *t = test->priv;
	struct test_task *call, *quiesce;
	struct cdev_call media_call;
	struct file *file, *other;
	struct stub *s;
	int i;

	if (!IS_ENABLED(CONFIG_MEDIA_CONTROLLER))
		kunit_skip(test, "needs CONFIG_MEDIA_CONTROLLER");

	/* Nothing is left of other cases. */
	KUNIT_ASSERT_TRUE(test, stubs_are(1));
	s = stub_alloc(test, param->name);
	stub_add_node(test, s, 0);
	stub_add_node(test, s, 1);
	/* ours, and those of the media device and of the two nodes */
	KUNIT_EXPECT_EQ(test, kref_read(&s->v4l2_dev.ref), 4);
	file = open_node(test, s, 0);
	other = open_node(test, s, 1);
	call = start_op(test, s, file, OP_READ);	/* takes no lock */
	/* this stands for an ioctl of the media device */
	KUNIT_ASSERT_TRUE(test, cdev_enter(&s->mdev.devnode->cdev,
					   &media_call));

	/* All are disconnected before the first is waited for, */
	quiesce = start_task(test, task_quiesce, .s = s);
	KUNIT_EXPECT_TRUE(test, is_asleep(quiesce));
	KUNIT_EXPECT_TRUE(test, video_is_disconnected(&s->vdev[0]));
	KUNIT_EXPECT_TRUE(test, video_is_disconnected(&s->vdev[1]));
	KUNIT_EXPECT_TRUE(test,
			  cdev_is_disconnected(&s->mdev.devnode->cdev));
	KUNIT_EXPECT_FALSE(test, file_fh(other)->finished);

	/* and all are waited for before the handles are finished. */
	if (param->media_last) {
		let_go(s, OP_READ);
		KUNIT_EXPECT_TRUE(test, is_done(call));
	} else {
		cdev_exit(&s->mdev.devnode->cdev, &media_call);
	}
	KUNIT_EXPECT_TRUE(test, is_asleep(quiesce));
	KUNIT_EXPECT_FALSE(test, file_fh(file)->finished);
	KUNIT_EXPECT_FALSE(test, file_fh(other)->finished);
	if (param->media_last)
		cdev_exit(&s->mdev.devnode->cdev, &media_call);
	else
		let_go(s, OP_READ);
	KUNIT_ASSERT_TRUE(test, is_done(quiesce));
	KUNIT_ASSERT_TRUE(test, is_done(call));
	KUNIT_EXPECT_TRUE(test, file_fh(file)->finished);
	KUNIT_EXPECT_TRUE(test, file_fh(other)->finished);
	KUNIT_EXPECT_TRUE(test, video_is_registered(&s->vdev[0]));
	KUNIT_EXPECT_TRUE(test, video_is_registered(&s->vdev[1]));

	/* What is open keeps the driver's state, and only that. */
	stub_unlink_nodes(s);
	for (i = 0; i < MAX_STUBS; i++)
		if (t->stub[i] == s)
			t->stub[i] = NULL;
	v4l2_device_remove(&s->v4l2_dev);
	KUNIT_EXPECT_FALSE(test, video_is_registered(&s->vdev[0]));
	KUNIT_EXPECT_FALSE(test, video_is_registered(&s->vdev[1]));
	KUNIT_EXPECT_NULL(test, s->mdev.devnode);
	KUNIT_EXPECT_NULL(test, s->v4l2_dev.dev);
	close_file(test, file);
	KUNIT_EXPECT_EQ(test, atomic_read(&stubs_live), 2);
	close_file(test, other);
	KUNIT_EXPECT_TRUE(test, stubs_are(1));
}

/* Simulated disconnect */

static void sim_disconnect(struct kunit *test)
{
	struct stub *s = the_stub(test);
	struct video_device *vdev = &s->vdev[0];
	struct file *file = open_node(test, s, 0);

	/* as vivid does it: in a call */
	KUNIT_EXPECT_EQ(test, do_ioctl(file, STUB_IOC_SIM_DISCONNECT), 0);
	KUNIT_EXPECT_TRUE(test, video_is_disconnected(vdev));
	KUNIT_EXPECT_TRUE(test, video_is_registered(vdev));
	KUNIT_EXPECT_FALSE(test, cdev_is_disconnected(vdev->cdev));
	KUNIT_EXPECT_EQ(test, do_op(s, file, OP_OPEN), -ENODEV);
	KUNIT_EXPECT_EQ(test, do_op(s, file, OP_READ), -ENODEV);
	KUNIT_EXPECT_EQ(test, do_op(s, file, OP_WRITE), -ENODEV);
	KUNIT_EXPECT_EQ(test, do_op(s, file, OP_IOCTL), -ENODEV);
	KUNIT_EXPECT_EQ(test, do_op(s, file, OP_MMAP), -ENODEV);
	KUNIT_EXPECT_EQ(test, do_op(s, file, OP_POLL), (__force long)POLL_GONE);
	KUNIT_EXPECT_EQ(test, in_flight(vdev), 0);

	video_device_sim_reconnect(vdev);
	KUNIT_EXPECT_FALSE(test, video_is_disconnected(vdev));
	KUNIT_EXPECT_EQ(test, do_op(s, file, OP_OPEN), 0);
	KUNIT_EXPECT_EQ(test, do_op(s, file, OP_READ), 0);
	KUNIT_EXPECT_EQ(test, do_op(s, file, OP_IOCTL), 0);
	KUNIT_EXPECT_EQ(test, do_op(s, file, OP_POLL), (__force long)EPOLLIN);
	KUNIT_EXPECT_EQ(test, in_flight(vdev), 0);
}

/* A device that is removed while it is pretended to be: not lost. */
static void sim_then_disconnect(struct kunit *test)
{
	struct stub *s = the_stub(test);
	struct video_device *vdev = &s->vdev[0];
	struct file *file = open_node(test, s, 0);
	struct test_task *call, *drainer;

	call = start_op(test, s, file, OP_READ);
	video_device_sim_disconnect(vdev);
	video_device_disconnect(vdev);
	drainer = start_task(test, task_drain, .vdev = vdev);
	KUNIT_EXPECT_TRUE(test, is_asleep(drainer));
	video_device_sim_reconnect(vdev);
	KUNIT_EXPECT_TRUE(test, video_is_disconnected(vdev));
	KUNIT_EXPECT_TRUE(test, video_is_registered(vdev));
	KUNIT_EXPECT_EQ(test, do_op(s, file, OP_READ), -ENODEV);
	KUNIT_EXPECT_EQ(test, do_op(s, file, OP_OPEN), -ENODEV);
	let_go(s, OP_READ);
	KUNIT_ASSERT_TRUE(test, is_done(drainer));
	KUNIT_ASSERT_TRUE(test, is_done(call));

	video_unregister_device(vdev);
	video_device_sim_reconnect(vdev);
	KUNIT_EXPECT_TRUE(test, video_is_disconnected(vdev));
	KUNIT_EXPECT_FALSE(test, video_is_registered(vdev));
	KUNIT_EXPECT_EQ(test, do_op(s, file, OP_READ), -ENODEV);
	KUNIT_EXPECT_EQ(test, do_op(s, file, OP_OPEN), -ENODEV);
}

/* The other order: there is nothing left to pretend, nor to take back. */
static void disconnect_then_sim(struct kunit *test)
{
	struct stub *s = the_stub(test);
	struct video_device *vdev = &s->vdev[0];
	struct file *file = open_node(test, s, 0);
	struct test_task *call, *drainer;

	call = start_op(test, s, file, OP_READ);
	video_device_disconnect(vdev);
	drainer = start_task(test, task_drain, .vdev = vdev);
	KUNIT_EXPECT_TRUE(test, is_asleep(drainer));
	video_device_sim_disconnect(vdev);
	KUNIT_EXPECT_TRUE(test, is_asleep(drainer));
	KUNIT_EXPECT_TRUE(test, cdev_is_disconnected(vdev->cdev));
	expect_all_refused(test, file);
	video_device_sim_reconnect(vdev);
	KUNIT_EXPECT_TRUE(test, video_is_disconnected(vdev));
	expect_all_refused(test, file);
	KUNIT_EXPECT_EQ(test, do_op(s, file, OP_OPEN), -ENODEV);
	KUNIT_EXPECT_EQ(test, in_flight(vdev), 1);
	let_go(s, OP_READ);
	KUNIT_ASSERT_TRUE(test, is_done(drainer));
	KUNIT_ASSERT_TRUE(test, is_done(call));
	KUNIT_EXPECT_EQ(test, call->ret, 0);

	video_device_sim_disconnect(vdev);
	finish(test, vdev);
	video_unregister_device(vdev);
	KUNIT_EXPECT_FALSE(test, video_is_registered(vdev));
	expect_all_refused(test, file);
}

/* What a driver must not register: a node that is in use, or in devm memory. */

static void __init register_again(struct kunit *test)
{
	struct stub *s = the_stub(test);
	struct file *file = open_node(test, s, 0);
	int minor = s->vdev[0].minor;

	kunit_warning_suppress(test) {
		KUNIT_EXPECT_EQ(test, stub_register_node(s, 0), -EBUSY);
		KUNIT_EXPECT_SUPPRESSED_WARNING_COUNT(test, 1);
	}

	/* It has not even noticed. */
	KUNIT_EXPECT_TRUE(test, video_is_registered(&s->vdev[0]));
	KUNIT_EXPECT_EQ(test, s->vdev[0].minor, minor);
	KUNIT_EXPECT_FALSE(test, list_empty(&s->vdev[0].fh_list));
	KUNIT_EXPECT_EQ(test, do_op(s, file, OP_READ), 0);
	KUNIT_EXPECT_EQ(test, do_op(s, file, OP_OPEN), 0);
}

static DECLARE_COMPLETION(node_released);

static void release_completes(struct video_device *vdev)
{
	complete(&node_released);
}

static void __init register_while_open(struct kunit *test)
{
	struct stub *s = the_stub(test);
	struct video_device *vdev = &s->vdev[1];
	struct video_device *copy;
	struct file *file;

	copy = kunit_kmalloc(test, sizeof(*copy), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, copy);
	reinit_completion(&node_released);
	stub_add_node(test, s, 1);
	file = open_node(test, s, 1);
	video_unregister_device(vdev);

	kunit_warning_suppress(test) {
		KUNIT_EXPECT_EQ(test, stub_register_node(s, 1), -EBUSY);
		KUNIT_EXPECT_SUPPRESSED_WARNING_COUNT(test, 1);

		/* A driver that has cleared it is no better. */
		memcpy(copy, vdev, sizeof(*copy));
		memset(vdev, 0, sizeof(*vdev));
		KUNIT_EXPECT_EQ(test, stub_register_node(s, 1), -EBUSY);
		KUNIT_EXPECT_SUPPRESSED_WARNING_COUNT(test, 2);
		memcpy(vdev, copy, sizeof(*copy));
	}

	vdev->release = release_completes;
	close_file(test, file);
	KUNIT_ASSERT_TRUE(test, wait_for(&node_released));
	memset(vdev, 0, sizeof(*vdev));
	KUNIT_EXPECT_EQ(test, stub_register_node(s, 1), 0);
}

static void __init devm_memory(struct kunit *test)
{
	struct device *dev = kunit_device_register(test, "v4l2_kunit_devm");
	char *p, *other = kunit_kzalloc(test, 100, GFP_KERNEL);
	unsigned long pages;

	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, dev);
	KUNIT_ASSERT_NOT_NULL(test, other);
	KUNIT_EXPECT_FALSE(test, devres_contains(dev, other));

	p = devm_kzalloc(dev, 100, GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, p);
	KUNIT_EXPECT_TRUE(test, devres_contains(dev, p));
	KUNIT_EXPECT_TRUE(test, devres_contains(dev, p + 99));
	KUNIT_EXPECT_FALSE(test, devres_contains(dev, other));
	KUNIT_EXPECT_FALSE(test, devres_contains(dev->parent, p));

	/* Larger than the slab allocator has objects for, on most machines. */
	p = devm_krealloc(dev, p, 3 * PAGE_SIZE, GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, p);
	KUNIT_EXPECT_TRUE(test, devres_contains(dev, p));
	KUNIT_EXPECT_TRUE(test, devres_contains(dev, p + 3 * PAGE_SIZE - 1));
	devm_kfree(dev, p);
	KUNIT_EXPECT_FALSE(test, devres_contains(dev, p));

	pages = devm_get_free_pages(dev, GFP_KERNEL, 1);
	KUNIT_ASSERT_NE(test, pages, 0);
	p = (char *)pages;
	KUNIT_EXPECT_TRUE(test, devres_contains(dev, p));
	KUNIT_EXPECT_TRUE(test, devres_contains(dev, p + 2 * PAGE_SIZE - 1));
	devm_free_pages(dev, pages);
	KUNIT_EXPECT_FALSE(test, devres_contains(dev, p));
}

/* What a driver has for a node, for some of it to be in devm memory. */
struct node_state {
	struct v4l2_device v4l2_dev;
	struct video_device vdev;
	struct vb2_queue queue;
	int data;
};

static const struct v4l2_file_operations stub_fh_fops = {
	.owner = THIS_MODULE,
	.open = v4l2_fh_open,
	.release = v4l2_fh_release,
};

static const struct devm_param {
	const char *name;
	const struct v4l2_file_operations *fops;
	enum vfl_devnode_type type;
	bool vdev, v4l2_dev, queue, data;	/* what of it is devm's */
	bool parents;				/* devm of the parent */
	int warnings;
} devm_params[] = {
	{ "nothing", &stub_fops, VFL_TYPE_VIDEO },
	{ "video_device", &stub_fops, VFL_TYPE_VIDEO, .vdev = true,
	  .warnings = 1 },
	{ "v4l2_device", &stub_fops, VFL_TYPE_VIDEO, .v4l2_dev = true,
	  .warnings = 1 },
	{ "queue", &stub_fops, VFL_TYPE_VIDEO, .queue = true, .warnings = 1 },
	{ "driver_data", &stub_fops, VFL_TYPE_VIDEO, .data = true,
	  .warnings = 1 },
	{ "driver_data_unused", &stub_fh_fops, VFL_TYPE_VIDEO, .data = true },
	{ "subdev", &stub_fops, VFL_TYPE_SUBDEV, .data = true },
	{ "all", &stub_fops, VFL_TYPE_VIDEO, .vdev = true, .v4l2_dev = true,
	  .queue = true, .data = true, .warnings = 1 },
	{ "all_of_parent", &stub_fops, VFL_TYPE_VIDEO, .vdev = true,
	  .v4l2_dev = true, .queue = true, .data = true, .parents = true,
	  .warnings = 1 },
};

KUNIT_ARRAY_PARAM_DESC(devm, devm_params, name);

static void __init register_in_devm(struct kunit *test)
{
	const struct devm_param *param = test->param_value;
	struct node_state *devm, *kept;
	struct device *dev, *owner;
	struct v4l2_device *v4l2_dev;
	struct video_device *vdev;
	int ret = -EINVAL;

	if (!IS_ENABLED(CONFIG_VIDEO_DEBUG_LIFETIME))
		kunit_skip(test, "needs CONFIG_VIDEO_DEBUG_LIFETIME");

	/* new names, for the reason that stub_alloc() gives */
	dev = kunit_device_register(test, param->name);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, dev);
	owner = param->parents ? dev->parent : dev;
	kept = kunit_kzalloc(test, sizeof(*kept), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, kept);
	devm = devm_kzalloc(owner, sizeof(*devm), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, devm);

	v4l2_dev = param->v4l2_dev ? &devm->v4l2_dev : &kept->v4l2_dev;
	KUNIT_EXPECT_EQ(test, v4l2_device_register(dev, v4l2_dev), 0);
	vdev = param->vdev ? &devm->vdev : &kept->vdev;
	vdev->v4l2_dev = v4l2_dev;
	vdev->queue = param->queue ? &devm->queue : &kept->queue;
	video_set_drvdata(vdev, param->data ? &devm->data : &kept->data);
	vdev->fops = param->fops;
	vdev->device_caps = V4L2_CAP_VIDEO_CAPTURE;
	vdev->release = release_completes;
	strscpy(vdev->name, param->name);
	reinit_completion(&node_released);

	kunit_warning_suppress(test) {
		ret = video_register_device(vdev, param->type, -1);
		KUNIT_EXPECT_SUPPRESSED_WARNING_COUNT(test, param->warnings);
	}

	/* It is a warning, no more. The queue was never set up. */
	KUNIT_EXPECT_EQ(test, ret, 0);
	vdev->queue = NULL;
	if (!ret) {
		video_unregister_device(vdev);
		KUNIT_ASSERT_TRUE(test, wait_for(&node_released));
	}
	v4l2_device_unregister(v4l2_dev);
	devm_kfree(owner, devm);
}

/*
 * User memory: what a page fault waits for is up to userspace, so that removal
 * must not wait for it where it need not.
 */

static const struct fault_param {
	const char *name;
	unsigned int cmd;
	enum point end;			/* of the fault */
} fault_params[] = {
	{ "copy_in_before_flag", STUB_IOC_SET, BEFORE_FLAG },
	{ "copy_in_before_wake", STUB_IOC_SET, BEFORE_WAKE },
	{ "copy_in_before_drain", STUB_IOC_SET, BEFORE_DRAIN },
	{ "copy_in_in_drain", STUB_IOC_SET, IN_DRAIN },
	{ "copy_in_removed", STUB_IOC_SET, REMOVED },
	{ "copy_out_before_flag", STUB_IOC_GET, BEFORE_FLAG },
	{ "copy_out_before_wake", STUB_IOC_GET, BEFORE_WAKE },
	{ "copy_out_before_drain", STUB_IOC_GET, BEFORE_DRAIN },
	{ "copy_out_in_drain", STUB_IOC_GET, IN_DRAIN },
	{ "copy_out_removed", STUB_IOC_GET, REMOVED },
};

KUNIT_ARRAY_PARAM_DESC(fault, fault_params, name);

/* An ioctl is not counted while it copies. */
static void __init user_fault_in_ioctl(struct kunit *test)
{
	const struct fault_param *param = test->param_value;
	struct user_page *user = create_user_page(test);
	int *value = page_address(user->page);
	struct test_task *call, *reader, *drainer;
	bool in = param->cmd == STUB_IOC_SET;
	struct stub *s = the_stub(test);
	struct video_device *vdev = &s->vdev[0];
	struct file *file;

	file = open_node(test, s, 0);
	s->value = 1;
	*value = 2;
	/* for the drain to have something to wait for */
	reader = start_op(test, s, file, OP_READ);
	call = start_user_fault(test, task_user_ioctl, .file = file,
				.user = user, .cmd = param->cmd);
	KUNIT_EXPECT_EQ(test, stub_calls(s, OP_IOCTL), in ? 0 : 1);
	KUNIT_EXPECT_EQ(test, in_flight(vdev), 1);
	if (param->end == BEFORE_FLAG)
		end_user_fault(test, call);
	cdev_disconnect(vdev->cdev);
	if (param->end == BEFORE_WAKE)
		end_user_fault(test, call);
	video_device_disconnect(vdev);
	if (param->end == BEFORE_DRAIN)
		end_user_fault(test, call);
	drainer = start_task(test, task_drain, .vdev = vdev);
	KUNIT_EXPECT_TRUE(test, is_asleep(drainer));
	if (param->end == IN_DRAIN)
		end_user_fault(test, call);
	KUNIT_EXPECT_TRUE(test, is_asleep(drainer));
	let_go(s, OP_READ);
	KUNIT_ASSERT_TRUE(test, is_done(reader));
	KUNIT_ASSERT_TRUE(test, is_done(drainer));
	if (param->end == REMOVED) {
		finish(test, vdev);
		stub_unlink_nodes(s);
		stub_remove(test->priv, s);
		end_user_fault(test, call);
	}

	if (in && param->end > BEFORE_FLAG) {
		KUNIT_EXPECT_EQ(test, call->ret, -ENODEV);
		KUNIT_EXPECT_EQ(test, stub_calls(s, OP_IOCTL), 0);
		KUNIT_EXPECT_EQ(test, s->value, 1);
	} else {
		KUNIT_EXPECT_EQ(test, call->ret, 0);
		KUNIT_EXPECT_EQ(test, stub_calls(s, OP_IOCTL), 1);
		KUNIT_EXPECT_EQ(test, s->value, *value);
		KUNIT_EXPECT_EQ(test, s->value, in ? 2 : 1);
	}
}

/* A copy that would begin after removal does not: its fault is never seen. */
static void user_memory_untouched(struct kunit *test)
{
	struct user_page *user = create_user_page(test);
	struct stub *s = the_stub(test);
	struct file *file = open_node(test, s, 0);
	struct test_task *call;
	int i;

	WRITE_ONCE(user->stop, true);
	cdev_disconnect(s->vdev[0].cdev);
	for (i = 0; i < 2; i++) {
		call = start_task(test, task_user_ioctl, .file = file,
				  .user = user,
				  .cmd = i ? STUB_IOC_GET : STUB_IOC_SET);
		KUNIT_ASSERT_TRUE(test, is_done(call));
		KUNIT_EXPECT_EQ(test, call->ret, -ENODEV);
	}
	KUNIT_EXPECT_FALSE(test, completion_done(&user->inside));
}

/* The driver stops, not the copy: that begins when removal is over. */
static void user_fault_begins_late(struct kunit *test)
{
	struct user_page *user = create_user_page(test);
	int *value = page_address(user->page);
	struct stub *s = the_stub(test);
	struct video_device *vdev = &s->vdev[0];
	struct test_task *call, *drainer;
	struct file *file;

	file = open_node(test, s, 0);
	s->value = 1;
	WRITE_ONCE(s->gate[OP_IOCTL].stop, true);
	WRITE_ONCE(user->stop, true);
	call = start_task(test, task_user_ioctl, .file = file, .user = user,
			  .cmd = STUB_IOC_GET);
	KUNIT_ASSERT_TRUE(test, wait_for(&s->gate[OP_IOCTL].inside));
	video_device_disconnect(vdev);
	drainer = start_task(test, task_drain, .vdev = vdev);
	KUNIT_EXPECT_TRUE(test, is_asleep(drainer));
	KUNIT_EXPECT_FALSE(test, completion_done(&user->inside));
	let_go(s, OP_IOCTL);
	KUNIT_ASSERT_TRUE(test, is_done(drainer));
	KUNIT_ASSERT_TRUE(test, wait_for(&user->inside));
	finish(test, vdev);
	video_unregister_device(vdev);
	end_user_fault(test, call);
	KUNIT_EXPECT_EQ(test, call->ret, 0);
	KUNIT_EXPECT_EQ(test, *value, 1);
}

static const struct copy_param {
	const char *name;
	long (*fn)(struct test_task *tt);
	enum stub_op op;
} copy_params[] = {
	{ "read", task_user_read, OP_READ },
	{ "write", task_user_write, OP_WRITE },
};

KUNIT_ARRAY_PARAM_DESC(copy, copy_params, name);

/* Where it is the driver that copies, the fault is part of the call. */
static void user_fault_in_driver(struct kunit *test)
{
	const struct copy_param *param = test->param_value;
	struct user_page *user = create_user_page(test);
	int *value = page_address(user->page);
	struct stub *s = the_stub(test);
	struct video_device *vdev = &s->vdev[0];
	struct test_task *call, *drainer;
	struct file *file;

	file = open_node(test, s, 0);
	s->value = 1;
	*value = 2;
	call = start_user_fault(test, param->fn, .file = file, .user = user);
	KUNIT_EXPECT_EQ(test, stub_calls(s, param->op), 1);
	KUNIT_EXPECT_EQ(test, in_flight(vdev), 1);
	cdev_disconnect(vdev->cdev);
	video_device_disconnect(vdev);
	KUNIT_EXPECT_TRUE(test, is_asleep(call));
	drainer = start_task(test, task_drain, .vdev = vdev);
	KUNIT_EXPECT_TRUE(test, is_asleep(drainer));
	KUNIT_EXPECT_EQ(test, in_flight(vdev), 1);
	end_user_fault(test, call);
	KUNIT_ASSERT_TRUE(test, is_done(drainer));
	KUNIT_EXPECT_EQ(test, call->ret, sizeof(int));
	KUNIT_EXPECT_EQ(test, s->value, *value);
	KUNIT_EXPECT_EQ(test, s->value, param->op == OP_WRITE ? 2 : 1);
}

/* Lockdep */

/*
 * An ioctl removes a device of another driver, which a call is in: that may be
 * done. A class for all of V4L2 would make lockdep report it, as it would the
 * removal of one's own device. The device is closed late, too.
 */
static void __init removal_in_call_of_other(struct kunit *test)
{
	struct stub *s = the_stub(test);
	struct stub *other = stub_create_other(test);
	struct video_device *vdev = &other->vdev[0];
	struct test_task *remover, *call;
	struct file *file, *other_file;

	if (!IS_ENABLED(CONFIG_PROVE_LOCKING) || !debug_locks)
		kunit_skip(test, "needs lockdep");

	stub_add_node(test, other, 0);
	s->other = other;
	file = open_node(test, s, 0);
	other_file = open_node(test, other, 0);
	/* Lockdep has to have seen what calls take. */
	KUNIT_EXPECT_EQ(test, do_ioctl(file, VIDIOC_LOG_STATUS), 0);
	KUNIT_EXPECT_EQ(test, do_ioctl(other_file, VIDIOC_LOG_STATUS), 0);

	call = start_op(test, other, other_file, OP_IOCTL);
	remover = start_task(test, task_ioctl, .file = file,
			     .cmd = STUB_IOC_REMOVE_OTHER);
	KUNIT_EXPECT_TRUE(test, is_asleep(remover));
	KUNIT_EXPECT_TRUE(test, video_is_disconnected(vdev));
	KUNIT_EXPECT_TRUE(test, video_is_registered(vdev));
	let_go(other, OP_IOCTL);
	KUNIT_ASSERT_TRUE(test, is_done(remover));
	KUNIT_ASSERT_TRUE(test, is_done(call));
	KUNIT_EXPECT_EQ(test, remover->ret, 0);
	KUNIT_EXPECT_FALSE(test, video_is_registered(vdev));
	expect_all_refused(test, other_file);
	close_file(test, other_file);
	KUNIT_EXPECT_EQ(test, do_ioctl(file, VIDIOC_LOG_STATUS), 0);
	KUNIT_EXPECT_TRUE(test, debug_locks);
}

/* The last case: what all of them allocated was freed, and freed once. */
static void __init all_is_freed(struct kunit *test)
{
	stub_unlink_nodes(the_stub(test));
	stub_remove(test->priv, the_stub(test));
	KUNIT_EXPECT_TRUE(test, stubs_are(0));
}

/*
 * One removal, of a driver as it should be, and in suite v4l2_dev_bad of some
 * as they should not: a reader is in the driver, another sleeps in the core,
 * and a file is closed late. What the good one passes in silence has to make
 * the kernel report each of the others.
 */

enum flaw { NO_FLAW, NO_WAKE, NO_DRAIN, DEVM_STATE };

static DECLARE_COMPLETION(stall_seen);

static void probe_console(void *data, const char *buf, size_t len)
{
	if (strnstr(buf, "removal waits for 1 calls", len))
		complete(&stall_seen);
}

/* It is said that the remover waits, and for as long as the sleeper sleeps. */
static void expect_stall(struct kunit *test, struct stub *s,
			 struct test_task *remover)
{
	KUNIT_EXPECT_TRUE(test, wait_for(&stall_seen));
	unregister_trace_console(probe_console, NULL);
	KUNIT_EXPECT_TRUE(test, is_asleep(remover));
	video_device_disconnect(&s->vdev[0]);
}

static long task_remove(struct test_task *tt)
{
	struct video_device *vdev = &tt->s->vdev[0];
	enum flaw flaw = tt->cmd;

	if (flaw == NO_WAKE)
		cdev_disconnect(vdev->cdev);
	else
		video_device_disconnect(vdev);
	if (flaw != NO_DRAIN)
		video_device_drain(vdev);
	v4l2_finish_handles(vdev);
	kfree(tt->s->regs);
	kfree(tt->s->devm);
	return 0;
}

static void __init removal_of(struct kunit *test, enum flaw flaw)
{
	struct test_task *reader, *sleeper, *remover;
	struct v4l2_test *t = test->priv;
	struct stub *s = the_stub(test);
	struct file *file;

	s->regs = kzalloc_obj(*s->regs);
	KUNIT_ASSERT_NOT_NULL(test, s->regs);
	if (flaw == DEVM_STATE) {
		s->devm = kzalloc_obj(*s->devm);
		KUNIT_ASSERT_NOT_NULL(test, s->devm);
	}
	file = open_node(test, s, 0);
	sleeper = start_task(test, task_ioctl, .file = file,
			     .cmd = VIDIOC_DQEVENT);
	KUNIT_ASSERT_TRUE(test, is_asleep(sleeper));
	reader = start_op(test, s, file, OP_READ);

	if (flaw == NO_WAKE)
		register_trace_console(probe_console, NULL);
	remover = start_task(test, task_remove, .s = s, .cmd = flaw);
	KUNIT_EXPECT_EQ(test, is_asleep(remover), flaw != NO_DRAIN);
	let_go(s, OP_READ);
	KUNIT_ASSERT_TRUE(test, is_done(reader));
	if (flaw == NO_WAKE)
		expect_stall(test, s, remover);
	KUNIT_ASSERT_TRUE(test, is_done(remover));
	KUNIT_ASSERT_TRUE(test, is_done(sleeper));
	KUNIT_EXPECT_EQ(test, sleeper->ret, -ENODEV);

	stub_unlink_nodes(s);
	stub_remove(t, s);
	close_file(test, file);
}

static void __init removal(struct kunit *test)
{
	removal_of(test, NO_FLAW);
	KUNIT_EXPECT_TRUE(test, stubs_are(0));
}

static struct kunit_case __refdata v4l2_dev_cases[] = {
	KUNIT_CASE_PARAM(drain_waits_for_call, op_gen_params),
	KUNIT_CASE_PARAM(call_ends_before_flag, op_gen_params),
	KUNIT_CASE_PARAM(call_ends_before_wake, op_gen_params),
	KUNIT_CASE_PARAM(call_ends_before_drain, op_gen_params),
	KUNIT_CASE(drain_waits_for_return),
	KUNIT_CASE_PARAM(unregister_does_not_wait, op_gen_params),
	KUNIT_CASE(compat_ioctl_of_core),
	KUNIT_CASE(ioctl_waiting_for_lock),
	KUNIT_CASE(missing_operations),
	KUNIT_CASE(open_that_fails),
	KUNIT_CASE(disconnect_in_call),
	KUNIT_CASE(drain_in_call),
	KUNIT_CASE(registered_until_unregistered),
	KUNIT_CASE(never_registered),
	KUNIT_CASE(close_after_remove),
	KUNIT_CASE_PARAM(dqevent_asleep, how_gen_params),
	KUNIT_CASE_PARAM(dqevent_in_drain, how_gen_params),
	KUNIT_CASE_PARAM(dqevent_in_drain_unlocked, how_gen_params),
	KUNIT_CASE(two_disconnects),
	KUNIT_CASE_PARAM(dqevent_pending, how_gen_params),
	KUNIT_CASE_PARAM(poll_asleep, how_gen_params),
	KUNIT_CASE(poll_about_to_sleep),
	KUNIT_CASE(poll_in_progress),
	KUNIT_CASE_PARAM(vb2_dqbuf_asleep, how_gen_params),
	KUNIT_CASE_PARAM(vb2_read_asleep, how_gen_params),
	KUNIT_CASE(vb2_stays_disconnected),
	KUNIT_CASE(vb2_connected_again),
	KUNIT_CASE(vb2_wait_for_hardware),
	KUNIT_CASE(vb2_unregister),
	KUNIT_CASE(disconnect_is_late),
	KUNIT_CASE_PARAM(nodes_share_lock, lock_gen_params),
	KUNIT_CASE_PARAM(m2m_dqbuf_asleep, m2m_gen_params),
	KUNIT_CASE(m2m_disconnect_job),
	KUNIT_CASE(m2m_finish),
	KUNIT_CASE(m2m_disconnect_in_close),
	KUNIT_CASE(m2m_late_close),
	KUNIT_CASE(m2m_close_before_work),
	KUNIT_CASE(m2m_cancel_in_run),
	KUNIT_CASE(m2m_finished_in_run),
	KUNIT_CASE(m2m_late_interrupt),
	KUNIT_CASE(disconnect_handles),
	KUNIT_CASE(finish_handles),
	KUNIT_CASE(finish_without_disconnect),
	KUNIT_CASE_PARAM(close_in_progress, close_gen_params),
	KUNIT_CASE(close_holds_off_finish),
	KUNIT_CASE(finish_holds_off_close),
	KUNIT_CASE(nodes_disconnect_before_drain),
	KUNIT_CASE(nodes_drain_all),
	KUNIT_CASE(register_late),
	KUNIT_CASE_PARAM(quiesce_and_remove, quiesce_gen_params),
	KUNIT_CASE(sim_disconnect),
	KUNIT_CASE(sim_then_disconnect),
	KUNIT_CASE(disconnect_then_sim),
	KUNIT_CASE(register_again),
	KUNIT_CASE(register_while_open),
	KUNIT_CASE(devm_memory),
	KUNIT_CASE_PARAM(register_in_devm, devm_gen_params),
	KUNIT_CASE_PARAM(user_fault_in_ioctl, fault_gen_params),
	KUNIT_CASE(user_memory_untouched),
	KUNIT_CASE(user_fault_begins_late),
	KUNIT_CASE_PARAM(user_fault_in_driver, copy_gen_params),
	KUNIT_CASE(removal_in_call_of_other),
	KUNIT_CASE(removal),
	KUNIT_CASE(all_is_freed),
	{}
};

static struct kunit_suite __refdata v4l2_dev_suite = {
	.name = "v4l2_dev",
	.init = v4l2_test_init,
	.exit = v4l2_test_exit,
	.test_cases = v4l2_dev_cases,
};

/*
 * After a report the kernel is not what it was: each of these needs a boot of
 * its own, and is skipped without v4l2_dev_kunit.bad_drivers=1: to be run by,
 * for example,
 *
 *	kunit.filter_glob=v4l2_dev_bad.no_drain
 */

static int __init v4l2_bad_init(struct kunit *test)
{
	if (!bad_drivers)
		kunit_skip(test, "needs v4l2_dev_kunit.bad_drivers=1");
	return v4l2_test_init(test);
}

static void __init v4l2_bad_exit(struct kunit *test)
{
	if (test->priv && v4l2_test_end(test))
		kfree(test->priv);
}

/* cdev_drain() waits, and says for what. */
static void __init no_wake(struct kunit *test)
{
	if (!IS_ENABLED(CONFIG_TRACEPOINTS))
		kunit_skip(test, "needs CONFIG_TRACEPOINTS");
	removal_of(test, NO_WAKE);
}

/* The rest is for KASAN to report. */
static void __init no_drain(struct kunit *test)
{
	struct v4l2_test *t = test->priv;

	if (!IS_ENABLED(CONFIG_KASAN))
		kunit_skip(test, "needs CONFIG_KASAN");
	removal_of(test, NO_DRAIN);
	KUNIT_EXPECT_NE(test, t->base.taint, get_taint());
}

static void __init devm_state(struct kunit *test)
{
	struct v4l2_test *t = test->priv;

	if (!IS_ENABLED(CONFIG_KASAN))
		kunit_skip(test, "needs CONFIG_KASAN");
	removal_of(test, DEVM_STATE);
	KUNIT_EXPECT_NE(test, t->base.taint, get_taint());
}

/* Without a reference that the files have in m2m_late_close() */
static void __init m2m_freed_early(struct kunit *test)
{
	struct v4l2_test *t = test->priv;

	if (!IS_ENABLED(CONFIG_KASAN))
		kunit_skip(test, "needs CONFIG_KASAN");
	m2m_late_close_of(test, true);
	KUNIT_EXPECT_NE(test, t->base.taint, get_taint());
}

static struct kunit_case __refdata v4l2_bad_cases[] = {
	KUNIT_CASE_SLOW(no_wake),
	KUNIT_CASE(no_drain),
	KUNIT_CASE(devm_state),
	KUNIT_CASE(m2m_freed_early),
	{}
};

static struct kunit_suite __refdata v4l2_bad_suite = {
	.name = "v4l2_dev_bad",
	.init = v4l2_bad_init,
	.exit = v4l2_bad_exit,
	.test_cases = v4l2_bad_cases,
};

/*
 * What lockdep has to report though nothing hangs, other than what happens in
 * removal_in_call_of_other(): each in a boot of its own as well.
 */

static int __init v4l2_lockdep_init(struct kunit *test)
{
	if (!bad_drivers)
		kunit_skip(test, "needs v4l2_dev_kunit.bad_drivers=1");
	if (!IS_ENABLED(CONFIG_PROVE_LOCKING) || !debug_locks)
		kunit_skip(test, "needs lockdep, and one boot for each case");
	return v4l2_test_init(test);
}

static void __init v4l2_lockdep_exit(struct kunit *test)
{
	if (test->priv)
		KUNIT_EXPECT_FALSE_MSG(test, debug_locks,
				       "lockdep has not reported anything");
	v4l2_bad_exit(test);
}

/*
 * Makes an ioctl that drains another device. It does no more: lockdep has to
 * object to the wait for calls, and not to locks that come after it.
 */
static void __init drain_in_call_of(struct kunit *test, struct stub *s,
				    struct stub *other)
{
	struct test_task *call;

	s->other = other;
	call = start_task(test, task_ioctl, .file = open_node(test, s, 0),
			  .cmd = STUB_IOC_DRAIN_OTHER);
	KUNIT_ASSERT_TRUE(test, is_done(call));
	KUNIT_EXPECT_EQ(test, call->ret, 0);
}

/* An ioctl takes a lock that the remover holds. */
static void __init drain_under_vdev_lock(struct kunit *test)
{
	struct stub *s = the_stub(test);
	struct file *file = open_node(test, s, 0);

	KUNIT_EXPECT_EQ(test, do_ioctl(file, VIDIOC_LOG_STATUS), 0);
	video_device_disconnect(&s->vdev[0]);
	KUNIT_EXPECT_TRUE(test, debug_locks);
	scoped_guard(mutex, &s->lock)
		video_device_drain(&s->vdev[0]);
}

/* Of two devices of one driver, the first drains the second. */
static void __init drain_sibling_in_call(struct kunit *test)
{
	struct stub *sibling = stub_create(test);

	/* What matters here is the call, and not what it takes. */
	lockdep_set_class(&sibling->lock, &other_lock_key);
	stub_add_node(test, sibling, 0);
	KUNIT_EXPECT_TRUE(test, debug_locks);
	drain_in_call_of(test, the_stub(test), sibling);
}

/* Of two drivers, each drains the device of the other. */
static void __init drain_each_other(struct kunit *test)
{
	struct stub *s = the_stub(test);
	struct stub *first = stub_create_other(test);
	struct stub *second = stub_create_other(test);

	stub_add_node(test, first, 0);
	stub_add_node(test, second, 0);
	drain_in_call_of(test, s, first);
	KUNIT_EXPECT_TRUE(test, debug_locks);
	drain_in_call_of(test, second, s);
}

static struct kunit_case __refdata v4l2_lockdep_cases[] = {
	KUNIT_CASE(drain_under_vdev_lock),
	KUNIT_CASE(drain_sibling_in_call),
	KUNIT_CASE(drain_each_other),
	{}
};

static struct kunit_suite __refdata v4l2_lockdep_suite = {
	.name = "v4l2_dev_lockdep",
	.init = v4l2_lockdep_init,
	.exit = v4l2_lockdep_exit,
	.test_cases = v4l2_lockdep_cases,
};

/* Nodes are made with init_mknod(), which exists only at boot. */
kunit_test_init_section_suites(&v4l2_dev_suite, &v4l2_bad_suite,
			       &v4l2_lockdep_suite);

MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("KUnit tests for the removal of V4L2 devices");
