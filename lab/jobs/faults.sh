# SPDX-License-Identifier: GPL-2.0
# The fault injection selftest; its arguments (-d driver, -o operation, -e every, -n fault).
# timeout: 3600
# kmemleak: yes
# The slab allocator without caches for each CPU and with slabs of one page, so
# that it allocates nothing now and then on its own account.
# cmdline: vivid.n_devs=1 kasan_multi_shot slab_debug=F slab_max_order=0
# vmalloc() warns, with a trace, when it gets no memory.  What else has a trace
# has a line of its own.
# allow: Call Trace:$
v4l2_removal_faults "$@"
