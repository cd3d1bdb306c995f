// SPDX-License-Identifier: GPL-2.0
/*
 * Safe removal of character devices: count the calls from userspace, refuse
 * new ones, wait for those in progress.
 */

/**
 * DOC: cdev drain
 *
 * After cdev_del() no new file of a character device can be opened, but files
 * that are open stay so, and their operations can be called, and be in
 * progress, while and after the driver is removed. A subsystem whose drivers
 * should not have to cope with that opts in::
 *
 *   registration          file operation          removal
 *
 *   cdev_enable_drain()   if (!cdev_enter())      cdev_disconnect()
 *   cdev_add()                return -ENODEV;     wake what sleeps in calls
 *   cdev_connect()        ...                     cdev_drain()
 *                         cdev_exit()             take away what calls use
 *
 * Removal always has two phases with the wake-up in between, done by the owner,
 * who alone knows what a call may sleep on: without it cdev_drain() waits for
 * as long as userspace likes. It never gives up: a driver that goes on while a
 * call is in progress is what this is here to prevent. Hardware and interrupts
 * stay alive until it returned, the calls in progress may need them.
 *
 * Disconnecting is final: a device that comes back has a new cdev.
 *
 * ->release() is not part of this. It cannot be refused, and to have waited for
 * the ones in progress is of no use, as the next may begin at any time. What it
 * touches has to live until the last file is closed.
 *
 * The state is one counter per device. Nothing is shared between devices, so
 * that a call that does not return holds up the removal of its own device and
 * of no other.
 */

#define pr_fmt(fmt) "cdev: " fmt

#include <linux/cdev_drain.h>
#include <linux/debug_locks.h>
#include <linux/errno.h>
#include <linux/export.h>
#include <linux/fs.h>
#include <linux/jiffies.h>
#include <linux/ktime.h>
#include <linux/sched.h>
#include <linux/spinlock.h>
#include <linux/wait_bit.h>

#define CREATE_TRACE_POINTS
#include <trace/events/cdev.h>

/* How long a drain waits, in jiffies, before it says so, and says so again. */
#define CDEV_STALL	(10 * HZ)

static int cdev_gone_open(struct inode *inode, struct file *file)
{
	return -ENODEV;
}

/*
 * Takes the place of cdev->ops, so that chrdev_open(), which can reach a dead
 * cdev through a cached inode->i_cdev, refuses it without having to look at
 * every cdev that is opened.
 */
static const struct file_operations cdev_gone_fops = {
	.open = cdev_gone_open,
};

#ifdef CONFIG_DEBUG_CDEV_CALLS

void __cdev_call_begin(struct cdev *cdev, struct cdev_call *call)
{
	call->task = current;
	call->since = jiffies;
	spin_lock(&cdev->calls_lock);
	list_add_tail(&call->node, &cdev->calls);
	spin_unlock(&cdev->calls_lock);
}
EXPORT_SYMBOL_GPL(__cdev_call_begin);

void __cdev_call_end(struct cdev *cdev, struct cdev_call *call)
{
	spin_lock(&cdev->calls_lock);
	list_del(&call->node);
	spin_unlock(&cdev->calls_lock);
}
EXPORT_SYMBOL_GPL(__cdev_call_end);

static void cdev_init_calls(struct cdev *cdev)
{
	INIT_LIST_HEAD(&cdev->calls);
	spin_lock_init(&cdev->calls_lock);
}

static bool cdev_in_own_call(struct cdev *cdev)
{
	struct cdev_call *call;

	guard(spinlock)(&cdev->calls_lock);
	list_for_each_entry(call, &cdev->calls, node)
		if (call->task == current)
			return true;
	return false;
}

static void cdev_show_calls(struct cdev *cdev)
{
	struct cdev_call *call;

	/* A task on the list cannot go away: it has to leave it first. */
	guard(spinlock)(&cdev->calls_lock);
	list_for_each_entry(call, &cdev->calls, node)
		pr_warn("%u:%u: %s[%d] in a call for %u s\n",
			MAJOR(cdev->dev), MINOR(cdev->dev), call->task->comm,
			task_pid_nr(call->task),
			jiffies_to_msecs(jiffies - call->since) / 1000);
}

#else

static void cdev_init_calls(struct cdev *cdev) { }
static void cdev_show_calls(struct cdev *cdev) { }

/* Without CONFIG_LOCKDEP either, self-drain shows as a stall. */
static bool cdev_in_own_call(struct cdev *cdev)
{
	return IS_ENABLED(CONFIG_LOCKDEP) && debug_locks &&
	       lock_is_held(&cdev->dep_map);
}

#endif

/**
 * cdev_enable_drain() - let a device be disconnected and drained
 * @cdev: the device, initialised, not yet added
 * @name: name of the lockdep class
 * @key: lockdep class of the device, which has to be a static object. Devices
 *	that may be removed from inside each other's calls need different ones.
 *
 * Calls are refused until cdev_connect(). The subsystem has to bracket each of
 * its file operations but ->release() with cdev_enter() and cdev_exit().
 *
 * Lockdep reports, without it having to happen, a drain that would wait for
 * itself: under a lock that a call takes, and from inside a call. It does not
 * see device_lock(), which has no validation. A cdev_exit() that was forgotten
 * shows as a lock held on return to userspace.
 *
 * Pairs with cdev_connect(), which ends the time in which calls are refused,
 * and cdev_disconnect(), which begins it again.
 *
 * Context: before cdev_add(); does not sleep.
 */
void cdev_enable_drain(struct cdev *cdev, const char *name,
		       struct lock_class_key *key)
{
	atomic_set(&cdev->active, CDEV_NOT_CONNECTED);
	lockdep_init_map(&cdev->dep_map, name, key, 0);
	cdev_init_calls(cdev);
}
EXPORT_SYMBOL_GPL(cdev_enable_drain);

/**
 * cdev_connect() - let calls in
 * @cdev: a device that opted in with cdev_enable_drain()
 *
 * Called once, after cdev_enable_drain(), when the owner has finished
 * registering.
 *
 * Context: any; does not sleep.
 * Return: false if the device was disconnected in the meantime and stays so.
 */
bool cdev_connect(struct cdev *cdev)
{
	return atomic_cmpxchg(&cdev->active, CDEV_NOT_CONNECTED, 0) ==
		CDEV_NOT_CONNECTED;
}
EXPORT_SYMBOL_GPL(cdev_connect);

/**
 * cdev_calls_in_flight() - number of calls in progress
 * @cdev: a device that opted in with cdev_enable_drain()
 *
 * For messages and statistics: the number may have changed on return.
 *
 * Context: any; does not sleep.
 * Return: the number of calls between cdev_enter() and cdev_exit().
 */
int cdev_calls_in_flight(struct cdev *cdev)
{
	int active = atomic_read(&cdev->active);

	if (active == CDEV_NOT_CONNECTED)
		return 0;
	return active < 0 ? active - CDEV_DISCONNECTED : active;
}
EXPORT_SYMBOL_GPL(cdev_calls_in_flight);

/**
 * cdev_disconnect() - refuse every later call
 * @cdev: a device that opted in with cdev_enable_drain()
 *
 * From here on cdev_enter() and open() fail. Calls in progress go on, and see
 * cdev_is_disconnected(). The caller has to wake those that sleep, and then to
 * wait for all of them in cdev_drain() before it takes away what they use. It
 * may itself be inside a call, if somebody else drains.
 *
 * Context: any; does not sleep.
 * Return: true if this call disconnected the device, false if it was so before.
 */
bool cdev_disconnect(struct cdev *cdev)
{
	int old = atomic_read(&cdev->active);
	int in_flight;

	do {
		if (old < 0 && old != CDEV_NOT_CONNECTED)
			return false;
		in_flight = old < 0 ? 0 : old;
	} while (!atomic_try_cmpxchg(&cdev->active, &old,
				     CDEV_DISCONNECTED + in_flight));

	WRITE_ONCE(cdev->ops, &cdev_gone_fops);
	trace_cdev_disconnect(cdev->dev, in_flight);
	return true;
}
EXPORT_SYMBOL_GPL(cdev_disconnect);

/**
 * cdev_drain() - wait until no call is in progress
 * @cdev: a device after cdev_disconnect()
 *
 * Whatever calls did happened before this returns, and none will come. If that
 * takes more than 10 s, a message says which device is waiting for how many
 * calls, and is repeated every 10 s; with CONFIG_DEBUG_CDEV_CALLS it names the
 * tasks. It does not give up.
 *
 * The caller must not hold a lock that a call takes, and must not be in a call
 * itself.
 *
 * Context: may sleep, for as long as the calls in progress take.
 * Return: 0, or, with a warning and without having waited, -EINVAL if the
 * device is not disconnected and -EDEADLK if the caller is inside a call
 * itself, where lockdep or CONFIG_DEBUG_CDEV_CALLS can tell. Both are bugs of
 * the caller, which a removal has no way to handle.
 */
int cdev_drain(struct cdev *cdev)
{
	u64 begin = ktime_get_ns();
	int stalled = 0;

	might_sleep();

	if (WARN(atomic_read(&cdev->active) >= CDEV_NOT_CONNECTED,
		 "cdev %u:%u drained, but not disconnected\n",
		 MAJOR(cdev->dev), MINOR(cdev->dev)))
		return -EINVAL;
	if (WARN(cdev_in_own_call(cdev),
		 "cdev %u:%u drained from inside a call\n",
		 MAJOR(cdev->dev), MINOR(cdev->dev)))
		return -EDEADLK;

	/* Tell lockdep before the wait, which might be the one in vain. */
	lock_map_acquire(&cdev->dep_map);
	lock_map_release(&cdev->dep_map);

	trace_cdev_drain_begin(cdev->dev, cdev_calls_in_flight(cdev));
	while (!wait_var_event_timeout(&cdev->active,
				       atomic_read_acquire(&cdev->active) ==
				       CDEV_DISCONNECTED, CDEV_STALL)) {
		stalled += CDEV_STALL / HZ;
		pr_warn("%u:%u (%s): removal waits for %d calls in progress since %d s\n",
			MAJOR(cdev->dev), MINOR(cdev->dev),
			kobject_name(&cdev->kobj) ?: "unnamed",
			cdev_calls_in_flight(cdev), stalled);
		cdev_show_calls(cdev);
	}
	trace_cdev_drain_end(cdev->dev, ktime_get_ns() - begin);
	return 0;
}
EXPORT_SYMBOL_GPL(cdev_drain);

void __cdev_call_refused(struct cdev *cdev)
{
	trace_cdev_refused(cdev->dev);
}
EXPORT_SYMBOL_GPL(__cdev_call_refused);

void __cdev_wake_drain(atomic_t *active)
{
	/*
	 * Order the decrement before the look at the wait queue, as against
	 * prepare_to_wait() and the test of the condition in cdev_drain().
	 * @active may be gone: it is an address to hash, not to follow.
	 */
	smp_mb();
	wake_up_var(active);
}
EXPORT_SYMBOL_GPL(__cdev_wake_drain);
