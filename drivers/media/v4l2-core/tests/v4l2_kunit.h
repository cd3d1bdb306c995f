/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the KUnit tests of V4L2 devices and of sub-devices share: tasks that
 * make the calls, the files that they make them through, and a look at what the
 * kernel reported meanwhile. A report by lockdep, WARN, or KASAN in another
 * task, does not fail a KUnit case by itself.
 */
#ifndef _V4L2_KUNIT_H_
#define _V4L2_KUNIT_H_

#include <kunit/test.h>

#include <linux/anon_inodes.h>
#include <linux/completion.h>
#include <linux/debug_locks.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/iopoll.h>
#include <linux/kthread.h>
#include <linux/mm.h>
#include <linux/mman.h>
#include <linux/panic.h>
#include <linux/sched.h>
#include <linux/sched/mm.h>
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

/* User memory, which the task that copies from or to it can be stopped in. */
struct user_page {
	struct file *file;		/* what is mapped */
	struct page *page;
	bool stop;
	struct completion inside;
	struct completion go;
};

/* A task that makes a call, or a step of the removal. */
struct test_task {
	long (*fn)(struct test_task *tt);
	struct stub *s;
	struct bridge *b;
	struct v4l2_subdev *sd;
	struct video_device *vdev;
	struct file *file;
	struct user_page *user;
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
	struct user_page user;
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

/* Returns false if one hangs: what it uses has to stay. */
static bool tasks_are_done(struct kunit *test)
{
	struct test_base *t = test->priv;
	int i;

	if (t->user.page)
		complete_all(&t->user.go);
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
	if (t->user.page)
		put_page(t->user.page);
}

static struct v4l2_fh *file_fh(struct file *file)
{
	return file_to_v4l2_fh(file);
}

/* User memory */

static vm_fault_t user_page_fault(struct vm_fault *vmf)
{
	struct user_page *user = vmf->vma->vm_private_data;

	if (READ_ONCE(user->stop)) {
		complete(&user->inside);
		wait_to_go(&user->go);
	}
	get_page(user->page);
	vmf->page = user->page;
	return 0;
}

static const struct vm_operations_struct user_page_vm_ops = {
	.fault = user_page_fault,
};

static int user_page_mmap(struct file *file, struct vm_area_struct *vma)
{
	vma->vm_private_data = file->private_data;
	vma->vm_ops = &user_page_vm_ops;
	return 0;
}

static const struct file_operations user_page_fops = {
	.mmap = user_page_mmap,
};

/* One for each case; its first use by a task is a page fault. */
static struct user_page *create_user_page(struct kunit *test)
{
	struct test_base *t = test->priv;
	struct user_page *user = &t->user;

	if (!IS_ENABLED(CONFIG_MMU))
		kunit_skip(test, "needs CONFIG_MMU");

	init_completion(&user->inside);
	init_completion(&user->go);
	user->page = alloc_page(GFP_KERNEL | __GFP_ZERO);
	KUNIT_ASSERT_NOT_NULL(test, user->page);
	user->file = anon_inode_getfile("v4l2_kunit", &user_page_fops, user,
					O_RDWR);
	remember_file(test, user->file);
	return user;
}

/* Makes a call with user memory, in a task that has none yet. */
static long user_call(struct test_task *tt,
		      long (*fn)(struct test_task *tt, unsigned long addr))
{
	struct mm_struct *mm;
	unsigned long addr;
	long ret;

	ret = kunit_attach_mm();
	if (ret)
		return ret;
	addr = vm_mmap(tt->user->file, 0, PAGE_SIZE, PROT_READ | PROT_WRITE,
		       MAP_SHARED, 0);
	if (IS_ERR_VALUE(addr)) {
		ret = addr;
	} else {
		ret = fn(tt, addr);
		vm_munmap(addr, PAGE_SIZE);
	}

	/* It would not drop the reference of kthread_use_mm() when it ends. */
	mm = current->mm;
	kthread_unuse_mm(mm);
	mmput(mm);
	return ret;
}

static long user_ioctl(struct test_task *tt, unsigned long addr)
{
	return tt->file->f_op->unlocked_ioctl(tt->file, tt->cmd, addr);
}

static long task_user_ioctl(struct test_task *tt)
{
	return user_call(tt, user_ioctl);
}

/* Let a task make a call, and stop in the copy from or to user memory. */
static struct test_task *start_fault(struct kunit *test,
				     long (*fn)(struct test_task *tt),
				     const struct test_task *args)
{
	struct user_page *user = args->user;
	struct test_task *tt;

	WRITE_ONCE(user->stop, true);
	tt = start(test, fn, args, "user_fault");
	KUNIT_ASSERT_TRUE(test, wait_for(&user->inside));
	WRITE_ONCE(user->stop, false);
	return tt;
}

#define start_user_fault(test, fn, ...) \
	start_fault(test, fn, &(struct test_task){ __VA_ARGS__ })

static void end_user_fault(struct kunit *test, struct test_task *tt)
{
	KUNIT_EXPECT_TRUE(test, is_asleep(tt));
	complete(&tt->user->go);
	KUNIT_ASSERT_TRUE(test, is_done(tt));
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
