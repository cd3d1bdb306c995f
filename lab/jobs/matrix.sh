# SPDX-License-Identifier: GPL-2.0
# The matrix selftest; its arguments (-d driver, -s scenario, -t state).
# timeout: 2400
# kmemleak: yes
# cmdline: kasan_multi_shot
v4l2_removal_matrix "$@"
