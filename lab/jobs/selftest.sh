# SPDX-License-Identifier: GPL-2.0
# The kselftest.  Two vivid devices, so that one can go while the other stays;
# the second has a capture node only, all others would be bound for nothing.
# Arguments, if any, are the test's (-f fixture, -v variant, -t test); before
# them, -32 or -32t64 for that build of it.
# timeout: 1500
# kmemleak: yes
# one test is about this message
# allow: removal waits for 1 calls in progress since [1-9]0 s
# cmdline: vivid.n_devs=2 vivid.node_types=0xf1d3d,0x1 kasan_multi_shot
bits=
case ${1:-} in
-32*)	bits=$1; shift ;;
esac
"v4l2_removal$bits" "$@"
