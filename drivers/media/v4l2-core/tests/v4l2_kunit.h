/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the KUnit tests of V4L2 devices and of sub-devices share: tasks that
 * make the calls, the files that they make them through, and a look at what the
 * kernel reported meanwhile. A report by KASAN, lockdep or WARN does not fail a
 * KUnit case by itself.
 */
#ifndef _V4L2_KUNIT_H_
#define _V4L2_KUNIT_H_

#include <kunit/test.h>

#include <linux/completion.h>
#include <linux/debug_locks.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/iopoll.h>
#include <linux/kthread.h>
#include <linux/panic.h>
#include <linux/sched.h>
#include <linux/sched/task.h>

#include <media/v4l2-fh.h>

#define WAIT_S		60
#define WAIT		(WAIT_S * HZ)

#define MAX_TASKS	8
#define MAX_FILES	8

struct bridge;
struct stub;
struct v4l2_subdev;
struct video_device;

/* A task that makes a call, or a step of the removal. */
struct test_task {
	long (*fn)(struct test_task *tt);
	struct stub *s;
	struct bridge *b;
	struct v4l2_subdev *sd;
	struct video_device *vdev;
	struct file *file;
	int op;
	unsigned int cmd;
	struct task_struct *task;
	struct completion started;
	struct completion done;
	long ret;
};

/* test->priv begins with it */
struct test_base {
	struct test_task task[MAX_TASKS];
	int num_tasks;
	struct file *file[MAX_FILES];
	unsigned long taint;
	int debug_locks;
};

static bool wait_for(struct completion *done)
{
	return wait_for_completion_timeout(done, WAIT);
}

/* In the driver: longer, since a call that gave up would hide what hangs. */
static void wait_to_go(struct completion *go)
{
	wait_for_completion_timeout(go, 3 * WAIT);
}

/* Tasks */

static int task_fn(void *data)
{
	struct test_task *tt = data;

	complete(&tt->started);
	tt->ret = tt->fn(tt);
	complete_all(&tt->done);
	return 0;
}

static struct test_task *start(struct kunit *test,
			       long (*fn)(struct test_task *tt),
			       const struct test_task *args, const char *name)
{
	struct test_base *t = test->priv;
	struct test_task *tt = &t->task[t->num_tasks];
	struct task_struct *task;

	KUNIT_ASSERT_LT(test, t->num_tasks, MAX_TASKS);
	*tt = *args;
	tt->fn = fn;
	init_completion(&tt->started);
	init_completion(&tt->done);
	task = kthread_create(task_fn, tt, "%s", name);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, task);
	tt->task = get_task_struct(task);
	t->num_tasks++;
	wake_up_process(task);
	KUNIT_ASSERT_TRUE(test, wait_for(&tt->started));
	return tt;
}

#define start_task(test, fn, ...) \
	start(test, fn, &(struct test_task){ __VA_ARGS__ }, #fn)

static bool is_done(struct test_task *tt)
{
	return wait_for(&tt->done);
}

/*
 * Wait until the task sleeps. The only thing it sleeps on, once it has started,
 * is what the test is about, and it queues itself there before it says so in
 * its state.
 */
static bool is_asleep(struct test_task *tt)
{
	unsigned int state;

	poll_timeout_us(state = READ_ONCE(tt->task->__state),
			(state & TASK_NORMAL) || completion_done(&tt->done),
			100, WAIT_S * USEC_PER_SEC, false);
	return (state & TASK_NORMAL) && !completion_done(&tt->done);
}

/* Returns false if one hangs: what it uses has to stay. */
static bool tasks_are_done(struct kunit *test)
{
	struct test_base *t = test->priv;
	int i;

	for (i = 0; i < t->num_tasks; i++) {
		if (!is_done(&t->task[i])) {
			KUNIT_FAIL(test, "%s hangs, leaking its memory",
				   t->task[i].task->comm);
			return false;
		}
		put_task_struct(t->task[i].task);
	}
	return true;
}

/* Files */

static void remember_file(struct kunit *test, struct file *file)
{
	struct test_base *t = test->priv;
	int i;

	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, file);
	for (i = 0; t->file[i]; i++)
		KUNIT_ASSERT_LT(test, i, MAX_FILES - 1);
	t->file[i] = file;
}

/* Closing it is the business of the caller from here on. */
static struct file *forget_file(struct kunit *test, struct file *file)
{
	struct test_base *t = test->priv;
	int i;

	for (i = 0; i < MAX_FILES; i++)
		if (t->file[i] == file)
			t->file[i] = NULL;
	return file;
}

static void close_file(struct kunit *test, struct file *file)
{
	__fput_sync(forget_file(test, file));
}

static void close_files(struct test_base *t)
{
	int i;

	for (i = 0; i < MAX_FILES; i++)
		if (t->file[i])
			__fput_sync(t->file[i]);
}

static struct v4l2_fh *file_fh(struct file *file)
{
	return file_to_v4l2_fh(file);
}

/* Reports of the kernel */

static void watch_kernel(struct test_base *t)
{
	t->taint = get_taint();
	t->debug_locks = debug_locks;
}

static void expect_no_report(struct kunit *test)
{
	struct test_base *t = test->priv;

	KUNIT_EXPECT_EQ_MSG(test, t->debug_locks, debug_locks,
			    "lockdep has reported something");
	KUNIT_EXPECT_EQ_MSG(test, t->taint, get_taint(),
			    "the kernel was tainted");
}

#endif /* _V4L2_KUNIT_H_ */
