// SPDX-License-Identifier: GPL-2.0-only
///
/// Begin the conversion of a V4L2 driver to v4l2_device_alloc(),
/// v4l2_device_quiesce() and v4l2_device_remove().
///
//# Does what is mechanical in a driver that allocates its state with
//# devm_kzalloc() or kzalloc() and registers its V4L2 device in probe(), in the
//# same file:
//#
//# - v4l2_device_alloc() takes the place of both; where probe() returns between
//#   the two, and where it ends with an error, v4l2_device_remove() is called;
//# - a release callback is added, and frees the mem2mem device, the control
//#   handlers and the state, which probe() and remove() do no more;
//# - video_set_drvdata() is called before a node is registered, not after;
//# - v4l2_device_quiesce() takes the place of the first unregistration of a node
//#   in remove() and in the error path of probe(), and v4l2_device_remove() comes
//#   at the end.
//#
//# What is left to do:
//#
//# - v4l2_device_quiesce() comes before all that stops the hardware, and the
//#   interrupt is freed or disabled before v4l2_device_remove(), as devm does it
//#   when the state may be gone;
//# - what file operations use is set up before the first node is registered;
//# - what the release file operation does to the hardware goes to shutdown;
//# - media_device_ops.release, and the reference for it;
//# - sleeps of the driver's own;
//# - other memory that remove() frees, and destroying mutexes;
//# - labels that have become one, and white space.
//#
//# Five drivers that it was tried on had 25 reports by v4l2_removal.cocci before
//# it, and none after. It added 152 lines to them, and took away 96. That was
//# all but the following, which has to be found by reading:
//#
//# - g2d, meson-ge2d: free the interrupt;
//# - rcar_jpu: the same, and a shutdown file operation for the clock;
//# - s5p-jpeg: free the interrupt, and disable runtime PM later;
//# - m2m-deinterlace: v4l2_m2m_init() before the node.
//
// Confidence: Low
// Comments: see Documentation/driver-api/media/v4l2-removal.rst
// Options: --no-includes --include-headers
// Keywords: V4L2, video_device, v4l2_device_alloc, remove, unbind

virtual patch

// The functions: probe() is where both calls are.

@probe exists@
identifier fn, S, p, fld, pdev, ret;
type T;
@@
static int fn(T *pdev)
{
	... when any
	struct S *p;
	... when any
	p = \(devm_kzalloc\|kzalloc\)(...);
	... when any
	ret = v4l2_device_register(..., &p->fld);
	... when any
}

@remove@
identifier T, drv, probe.fn, rm;
@@
(
 struct T drv = { .probe = fn, .remove = rm, };
|
 struct T drv = { .probe = fn, .disconnect = rm, };
)

@state exists@
identifier remove.rm, probe.S, q;
@@
rm(...)
{
	... when any
	struct S *q = ...;
	... when any
}

// Errors before the V4L2 device was registered: now it is.

@failed exists@
identifier probe.fn, probe.p;
position pos;
@@
fn(...)
{
	... when any
	p = \(devm_kzalloc\|kzalloc\)(...);
(
	if (!p) { ... return@pos ...; }
|
	if (!p) return@pos ...;
)
	... when any
}

@between exists@
identifier probe.fn, probe.p, probe.fld;
position pos != failed.pos;
expression E;
@@
fn(...)
{
	... when any
	p = \(devm_kzalloc\|kzalloc\)(...);
	... when != v4l2_device_register(..., &p->fld)
	return@pos E;
}

@@
identifier probe.p, probe.fld, probe.ret;
position between.pos;
expression E;
@@
-	return@pos E;
+	ret = E;
+	v4l2_device_remove(&p->fld);
+	return ret;

@@
identifier ret;
@@
-	ret = ret;

// What the release callback frees from now on: nobody else does.

@m2m@
identifier probe.fn, probe.p, m;
@@
fn(...)
{
	... when any
	p->m = v4l2_m2m_init(...);
	... when any
}

@handler@
identifier remove.rm, state.q, h;
@@
rm(...)
{
	... when any
	v4l2_ctrl_handler_free(&q->h);
	... when any
}

@@
identifier probe.S, m2m.m;
struct S *x;
@@
-	v4l2_m2m_release(x->m);

@@
identifier probe.S, handler.h;
struct S *x;
@@
-	v4l2_ctrl_handler_free(&x->h);

@@
identifier probe.fn, probe.p;
@@
fn(...)
{
	<...
-	kfree(p);
	...>
}

@@
identifier remove.rm, state.q;
@@
rm(...)
{
	<...
-	kfree(q);
	...>
}

// It is called with what was not initialised, too, but not with an error.

@@
identifier probe.p, m2m.m, probe.ret;
@@
	p->m = v4l2_m2m_init(...);
	if (IS_ERR(p->m)) {
		...
		ret = PTR_ERR(p->m);
+		p->m = NULL;
		...
	}

// A file can be opened as soon as the node is registered.

@@
identifier probe.fn, probe.p, probe.ret;
expression v;
statement X;
@@
fn(...)
{
	... when any
+	video_set_drvdata(v, p);
	ret = video_register_device(v, ...);
	if (ret) X
	... when any
-	video_set_drvdata(v, p);
	... when any
}

// Allocation, registration, and what frees it

@alloc@
identifier probe.fn, probe.S, probe.p, probe.fld, probe.pdev, probe.ret;
type probe.T;
expression dev;
statement X, Y;
fresh identifier release = S ## "_v4l2_release";
@@
+static void release(struct v4l2_device *v4l2_dev)
+{
+	struct S *p = container_of(v4l2_dev, struct S, fld);
+
+	kfree(p);
+}
+
static int fn(T *pdev)
{
	...
-	p = devm_kzalloc(dev, ...);
-	if (!p) X
+	p = v4l2_device_alloc(dev, struct S, fld, release);
+	if (IS_ERR(p))
+		return PTR_ERR(p);
	... when any
-	ret = v4l2_device_register(..., &p->fld);
-	if (ret) Y
	... when any
}

@@
identifier alloc.release, probe.p, m2m.m;
@@
release(...)
{
	...
+	v4l2_m2m_release(p->m);
	kfree(p);
}

@@
identifier alloc.release, probe.p, handler.h;
@@
release(...)
{
	...
++	v4l2_ctrl_handler_free(&p->h);
	kfree(p);
}

// remove()

@depends on alloc@
identifier remove.rm, state.q, probe.fld;
@@
rm(...)
{
	... when != video_unregister_device(...)
	    when != vb2_video_unregister_device(...)
(
-	video_unregister_device(...);
+	v4l2_device_quiesce(&q->fld);
|
-	vb2_video_unregister_device(...);
+	v4l2_device_quiesce(&q->fld);
)
	... when any
}

@depends on alloc@
identifier remove.rm;
@@
rm(...)
{
	<...
(
-	video_unregister_device(...);
|
-	vb2_video_unregister_device(...);
)
	...>
}

@depends on alloc@
identifier remove.rm, state.q, probe.fld;
@@
rm(...)
{
	...
-	v4l2_device_unregister(&q->fld);
	...
+	v4l2_device_remove(&q->fld);
}

// The error path of probe()

@depends on alloc exists@
identifier probe.fn, probe.p, probe.fld;
@@
fn(...)
{
	... when != video_unregister_device(...)
	    when != vb2_video_unregister_device(...)
(
-	video_unregister_device(...);
+	v4l2_device_quiesce(&p->fld);
|
-	vb2_video_unregister_device(...);
+	v4l2_device_quiesce(&p->fld);
)
	... when any
}

@depends on alloc@
identifier probe.fn;
@@
fn(...)
{
	<...
(
-	video_unregister_device(...);
|
-	vb2_video_unregister_device(...);
)
	...>
}

@depends on alloc exists@
identifier probe.fn, probe.p, probe.fld;
expression E;
@@
fn(...)
{
	... when any
-	v4l2_device_unregister(&p->fld);
	... when != v4l2_device_remove(&p->fld)
+	v4l2_device_remove(&p->fld);
	return E;
}

@depends on alloc@
identifier probe.p, probe.fld;
@@
-	v4l2_device_unregister(&p->fld);
