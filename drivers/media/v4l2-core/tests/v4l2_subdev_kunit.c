// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * KUnit tests for the removal of V4L2 sub-devices.
 *
 * As v4l2_dev_kunit.c: calls are made through files of real nodes by tasks of
 * their own, and stop in the driver where a test wants them to. Sensors are
 * freed by the tests as soon as they are unregistered, as devm_kzalloc() would,
 * so that KASAN sees who uses one too long.
 */

#include <kunit/test.h>

#include <linux/fs_struct.h>
#include <linux/init_syscalls.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/poll.h>
#include <linux/property.h>
#include <linux/slab.h>
#include <linux/wait_bit.h>

#include <media/v4l2-async.h>
#include <media/v4l2-ctrls.h>
#include <media/v4l2-device.h>
#include <media/v4l2-event.h>
#include <media/v4l2-ioctl.h>
#include <media/v4l2-subdev.h>

#include "v4l2_kunit.h"

#define NUM_PAIRS	2

/* The first has no argument, so that no user memory is needed. */
#define SENSOR_IOC	_IO('V', BASE_VIDIOC_PRIVATE + 0)
#define SENSOR_IOC_SET	_IOW('V', BASE_VIDIOC_PRIVATE + 1, int)
#define SENSOR_IOC_GET	_IOR('V', BASE_VIDIOC_PRIVATE + 2, int)

/* The order in which things happen to a sensor */
struct sensor_log {
	atomic_t next;
	int returned;
	int closed;
	int unregistered;
	int released;
};

struct sensor {
	struct v4l2_subdev sd;
	struct v4l2_ctrl_handler hdl;
	struct v4l2_ctrl_handler lens;	/* whose control hdl has as well */
	struct sensor_log *log;		/* is still there afterwards */
	bool stop;
	atomic_t calls;
	struct completion inside;
	struct completion go;
};

/* Freed with the last reference to v4l2_dev. */
struct bridge {
	struct v4l2_device v4l2_dev;
	struct v4l2_async_notifier nf;
	struct mutex lock;		/* held when the sensor is called */
	struct v4l2_subdev *sd;
};

struct sd_test {
	struct test_base base;
	struct bridge *bridge[NUM_PAIRS];
	struct sensor *sensor[NUM_PAIRS];
	struct sensor_log log[NUM_PAIRS];
	struct fwnode_handle *fwnode[NUM_PAIRS];
};

static atomic_t bridges_live = ATOMIC_INIT(0);

/* The driver of the sensor */

static struct sensor *to_sensor(struct v4l2_subdev *sd)
{
	return container_of(sd, struct sensor, sd);
}

static void log_step(struct v4l2_subdev *sd, int *step)
{
	*step = atomic_inc_return(&to_sensor(sd)->log->next);
}

static void sensor_stop(struct v4l2_subdev *sd)
{
	struct sensor *s = to_sensor(sd);

	atomic_inc(&s->calls);
	if (READ_ONCE(s->stop)) {
		complete(&s->inside);
		wait_to_go(&s->go);
		log_step(sd, &s->log->returned);
	}
}

static long sensor_ioctl(struct v4l2_subdev *sd, unsigned int cmd, void *arg)
{
	sensor_stop(sd);
	if (cmd == SENSOR_IOC_GET)
		*(int *)arg = 1;
	return 0;
}

static int sensor_s_stream(struct v4l2_subdev *sd, int enable)
{
	sensor_stop(sd);
	return 0;
}

static int sensor_close(struct v4l2_subdev *sd, struct v4l2_subdev_fh *fh)
{
	log_step(sd, &to_sensor(sd)->log->closed);
	return 0;
}

static void sensor_unregistered(struct v4l2_subdev *sd)
{
	log_step(sd, &to_sensor(sd)->log->unregistered);
}

static void sensor_release(struct v4l2_subdev *sd)
{
	log_step(sd, &to_sensor(sd)->log->released);
}

static const struct v4l2_subdev_core_ops sensor_core_ops = {
	.ioctl = sensor_ioctl,
};

static const struct v4l2_subdev_video_ops sensor_video_ops = {
	.s_stream = sensor_s_stream,
};

static const struct v4l2_subdev_ops sensor_ops = {
	.core = &sensor_core_ops,
	.video = &sensor_video_ops,
};

static const struct v4l2_subdev_internal_ops sensor_internal_ops = {
	.close = sensor_close,
	.unregistered = sensor_unregistered,
	.release = sensor_release,
};

static struct sensor *sensor_create(struct kunit *test, int i)
{
	struct sd_test *t = test->priv;
	struct sensor *s = kzalloc_obj(*s);

	KUNIT_ASSERT_NOT_NULL(test, s);
	v4l2_subdev_init(&s->sd, &sensor_ops);
	snprintf(s->sd.name, sizeof(s->sd.name), "sensor%d", i);
	s->sd.internal_ops = &sensor_internal_ops;
	s->sd.flags = V4L2_SUBDEV_FL_HAS_DEVNODE | V4L2_SUBDEV_FL_HAS_EVENTS;
	s->log = &t->log[i];
	init_completion(&s->inside);
	init_completion(&s->go);
	v4l2_ctrl_handler_init(&s->hdl, 2);
	v4l2_ctrl_handler_init(&s->lens, 1);
	v4l2_ctrl_new_std(&s->hdl, NULL, V4L2_CID_BRIGHTNESS, 0, 9, 1, 0);
	v4l2_ctrl_new_std(&s->lens, NULL, V4L2_CID_FOCUS_ABSOLUTE, 0, 9, 1, 0);
	v4l2_ctrl_add_handler(&s->hdl, &s->lens, NULL, true);
	s->sd.ctrl_handler = &s->hdl;
	t->sensor[i] = s;
	KUNIT_ASSERT_EQ(test, s->hdl.error, 0);
	KUNIT_ASSERT_EQ(test, s->lens.error, 0);
	return s;
}

static void sensor_free(struct sd_test *t, int i)
{
	struct sensor *s = t->sensor[i];

	v4l2_ctrl_handler_free(&s->hdl);
	v4l2_ctrl_handler_free(&s->lens);
	v4l2_subdev_cleanup(&s->sd);
	kfree(s);
	t->sensor[i] = NULL;
}

/* The driver of the bridge */

static void bridge_release(struct v4l2_device *v4l2_dev)
{
	kfree(container_of(v4l2_dev, struct bridge, v4l2_dev));
	atomic_dec(&bridges_live);
	wake_up_var(&bridges_live);
}

static int bridge_bound(struct v4l2_async_notifier *nf, struct v4l2_subdev *sd,
			struct v4l2_async_connection *asc)
{
	container_of(nf, struct bridge, nf)->sd = sd;
	return 0;
}

/* By the rule: wait for calls into the sensor, and let there be no more. */
static void bridge_unbind(struct v4l2_async_notifier *nf,
			  struct v4l2_subdev *sd,
			  struct v4l2_async_connection *asc)
{
	struct bridge *b = container_of(nf, struct bridge, nf);

	guard(mutex)(&b->lock);
	b->sd = NULL;
}

static int bridge_complete(struct v4l2_async_notifier *nf)
{
	return v4l2_device_register_subdev_nodes(nf->v4l2_dev);
}

static const struct v4l2_async_notifier_operations bridge_nf_ops = {
	.bound = bridge_bound,
	.unbind = bridge_unbind,
	.complete = bridge_complete,
};

static int bridge_call(struct bridge *b)
{
	guard(mutex)(&b->lock);
	return b->sd ? v4l2_subdev_call(b->sd, video, s_stream, 1) : -ENODEV;
}

static struct bridge *bridge_create(struct kunit *test, int i)
{
	struct sd_test *t = test->priv;
	struct bridge *b = kzalloc_obj(*b);

	KUNIT_ASSERT_NOT_NULL(test, b);
	mutex_init(&b->lock);
	snprintf(b->v4l2_dev.name, sizeof(b->v4l2_dev.name), "bridge%d", i);
	b->v4l2_dev.release = bridge_release;
	if (v4l2_device_register(NULL, &b->v4l2_dev)) {
		kfree(b);
		KUNIT_FAIL_AND_ABORT(test, "v4l2_device_register() failed");
	}
	v4l2_async_nf_init(&b->nf, &b->v4l2_dev);
	b->nf.ops = &bridge_nf_ops;
	atomic_inc(&bridges_live);
	t->bridge[i] = b;
	return b;
}

static void bridge_remove(struct sd_test *t, int i)
{
	struct bridge *b = t->bridge[i];

	v4l2_async_nf_unregister(&b->nf);
	v4l2_async_nf_cleanup(&b->nf);
	v4l2_device_unregister(&b->v4l2_dev);
	v4l2_device_put(&b->v4l2_dev);
	t->bridge[i] = NULL;
}

/* A bridge and a sensor that belongs to it and has a node, or async ones */
static void add_pair(struct kunit *test, int i)
{
	struct bridge *b = bridge_create(test, i);
	struct sensor *s = sensor_create(test, i);

	KUNIT_ASSERT_EQ(test, v4l2_device_register_subdev(&b->v4l2_dev, &s->sd),
			0);
	KUNIT_ASSERT_EQ(test, v4l2_device_register_subdev_nodes(&b->v4l2_dev),
			0);
	KUNIT_ASSERT_NOT_NULL(test, s->sd.devnode);
}

static void bridge_add_nf(struct kunit *test, int i)
{
	struct sd_test *t = test->priv;
	struct bridge *b = t->bridge[i];
	struct v4l2_async_connection *asc;

	asc = v4l2_async_nf_add_fwnode(&b->nf, t->fwnode[i],
				       struct v4l2_async_connection);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, asc);
	KUNIT_ASSERT_EQ(test, v4l2_async_nf_register(&b->nf), 0);
}

/* Neither knows of the other until the sensor is registered. */
static struct sensor *create_async_pair(struct kunit *test, int i)
{
	struct sd_test *t = test->priv;
	struct sensor *s;

	bridge_create(test, i);
	s = sensor_create(test, i);
	t->fwnode[i] = fwnode_create_software_node(NULL, NULL);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, t->fwnode[i]);
	bridge_add_nf(test, i);
	s->sd.fwnode = t->fwnode[i];
	return s;
}

static void add_async_pair(struct kunit *test, int i)
{
	struct sensor *s = create_async_pair(test, i);

	KUNIT_ASSERT_EQ(test, v4l2_async_register_subdev(&s->sd), 0);
	KUNIT_ASSERT_NOT_NULL(test, s->sd.devnode);
}

/* Files */

static struct file *__init open_node(struct kunit *test, struct sensor *s)
{
	struct file *file = ERR_PTR(-ENOENT);
	char path[24];

	snprintf(path, sizeof(path), "/v4l2_kunit_sd%d", s->sd.devnode->minor);
	scoped_with_init_fs() {
		if (!init_mknod(path, S_IFCHR | 0600,
				new_encode_dev(s->sd.devnode->dev.devt))) {
			file = filp_open(path, O_RDWR, 0);
			init_unlink(path);
		}
	}
	remember_file(test, file);
	return file;
}

static long do_ioctl(struct file *file)
{
	return file->f_op->unlocked_ioctl(file, SENSOR_IOC, 0);
}

static void subscribe(struct kunit *test, struct file *file, u32 id)
{
	struct v4l2_event_subscription sub = {
		.type = V4L2_EVENT_CTRL,
		.id = id,
	};

	KUNIT_ASSERT_EQ(test, v4l2_ctrl_subscribe_event(file_fh(file), &sub),
			0);
}

/* Tasks */

static long task_ioctl(struct test_task *tt)
{
	return do_ioctl(tt->file);
}

static long task_bridge_call(struct test_task *tt)
{
	return bridge_call(tt->b);
}

static long task_unregister(struct test_task *tt)
{
	v4l2_device_unregister_subdev(tt->sd);
	return 0;
}

static long task_async_unregister(struct test_task *tt)
{
	v4l2_async_unregister_subdev(tt->sd);
	return 0;
}

static long task_nf_unregister(struct test_task *tt)
{
	v4l2_async_nf_unregister(&tt->b->nf);
	return 0;
}

/* Let a task go into the sensor, and stop there. */
static struct test_task *start_call(struct kunit *test, struct sensor *s,
				    long (*fn)(struct test_task *tt),
				    struct file *file, struct bridge *b)
{
	struct test_task *tt;

	WRITE_ONCE(s->stop, true);
	tt = start_task(test, fn, .file = file, .b = b);
	KUNIT_ASSERT_TRUE(test, wait_for(&s->inside));
	return tt;
}

/* Fixture */

static int sd_test_init(struct kunit *test)
{
	struct sd_test *t = kzalloc_obj(*t);

	if (!t)
		return -ENOMEM;
	test->priv = t;
	watch_kernel(&t->base);
	return 0;
}

static void sd_test_exit(struct kunit *test)
{
	struct sd_test *t = test->priv;
	int i;

	if (!t)
		return;

	for (i = 0; i < NUM_PAIRS; i++)
		if (t->sensor[i])
			complete_all(&t->sensor[i]->go);
	if (!tasks_are_done(test))
		return;
	for (i = 0; i < NUM_PAIRS; i++) {
		if (t->sensor[i]) {
			v4l2_async_unregister_subdev(&t->sensor[i]->sd);
			v4l2_device_unregister_subdev(&t->sensor[i]->sd);
			sensor_free(t, i);
		}
		if (t->bridge[i])
			bridge_remove(t, i);
		fwnode_remove_software_node(t->fwnode[i]);
	}
	close_files(&t->base);
	expect_no_report(test);
	kfree(t);
}

/* Cases */

/* The sensor is freed with two files open, as if its driver used devm. */
static void __init close_after_free(struct kunit *test)
{
	struct sd_test *t = test->priv;
	struct sensor_log *log = &t->log[0];
	struct file *file, *other;
	struct video_device *vdev;
	struct sensor *s;

	add_pair(test, 0);
	s = t->sensor[0];
	file = open_node(test, s);
	other = open_node(test, s);
	subscribe(test, file, V4L2_CID_BRIGHTNESS);
	subscribe(test, file, V4L2_CID_FOCUS_ABSOLUTE);
	KUNIT_EXPECT_EQ(test, do_ioctl(file), 0);

	v4l2_device_unregister_subdev(&s->sd);
	KUNIT_EXPECT_EQ(test, atomic_read(&log->next), 4);
	KUNIT_EXPECT_EQ(test, log->closed, 2);
	KUNIT_EXPECT_EQ(test, log->unregistered, 3);
	KUNIT_EXPECT_EQ(test, log->released, 4);
	KUNIT_EXPECT_NULL(test, s->sd.devnode);
	KUNIT_EXPECT_TRUE(test, list_empty(&file_fh(file)->subscribed));
	/* Nothing leads from the node to the sensor. */
	vdev = file_fh(file)->vdev;
	KUNIT_EXPECT_NULL(test, video_get_drvdata(vdev));
	KUNIT_EXPECT_NULL(test, vdev->ctrl_handler);
	sensor_free(t, 0);

	KUNIT_EXPECT_EQ(test, do_ioctl(file), -ENODEV);
	KUNIT_EXPECT_EQ(test, (__force int)vfs_poll(file, NULL),
			(__force int)(EPOLLERR | EPOLLHUP | EPOLLPRI));
	close_file(test, file);
	bridge_remove(t, 0);
	KUNIT_EXPECT_EQ(test, do_ioctl(other), -ENODEV);
	close_file(test, other);
	KUNIT_EXPECT_EQ(test, atomic_read(&log->next), 4);
}

/* Close does what unregistering would do otherwise, and once. */
static void __init close_before(struct kunit *test)
{
	struct sd_test *t = test->priv;
	struct sensor_log *log = &t->log[0];
	struct file *file;

	add_pair(test, 0);
	file = open_node(test, t->sensor[0]);
	subscribe(test, file, V4L2_CID_FOCUS_ABSOLUTE);
	close_file(test, file);
	KUNIT_EXPECT_EQ(test, log->closed, 1);
	v4l2_device_unregister_subdev(&t->sensor[0]->sd);
	KUNIT_EXPECT_EQ(test, log->unregistered, 2);
	KUNIT_EXPECT_EQ(test, log->released, 3);
	KUNIT_EXPECT_EQ(test, atomic_read(&log->next), 3);

	/* once more has no effect */
	v4l2_device_unregister_subdev(&t->sensor[0]->sd);
	KUNIT_EXPECT_EQ(test, atomic_read(&log->next), 3);
}

static void __init call_in_progress(struct kunit *test)
{
	struct sd_test *t = test->priv;
	struct sensor_log *log = &t->log[0];
	struct test_task *call, *remover;
	struct sensor *s;

	add_pair(test, 0);
	s = t->sensor[0];
	call = start_call(test, s, task_ioctl, open_node(test, s), NULL);
	remover = start_task(test, task_unregister, .sd = &s->sd);
	KUNIT_EXPECT_TRUE(test, is_asleep(remover));
	KUNIT_EXPECT_EQ(test, atomic_read(&log->next), 0);
	complete(&s->go);
	KUNIT_ASSERT_TRUE(test, is_done(remover));
	KUNIT_ASSERT_TRUE(test, is_done(call));
	KUNIT_EXPECT_EQ(test, call->ret, 0);
	KUNIT_EXPECT_EQ(test, log->returned, 1);
	KUNIT_EXPECT_EQ(test, log->closed, 2);
	KUNIT_EXPECT_EQ(test, log->unregistered, 3);
	KUNIT_EXPECT_EQ(test, log->released, 4);
}

static const struct fault_param {
	const char *name;
	unsigned int cmd;
} fault_params[] = {
	{ "copy_in", SENSOR_IOC_SET },
	{ "copy_out", SENSOR_IOC_GET },
};

KUNIT_ARRAY_PARAM_DESC(fault, fault_params, name);

/* Nobody waits for a page fault, and nothing of the sensor is used after it. */
static void __init user_fault(struct kunit *test)
{
	const struct fault_param *param = test->param_value;
	struct user_page *user = create_user_page(test);
	int *value = page_address(user->page);
	bool in = param->cmd == SENSOR_IOC_SET;
	struct sd_test *t = test->priv;
	struct test_task *call, *remover;
	struct sensor *s;
	struct file *file;

	add_pair(test, 0);
	s = t->sensor[0];
	file = open_node(test, s);
	call = start_user_fault(test, task_user_ioctl, .file = file,
				.user = user, .cmd = param->cmd);
	KUNIT_EXPECT_EQ(test, atomic_read(&s->calls), in ? 0 : 1);
	remover = start_task(test, task_unregister, .sd = &s->sd);
	KUNIT_ASSERT_TRUE(test, is_done(remover));
	sensor_free(t, 0);
	bridge_remove(t, 0);
	end_user_fault(test, call);
	KUNIT_EXPECT_EQ(test, call->ret, in ? -ENODEV : 0);
	KUNIT_EXPECT_EQ(test, *value, in ? 0 : 1);
}

/* What the driver of the bridge finished is not finished again. */
static void __init finished_by_bridge(struct kunit *test)
{
	struct sd_test *t = test->priv;
	struct sensor_log *log = &t->log[0];
	struct file *file;

	add_pair(test, 0);
	file = open_node(test, t->sensor[0]);
	v4l2_nodes_disconnect(&t->bridge[0]->v4l2_dev);
	v4l2_nodes_drain(&t->bridge[0]->v4l2_dev);
	v4l2_nodes_finish_handles(&t->bridge[0]->v4l2_dev);
	KUNIT_EXPECT_EQ(test, log->closed, 1);
	v4l2_device_unregister(&t->bridge[0]->v4l2_dev);
	KUNIT_EXPECT_EQ(test, log->unregistered, 2);
	KUNIT_EXPECT_EQ(test, log->released, 3);
	sensor_free(t, 0);
	close_file(test, file);
	KUNIT_EXPECT_EQ(test, atomic_read(&log->next), 3);
}

static void __init rebind_bridge(struct kunit *test)
{
	static const struct v4l2_event ev = { .type = V4L2_EVENT_EOS };
	struct v4l2_event_subscription sub = { .type = V4L2_EVENT_EOS };
	struct sd_test *t = test->priv;
	struct file *old, *new;
	struct bridge *b;
	struct sensor *s;

	add_pair(test, 0);
	s = t->sensor[0];
	old = open_node(test, s);
	bridge_remove(t, 0);
	KUNIT_EXPECT_NULL(test, s->sd.devnode);
	v4l2_subdev_notify_event(&s->sd, &ev);

	b = bridge_create(test, 0);
	KUNIT_ASSERT_EQ(test, v4l2_device_register_subdev(&b->v4l2_dev, &s->sd),
			0);
	KUNIT_ASSERT_EQ(test, v4l2_device_register_subdev_nodes(&b->v4l2_dev),
			0);
	KUNIT_ASSERT_NOT_NULL(test, s->sd.devnode);
	new = open_node(test, s);
	KUNIT_EXPECT_PTR_EQ(test, file_fh(new)->vdev, s->sd.devnode);
	KUNIT_EXPECT_PTR_NE(test, file_fh(old)->vdev, s->sd.devnode);
	KUNIT_EXPECT_EQ(test, do_ioctl(old), -ENODEV);
	KUNIT_EXPECT_EQ(test, do_ioctl(new), 0);

	close_file(test, old);
	KUNIT_EXPECT_PTR_EQ(test, file_fh(new)->vdev, s->sd.devnode);
	KUNIT_EXPECT_EQ(test, do_ioctl(new), 0);
	KUNIT_ASSERT_EQ(test, v4l2_event_subscribe(file_fh(new), &sub, 1, NULL),
			0);
	v4l2_subdev_notify_event(&s->sd, &ev);
	KUNIT_EXPECT_EQ(test, v4l2_event_pending(file_fh(new)), 1);
}

/* The first has no node, the second gets one, and is the one that matters. */
static void __init register_nodes_fails(struct kunit *test)
{
	struct sd_test *t = test->priv;
	struct bridge *b = bridge_create(test, 0);
	struct sensor *first = sensor_create(test, 0);
	struct sensor *s = sensor_create(test, 1);
	struct file *file;

	first->sd.flags &= ~V4L2_SUBDEV_FL_HAS_DEVNODE;
	KUNIT_ASSERT_EQ(test, v4l2_device_register_subdev(&b->v4l2_dev,
							  &first->sd), 0);
	KUNIT_ASSERT_EQ(test, v4l2_device_register_subdev(&b->v4l2_dev, &s->sd),
			0);
	KUNIT_ASSERT_EQ(test, v4l2_device_register_subdev_nodes(&b->v4l2_dev),
			0);
	file = open_node(test, s);
	first->sd.flags |= V4L2_SUBDEV_FL_HAS_DEVNODE;
	v4l2_nodes_disconnect(&b->v4l2_dev);
	KUNIT_EXPECT_EQ(test, v4l2_device_register_subdev_nodes(&b->v4l2_dev),
			-ENODEV);
	KUNIT_EXPECT_NULL(test, first->sd.devnode);
	KUNIT_EXPECT_NULL(test, s->sd.devnode);
	close_file(test, file);
	KUNIT_EXPECT_EQ(test, t->log[1].closed, 1);
	KUNIT_EXPECT_EQ(test, t->log[1].released, 0);

	v4l2_device_unregister(&b->v4l2_dev);
	KUNIT_EXPECT_EQ(test, t->log[0].released, 2);
	KUNIT_EXPECT_EQ(test, t->log[1].released, 3);
	KUNIT_EXPECT_EQ(test, atomic_read(&t->log[1].next), 3);
}

static const struct async_param {
	const char *name;
	bool sensor;
	bool bridge;
} async_params[] = {
	{ "sensor", true, false },
	{ "bridge", false, true },
	{ "both", true, true },
};

KUNIT_ARRAY_PARAM_DESC(async, async_params, name);

/* A call that is stuck holds up its own device, and no other. */
static void __init async_stuck_call(struct kunit *test)
{
	const struct async_param *param = test->param_value;
	struct test_task *call, *by_sensor = NULL, *by_bridge = NULL, *tt;
	struct sd_test *t = test->priv;
	struct sensor_log *log = &t->log[0];
	struct sensor *s;
	struct file *file;

	add_async_pair(test, 0);
	add_async_pair(test, 1);
	s = t->sensor[0];
	file = open_node(test, s);
	call = start_call(test, s, task_ioctl, file, NULL);
	if (param->sensor) {
		by_sensor = start_task(test, task_async_unregister,
				       .sd = &s->sd);
		KUNIT_EXPECT_TRUE(test, is_asleep(by_sensor));
	}
	if (param->bridge) {
		by_bridge = start_task(test, task_nf_unregister,
				       .b = t->bridge[0]);
		KUNIT_EXPECT_TRUE(test, is_asleep(by_bridge));
	}
	KUNIT_EXPECT_EQ(test, atomic_read(&log->next), 0);

	tt = start_task(test, task_async_unregister, .sd = &t->sensor[1]->sd);
	KUNIT_ASSERT_TRUE(test, is_done(tt));
	sensor_free(t, 1);
	bridge_remove(t, 1);

	complete(&s->go);
	KUNIT_ASSERT_TRUE(test, is_done(call));
	KUNIT_EXPECT_EQ(test, call->ret, 0);
	KUNIT_ASSERT_TRUE(test, !by_sensor || is_done(by_sensor));
	KUNIT_ASSERT_TRUE(test, !by_bridge || is_done(by_bridge));
	KUNIT_EXPECT_EQ(test, log->returned, 1);
	KUNIT_EXPECT_EQ(test, log->closed, 2);
	KUNIT_EXPECT_EQ(test, log->unregistered, 3);
	KUNIT_EXPECT_EQ(test, log->released, 4);
	KUNIT_EXPECT_NULL(test, s->sd.devnode);

	/* A sensor that stays gets a node from the next bridge. */
	if (!param->sensor) {
		bridge_remove(t, 0);
		bridge_create(test, 0);
		bridge_add_nf(test, 0);
		KUNIT_ASSERT_NOT_NULL(test, s->sd.devnode);
		KUNIT_EXPECT_EQ(test, do_ioctl(file), -ENODEV);
		WRITE_ONCE(s->stop, false);
		KUNIT_EXPECT_EQ(test, do_ioctl(open_node(test, s)), 0);
		v4l2_async_unregister_subdev(&s->sd);
	}
	sensor_free(t, 0);
	close_file(test, file);
}

/* Calls from another driver are over when unbind returns. */
static void __init async_call_by_bridge(struct kunit *test)
{
	struct test_task *call, *remover;
	struct sd_test *t = test->priv;
	struct sensor *s;

	add_async_pair(test, 0);
	s = t->sensor[0];
	call = start_call(test, s, task_bridge_call, NULL, t->bridge[0]);
	remover = start_task(test, task_async_unregister, .sd = &s->sd);
	KUNIT_EXPECT_TRUE(test, is_asleep(remover));
	KUNIT_EXPECT_EQ(test, atomic_read(&t->log[0].next), 0);
	complete(&s->go);
	KUNIT_ASSERT_TRUE(test, is_done(remover));
	KUNIT_ASSERT_TRUE(test, is_done(call));
	KUNIT_EXPECT_EQ(test, call->ret, 0);
	KUNIT_EXPECT_EQ(test, t->log[0].returned, 1);
	KUNIT_EXPECT_EQ(test, t->log[0].unregistered, 2);
	sensor_free(t, 0);
	KUNIT_EXPECT_EQ(test, bridge_call(t->bridge[0]), -ENODEV);
}

/* A sensor that comes while the bridge goes is probed again, for the next. */
static void async_bridge_goes(struct kunit *test)
{
	struct sd_test *t = test->priv;
	struct sensor *s = create_async_pair(test, 0);

	v4l2_nodes_disconnect(&t->bridge[0]->v4l2_dev);
	KUNIT_EXPECT_EQ(test, v4l2_async_register_subdev(&s->sd),
			-EPROBE_DEFER);
	KUNIT_EXPECT_NULL(test, s->sd.devnode);
	KUNIT_EXPECT_NULL(test, s->sd.v4l2_dev);
	bridge_remove(t, 0);

	bridge_create(test, 0);
	bridge_add_nf(test, 0);
	KUNIT_EXPECT_EQ(test, v4l2_async_register_subdev(&s->sd), 0);
	KUNIT_EXPECT_NOT_NULL(test, s->sd.devnode);
	v4l2_async_unregister_subdev(&s->sd);
	sensor_free(t, 0);
}

/* The last case: nothing of the others is left. */
static void all_is_freed(struct kunit *test)
{
	/* DEBUG_KOBJECT_RELEASE delays the release by up to four seconds. */
	KUNIT_EXPECT_TRUE(test,
			  wait_var_event_timeout(&bridges_live,
						 !atomic_read(&bridges_live),
						 WAIT));
}

static struct kunit_case __refdata v4l2_subdev_cases[] = {
	KUNIT_CASE(close_after_free),
	KUNIT_CASE(close_before),
	KUNIT_CASE(call_in_progress),
	KUNIT_CASE_PARAM(user_fault, fault_gen_params),
	KUNIT_CASE(finished_by_bridge),
	KUNIT_CASE(rebind_bridge),
	KUNIT_CASE(register_nodes_fails),
	KUNIT_CASE_PARAM(async_stuck_call, async_gen_params),
	KUNIT_CASE(async_call_by_bridge),
	KUNIT_CASE(async_bridge_goes),
	KUNIT_CASE(all_is_freed),
	{}
};

static struct kunit_suite __refdata v4l2_subdev_suite = {
	.name = "v4l2_subdev",
	.init = sd_test_init,
	.exit = sd_test_exit,
	.test_cases = v4l2_subdev_cases,
};

/* Nodes are made with init_mknod(), which exists only at boot. */
kunit_test_init_section_suite(v4l2_subdev_suite);

MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("KUnit tests for the removal of V4L2 sub-devices");
