# SPDX-License-Identifier: GPL-2.0
# The kselftest.  Two vivid devices, so that one can go while the other stays;
# the second has a capture node only, all others would be bound for nothing.
# Arguments, if any, are the test's (-f fixture, -v variant, -t test).
# timeout: 1500
# kmemleak: yes
# cmdline: vivid.n_devs=2 vivid.node_types=0xf1d3d,0x1 kasan_multi_shot
v4l2_removal "$@"
