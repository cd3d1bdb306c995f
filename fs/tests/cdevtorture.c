// SPDX-License-Identifier: GPL-2.0
/*
 * Torture test for the removal of character devices.
 *
 * Devices come and go, while tasks open them, call them, sleep in them until
 * they go, and close them late. Each device carries the marks that tell
 * without KASAN what must not be: "removed", set when cdev_drain() returned,
 * which no call may ever see; a magic number, gone with the memory; and a
 * generation, by which a file knows its device from one that has got the
 * memory since.
 *
 * torture_type= says what is removed: "cdev" is a device that brackets its
 * file operations itself, "v4l2" a video device, for which the core does it.
 * The types called busted show that the test can fail, each in its own way:
 * they do not drain ("busted"), refuse calls later than they say ("late") or
 * sooner ("early"), do not wake who drains ("nowake"), or free the device
 * while files are open ("free"). In "cdev_racy" reads race with each other,
 * which only KCSAN can tell.
 */

#include <linux/atomic.h>
#include <linux/device/faux.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/fs_struct.h>
#include <linux/kthread.h>
#include <linux/ktime.h>
#include <linux/math64.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/poll.h>
#include <linux/rcupdate.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/torture.h>
#include <linux/wait.h>

/*
 * The last that cdev_exit() does, and it is inlined here: cdev_nowake_busted
 * leaves it out.
 */
#define __cdev_wake_drain	ct_wake_drain
#include <linux/cdev_drain.h>
#undef __cdev_wake_drain
typeof(ct_wake_drain) __cdev_wake_drain;

#include <media/v4l2-dev.h>
#include <media/v4l2-device.h>
#include <media/v4l2-event.h>
#include <media/v4l2-fh.h>

MODULE_DESCRIPTION("Torture test for the removal of character devices");
MODULE_LICENSE("GPL");

static char *torture_type = "cdev";
module_param(torture_type, charp, 0444);
MODULE_PARM_DESC(torture_type,
		 "cdev or v4l2, and what must fail: each with _busted, _late_busted, _early_busted or _free_busted; cdev_nowake_busted; cdev_racy");

torture_param(int, ndevs, 2, "Number of devices that come and go");
torture_param(int, ncallers, -1, "Number of callers, default 4 per CPU");
torture_param(int, nwaiters, -1, "Number of sleepers, default 2 per CPU");
torture_param(int, bound_ms, 20, "Longest time a device stays, in ms");
/* KCSAN watches one access in thousands, whoever makes it. */
torture_param(int, looks, 1, "How often a read looks whether it may go on");
torture_param(int, onoff_holdoff, 0, "Time before hotplugs, in s");
torture_param(int, onoff_interval, 0, "Jiffies between CPU hotplugs, or 0");
torture_param(int, shuffle_interval, 3, "Time between task shuffles, in s");
torture_param(int, shutdown_secs, 0, "Shutdown time in s, 0 for never");
torture_param(int, stat_interval, 15, "Time between statistics, in s");
torture_param(int, stutter, 5, "Time to run and to pause, in s, or 0");
torture_param(int, verbose, 0, "Verbose messages");

#define CT_MAX_DEVS	16
#define CT_FILES	4	/* that a task has open at a time */
#define CT_MAX_LIVE	192	/* devices, with those removed and still open */
#define CT_MAGIC	0x63646576

/*
 * cdev_drain() looks for itself after 10 s, and says so if it has to go on. If
 * it ends then, nobody has woken it.
 */
#define CT_UNWOKEN_NS	(9ULL * NSEC_PER_SEC)

#define CT_IOC_SLEEP	_IO('T', 0)
#define CT_IOC_WAIT	_IO('T', 1)

/* What a type is busted for. */
enum ct_bust {
	CT_GOOD,
	CT_NO_DRAIN,
	CT_LATE,
	CT_EARLY,
	CT_NO_WAKE,
	CT_FREE,
	CT_RACE,
};

/* The state of a driver: freed with the last reference. */
struct ct_dev {
	unsigned int magic;
	long generation;
	/* Not atomic: nothing but the drain orders it, as KCSAN can tell. */
	bool removed;
	bool leaving;		/* calls may be refused */
	bool disconnected;	/* calls must be refused */
	wait_queue_head_t wait;
	union {
		struct {
			struct cdev cdev;
			struct device dev;
		};
		struct {
			struct v4l2_device v4l2_dev;
			struct video_device vdev;
		};
	};
};

/* A place where one device after the other is. */
struct ct_slot {
	int nr;
	struct mutex lock;	/* of path */
	char path[32];
	unsigned long steps;	/* added, to be removed, added, ... */
	struct task_struct *task;
	unsigned long removals;
	u64 drain_ns_sum;
	u64 drain_ns_max;
};

struct ct_ops {
	const char *name;
	enum ct_bust bust;
	struct ct_dev *(*of_file)(struct file *file);
	struct ct_dev *(*add)(struct ct_slot *slot);
	void (*disconnect)(struct ct_dev *d);
	void (*drain)(struct ct_dev *d);
	void (*del)(struct ct_dev *d);
	/* In a call: returns when the device goes. */
	int (*wait)(struct file *file);
};

static const struct ct_ops *cur_ops;
static struct ct_slot slots[CT_MAX_DEVS];
static struct task_struct **caller_tasks;
static struct task_struct **waiter_tasks;
static struct task_struct *stats_task;
static struct faux_device *ct_parent;
static dev_t ct_devt;
static atomic_t n_live = ATOMIC_INIT(0);
static atomic_long_t last_generation;

static atomic_long_t n_opens;
static atomic_long_t n_opens_refused;
static atomic_long_t n_calls;
static atomic_long_t n_calls_refused;
static atomic_long_t n_woken;
static atomic_long_t n_offlined;

/* Plain, and of all reads: for KCSAN to find. */
static unsigned long n_raced;

/* Errors */
static atomic_long_t n_err_removed;	/* a call met a drained device */
static atomic_long_t n_err_freed;	/* a file met freed memory */
static atomic_long_t n_err_reused;	/* a file met another device */
static atomic_long_t n_err_accepted;	/* a call began too late */
static atomic_long_t n_err_refused;	/* a call or open could not begin */
static atomic_long_t n_err_unwoken;	/* a drain had to look for itself */
static atomic_long_t n_err_open;
static atomic_long_t n_err_add;

static bool ct_failed(void)
{
	return atomic_long_read(&n_err_removed) ||
	       atomic_long_read(&n_err_freed) ||
	       atomic_long_read(&n_err_reused) ||
	       atomic_long_read(&n_err_accepted) ||
	       atomic_long_read(&n_err_refused) ||
	       atomic_long_read(&n_err_unwoken) ||
	       atomic_long_read(&n_err_open) || atomic_long_read(&n_err_add);
}

/* If nothing was opened, or no call refused, this has proved nothing. */
static bool ct_did_something(void)
{
	return atomic_long_read(&n_opens) && atomic_long_read(&n_calls) &&
	       atomic_long_read(&n_calls_refused) &&
	       (atomic_long_read(&n_woken) || !nwaiters);
}

void ct_wake_drain(atomic_t *active)
{
	if (cur_ops->bust != CT_NO_WAKE)
		__cdev_wake_drain(active);
}

static struct ct_dev *ct_init_dev(struct ct_dev *d)
{
	d->magic = CT_MAGIC;
	d->generation = atomic_long_inc_return(&last_generation);
	init_waitqueue_head(&d->wait);
	atomic_inc(&n_live);
	return d;
}

static void ct_free_dev(struct ct_dev *d)
{
	WRITE_ONCE(d->magic, 0);
	kfree(d);
	if (atomic_dec_and_test(&n_live))
		wake_up_var(&n_live);
}

/* In the position, which means nothing to these devices. */
static void ct_remember(struct file *file)
{
	file->f_pos = READ_ONCE(cur_ops->of_file(file)->generation);
}

static void ct_check_memory(struct file *file)
{
	struct ct_dev *d = cur_ops->of_file(file);

	if (READ_ONCE(d->magic) != CT_MAGIC)
		atomic_long_inc(&n_err_freed);
	else if (READ_ONCE(d->generation) != file->f_pos)
		atomic_long_inc(&n_err_reused);
}

/*
 * How memory looks if it is freed, or freed and used again for another device,
 * while files are open. Only how it looks, so that the kernel survives to say
 * whether it was noticed.
 */
static void ct_free_early(struct ct_dev *d, bool reuse)
{
	if (reuse)
		WRITE_ONCE(d->generation,
			   atomic_long_inc_return(&last_generation));
	else
		WRITE_ONCE(d->magic, 0);
}

/*
 * The file operations of the driver, each of them a call in progress. They have
 * no owner: the files belong to tasks of this module, which ends them first.
 */

static bool ct_is_removed(struct ct_dev *d)
{
	if (!d->removed)
		return false;
	atomic_long_inc(&n_err_removed);
	return true;
}

static void ct_check(struct file *file)
{
	ct_check_memory(file);
	ct_is_removed(cur_ops->of_file(file));
}

static ssize_t ct_read(struct file *file, char __user *buf, size_t size,
		       loff_t *pos)
{
	struct ct_dev *d = cur_ops->of_file(file);
	int n = looks;

	ct_check(file);
	while (n-- > 0 && !ct_is_removed(d)) {
		if (cur_ops->bust == CT_RACE)
			n_raced++;
		cpu_relax();
	}
	ct_check(file);
	return 0;
}

static __poll_t ct_poll(struct file *file, struct poll_table_struct *wait)
{
	ct_check(file);
	return EPOLLIN;
}

static long ct_ioctl(struct file *file, unsigned int cmd, unsigned long arg)
{
	int ret = 0;

	ct_check(file);
	if (cmd == CT_IOC_SLEEP)
		schedule_timeout_uninterruptible(arg);
	else
		ret = cur_ops->wait(file);
	ct_check(file);
	return ret;
}

/* A device that brackets its file operations itself */

static struct lock_class_key ct_cdev_key;

static struct ct_dev *ct_cdev_of_file(struct file *file)
{
	return container_of(file_inode(file)->i_cdev, struct ct_dev, cdev);
}

static int ct_cdev_open(struct inode *inode, struct file *file)
{
	struct cdev_call call;

	if (!cdev_enter(inode->i_cdev, &call))
		return -ENODEV;
	ct_remember(file);
	ct_check(file);
	cdev_exit(inode->i_cdev, &call);
	return 0;
}

static ssize_t ct_cdev_read(struct file *file, char __user *buf, size_t size,
			    loff_t *pos)
{
	struct cdev *cdev = file_inode(file)->i_cdev;
	struct cdev_call call;
	ssize_t ret;

	if (!cdev_enter(cdev, &call))
		return -ENODEV;
	ret = ct_read(file, buf, size, pos);
	cdev_exit(cdev, &call);
	return ret;
}

static __poll_t ct_cdev_poll(struct file *file, struct poll_table_struct *wait)
{
	struct cdev *cdev = file_inode(file)->i_cdev;
	struct cdev_call call;
	__poll_t ret;

	if (!cdev_enter(cdev, &call))
		return EPOLLERR | EPOLLHUP;
	ret = ct_poll(file, wait);
	cdev_exit(cdev, &call);
	return ret;
}

static long ct_cdev_ioctl(struct file *file, unsigned int cmd,
			  unsigned long arg)
{
	struct cdev *cdev = file_inode(file)->i_cdev;
	struct cdev_call call;
	long ret;

	if (!cdev_enter(cdev, &call))
		return -ENODEV;
	ret = ct_ioctl(file, cmd, arg);
	cdev_exit(cdev, &call);
	return ret;
}

static int ct_cdev_close(struct inode *inode, struct file *file)
{
	ct_check_memory(file);
	return 0;
}

static const struct file_operations ct_cdev_fops = {
	.open = ct_cdev_open,
	.read = ct_cdev_read,
	.poll = ct_cdev_poll,
	.unlocked_ioctl = ct_cdev_ioctl,
	.release = ct_cdev_close,
};

/* Not static: its release may be delayed until this module is gone. */
static struct class *ct_class;

static void ct_cdev_release(struct device *dev)
{
	ct_free_dev(container_of(dev, struct ct_dev, dev));
}

static struct ct_dev *ct_cdev_add(struct ct_slot *slot)
{
	struct ct_dev *d = kzalloc_obj(*d);
	int ret;

	if (!d)
		return ERR_PTR(-ENOMEM);
	ct_init_dev(d);
	cdev_init(&d->cdev, &ct_cdev_fops);
	cdev_enable_drain(&d->cdev, "cdevtorture", &ct_cdev_key);
	device_initialize(&d->dev);
	d->dev.parent = &ct_parent->dev;
	d->dev.class = ct_class;
	d->dev.devt = ct_devt + slot->nr;
	d->dev.release = ct_cdev_release;
	ret = dev_set_name(&d->dev, "cdevtorture%d", slot->nr);
	if (!ret)
		ret = cdev_device_add(&d->cdev, &d->dev);
	if (ret) {
		put_device(&d->dev);
		return ERR_PTR(ret);
	}
	cdev_connect(&d->cdev);
	snprintf(slot->path, sizeof(slot->path), "/dev/%s", dev_name(&d->dev));
	return d;
}

static void ct_cdev_disconnect(struct ct_dev *d)
{
	cdev_disconnect(&d->cdev);
	wake_up_all(&d->wait);
}

static void ct_cdev_drain(struct ct_dev *d)
{
	cdev_drain(&d->cdev);
}

static void ct_cdev_del(struct ct_dev *d)
{
	cdev_device_del(&d->cdev, &d->dev);
	put_device(&d->dev);
}

static int ct_cdev_wait(struct file *file)
{
	struct ct_dev *d = ct_cdev_of_file(file);

	wait_event_idle(d->wait, cdev_is_disconnected(&d->cdev));
	return -ENODEV;
}

#define CT_CDEV_OPS				\
	.of_file = ct_cdev_of_file,		\
	.add = ct_cdev_add,			\
	.disconnect = ct_cdev_disconnect,	\
	.drain = ct_cdev_drain,			\
	.del = ct_cdev_del,			\
	.wait = ct_cdev_wait

/* A video device */

#if IS_REACHABLE(CONFIG_VIDEO_DEV)

static struct ct_dev *ct_v4l2_of_file(struct file *file)
{
	return video_drvdata(file);
}

static int ct_v4l2_open(struct file *file)
{
	ct_remember(file);
	ct_check(file);
	return v4l2_fh_open(file);
}

static int ct_v4l2_close(struct file *file)
{
	ct_check_memory(file);
	return v4l2_fh_release(file);
}

static const struct v4l2_file_operations ct_v4l2_fops = {
	.open = ct_v4l2_open,
	.read = ct_read,
	.poll = ct_poll,
	.unlocked_ioctl = ct_ioctl,
	.release = ct_v4l2_close,
};

static void ct_v4l2_release(struct v4l2_device *v4l2_dev)
{
	ct_free_dev(container_of(v4l2_dev, struct ct_dev, v4l2_dev));
}

static struct ct_dev *ct_v4l2_add(struct ct_slot *slot)
{
	struct ct_dev *d;
	int ret;

	d = v4l2_device_alloc(&ct_parent->dev, struct ct_dev, v4l2_dev,
			      ct_v4l2_release);
	if (IS_ERR(d))
		return d;
	ct_init_dev(d);
	strscpy(d->vdev.name, "cdevtorture");
	d->vdev.v4l2_dev = &d->v4l2_dev;
	d->vdev.fops = &ct_v4l2_fops;
	d->vdev.release = video_device_release_empty;
	d->vdev.device_caps = V4L2_CAP_VIDEO_CAPTURE | V4L2_CAP_READWRITE;
	video_set_drvdata(&d->vdev, d);
	ret = video_register_device(&d->vdev, VFL_TYPE_VIDEO, -1);
	if (ret) {
		v4l2_device_remove(&d->v4l2_dev);
		return ERR_PTR(ret);
	}
	snprintf(slot->path, sizeof(slot->path), "/dev/%s",
		 video_device_node_name(&d->vdev));
	return d;
}

static void ct_v4l2_disconnect(struct ct_dev *d)
{
	video_device_disconnect(&d->vdev);
}

static void ct_v4l2_drain(struct ct_dev *d)
{
	video_device_drain(&d->vdev);
}

static void ct_v4l2_del(struct ct_dev *d)
{
	v4l2_finish_handles(&d->vdev);
	v4l2_device_remove(&d->v4l2_dev);
}

static int ct_v4l2_wait(struct file *file)
{
	struct v4l2_event ev;

	return v4l2_event_dequeue(file_to_v4l2_fh(file), &ev, false);
}

#define CT_V4L2_OPS				\
	.of_file = ct_v4l2_of_file,		\
	.add = ct_v4l2_add,			\
	.disconnect = ct_v4l2_disconnect,	\
	.drain = ct_v4l2_drain,			\
	.del = ct_v4l2_del,			\
	.wait = ct_v4l2_wait

#endif

static const struct ct_ops ct_types[] = {
	{ .name = "cdev", CT_CDEV_OPS },
	{ .name = "cdev_busted", .bust = CT_NO_DRAIN, CT_CDEV_OPS },
	{ .name = "cdev_late_busted", .bust = CT_LATE, CT_CDEV_OPS },
	{ .name = "cdev_early_busted", .bust = CT_EARLY, CT_CDEV_OPS },
	{ .name = "cdev_nowake_busted", .bust = CT_NO_WAKE, CT_CDEV_OPS },
	{ .name = "cdev_free_busted", .bust = CT_FREE, CT_CDEV_OPS },
	{ .name = "cdev_racy", .bust = CT_RACE, CT_CDEV_OPS },
#if IS_REACHABLE(CONFIG_VIDEO_DEV)
	{ .name = "v4l2", CT_V4L2_OPS },
	{ .name = "v4l2_busted", .bust = CT_NO_DRAIN, CT_V4L2_OPS },
	{ .name = "v4l2_late_busted", .bust = CT_LATE, CT_V4L2_OPS },
	{ .name = "v4l2_early_busted", .bust = CT_EARLY, CT_V4L2_OPS },
	{ .name = "v4l2_free_busted", .bust = CT_FREE, CT_V4L2_OPS },
#endif
};

/* What applications do */

static struct file *ct_open(struct torture_random_state *rand)
{
	struct ct_slot *slot = &slots[torture_random(rand) % ndevs];
	char path[sizeof(slot->path)];
	struct file *file = NULL;
	unsigned long steps = 0;

	scoped_guard(mutex, &slot->lock) {
		strscpy(path, slot->path);
		steps = READ_ONCE(slot->steps);
	}
	if (!path[0])
		return NULL;
	scoped_with_init_fs()
		file = filp_open(path, O_RDWR, 0);
	if (!IS_ERR(file)) {
		atomic_long_inc(&n_opens);
		return file;
	}
	/* It may have gone since. Pairs with ct_leave() */
	smp_rmb();
	if (PTR_ERR(file) != -ENOENT && PTR_ERR(file) != -ENODEV &&
	    PTR_ERR(file) != -ENXIO) {
		if (!atomic_long_fetch_inc(&n_err_open))
			pr_alert("%s-torture:!!! open: %ld\n", torture_type,
				 PTR_ERR(file));
		return NULL;
	}
	atomic_long_inc(&n_opens_refused);
	if (steps % 2 && steps == READ_ONCE(slot->steps))
		atomic_long_inc(&n_err_refused);
	return NULL;
}

static void ct_close(struct file **file)
{
	if (!*file)
		return;
	ct_check_memory(*file);
	__fput_sync(*file);
	*file = NULL;
}

/* cmd 0 is read() or poll(). Returns whether the device is gone. */
static bool ct_call(struct file *file, struct torture_random_state *rand,
		    unsigned int cmd)
{
	struct ct_dev *d = cur_ops->of_file(file);
	/* Pairs with ct_disconnect(): if set, the call must be refused. */
	bool gone = smp_load_acquire(&d->disconnected);
	__poll_t events;
	bool refused;

	ct_check_memory(file);
	if (cmd) {
		refused = file->f_op->unlocked_ioctl(file, cmd, 1) == -ENODEV;
	} else if (torture_random(rand) & 0x100) {
		refused = file->f_op->read(file, NULL, 0, NULL) == -ENODEV;
	} else {
		events = vfs_poll(file, NULL);
		refused = (events & EPOLLERR) && (events & EPOLLHUP);
	}
	if (!refused)
		atomic_long_inc(&n_calls);
	else if (cmd == CT_IOC_WAIT && !gone)
		atomic_long_inc(&n_woken);
	else
		atomic_long_inc(&n_calls_refused);
	if (gone && !refused)
		atomic_long_inc(&n_err_accepted);
	/* Pairs with ct_leave() */
	smp_rmb();
	if (refused && !READ_ONCE(d->leaving))
		atomic_long_inc(&n_err_refused);
	return refused;
}

static int ct_caller(void *arg)
{
	DEFINE_TORTURE_RANDOM(rand);
	struct file *files[CT_FILES] = {};
	unsigned long r;
	int i;

	torture_sched_set_normal(current, MAX_NICE);
	do {
		r = torture_random(&rand);
		i = r % CT_FILES;
		r /= CT_FILES;
		if (!files[i])
			files[i] = ct_open(&rand);
		else if (ct_call(files[i], &rand, r % 64 ? 0 : CT_IOC_SLEEP) ?
			 r % 8 == 1 : r % 256 == 1)
			ct_close(&files[i]);
		if (!files[i])
			schedule_timeout_idle(1);
		cond_resched();
		stutter_wait("ct_caller");
	} while (!torture_must_stop());
	for (i = 0; i < CT_FILES; i++)
		ct_close(&files[i]);
	torture_kthread_stopping("ct_caller");
	return 0;
}

static int ct_waiter(void *arg)
{
	DEFINE_TORTURE_RANDOM(rand);
	struct file *file;

	torture_sched_set_normal(current, MAX_NICE);
	do {
		file = ct_open(&rand);
		if (file) {
			ct_call(file, &rand, CT_IOC_WAIT);
			ct_close(&file);
		} else {
			schedule_timeout_idle(1);
		}
		stutter_wait("ct_waiter");
	} while (!torture_must_stop());
	torture_kthread_stopping("ct_waiter");
	return 0;
}

/* What bind and unbind do */

static struct ct_dev *ct_add(struct ct_slot *slot)
{
	struct ct_dev *d;

	scoped_guard(mutex, &slot->lock) {
		d = cur_ops->add(slot);
		if (!IS_ERR(d))
			WRITE_ONCE(slot->steps, slot->steps + 1);
	}
	if (!IS_ERR(d))
		return d;
	if (!atomic_long_fetch_inc(&n_err_add))
		pr_alert("%s-torture:!!! add: %ld\n", torture_type,
			 PTR_ERR(d));
	return NULL;
}

static void ct_leave(struct ct_slot *slot, struct ct_dev *d)
{
	WRITE_ONCE(slot->steps, slot->steps + 1);
	WRITE_ONCE(d->leaving, true);
	/* Pairs with ct_open() and ct_call(): calls may be refused. */
	smp_wmb();
}

static void ct_disconnect(struct ct_slot *slot, struct ct_dev *d)
{
	if (cur_ops->bust != CT_EARLY)
		ct_leave(slot, d);
	if (cur_ops->bust == CT_LATE) {
		/* Pairs with ct_call(): as if it were so already. */
		smp_store_release(&d->disconnected, true);
		schedule_timeout_idle(2);
	}
	cur_ops->disconnect(d);
	/* Pairs with ct_call() */
	smp_store_release(&d->disconnected, true);
	if (cur_ops->bust == CT_EARLY) {
		/* As if nobody had yet been told. */
		schedule_timeout_idle(2);
		ct_leave(slot, d);
	}
}

static void ct_remove(struct ct_slot *slot, struct ct_dev *d)
{
	ktime_t start;
	u64 ns;

	ct_disconnect(slot, d);
	start = ktime_get();
	if (cur_ops->bust != CT_NO_DRAIN)
		cur_ops->drain(d);
	ns = ktime_to_ns(ktime_sub(ktime_get(), start));
	d->removed = true;
	if (ns >= CT_UNWOKEN_NS)
		atomic_long_inc(&n_err_unwoken);
	if (cur_ops->bust == CT_FREE)
		ct_free_early(d, slot->removals % 2);

	scoped_guard(mutex, &slot->lock)
		slot->path[0] = '\0';
	cur_ops->del(d);

	slot->removals++;
	slot->drain_ns_sum += ns;
	slot->drain_ns_max = max(slot->drain_ns_max, ns);
}

static int ct_remover(void *arg)
{
	DEFINE_TORTURE_RANDOM(rand);
	struct ct_slot *slot = arg;
	struct ct_dev *d;

	do {
		/* Releases may be delayed, and there are 256 minors. */
		d = NULL;
		if (atomic_read(&n_live) < CT_MAX_LIVE)
			d = ct_add(slot);
		torture_hrtimeout_ms(torture_random(&rand) % bound_ms + 1,
				     1000, &rand);
		if (d)
			ct_remove(slot, d);
		stutter_wait("ct_remover");
	} while (!torture_must_stop());
	torture_kthread_stopping("ct_remover");
	return 0;
}

static void ct_offline(void)
{
	atomic_long_inc(&n_offlined);
}

static void ct_print_onoff(void)
{
	if (onoff_interval <= 0)
		return;
	pr_alert("%s-torture: offlined: %ld ", torture_type,
		 atomic_long_read(&n_offlined));
	/* It counts on from one type to the next, and ends no line. */
	torture_onoff_stats();
}

static void ct_print_stats(void)
{
	unsigned long removals = 0;
	u64 sum = 0, max = 0;
	int i;

	for (i = 0; i < ndevs; i++) {
		removals += READ_ONCE(slots[i].removals);
		sum += READ_ONCE(slots[i].drain_ns_sum);
		max = max(max, READ_ONCE(slots[i].drain_ns_max));
	}
	ct_print_onoff();
	pr_alert("%s-torture: removals: %lu drain_us_avg: %llu drain_us_max: %llu opens: %ld/%ld calls: %ld/%ld woken: %ld live: %d\n",
		 torture_type, removals,
		 div64_ul(sum, max(removals, 1UL) * NSEC_PER_USEC),
		 div64_ul(max, NSEC_PER_USEC),
		 atomic_long_read(&n_opens), atomic_long_read(&n_opens_refused),
		 atomic_long_read(&n_calls), atomic_long_read(&n_calls_refused),
		 atomic_long_read(&n_woken), atomic_read(&n_live));
	if (!ct_failed())
		return;
	pr_alert("%s-torture:!!! in a removed device: %ld in freed memory: %ld in memory used again: %ld accepted late: %ld refused early: %ld drains not woken: %ld failed opens: %ld failed adds: %ld\n",
		 torture_type,
		 atomic_long_read(&n_err_removed),
		 atomic_long_read(&n_err_freed),
		 atomic_long_read(&n_err_reused),
		 atomic_long_read(&n_err_accepted),
		 atomic_long_read(&n_err_refused),
		 atomic_long_read(&n_err_unwoken),
		 atomic_long_read(&n_err_open),
		 atomic_long_read(&n_err_add));
}

static int ct_stats(void *arg)
{
	do {
		schedule_timeout_interruptible(stat_interval * HZ);
		ct_print_stats();
		torture_shutdown_absorb("ct_stats");
	} while (!torture_must_stop());
	torture_kthread_stopping("ct_stats");
	return 0;
}

static void ct_print_params(const char *tag)
{
	pr_alert("%s-torture:--- %s: ndevs=%d ncallers=%d nwaiters=%d bound_ms=%d looks=%d onoff_holdoff=%d onoff_interval=%d shuffle_interval=%d shutdown_secs=%d stat_interval=%d stutter=%d verbose=%d\n",
		 torture_type, tag, ndevs, ncallers, nwaiters, bound_ms,
		 looks, onoff_holdoff, onoff_interval, shuffle_interval,
		 shutdown_secs, stat_interval, stutter, verbose);
}

static void ct_stop_tasks(struct task_struct **tasks, int n)
{
	int i;

	for (i = 0; tasks && i < n; i++)
		_torture_stop_kthread("Stopping task", &tasks[i]);
	kfree(tasks);
}

static void ct_cleanup(void)
{
	int i;

	if (torture_cleanup_begin())
		return;

	/* Who waits is woken by the removers, which go last. */
	ct_stop_tasks(caller_tasks, ncallers);
	ct_stop_tasks(waiter_tasks, nwaiters);
	for (i = 0; i < ndevs; i++)
		torture_stop_kthread(ct_remover, slots[i].task);
	torture_stop_kthread(ct_stats, stats_task);

	wait_var_event(&n_live, !atomic_read(&n_live));
	/* The release that woke us may be preempted at its very end. */
	synchronize_rcu_tasks();
	if (ct_devt) {
		class_destroy(ct_class);
		unregister_chrdev_region(ct_devt, ndevs);
	}
	if (ct_parent)
		faux_device_destroy(ct_parent);

	if (cur_ops) {
		ct_print_stats();
		if (ct_failed() || !ct_did_something())
			ct_print_params("End of test: FAILURE");
		else if (torture_onoff_failures())
			ct_print_params("End of test: LOCK_HOTPLUG");
		else
			ct_print_params("End of test: SUCCESS");
	}
	torture_cleanup_end();
}

static int __init ct_find_type(void)
{
	int i;

	for (i = 0; i < ARRAY_SIZE(ct_types); i++) {
		if (!strcmp(torture_type, ct_types[i].name)) {
			cur_ops = &ct_types[i];
			return 0;
		}
	}
	pr_alert("cdevtorture: unknown torture_type \"%s\"\n", torture_type);
	return -EINVAL;
}

static int __init ct_register(void)
{
	int ret;

	ct_parent = faux_device_create("cdevtorture", NULL, NULL);
	if (!ct_parent)
		return -ENODEV;
	ct_class = class_create("cdevtorture");
	if (IS_ERR(ct_class))
		return PTR_ERR(ct_class);
	ret = alloc_chrdev_region(&ct_devt, 0, ndevs, "cdevtorture");
	if (ret)
		class_destroy(ct_class);
	return ret;
}

static int __init ct_start_tasks(int (*fn)(void *arg), char *name, int n,
				 struct task_struct ***tasks)
{
	int i, ret;

	*tasks = kzalloc_objs(**tasks, n);
	if (!*tasks)
		return -ENOMEM;
	for (i = 0; i < n; i++) {
		ret = _torture_create_kthread(fn, NULL, name, "Creating task",
					      "Failed to create task",
					      &(*tasks)[i], NULL);
		if (ret)
			return ret;
	}
	return 0;
}

static int __init ct_start(void)
{
	int i, ret;

	ret = ct_register();
	if (ret)
		return ret;
	if (onoff_interval > 0) {
		ret = torture_onoff_init(onoff_holdoff * HZ, onoff_interval,
					 ct_offline);
		if (ret)
			return ret;
	}
	if (shuffle_interval > 0) {
		ret = torture_shuffle_init(shuffle_interval * HZ);
		if (ret)
			return ret;
	}
	if (stutter > 0) {
		ret = torture_stutter_init(stutter * HZ, stutter * HZ / 4);
		if (ret)
			return ret;
	}
	if (shutdown_secs > 0) {
		ret = torture_shutdown_init(shutdown_secs, ct_cleanup);
		if (ret)
			return ret;
	}
	for (i = 0; i < ndevs; i++) {
		slots[i].nr = i;
		mutex_init(&slots[i].lock);
		ret = torture_create_kthread(ct_remover, &slots[i],
					     slots[i].task);
		if (ret)
			return ret;
	}
	ret = ct_start_tasks(ct_caller, "ct_caller", ncallers, &caller_tasks);
	if (ret)
		return ret;
	ret = ct_start_tasks(ct_waiter, "ct_waiter", nwaiters, &waiter_tasks);
	if (ret || stat_interval <= 0)
		return ret;
	return torture_create_kthread(ct_stats, NULL, stats_task);
}

static int __init ct_module_init(void)
{
	int ret;

	if (!torture_init_begin(torture_type, verbose))
		return -EBUSY;
	ndevs = clamp(ndevs, 1, CT_MAX_DEVS);
	bound_ms = max(bound_ms, 1);
	if (ncallers < 0)
		ncallers = 4 * num_online_cpus();
	if (nwaiters < 0)
		nwaiters = 2 * num_online_cpus();

	ret = ct_find_type();
	if (!ret) {
		ct_print_params("Start of test");
		ret = ct_start();
	}
	torture_init_end();
	if (ret)
		ct_cleanup();
	return ret;
}

module_init(ct_module_init);
module_exit(ct_cleanup);
