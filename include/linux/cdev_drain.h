/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Count the calls from userspace into a character device, refuse new ones,
 * wait for those in progress.  See fs/cdev_drain.c.
 */
#ifndef _LINUX_CDEV_DRAIN_H
#define _LINUX_CDEV_DRAIN_H

#include <linux/atomic.h>
#include <linux/cdev.h>
#include <linux/limits.h>
#include <linux/lockdep.h>
#include <linux/types.h>

struct task_struct;

/**
 * struct cdev_call - one call from userspace in progress
 *
 * Lives on the stack of the caller between cdev_enter() and cdev_exit(), and
 * is empty unless CONFIG_DEBUG_CDEV_CALLS is set.
 */
struct cdev_call {
#ifdef CONFIG_DEBUG_CDEV_CALLS
	/* private: */
	struct list_head node;
	struct task_struct *task;
	unsigned long since;
#endif
};

/*
 * cdev->active is the number of calls in progress, plus one of these.  Both
 * are far below zero, so that one test of the sign refuses a call, and far
 * enough apart that no number of calls can turn one into the other.
 */
#define CDEV_DISCONNECTED	INT_MIN
#define CDEV_NOT_CONNECTED	(INT_MIN / 2)

void cdev_enable_drain(struct cdev *cdev, const char *name,
		       struct lock_class_key *key);
bool cdev_connect(struct cdev *cdev);
bool cdev_disconnect(struct cdev *cdev);
int cdev_drain(struct cdev *cdev);
int cdev_calls_in_flight(struct cdev *cdev);

/* Out of line, so that cdev_enter() and cdev_exit() stay a few instructions. */
void __cdev_call_refused(struct cdev *cdev);
void __cdev_wake_drain(atomic_t *active);

#ifdef CONFIG_DEBUG_CDEV_CALLS
void __cdev_call_begin(struct cdev *cdev, struct cdev_call *call);
void __cdev_call_end(struct cdev *cdev, struct cdev_call *call);
#else
static inline void __cdev_call_begin(struct cdev *cdev,
				     struct cdev_call *call) { }
static inline void __cdev_call_end(struct cdev *cdev,
				   struct cdev_call *call) { }
#endif

/**
 * cdev_is_disconnected() - does this device refuse calls?
 * @cdev: a device that opted in with cdev_enable_drain()
 *
 * Every interruptible sleep of a call tests this in its wait condition, so
 * that the owner, who wakes it after cdev_disconnect(), does not wait for it
 * in vain in cdev_drain().
 *
 * Context: any; does not sleep.
 * Return: true from cdev_disconnect() on, and before cdev_connect().
 */
static inline bool cdev_is_disconnected(struct cdev *cdev)
{
	return atomic_read(&cdev->active) < 0;
}

/**
 * cdev_enter() - begin a call from userspace
 * @cdev: a device that opted in with cdev_enable_drain(). For an open file it
 *	is file_inode(file)->i_cdev, which is valid as long as the file is. Mind
 *	that for misc, sound, drm and dvb devices this is the one cdev of the
 *	whole major.
 * @call: record of this call, on the stack
 *
 * Brackets, with cdev_exit(), everything that one file operation does with
 * what the driver's removal takes away; cdev_drain() waits for it. The task
 * may sleep in between. Do not nest it: once the device is disconnected the
 * inner call would be refused half-way through the outer one. ->release() is
 * not bracketed, it can be neither refused nor waited for.
 *
 * A successful cdev_enter() is ordered after cdev_connect() and, by the failure
 * of every later one, before cdev_disconnect().
 *
 * Context: task context; does not sleep. Lockdep takes it for a read lock
 * acquired by trylock.
 * Return: true if the call may go on, and must end in cdev_exit(); false if
 * the device is disconnected, and the call has to return -ENODEV without
 * touching anything that belongs to the driver.
 */
static __always_inline bool __must_check cdev_enter(struct cdev *cdev,
						    struct cdev_call *call)
{
	if (unlikely(!atomic_inc_unless_negative(&cdev->active))) {
		__cdev_call_refused(cdev);
		return false;
	}

	__cdev_call_begin(cdev, call);
	rwsem_acquire_read(&cdev->dep_map, 0, 1, _THIS_IP_);
	return true;
}

/**
 * cdev_exit() - end a call from userspace
 * @cdev: as passed to cdev_enter()
 * @call: as passed to cdev_enter()
 *
 * What the call did is visible to who returns from cdev_drain(). With the last
 * call gone the remover goes on and may free @cdev, so that nothing but the
 * address of the counter is used once it was decremented.
 *
 * Context: the task that called cdev_enter(); does not sleep.
 */
static __always_inline void cdev_exit(struct cdev *cdev, struct cdev_call *call)
{
	rwsem_release(&cdev->dep_map, _THIS_IP_);
	__cdev_call_end(cdev, call);
	if (unlikely(atomic_dec_return_release(&cdev->active) ==
		     CDEV_DISCONNECTED))
		__cdev_wake_drain(&cdev->active);
}

#endif /* _LINUX_CDEV_DRAIN_H */
