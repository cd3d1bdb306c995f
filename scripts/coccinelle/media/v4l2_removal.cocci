// SPDX-License-Identifier: GPL-2.0-only
///
/// Find what keeps a V4L2 driver from being removed safely while applications
/// use its device: memory that is gone when the last file is closed, and calls
/// that nobody has waited for.
///
//# The word in brackets is the rule:
//#
//# devm-state: devm frees the memory when the driver is unbound, but what is in
//# it, a node, V4L2 device, media device or queue, is used until the last file
//# is closed. A sub-device may be in such memory: its node lets go of it when it
//# is unregistered.
//#
//# devm-drvdata: the same with what video_drvdata() returns.
//#
//# empty-release: neither the release callback of the node nor that of its V4L2
//# device frees what the node is a part of. If the V4L2 device is registered in
//# another file, the files beside this one are looked at.
//#
//# freed-in-remove: remove() frees what open files use, and has not finished
//# their handles.
//#
//# no-drain: remove() unregisters nodes, and has not waited for calls.
//#
//# locked-drain: calls are waited for, with a lock held that calls take: that of
//# a node or queue, or one of the media device. Whether calls into media and CEC
//# devices and sub-devices take the lock of a node is not looked at: they may.
//#
//# Locks are told by the name of the field, structures by theirs. Functions that
//# remove() calls directly are a part of it if they are in the same file. A lock
//# is seen if the function that waits takes it, by mutex_lock(), guard() or
//# scoped_guard(), and the same file says that it is that of a node or queue; or
//# if it is taken by the pointer in these.
//
// Confidence: Moderate
// Comments: see Documentation/driver-api/media/v4l2-removal.rst
// Options: --local-includes
// Keywords: V4L2, video_device, devm_kzalloc, remove, unbind

virtual report

@initialize:python@
@@
import os
import re

OWNER = re.compile(r"\bv4l2_device_alloc\(|"
                   r"v4l2_dev(ice)?\s*(\.|->)\s*release\s*=[^=]")
REGISTERS = re.compile(r"\bv4l2_device_register\(")
WAITS = re.compile(r"\b(v4l2_device_quiesce|v4l2_nodes_drain|"
                   r"video_device_drain)\(")
texts = {}
seen = set()

# Structures with what outlives remove(), directly or one level down: their
# names, and what it is. Headers are looked at once, with the first file that
# includes them, so that this has to last for all of a run.
inner = {}
outer = {}
NODES = ("video_device", "v4l2_device", "media_device")
# These wait for calls that take the lock of a node or queue
VIDEO = ("vb2_video_unregister_device", "v4l2_device_quiesce",
         "video_device_drain", "v4l2_nodes_drain", "v4l2_finish_handles",
         "v4l2_nodes_finish_handles")

def text(name):
    if name not in texts:
        with open(name, errors="replace") as f:
            texts[name] = f.read()
    return texts[name]

# Is there a v4l2_device.release for the nodes of this file?
def has_owner(name):
    if OWNER.search(text(name)):
        return True
    if REGISTERS.search(text(name)):
        return False
    top = os.path.dirname(name) or "."
    return any(OWNER.search(text(os.path.join(top, f)))
               for f in os.listdir(top) if f.endswith(".c"))

# A rule may find the same place in several ways.
def found(pos, rule, msg):
    key = (pos[0].file, pos[0].line, rule)
    if key not in seen:
        seen.add(key)
        coccilib.report.print_report(pos[0], "[%s] %s" % (rule, msg))

# A function of the driver's own may wait: be content with one in the file.
def removed(pos):
    if not WAITS.search(text(pos[0].file)):
        found(pos, "no-drain", "calls may be in progress from here on")

# The fields that are the lock of a node or queue, each with the file that says
# so. A "lock" without "&" is the pointer in a video_device or vb2_queue.
locks = set()

def locked(pos, func, lock):
    name = re.search(r"(->|\.) (\w+)$", lock)
    if not name:
        return
    name = name.group(2)
    if lock[0] == "&":
        if not ((pos[0].file, name) in locks or
                name in ("graph_mutex", "req_queue_mutex")):
            return
    elif name != "lock":
        return
    found(pos, "locked-drain", "waits for calls, which take %s" % name
          if func in VIDEO else "waits for calls, which may take %s" % name)

# A guard lasts until the end of the block that it is in.
def same_block(begin, end):
    lines = text(end.file).split("\n")[int(begin.line) - 1:int(end.line)]
    lines[-1] = lines[-1][:int(end.column)]
    lines[0] = lines[0][int(begin.column):]
    depth = 0
    for c in "".join(lines):
        depth += (c == "{") - (c == "}")
        if depth < 0:
            return False
    return True

def empty_release(pos):
    if not has_owner(pos[0].file):
        found(pos, "empty-release",
              "nothing frees what the node is in: v4l2_device.release is not set")

// Structures

@state@
identifier S, fld;
expression N;
@@
struct S {
	...
(
	struct video_device fld;
|
	struct video_device fld[N];
|
	struct v4l2_device fld;
|
	struct media_device fld;
|
	struct vb2_queue fld;
)
	...
};

@script:python depends on report@
S << state.S;
fld << state.fld;
@@
inner.setdefault(S, fld)

@nested@
identifier state.S, T, fld;
expression N;
@@
struct T {
	...
(
	struct S fld;
|
	struct S fld[N];
)
	...
};

@script:python depends on report@
T << nested.T;
fld << nested.fld;
@@
outer.setdefault(T, fld)

// devm-state

@devm depends on report@
identifier S;
struct S *p;
position pos;
@@
p =@pos \(devm_kzalloc\|devm_kmalloc\|devm_kcalloc\|devm_kmalloc_array\)(...)

@script:python@
pos << devm.pos;
S << devm.S;
@@
if S in NODES:
    found(pos, "devm-state", "devm frees struct %s" % S)
elif S in inner or S in outer:
    found(pos, "devm-state", "devm frees struct %s with %s in it" %
          (S, inner.get(S) or outer.get(S)))

// devm-drvdata

@drvdata depends on report@
identifier devm.S;
struct S *p;
expression v;
position pos;
@@
video_set_drvdata@pos(v, p)

@script:python@
pos << drvdata.pos;
S << devm.S;
@@
found(pos, "devm-drvdata", "devm frees struct %s" % S)

// empty-release

@empty depends on report@
expression e;
identifier none = video_device_release_empty;
position pos;
@@
(
 e->release =@pos none
|
 e.release =@pos none
)

@script:python@
pos << empty.pos;
@@
empty_release(pos)

@empty_init depends on report@
identifier x;
identifier none = video_device_release_empty;
position pos;
@@
struct video_device x@pos = { .release = none, };

@script:python@
pos << empty_init.pos;
@@
empty_release(pos)

// What remove() does

@remove@
identifier T, drv, fn;
@@
(
 struct T drv = { .remove = fn, };
|
 struct T drv = { .disconnect = fn, };
)

@callee exists@
identifier remove.fn, g;
@@
fn(...)
{
	... when != v4l2_device_quiesce(...)
	    when != v4l2_nodes_drain(...)
	    when != video_device_drain(...)
	g(...)
	... when any
}

// no-drain

@no_drain depends on report exists@
identifier remove.fn;
position pos;
@@
fn(...)
{
	... when != v4l2_device_quiesce(...)
	    when != v4l2_nodes_drain(...)
	    when != video_device_drain(...)
	video_unregister_device@pos(...)
	... when any
}

@script:python@
pos << no_drain.pos;
@@
found(pos, "no-drain", "calls may be in progress from here on")

@no_drain_callee depends on report exists@
identifier callee.g;
position pos;
@@
g(...)
{
	... when != v4l2_device_quiesce(...)
	    when != v4l2_nodes_drain(...)
	    when != video_device_drain(...)
	video_unregister_device@pos(...)
	... when any
}

@script:python@
pos << no_drain_callee.pos;
@@
found(pos, "no-drain", "calls may be in progress from here on")

@removed depends on report@
identifier remove.fn;
position pos;
@@
fn(...)
{
	<+...
	v4l2_device_remove@pos(...)
	...+>
}

@script:python@
pos << removed.pos;
@@
removed(pos)

@removed_callee depends on report@
identifier callee.g;
position pos;
@@
g(...)
{
	<+...
	v4l2_device_remove@pos(...)
	...+>
}

@script:python@
pos << removed_callee.pos;
@@
removed(pos)

// freed-in-remove

@unregisters exists@
identifier remove.fn;
position in;
@@
fn@in(...)
{
	<+...
	video_unregister_device(...)
	...+>
}

@freed depends on report exists@
identifier remove.fn;
position unregisters.in;
position pos;
@@
fn@in(...)
{
	... when != v4l2_device_quiesce(...)
	    when != v4l2_nodes_finish_handles(...)
	    when != v4l2_finish_handles(...)
	\(v4l2_ctrl_handler_free@pos\|v4l2_m2m_release@pos\)(...)
	... when any
}

@script:python@
pos << freed.pos;
@@
found(pos, "freed-in-remove", "the node may be open")

@callee_unregisters exists@
identifier callee.g;
position in;
@@
g@in(...)
{
	<+...
	video_unregister_device(...)
	...+>
}

@callee_freed depends on report exists@
identifier callee.g;
position callee_unregisters.in;
position pos;
@@
g@in(...)
{
	... when != v4l2_device_quiesce(...)
	    when != v4l2_nodes_finish_handles(...)
	    when != v4l2_finish_handles(...)
	\(v4l2_ctrl_handler_free@pos\|v4l2_m2m_release@pos\)(...)
	... when any
}

@script:python@
pos << callee_freed.pos;
@@
found(pos, "freed-in-remove", "the node may be open")

@kfreed depends on report exists@
identifier remove.fn;
identifier S;
struct S *p;
position pos;
@@
fn(...)
{
	... when any
	\(video_unregister_device\|vb2_video_unregister_device\)(...)
	... when any
	kfree@pos(p)
	... when any
}

@script:python@
pos << kfreed.pos;
S << kfreed.S;
@@
if S in inner or S in outer:
    found(pos, "freed-in-remove", "struct %s with %s in it may be open" %
          (S, inner.get(S) or outer.get(S)))

// locked-drain

@lock@
{struct video_device, struct vb2_queue} *v;
{struct video_device, struct vb2_queue} w;
expression x;
identifier l;
position pos;
@@
(
 v->lock =@pos &x->l
|
 v->lock =@pos &x.l
|
 w.lock =@pos &x->l
|
 w.lock =@pos &x.l
)

@script:python@
pos << lock.pos;
l << lock.l;
@@
locks.add((pos[0].file, l))

@waits@
identifier f = { vb2_video_unregister_device, v4l2_device_quiesce,
		 video_device_drain, v4l2_nodes_drain, v4l2_finish_handles,
		 v4l2_nodes_finish_handles, v4l2_device_remove,
		 media_device_drain, media_device_unregister,
		 v4l2_device_unregister, v4l2_device_unregister_subdev,
		 v4l2_async_unregister_subdev, v4l2_async_nf_unregister,
		 cec_unregister_adapter };
position pos;
@@
f@pos(...)

@locked depends on report exists@
expression L;
identifier waits.f;
position waits.pos;
@@
mutex_lock(L)
... when != mutex_unlock(L)
f@pos(...)

@script:python@
pos << waits.pos;
f << waits.f;
L << locked.L;
@@
locked(pos, f, L)

@guarded depends on report exists@
expression L;
identifier waits.f;
position waits.pos;
position in;
symbol mutex;
@@
guard(mutex)@in(L)
... when any
f@pos(...)

@script:python@
pos << waits.pos;
f << waits.f;
in_ << guarded.in;
L << guarded.L;
@@
if same_block(in_[0], pos[0]):
    locked(pos, f, L)

@scoped depends on report exists@
expression L;
identifier waits.f;
position waits.pos;
iterator name scoped_guard;
symbol mutex;
@@
scoped_guard(mutex, L) {
	<+...
	f@pos(...)
	...+>
}

@script:python@
pos << waits.pos;
f << waits.f;
L << scoped.L;
@@
locked(pos, f, L)
