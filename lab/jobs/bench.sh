# SPDX-License-Identifier: GPL-2.0
# What calls cost, in instructions.  On a kernel without debug options, which has
# no lockdep.
# icount: yes
# timeout: 300
# cmdline: nokaslr tsc=reliable
# modules: vivid vim2m vimc
# allow: LAB: debug_locks none
bench
