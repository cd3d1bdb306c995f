// SPDX-License-Identifier: GPL-2.0
/*
 * KUnit tests for fs/cdev_drain.c and for how chrdev_open() uses it.
 *
 * Calls and drains run in tasks of their own and block on completions, so that
 * the test steps through what they can do to each other. No test depends on
 * time: what has to happen is waited for, what must not happen is looked for
 * once the task in question is known to be asleep. The limit of each wait only
 * matters if the code under test is broken. In that case what the tasks use is
 * leaked, as they might still use it.
 *
 * A report by lockdep, WARN, or KASAN in another task, does not fail a KUnit
 * case by itself, so that this is looked for when a case ends.
 */

#include <kunit/test.h>

#include <linux/anon_inodes.h>
#include <linux/cdev.h>
#include <linux/completion.h>
#include <linux/cpumask.h>
#include <linux/debug_locks.h>
#include <linux/delay.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/fs_struct.h>
#include <linux/init_syscalls.h>
#include <linux/iopoll.h>
#include <linux/jiffies.h>
#include <linux/kthread.h>
#include <linux/mm.h>
#include <linux/mman.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/panic.h>
#include <linux/random.h>
#include <linux/sched/mm.h>
#include <linux/sched/task.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/uaccess.h>
#include <linux/wait_bit.h>

/*
 * The last that cdev_exit() does, and it is inlined here: a function of ours in
 * its place can stop a call that has left, but has not woken who drains.
 */
#define __cdev_wake_drain	cdev_kunit_wake_drain
#include <linux/cdev_drain.h>
#undef __cdev_wake_drain
typeof(cdev_kunit_wake_drain) __cdev_wake_drain;

#include <trace/events/cdev.h>
#include <trace/events/printk.h>

#define WAIT_S		60
#define WAIT		(WAIT_S * HZ)

#define MAX_TASKS	16
#define MANY		8
#define COUNT_LOOPS	5000
#define FREE_LOOPS	64
#define BATCH		32

/* Of no meaning, the device is never added: what messages and events show. */
#define TEST_DEVT	MKDEV(240, 77)

static bool lockdep_reports;
module_param(lockdep_reports, bool, 0444);
MODULE_PARM_DESC(lockdep_reports,
		 "Run the cases of suite cdev_lockdep that have to cause a lockdep report, and disable lockdep by that; one for each boot");

static struct lock_class_key key_a;
static struct lock_class_key key_b;

struct cdev_test;

/* A task that makes a call, or drains. */
struct test_task {
	struct cdev_test *t;
	struct cdev *cdev;
	struct task_struct *task;
	struct completion started;	/* in the call, or about to drain */
	struct completion go;		/* the call may end */
	struct completion left;		/* it has, but woken nobody yet */
	struct completion wake;		/* it may do that */
	struct completion done;
	int ret;
};

struct cdev_test {
	struct cdev cdev;
	struct cdev other;
	struct test_task task[MAX_TASKS];
	int num_tasks;
	int done_by_calls;
	unsigned long taint;
	int debug_locks;

	/* Devices that come and go: free_after_drain() */
	struct cdev *batch[BATCH];
	struct cdev_call batch_call[BATCH];
	struct completion offer;
	struct completion taken;
};

static void test_cdev_init(struct cdev *cdev, struct lock_class_key *key)
{
	cdev_init(cdev, NULL);
	cdev->dev = TEST_DEVT;
	cdev_enable_drain(cdev, key == &key_a ? "cdev_kunit_a" : "cdev_kunit_b",
			  key);
}

static bool wait_for(struct completion *done)
{
	return wait_for_completion_timeout(done, WAIT);
}

/* In a call: longer, since one that gave up would hide what hangs. */
static void wait_to_go(struct completion *go)
{
	wait_for_completion_timeout(go, 3 * WAIT);
}

/*
 * Wait until the task sleeps. The only thing it sleeps on, once it has started,
 * is what the test is about. Its state alone does not tell: that is set before
 * it looks whether it has to wait.
 */
static bool is_asleep(struct test_task *tt)
{
	bool asleep;

	poll_timeout_us(asleep = wait_task_inactive(tt->task, TASK_NORMAL),
			asleep || completion_done(&tt->done),
			100, WAIT_S * USEC_PER_SEC, false);
	return asleep && !completion_done(&tt->done);
}

/* The one task that stops there. */
static struct test_task *leaving;

void cdev_kunit_wake_drain(atomic_t *active)
{
	struct test_task *tt = READ_ONCE(leaving);

	if (tt && tt->task == current) {
		complete(&tt->left);
		wait_to_go(&tt->wake);
	}
	__cdev_wake_drain(active);
}

static struct test_task *start_task(struct kunit *test, struct cdev *cdev,
				    int (*fn)(void *data), const char *name)
{
	struct cdev_test *t = test->priv;
	struct test_task *tt = &t->task[t->num_tasks];
	struct task_struct *task;

	KUNIT_ASSERT_LT(test, t->num_tasks, MAX_TASKS);
	tt->t = t;
	tt->cdev = cdev;
	init_completion(&tt->started);
	init_completion(&tt->go);
	init_completion(&tt->left);
	init_completion(&tt->wake);
	init_completion(&tt->done);
	task = kthread_create(fn, tt, "%s", name);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, task);
	tt->task = get_task_struct(task);
	t->num_tasks++;
	wake_up_process(task);
	return tt;
}

static int call_fn(void *data)
{
	struct test_task *tt = data;
	struct cdev_call call;

	if (cdev_enter(tt->cdev, &call)) {
		complete(&tt->started);
		wait_to_go(&tt->go);
		tt->t->done_by_calls++;
		cdev_exit(tt->cdev, &call);
	} else {
		tt->ret = -ENODEV;
		complete(&tt->started);
	}
	complete_all(&tt->done);
	return 0;
}

static struct test_task *start_call(struct kunit *test, struct cdev *cdev)
{
	struct test_task *tt = start_task(test, cdev, call_fn, "cdev_call");

	KUNIT_ASSERT_TRUE(test, wait_for(&tt->started));
	return tt;
}

static void end_call(struct kunit *test, struct test_task *tt)
{
	complete(&tt->go);
	KUNIT_ASSERT_TRUE(test, wait_for(&tt->done));
}

static int drain_fn(void *data)
{
	struct test_task *tt = data;

	complete(&tt->started);
	tt->ret = cdev_drain(tt->cdev);
	complete_all(&tt->done);
	return 0;
}

static struct test_task *start_drain(struct kunit *test, struct cdev *cdev)
{
	struct test_task *tt = start_task(test, cdev, drain_fn, "cdev_drain");

	KUNIT_ASSERT_TRUE(test, wait_for(&tt->started));
	return tt;
}

/* Not in the task of the test, which could not be stopped if it hung. */
static void drain(struct kunit *test, struct cdev *cdev)
{
	struct test_task *tt = start_drain(test, cdev);

	KUNIT_ASSERT_TRUE(test, wait_for(&tt->done));
	KUNIT_EXPECT_EQ(test, tt->ret, 0);
}

static bool enter_refused(struct cdev *cdev)
{
	struct cdev_call call;

	if (!cdev_enter(cdev, &call))
		return true;
	cdev_exit(cdev, &call);
	return false;
}

static int cdev_test_init(struct kunit *test)
{
	struct cdev_test *t;

	t = kzalloc_obj(*t);
	if (!t)
		return -ENOMEM;
	test_cdev_init(&t->cdev, &key_a);
	test_cdev_init(&t->other, &key_b);
	init_completion(&t->offer);
	init_completion(&t->taken);
	t->taint = get_taint();
	t->debug_locks = debug_locks;
	test->priv = t;
	return 0;
}

static bool end_tasks(struct kunit *test)
{
	struct cdev_test *t = test->priv;
	int i;

	for (i = 0; i < t->num_tasks; i++) {
		complete_all(&t->task[i].go);
		complete_all(&t->task[i].wake);
	}
	for (i = 0; i < t->num_tasks; i++) {
		if (!wait_for(&t->task[i].done)) {
			KUNIT_FAIL(test, "%s hangs, leaking its memory",
				   t->task[i].task->comm);
			return false;
		}
		put_task_struct(t->task[i].task);
	}
	t->num_tasks = 0;
	leaving = NULL;
	return true;
}

static void check_reports(struct kunit *test)
{
	struct cdev_test *t = test->priv;

	KUNIT_EXPECT_EQ_MSG(test, t->debug_locks, debug_locks,
			    "lockdep has reported something");
	KUNIT_EXPECT_EQ_MSG(test, t->taint, get_taint(),
			    "the kernel was tainted");
}

static void cdev_test_exit(struct kunit *test)
{
	if (!test->priv)
		return;

	if (end_tasks(test)) {
		check_reports(test);
		kfree(test->priv);
	}
}

/* State */

static void not_connected(struct kunit *test)
{
	struct cdev_test *t = test->priv;

	KUNIT_EXPECT_TRUE(test, cdev_is_disconnected(&t->cdev));
	KUNIT_EXPECT_TRUE(test, enter_refused(&t->cdev));
	KUNIT_EXPECT_EQ(test, cdev_calls_in_flight(&t->cdev), 0);
}

static void connect_once(struct kunit *test)
{
	struct cdev_test *t = test->priv;
	struct cdev_call call;

	KUNIT_EXPECT_TRUE(test, cdev_connect(&t->cdev));
	KUNIT_EXPECT_FALSE(test, cdev_is_disconnected(&t->cdev));
	KUNIT_EXPECT_EQ(test, cdev_calls_in_flight(&t->cdev), 0);

	/* A second time must not lose the calls that are in progress. */
	KUNIT_ASSERT_TRUE(test, cdev_enter(&t->cdev, &call));
	KUNIT_EXPECT_FALSE(test, cdev_connect(&t->cdev));
	KUNIT_EXPECT_EQ(test, cdev_calls_in_flight(&t->cdev), 1);
	cdev_exit(&t->cdev, &call);
	KUNIT_EXPECT_EQ(test, cdev_calls_in_flight(&t->cdev), 0);
}

static void disconnect_is_final(struct kunit *test)
{
	struct cdev_test *t = test->priv;
	int i;

	cdev_connect(&t->cdev);
	KUNIT_EXPECT_TRUE(test, cdev_disconnect(&t->cdev));
	for (i = 0; i < 3; i++) {
		KUNIT_EXPECT_TRUE(test, cdev_is_disconnected(&t->cdev));
		KUNIT_EXPECT_TRUE(test, enter_refused(&t->cdev));
		KUNIT_EXPECT_EQ(test, cdev_calls_in_flight(&t->cdev), 0);
		KUNIT_EXPECT_FALSE(test, cdev_disconnect(&t->cdev));
		KUNIT_EXPECT_FALSE(test, cdev_connect(&t->cdev));
		drain(test, &t->cdev);
	}
}

static void disconnect_before_connect(struct kunit *test)
{
	struct cdev_test *t = test->priv;

	KUNIT_EXPECT_TRUE(test, cdev_disconnect(&t->cdev));
	KUNIT_EXPECT_EQ(test, cdev_calls_in_flight(&t->cdev), 0);
	KUNIT_EXPECT_FALSE(test, cdev_disconnect(&t->cdev));
	KUNIT_EXPECT_FALSE(test, cdev_connect(&t->cdev));
	KUNIT_EXPECT_TRUE(test, enter_refused(&t->cdev));
	drain(test, &t->cdev);
}

static void disconnect_in_call(struct kunit *test)
{
	struct cdev_test *t = test->priv;
	struct test_task *drainer;
	struct cdev_call call;

	cdev_connect(&t->cdev);
	KUNIT_ASSERT_TRUE(test, cdev_enter(&t->cdev, &call));
	KUNIT_EXPECT_TRUE(test, cdev_disconnect(&t->cdev));
	KUNIT_EXPECT_TRUE(test, cdev_is_disconnected(&t->cdev));
	KUNIT_EXPECT_EQ(test, cdev_calls_in_flight(&t->cdev), 1);
	KUNIT_EXPECT_TRUE(test, enter_refused(&t->cdev));

	drainer = start_drain(test, &t->cdev);
	KUNIT_EXPECT_TRUE(test, is_asleep(drainer));
	cdev_exit(&t->cdev, &call);
	KUNIT_ASSERT_TRUE(test, wait_for(&drainer->done));
	KUNIT_EXPECT_EQ(test, drainer->ret, 0);
}

static void disconnect_in_atomic(struct kunit *test)
{
	static DEFINE_SPINLOCK(lock);
	struct cdev_test *t = test->priv;
	unsigned long flags;

	cdev_connect(&t->cdev);
	spin_lock_irqsave(&lock, flags);
	cdev_disconnect(&t->cdev);
	spin_unlock_irqrestore(&lock, flags);
	KUNIT_EXPECT_TRUE(test, enter_refused(&t->cdev));
}

/* Count */

static void calls_in_flight(struct kunit *test)
{
	struct cdev_test *t = test->priv;
	struct test_task *call[MANY];
	int i;

	cdev_connect(&t->cdev);
	for (i = 0; i < MANY; i++) {
		call[i] = start_call(test, &t->cdev);
		KUNIT_EXPECT_EQ(test, call[i]->ret, 0);
		KUNIT_EXPECT_EQ(test, cdev_calls_in_flight(&t->cdev), i + 1);
	}
	KUNIT_EXPECT_TRUE(test, cdev_disconnect(&t->cdev));
	for (i = 0; i < MANY; i++) {
		KUNIT_EXPECT_EQ(test, cdev_calls_in_flight(&t->cdev), MANY - i);
		KUNIT_EXPECT_FALSE(test, cdev_disconnect(&t->cdev));
		end_call(test, call[i]);
	}
	KUNIT_EXPECT_EQ(test, cdev_calls_in_flight(&t->cdev), 0);
}

static int count_fn(void *data)
{
	struct test_task *tt = data;
	struct cdev_call call;
	int i;

	for (i = 0; i < COUNT_LOOPS; i++) {
		if (!cdev_enter(tt->cdev, &call)) {
			tt->ret = -ENODEV;
			break;
		}
		cdev_exit(tt->cdev, &call);
		cond_resched();
	}
	complete_all(&tt->done);
	return 0;
}

static void count_is_exact(struct kunit *test)
{
	struct cdev_test *t = test->priv;
	struct test_task *task[4];
	int i;

	cdev_connect(&t->cdev);
	for (i = 0; i < ARRAY_SIZE(task); i++)
		task[i] = start_task(test, &t->cdev, count_fn, "cdev_count");
	for (i = 0; i < ARRAY_SIZE(task); i++) {
		KUNIT_ASSERT_TRUE(test, wait_for(&task[i]->done));
		KUNIT_EXPECT_EQ(test, task[i]->ret, 0);
	}
	KUNIT_EXPECT_EQ(test, cdev_calls_in_flight(&t->cdev), 0);
	KUNIT_EXPECT_FALSE(test, cdev_is_disconnected(&t->cdev));
	cdev_disconnect(&t->cdev);
	drain(test, &t->cdev);
}

static void list_of_calls(struct kunit *test)
{
#ifdef CONFIG_DEBUG_CDEV_CALLS
	struct cdev_test *t = test->priv;
	struct test_task *one, *two;
	struct cdev_call *call;
	int found = 0;

	cdev_connect(&t->cdev);
	one = start_call(test, &t->cdev);
	two = start_call(test, &t->cdev);

	scoped_guard(spinlock, &t->cdev.calls_lock) {
		list_for_each_entry(call, &t->cdev.calls, node) {
			if (call->task == one->task)
				found += 1;
			else if (call->task == two->task)
				found += 10;
			else
				found += 100;
		}
	}
	KUNIT_EXPECT_EQ(test, found, 11);

	end_call(test, one);
	scoped_guard(spinlock, &t->cdev.calls_lock) {
		call = list_first_entry_or_null(&t->cdev.calls,
						struct cdev_call, node);
		found = call && call->task == two->task &&
			list_is_singular(&t->cdev.calls);
	}
	KUNIT_EXPECT_TRUE(test, found);

	end_call(test, two);
	KUNIT_EXPECT_TRUE(test, list_empty(&t->cdev.calls));
	KUNIT_EXPECT_TRUE(test, cdev_disconnect(&t->cdev));
	KUNIT_EXPECT_TRUE(test, enter_refused(&t->cdev));
	KUNIT_EXPECT_TRUE(test, list_empty(&t->cdev.calls));
#else
	kunit_skip(test, "needs CONFIG_DEBUG_CDEV_CALLS");
#endif
}

/* Drain */

static void drain_without_calls(struct kunit *test)
{
	struct cdev_test *t = test->priv;

	cdev_connect(&t->cdev);
	KUNIT_EXPECT_FALSE(test, enter_refused(&t->cdev));
	cdev_disconnect(&t->cdev);
	drain(test, &t->cdev);
	drain(test, &t->cdev);
}

static void drain_waits_for_call(struct kunit *test)
{
	struct cdev_test *t = test->priv;
	struct test_task *call, *drainer;

	cdev_connect(&t->cdev);
	call = start_call(test, &t->cdev);
	cdev_disconnect(&t->cdev);
	drainer = start_drain(test, &t->cdev);
	KUNIT_EXPECT_TRUE(test, is_asleep(drainer));
	KUNIT_EXPECT_EQ(test, t->done_by_calls, 0);

	/* It refuses calls while it waits. */
	KUNIT_EXPECT_TRUE(test, enter_refused(&t->cdev));
	KUNIT_EXPECT_EQ(test, start_call(test, &t->cdev)->ret, -ENODEV);
	KUNIT_EXPECT_EQ(test, cdev_calls_in_flight(&t->cdev), 1);

	/* To be woken by somebody else is not the end. */
	wake_up_var(&t->cdev.active);
	KUNIT_EXPECT_TRUE(test, is_asleep(drainer));

	complete(&call->go);
	KUNIT_ASSERT_TRUE(test, wait_for(&drainer->done));
	KUNIT_EXPECT_EQ(test, drainer->ret, 0);
	KUNIT_EXPECT_EQ(test, t->done_by_calls, 1);
	KUNIT_EXPECT_EQ(test, cdev_calls_in_flight(&t->cdev), 0);
}

static void drain_waits_for_last_call(struct kunit *test)
{
	struct cdev_test *t = test->priv;
	struct test_task *call[MANY], *drainer;
	int i;

	cdev_connect(&t->cdev);
	for (i = 0; i < MANY; i++)
		call[i] = start_call(test, &t->cdev);
	cdev_disconnect(&t->cdev);
	drainer = start_drain(test, &t->cdev);
	for (i = 0; i < MANY; i++) {
		KUNIT_EXPECT_TRUE(test, is_asleep(drainer));
		end_call(test, call[i]);
	}
	KUNIT_ASSERT_TRUE(test, wait_for(&drainer->done));
	KUNIT_EXPECT_EQ(test, drainer->ret, 0);
	KUNIT_EXPECT_EQ(test, t->done_by_calls, MANY);
}

static int wait_fn(void *data)
{
	struct test_task *tt = data;
	atomic_t *active = &tt->cdev->active;

	complete(&tt->started);
	wait_var_event(active, atomic_read(active) == CDEV_DISCONNECTED);
	complete_all(&tt->done);
	return 0;
}

/*
 * Every 10 s a drain looks for itself, and would end though nobody wakes it.
 * This one does not.
 */
static void last_call_wakes(struct kunit *test)
{
	struct cdev_test *t = test->priv;
	struct test_task *call, *waiter;

	cdev_connect(&t->cdev);
	call = start_call(test, &t->cdev);
	cdev_disconnect(&t->cdev);
	waiter = start_task(test, &t->cdev, wait_fn, "cdev_wait");
	KUNIT_ASSERT_TRUE(test, wait_for(&waiter->started));
	KUNIT_EXPECT_TRUE(test, is_asleep(waiter));
	end_call(test, call);
	KUNIT_ASSERT_TRUE(test, wait_for(&waiter->done));
}

static void several_drains(struct kunit *test)
{
	struct cdev_test *t = test->priv;
	struct test_task *call, *drainer[4];
	int i;

	cdev_connect(&t->cdev);
	call = start_call(test, &t->cdev);
	cdev_disconnect(&t->cdev);
	for (i = 0; i < ARRAY_SIZE(drainer); i++)
		drainer[i] = start_drain(test, &t->cdev);
	for (i = 0; i < ARRAY_SIZE(drainer); i++)
		KUNIT_EXPECT_TRUE(test, is_asleep(drainer[i]));
	end_call(test, call);
	for (i = 0; i < ARRAY_SIZE(drainer); i++) {
		KUNIT_ASSERT_TRUE(test, wait_for(&drainer[i]->done));
		KUNIT_EXPECT_EQ(test, drainer[i]->ret, 0);
	}
}

/* A call that does not return holds up its own device and no other. */
static void devices_are_independent(struct kunit *test)
{
	struct cdev_test *t = test->priv;
	struct test_task *call;

	/* of the same class, as two devices of one driver are */
	test_cdev_init(&t->other, &key_a);
	cdev_connect(&t->cdev);
	cdev_connect(&t->other);
	call = start_call(test, &t->cdev);
	KUNIT_EXPECT_FALSE(test, enter_refused(&t->other));
	cdev_disconnect(&t->other);
	KUNIT_EXPECT_FALSE(test, enter_refused(&t->cdev));
	drain(test, &t->other);
	KUNIT_EXPECT_FALSE(test, completion_done(&call->done));
	end_call(test, call);
}

static void drain_in_call(struct kunit *test)
{
	struct cdev_test *t = test->priv;
	struct cdev_call call;

	if (!IS_ENABLED(CONFIG_BUG))
		kunit_skip(test, "needs CONFIG_BUG");
	if (!IS_ENABLED(CONFIG_DEBUG_CDEV_CALLS) &&
	    !(IS_ENABLED(CONFIG_LOCKDEP) && debug_locks))
		kunit_skip(test, "needs CONFIG_DEBUG_CDEV_CALLS or lockdep");

	cdev_connect(&t->cdev);
	KUNIT_ASSERT_TRUE(test, cdev_enter(&t->cdev, &call));
	cdev_disconnect(&t->cdev);
	kunit_warning_suppress(test) {
		KUNIT_EXPECT_EQ(test, cdev_drain(&t->cdev), -EDEADLK);
		KUNIT_EXPECT_SUPPRESSED_WARNING_COUNT(test, 1);
	}
	cdev_exit(&t->cdev, &call);
	drain(test, &t->cdev);
}

static void drain_without_disconnect(struct kunit *test)
{
	struct cdev_test *t = test->priv;
	struct test_task *call;

	if (!IS_ENABLED(CONFIG_BUG))
		kunit_skip(test, "needs CONFIG_BUG");

	kunit_warning_suppress(test) {
		KUNIT_EXPECT_EQ(test, cdev_drain(&t->cdev), -EINVAL);
		KUNIT_EXPECT_SUPPRESSED_WARNING_COUNT(test, 1);
	}

	cdev_connect(&t->cdev);
	kunit_warning_suppress(test) {
		KUNIT_EXPECT_EQ(test, cdev_drain(&t->cdev), -EINVAL);
		KUNIT_EXPECT_SUPPRESSED_WARNING_COUNT(test, 1);
	}

	call = start_call(test, &t->cdev);
	kunit_warning_suppress(test) {
		KUNIT_EXPECT_EQ(test, cdev_drain(&t->cdev), -EINVAL);
		KUNIT_EXPECT_SUPPRESSED_WARNING_COUNT(test, 1);
	}
	KUNIT_EXPECT_FALSE(test, completion_done(&call->done));
	end_call(test, call);
}

/*
 * Who returns from drain may free the device: what a call still does after it
 * has left must not use it, as KASAN would see.
 */
static struct cdev *leave_call(struct kunit *test)
{
	struct cdev *cdev = kmalloc_obj(*cdev);

	KUNIT_ASSERT_NOT_NULL(test, cdev);
	test_cdev_init(cdev, &key_a);
	cdev_connect(cdev);
	leaving = start_call(test, cdev);
	cdev_disconnect(cdev);
	return cdev;
}

static void wake_after_free(struct kunit *test, struct cdev *cdev)
{
	kfree(cdev);
	KUNIT_EXPECT_FALSE(test, completion_done(&leaving->done));
	complete(&leaving->wake);
	KUNIT_ASSERT_TRUE(test, wait_for(&leaving->done));
}

/* The drain begins when the call has left: there is nothing to wait for. */
static void free_while_leaving(struct kunit *test)
{
	struct cdev *cdev = leave_call(test);

	complete(&leaving->go);
	KUNIT_ASSERT_TRUE(test, wait_for(&leaving->left));
	KUNIT_EXPECT_EQ(test, cdev_calls_in_flight(cdev), 0);
	drain(test, cdev);
	wake_after_free(test, cdev);
}

/*
 * The drain waits already, and is woken by somebody else: wait queues are
 * shared by what hashes to the same.
 */
static void free_before_wake(struct kunit *test)
{
	struct cdev *cdev = leave_call(test);
	struct test_task *drainer = start_drain(test, cdev);

	KUNIT_EXPECT_TRUE(test, is_asleep(drainer));
	complete(&leaving->go);
	KUNIT_ASSERT_TRUE(test, wait_for(&leaving->left));
	KUNIT_EXPECT_TRUE(test, is_asleep(drainer));
	wake_up_var(&cdev->active);
	KUNIT_ASSERT_TRUE(test, wait_for(&drainer->done));
	KUNIT_EXPECT_EQ(test, drainer->ret, 0);
	wake_after_free(test, cdev);
}

/* Busy: that it wakes up would decide what happens next. */
static bool wait_until_disconnected(struct cdev *cdev)
{
	unsigned long end = jiffies + WAIT;

	while (!cdev_is_disconnected(cdev)) {
		if (time_after(jiffies, end))
			return false;
		cpu_relax();
	}
	return true;
}

static int batch_call_fn(void *data)
{
	struct test_task *tt = data;
	struct cdev_test *t = tt->t;
	int i, j;

	for (i = 0; i < FREE_LOOPS && !tt->ret; i++) {
		if (!wait_for(&t->offer)) {
			tt->ret = -ETIMEDOUT;
			break;
		}
		for (j = 0; j < BATCH; j++)
			if (!cdev_enter(t->batch[j], &t->batch_call[j]))
				tt->ret = -ENODEV;
		complete(&t->taken);
		while (j--) {
			if (!wait_until_disconnected(t->batch[j]))
				tt->ret = -ETIMEDOUT;
			udelay(get_random_u32_below(8));
			cdev_exit(t->batch[j], &t->batch_call[j]);
		}
	}
	complete_all(&tt->done);
	return 0;
}

static int batch_remove_fn(void *data)
{
	struct test_task *tt = data;
	struct cdev_test *t = tt->t;
	int i, j;

	for (i = 0; i < FREE_LOOPS && !tt->ret; i++) {
		for (j = 0; j < BATCH; j++) {
			t->batch[j] = kmalloc_obj(struct cdev,
						  GFP_KERNEL | __GFP_NOFAIL);
			test_cdev_init(t->batch[j], &key_a);
			cdev_connect(t->batch[j]);
		}
		complete(&t->offer);
		if (!wait_for(&t->taken)) {
			tt->ret = -ETIMEDOUT;
			break;
		}
		while (j--) {
			cdev_disconnect(t->batch[j]);
			tt->ret = tt->ret ?: cdev_drain(t->batch[j]);
			kfree(t->batch[j]);
		}
	}
	complete_all(&tt->done);
	return 0;
}

/*
 * The same with nothing that stops the call or the drain: the two tasks go
 * through batches of devices side by side, and for each the call ends a random
 * moment after the device was disconnected. So the last exit also meets a drain
 * that is about to look at the count, or to sleep, for which there is no place
 * to stop at.
 */
static void free_after_drain(struct kunit *test)
{
	struct test_task *caller, *remover;

	if (num_online_cpus() < 2)
		kunit_skip(test, "needs two CPUs");

	caller = start_task(test, NULL, batch_call_fn, "cdev_call");
	remover = start_task(test, NULL, batch_remove_fn, "cdev_remove");
	KUNIT_ASSERT_TRUE(test, wait_for_completion_timeout(&remover->done,
							    4 * WAIT));
	KUNIT_EXPECT_EQ(test, remover->ret, 0);
	KUNIT_ASSERT_TRUE(test, wait_for(&caller->done));
	KUNIT_EXPECT_EQ(test, caller->ret, 0);
}

/* What is said about it */

struct test_events {
	int disconnects, drains, drained, refused;
	int in_flight;
};

static void probe_disconnect(void *data, dev_t dev, int in_flight)
{
	struct test_events *ev = data;

	if (dev != TEST_DEVT)
		return;
	ev->disconnects++;
	ev->in_flight = in_flight;
}

static void probe_drain_begin(void *data, dev_t dev, int in_flight)
{
	struct test_events *ev = data;

	if (dev != TEST_DEVT)
		return;
	ev->drains++;
	ev->in_flight = in_flight;
}

static void probe_drain_end(void *data, dev_t dev, u64 waited_ns)
{
	struct test_events *ev = data;

	if (dev == TEST_DEVT)
		ev->drained++;
}

static void probe_refused(void *data, dev_t dev)
{
	struct test_events *ev = data;

	if (dev == TEST_DEVT)
		ev->refused++;
}

static void tracepoints(struct kunit *test)
{
	struct cdev_test *t = test->priv;
	struct test_task *call, *drainer;
	struct test_events *ev;

	if (!IS_ENABLED(CONFIG_TRACEPOINTS))
		kunit_skip(test, "needs CONFIG_TRACEPOINTS");

	ev = kunit_kzalloc(test, sizeof(*ev), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, ev);
	cdev_connect(&t->cdev);
	call = start_call(test, &t->cdev);

	register_trace_cdev_disconnect(probe_disconnect, ev);
	register_trace_cdev_drain_begin(probe_drain_begin, ev);
	register_trace_cdev_drain_end(probe_drain_end, ev);
	register_trace_cdev_refused(probe_refused, ev);

	KUNIT_EXPECT_FALSE(test, enter_refused(&t->cdev));
	KUNIT_EXPECT_EQ(test, ev->refused, 0);

	cdev_disconnect(&t->cdev);
	KUNIT_EXPECT_EQ(test, ev->disconnects, 1);
	KUNIT_EXPECT_EQ(test, ev->in_flight, 1);
	ev->in_flight = 0;
	cdev_disconnect(&t->cdev);
	KUNIT_EXPECT_EQ(test, ev->disconnects, 1);

	KUNIT_EXPECT_TRUE(test, enter_refused(&t->cdev));
	KUNIT_EXPECT_EQ(test, ev->refused, 1);

	drainer = start_drain(test, &t->cdev);
	KUNIT_EXPECT_TRUE(test, is_asleep(drainer));
	KUNIT_EXPECT_EQ(test, ev->drains, 1);
	KUNIT_EXPECT_EQ(test, ev->in_flight, 1);
	KUNIT_EXPECT_EQ(test, ev->drained, 0);
	complete(&call->go);
	KUNIT_EXPECT_TRUE(test, wait_for(&drainer->done));
	KUNIT_EXPECT_EQ(test, ev->drains, 1);
	KUNIT_EXPECT_EQ(test, ev->drained, 1);

	unregister_trace_cdev_disconnect(probe_disconnect, ev);
	unregister_trace_cdev_drain_begin(probe_drain_begin, ev);
	unregister_trace_cdev_drain_end(probe_drain_end, ev);
	unregister_trace_cdev_refused(probe_refused, ev);
	tracepoint_synchronize_unregister();
}

static struct completion stall_seen = COMPLETION_INITIALIZER(stall_seen);
static struct completion task_seen = COMPLETION_INITIALIZER(task_seen);

static void probe_console(void *data, const char *buf, size_t len)
{
	if (strnstr(buf, "240:77 (unnamed): removal waits for 1 calls", len))
		complete(&stall_seen);
	if (strnstr(buf, "240:77: cdev_call[", len))
		complete(&task_seen);
}

/* Takes more than 20 s, the time after which the message appears again. */
static void stall_message(struct kunit *test)
{
	struct cdev_test *t = test->priv;
	struct test_task *call, *drainer;

	if (!IS_ENABLED(CONFIG_TRACEPOINTS))
		kunit_skip(test, "needs CONFIG_TRACEPOINTS");

	reinit_completion(&stall_seen);
	reinit_completion(&task_seen);
	cdev_connect(&t->cdev);
	call = start_call(test, &t->cdev);
	cdev_disconnect(&t->cdev);

	register_trace_console(probe_console, NULL);
	drainer = start_drain(test, &t->cdev);
	KUNIT_EXPECT_TRUE(test, wait_for(&stall_seen));
	if (IS_ENABLED(CONFIG_DEBUG_CDEV_CALLS))
		KUNIT_EXPECT_TRUE(test, wait_for(&task_seen));
	KUNIT_EXPECT_TRUE(test, wait_for(&stall_seen));
	unregister_trace_console(probe_console, NULL);
	tracepoint_synchronize_unregister();

	/* It does not give up. */
	KUNIT_EXPECT_TRUE(test, is_asleep(drainer));
	end_call(test, call);
	KUNIT_ASSERT_TRUE(test, wait_for(&drainer->done));
	KUNIT_EXPECT_EQ(test, drainer->ret, 0);
}

/* Lockdep */

static DEFINE_MUTEX(lock_in_a);
static DEFINE_MUTEX(lock_around_drain);

/*
 * The order in which removal usually takes locks, and the removal of a device
 * from inside a call into another one: correct, there must be no report.
 */
static void lockdep_accepts(struct kunit *test)
{
	struct cdev_test *t = test->priv;
	struct cdev_call call;

	if (!IS_ENABLED(CONFIG_PROVE_LOCKING) || !debug_locks)
		kunit_skip(test, "needs lockdep");

	cdev_connect(&t->cdev);
	cdev_connect(&t->other);

	KUNIT_ASSERT_TRUE(test, cdev_enter(&t->other, &call));
	cdev_exit(&t->other, &call);

	KUNIT_ASSERT_TRUE(test, cdev_enter(&t->cdev, &call));
	mutex_lock(&lock_in_a);
	cdev_disconnect(&t->other);
	KUNIT_EXPECT_EQ(test, cdev_drain(&t->other), 0);
	mutex_unlock(&lock_in_a);
	cdev_exit(&t->cdev, &call);

	cdev_disconnect(&t->cdev);
	mutex_lock(&lock_around_drain);
	KUNIT_EXPECT_EQ(test, cdev_drain(&t->cdev), 0);
	mutex_unlock(&lock_around_drain);
	mutex_lock(&lock_in_a);
	mutex_unlock(&lock_in_a);

	KUNIT_EXPECT_TRUE(test, debug_locks);
}

static struct kunit_case cdev_cases[] = {
	KUNIT_CASE(not_connected),
	KUNIT_CASE(connect_once),
	KUNIT_CASE(disconnect_is_final),
	KUNIT_CASE(disconnect_before_connect),
	KUNIT_CASE(disconnect_in_call),
	KUNIT_CASE(disconnect_in_atomic),
	KUNIT_CASE(calls_in_flight),
	KUNIT_CASE(count_is_exact),
	KUNIT_CASE(list_of_calls),
	KUNIT_CASE(drain_without_calls),
	KUNIT_CASE(drain_waits_for_call),
	KUNIT_CASE(drain_waits_for_last_call),
	KUNIT_CASE(last_call_wakes),
	KUNIT_CASE(several_drains),
	KUNIT_CASE(devices_are_independent),
	KUNIT_CASE(drain_in_call),
	KUNIT_CASE(drain_without_disconnect),
	KUNIT_CASE(free_while_leaving),
	KUNIT_CASE(free_before_wake),
	KUNIT_CASE_SLOW(free_after_drain),
	KUNIT_CASE(tracepoints),
	KUNIT_CASE(lockdep_accepts),
	KUNIT_CASE_SLOW(stall_message),
	{}
};

static struct kunit_suite cdev_suite = {
	.name = "cdev",
	.init = cdev_test_init,
	.exit = cdev_test_exit,
	.test_cases = cdev_cases,
};

/*
 * What lockdep has to report, though nothing hangs. As it disables itself at
 * the first report, each of these needs a boot of its own, and is skipped
 * without cdev_kunit.lockdep_reports=1: to be run by, for example,
 *
 *	kunit.filter_glob=cdev_lockdep.drain_under_lock
 */

static int cdev_lockdep_init(struct kunit *test)
{
	if (!lockdep_reports)
		kunit_skip(test, "needs cdev_kunit.lockdep_reports=1");
	if (!IS_ENABLED(CONFIG_PROVE_LOCKING) || !debug_locks)
		kunit_skip(test, "needs lockdep, and one boot for each case");
	return cdev_test_init(test);
}

static void cdev_lockdep_exit(struct kunit *test)
{
	if (!test->priv)
		return;

	KUNIT_EXPECT_FALSE_MSG(test, debug_locks,
			       "lockdep has not reported anything");
	if (end_tasks(test))
		kfree(test->priv);
}

/* A call takes a lock that the remover holds. */
static void drain_under_lock(struct kunit *test)
{
	struct cdev_test *t = test->priv;
	struct cdev_call call;

	cdev_connect(&t->cdev);
	KUNIT_ASSERT_TRUE(test, cdev_enter(&t->cdev, &call));
	mutex_lock(&lock_in_a);
	mutex_unlock(&lock_in_a);
	cdev_exit(&t->cdev, &call);
	cdev_disconnect(&t->cdev);
	KUNIT_EXPECT_TRUE(test, debug_locks);

	mutex_lock(&lock_in_a);
	KUNIT_EXPECT_EQ(test, cdev_drain(&t->cdev), 0);
	mutex_unlock(&lock_in_a);
}

/* The same in the other order: the call comes after the removal of another. */
static void call_after_drain_under_lock(struct kunit *test)
{
	struct cdev_test *t = test->priv;
	struct cdev_call call;

	test_cdev_init(&t->other, &key_a);
	cdev_connect(&t->other);
	cdev_disconnect(&t->other);
	mutex_lock(&lock_in_a);
	KUNIT_EXPECT_EQ(test, cdev_drain(&t->other), 0);
	mutex_unlock(&lock_in_a);
	KUNIT_EXPECT_TRUE(test, debug_locks);

	cdev_connect(&t->cdev);
	KUNIT_ASSERT_TRUE(test, cdev_enter(&t->cdev, &call));
	mutex_lock(&lock_in_a);
	mutex_unlock(&lock_in_a);
	cdev_exit(&t->cdev, &call);
}

/* Removal from inside a call into a device of the same class. */
static void drain_in_call_of_class(struct kunit *test)
{
	struct cdev_test *t = test->priv;
	struct cdev_call call;

	test_cdev_init(&t->other, &key_a);
	cdev_connect(&t->cdev);
	cdev_connect(&t->other);
	cdev_disconnect(&t->other);

	KUNIT_ASSERT_TRUE(test, cdev_enter(&t->cdev, &call));
	KUNIT_EXPECT_TRUE(test, debug_locks);
	KUNIT_EXPECT_EQ(test, cdev_drain(&t->other), 0);
	cdev_exit(&t->cdev, &call);
}

/* Two devices, each removed from inside a call into the other. */
static void drain_crosswise(struct kunit *test)
{
	struct cdev_test *t = test->priv;
	struct cdev_call call;

	cdev_connect(&t->cdev);
	cdev_disconnect(&t->other);
	KUNIT_ASSERT_TRUE(test, cdev_enter(&t->cdev, &call));
	KUNIT_EXPECT_EQ(test, cdev_drain(&t->other), 0);
	cdev_exit(&t->cdev, &call);
	KUNIT_EXPECT_TRUE(test, debug_locks);

	test_cdev_init(&t->other, &key_b);
	cdev_connect(&t->other);
	cdev_disconnect(&t->cdev);
	KUNIT_ASSERT_TRUE(test, cdev_enter(&t->other, &call));
	KUNIT_EXPECT_EQ(test, cdev_drain(&t->cdev), 0);
	cdev_exit(&t->other, &call);
}

static struct kunit_case cdev_lockdep_cases[] = {
	KUNIT_CASE(drain_under_lock),
	KUNIT_CASE(call_after_drain_under_lock),
	KUNIT_CASE(drain_in_call_of_class),
	KUNIT_CASE(drain_crosswise),
	{}
};

static struct kunit_suite cdev_lockdep_suite = {
	.name = "cdev_lockdep",
	.init = cdev_lockdep_init,
	.exit = cdev_lockdep_exit,
	.test_cases = cdev_lockdep_cases,
};

kunit_test_suites(&cdev_suite, &cdev_lockdep_suite);

/* Through the file of a real node: suite cdev_open */

#define NODE	"/cdev_kunit"

/* A place at which an operation stops, if it is to. */
struct stop {
	bool armed;
	struct completion inside;
	struct completion go;
};

struct open_test {
	struct cdev_test t;		/* first: what test->priv points to */
	struct cdev *cdev;
	dev_t devt;
	struct file *file[4];
	int num_files;
	int releases;
	bool added;
	bool no_drain;

	struct stop in_open, in_read, in_fault, in_release;
	struct test_task *drainer;
	struct mm_struct *mm;		/* of who reads into a mapping */
	unsigned long buf;
};

/* The operations find it here: the cdev is one of cdev_alloc(). */
static struct open_test *open_test;

static void init_stop(struct stop *stop)
{
	init_completion(&stop->inside);
	init_completion(&stop->go);
}

static void stop_at(struct stop *stop)
{
	if (!stop->armed)
		return;
	complete(&stop->inside);
	wait_to_go(&stop->go);
}

static int test_open(struct inode *inode, struct file *file)
{
	struct open_test *o = open_test;
	struct cdev_call call;

	if (o->no_drain)
		return 0;
	if (!cdev_enter(inode->i_cdev, &call))
		return -ENODEV;
	stop_at(&o->in_open);
	cdev_exit(inode->i_cdev, &call);
	return 0;
}

static ssize_t test_read(struct file *file, char __user *buf, size_t size,
			 loff_t *pos)
{
	struct cdev *cdev = file_inode(file)->i_cdev;
	struct open_test *o = open_test;
	struct cdev_call call;
	ssize_t ret = size;

	if (o->no_drain)
		return 0;
	if (!cdev_enter(cdev, &call))
		return -ENODEV;
	stop_at(&o->in_read);
	if (size && put_user('x', buf))
		ret = -EFAULT;
	cdev_exit(cdev, &call);
	return ret;
}

static int test_release(struct inode *inode, struct file *file)
{
	open_test->releases++;
	stop_at(&open_test->in_release);
	return 0;
}

static const struct file_operations test_fops = {
	.open = test_open,
	.read = test_read,
	.release = test_release,
};

static struct file *open_node(void)
{
	/* Tests run in a nullfs kthread; borrow the init fs. */
	scoped_with_init_fs()
		return filp_open(NODE, O_RDONLY, 0);
	return NULL;
}

static struct file *open_file(struct kunit *test)
{
	struct open_test *o = test->priv;
	struct file *file = open_node();

	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, file);
	o->file[o->num_files++] = file;
	return file;
}

static void expect_open_error(struct kunit *test, long error)
{
	struct file *file = open_node();

	KUNIT_EXPECT_TRUE(test, IS_ERR(file));
	if (IS_ERR(file))
		KUNIT_EXPECT_EQ(test, PTR_ERR(file), error);
	else
		__fput_sync(file);
}

static void close_file(struct kunit *test)
{
	struct open_test *o = test->priv;

	__fput_sync(o->file[--o->num_files]);
}

static ssize_t read_file(struct file *file)
{
	loff_t pos = 0;

	return vfs_read(file, NULL, 0, &pos);
}

static int open_fn(void *data)
{
	struct test_task *tt = data;
	struct file *file;

	complete(&tt->started);
	file = open_node();
	if (IS_ERR(file))
		tt->ret = PTR_ERR(file);
	else
		__fput_sync(file);
	complete_all(&tt->done);
	return 0;
}

static int read_fn(void *data)
{
	struct test_task *tt = data;

	complete(&tt->started);
	tt->ret = read_file(open_test->file[0]);
	complete_all(&tt->done);
	return 0;
}

static int close_fn(void *data)
{
	struct test_task *tt = data;

	complete(&tt->started);
	__fput_sync(open_test->file[1]);
	complete_all(&tt->done);
	return 0;
}

/* With user memory to read into. */
static int read_user_fn(void *data)
{
	struct open_test *o = open_test;
	struct test_task *tt = data;
	loff_t pos = 0;

	kthread_use_mm(o->mm);
	complete(&tt->started);
	tt->ret = vfs_read(o->file[0], (char __user *)o->buf, 1, &pos);
	kthread_unuse_mm(o->mm);
	mmput(o->mm);
	complete_all(&tt->done);
	return 0;
}

/* That memory is of a file of its own, and missing until it is written to. */
static vm_fault_t test_fault(struct vm_fault *vmf)
{
	stop_at(&open_test->in_fault);
	vmf->page = alloc_page(GFP_KERNEL | __GFP_ZERO);
	return vmf->page ? 0 : VM_FAULT_OOM;
}

static const struct vm_operations_struct test_vm_ops = {
	.fault = test_fault,
};

static int test_mmap(struct file *file, struct vm_area_struct *vma)
{
	vma->vm_ops = &test_vm_ops;
	return 0;
}

static const struct file_operations test_map_fops = {
	.mmap = test_mmap,
};

static void unadd(struct open_test *o)
{
	if (o->added)
		cdev_del(o->cdev);
	o->added = false;
}

static void __init cdev_open_add(struct kunit *test)
{
	struct open_test *o = test->priv;
	int ret = 0;

	o->cdev = cdev_alloc();
	KUNIT_ASSERT_NOT_NULL(test, o->cdev);
	o->cdev->ops = &test_fops;
	if (!o->no_drain)
		cdev_enable_drain(o->cdev, "cdev_kunit_a", &key_a);
	KUNIT_ASSERT_EQ(test, cdev_add(o->cdev, o->devt, 1), 0);
	o->added = true;
	scoped_with_init_fs()
		ret = init_mknod(NODE, S_IFCHR | 0600, new_encode_dev(o->devt));
	KUNIT_ASSERT_EQ(test, ret, 0);
}

static int cdev_open_init(struct kunit *test)
{
	struct open_test *o;
	int ret;

	BUILD_BUG_ON(offsetof(struct open_test, t));

	o = kzalloc_obj(*o);
	if (!o)
		return -ENOMEM;
	ret = alloc_chrdev_region(&o->devt, 0, 1, "cdev_kunit");
	if (ret) {
		kfree(o);
		return ret;
	}
	init_stop(&o->in_open);
	init_stop(&o->in_read);
	init_stop(&o->in_fault);
	init_stop(&o->in_release);
	o->t.taint = get_taint();
	o->t.debug_locks = debug_locks;
	open_test = o;
	test->priv = o;
	return 0;
}

static void __init cdev_open_exit(struct kunit *test)
{
	struct open_test *o = test->priv;

	if (!o)
		return;

	scoped_with_init_fs()
		init_unlink(NODE);
	complete_all(&o->in_open.go);
	complete_all(&o->in_read.go);
	complete_all(&o->in_fault.go);
	complete_all(&o->in_release.go);
	if (!end_tasks(test))
		return;
	while (o->num_files)
		close_file(test);
	unadd(o);
	unregister_chrdev_region(o->devt, 1);
	check_reports(test);
	kfree(o);
}

static void __init open_without_drain(struct kunit *test)
{
	struct open_test *o = test->priv;
	struct file *file;

	o->no_drain = true;
	cdev_open_add(test);
	file = open_file(test);
	open_file(test);
	unadd(o);
	/* as ever: through the i_cdev that the open file keeps */
	open_file(test);
	KUNIT_EXPECT_EQ(test, read_file(file), 0);
	close_file(test);
	close_file(test);
	close_file(test);
	KUNIT_EXPECT_EQ(test, o->releases, 3);
}

static void __init open_before_connect(struct kunit *test)
{
	struct open_test *o = test->priv;

	cdev_open_add(test);
	expect_open_error(test, -ENODEV);
	KUNIT_EXPECT_TRUE(test, cdev_connect(o->cdev));
	KUNIT_EXPECT_EQ(test, read_file(open_file(test)), 0);
}

static void __init open_after_disconnect(struct kunit *test)
{
	struct open_test *o = test->priv;
	struct file *file;

	cdev_open_add(test);
	cdev_connect(o->cdev);
	file = open_file(test);
	KUNIT_EXPECT_EQ(test, read_file(file), 0);

	/*
	 * chrdev_open() itself has to refuse: it must not come to the open of a
	 * driver that may be gone.
	 */
	o->no_drain = true;
	cdev_disconnect(o->cdev);
	expect_open_error(test, -ENODEV);

	/* There is no device any more, but an inode that remembers it. */
	KUNIT_EXPECT_PTR_EQ(test, file_inode(file)->i_cdev, o->cdev);
	unadd(o);
	expect_open_error(test, -ENODEV);
	KUNIT_EXPECT_PTR_EQ(test, file_inode(file)->i_cdev, o->cdev);

	/* What was open before is the business of the operations. */
	o->no_drain = false;
	KUNIT_EXPECT_EQ(test, read_file(file), -ENODEV);
	KUNIT_EXPECT_EQ(test, o->releases, 0);
	close_file(test);
	KUNIT_EXPECT_EQ(test, o->releases, 1);
}

static void __init open_in_progress(struct kunit *test)
{
	struct open_test *o = test->priv;
	struct test_task *opener, *drainer;

	cdev_open_add(test);
	cdev_connect(o->cdev);
	o->in_open.armed = true;
	opener = start_task(test, o->cdev, open_fn, "cdev_open");
	KUNIT_ASSERT_TRUE(test, wait_for(&o->in_open.inside));
	cdev_disconnect(o->cdev);
	drainer = start_drain(test, o->cdev);
	KUNIT_EXPECT_TRUE(test, is_asleep(drainer));
	KUNIT_EXPECT_EQ(test, cdev_calls_in_flight(o->cdev), 1);
	expect_open_error(test, -ENODEV);

	complete(&o->in_open.go);
	KUNIT_ASSERT_TRUE(test, wait_for(&drainer->done));
	KUNIT_EXPECT_EQ(test, drainer->ret, 0);
	KUNIT_ASSERT_TRUE(test, wait_for(&opener->done));
	KUNIT_EXPECT_EQ(test, opener->ret, 0);
	KUNIT_EXPECT_EQ(test, o->releases, 1);
}

static void __init read_in_progress(struct kunit *test)
{
	struct open_test *o = test->priv;
	struct test_task *reader, *drainer;

	cdev_open_add(test);
	cdev_connect(o->cdev);
	open_file(test);
	o->in_read.armed = true;
	reader = start_task(test, o->cdev, read_fn, "cdev_read");
	KUNIT_ASSERT_TRUE(test, wait_for(&o->in_read.inside));
	cdev_disconnect(o->cdev);
	unadd(o);
	drainer = start_drain(test, o->cdev);
	KUNIT_EXPECT_TRUE(test, is_asleep(drainer));
	KUNIT_EXPECT_EQ(test, read_file(o->file[0]), -ENODEV);

	complete(&o->in_read.go);
	KUNIT_ASSERT_TRUE(test, wait_for(&drainer->done));
	KUNIT_EXPECT_EQ(test, drainer->ret, 0);
	KUNIT_ASSERT_TRUE(test, wait_for(&reader->done));
	KUNIT_EXPECT_EQ(test, reader->ret, 0);
	KUNIT_EXPECT_EQ(test, read_file(o->file[0]), -ENODEV);
}

/* How far a removal is, with another call in progress until it is drained. */
enum removal_step {
	CONNECTED,
	DISCONNECTED,
	DELETED,
	DRAINING,
	DRAINED,
};

static void step_name(const enum removal_step *step, char *desc)
{
	static const char * const name[] = {
		[CONNECTED] = "connected",
		[DISCONNECTED] = "disconnected",
		[DELETED] = "deleted",
		[DRAINING] = "draining",
		[DRAINED] = "drained",
	};

	strscpy(desc, name[*step], KUNIT_PARAM_DESC_SIZE);
}

static const enum removal_step release_steps[] = {
	CONNECTED, DISCONNECTED, DELETED, DRAINING, DRAINED
};

/* Once it is drained no call can be in progress. */
static const enum removal_step fault_steps[] = {
	CONNECTED, DISCONNECTED, DELETED, DRAINING
};

KUNIT_ARRAY_PARAM(release, release_steps, step_name);
KUNIT_ARRAY_PARAM(fault, fault_steps, step_name);

static void removal(struct kunit *test, enum removal_step step)
{
	struct open_test *o = test->priv;
	struct test_task *drainer = o->drainer;

	switch (step) {
	case CONNECTED:
		break;
	case DISCONNECTED:
		cdev_disconnect(o->cdev);
		break;
	case DELETED:
		unadd(o);
		break;
	case DRAINING:
		drainer = start_drain(test, o->cdev);
		o->drainer = drainer;
		KUNIT_EXPECT_TRUE(test, is_asleep(drainer));
		KUNIT_EXPECT_EQ(test, cdev_calls_in_flight(o->cdev), 1);
		break;
	case DRAINED:
		KUNIT_EXPECT_TRUE(test, is_asleep(drainer));
		complete(&o->in_read.go);
		complete(&o->in_fault.go);
		KUNIT_ASSERT_TRUE(test, wait_for(&drainer->done));
		KUNIT_EXPECT_EQ(test, drainer->ret, 0);
		KUNIT_EXPECT_EQ(test, cdev_calls_in_flight(o->cdev), 0);
		break;
	}
}

/* A release is never refused, and no step of a removal waits for it. */
static void __init release_in_progress(struct kunit *test)
{
	const enum removal_step *at = test->param_value;
	struct open_test *o = test->priv;
	struct test_task *closer = NULL;
	enum removal_step step;

	cdev_open_add(test);
	cdev_connect(o->cdev);
	open_file(test);
	open_file(test);
	o->in_read.armed = true;
	start_task(test, o->cdev, read_fn, "cdev_read");
	KUNIT_ASSERT_TRUE(test, wait_for(&o->in_read.inside));

	o->in_release.armed = true;
	for (step = CONNECTED; step <= DRAINED; step++) {
		removal(test, step);
		if (step != *at)
			continue;
		o->num_files--;
		closer = start_task(test, o->cdev, close_fn, "cdev_close");
		KUNIT_ASSERT_TRUE(test, wait_for(&o->in_release.inside));
	}
	KUNIT_EXPECT_FALSE(test, completion_done(&closer->done));
	complete_all(&o->in_release.go);
	KUNIT_ASSERT_TRUE(test, wait_for(&closer->done));
	KUNIT_EXPECT_EQ(test, o->releases, 1);
}

static void map_user_memory(struct kunit *test)
{
	struct open_test *o = test->priv;
	struct file *file;

	if (kunit_attach_mm())
		kunit_skip(test, "needs user memory");
	file = anon_inode_getfile("cdev_kunit", &test_map_fops, NULL, O_RDWR);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, file);
	o->buf = kunit_vm_mmap(test, file, 0, PAGE_SIZE, PROT_READ | PROT_WRITE,
			       MAP_SHARED, 0);
	fput(file);
	KUNIT_ASSERT_NE(test, o->buf, 0);
	KUNIT_ASSERT_LT(test, o->buf, TASK_SIZE);
	o->mm = current->mm;
}

/*
 * A read that has to wait for the memory that it copies to is a call as any
 * other, whenever the fault comes: removal waits until it is served.
 */
static void __init fault_in_read(struct kunit *test)
{
	const enum removal_step *at = test->param_value;
	struct open_test *o = test->priv;
	enum removal_step step;
	struct test_task *reader;
	char c = 0;

	map_user_memory(test);
	cdev_open_add(test);
	cdev_connect(o->cdev);
	open_file(test);
	o->in_read.armed = true;
	o->in_fault.armed = true;
	mmget(o->mm);
	reader = start_task(test, o->cdev, read_user_fn, "cdev_read");
	KUNIT_ASSERT_TRUE(test, wait_for(&o->in_read.inside));

	for (step = CONNECTED; step <= DRAINED; step++) {
		removal(test, step);
		if (step != *at)
			continue;
		complete(&o->in_read.go);
		KUNIT_ASSERT_TRUE(test, wait_for(&o->in_fault.inside));
	}
	KUNIT_ASSERT_TRUE(test, wait_for(&reader->done));
	KUNIT_EXPECT_EQ(test, reader->ret, 1);
	KUNIT_EXPECT_EQ(test, get_user(c, (char __user *)o->buf), 0);
	KUNIT_EXPECT_EQ(test, c, 'x');
	KUNIT_EXPECT_EQ(test, read_file(o->file[0]), -ENODEV);
}

static struct kunit_case __refdata cdev_open_cases[] = {
	KUNIT_CASE(open_without_drain),
	KUNIT_CASE(open_before_connect),
	KUNIT_CASE(open_after_disconnect),
	KUNIT_CASE(open_in_progress),
	KUNIT_CASE(read_in_progress),
	KUNIT_CASE_PARAM(release_in_progress, release_gen_params),
	KUNIT_CASE_PARAM(fault_in_read, fault_gen_params),
	{}
};

static struct kunit_suite __refdata cdev_open_suite = {
	.name = "cdev_open",
	.init = cdev_open_init,
	.exit = cdev_open_exit,
	.test_cases = cdev_open_cases,
};

kunit_test_init_section_suite(cdev_open_suite);

MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("KUnit tests for the safe removal of character devices");
