# SPDX-License-Identifier: GPL-2.0
# What calls cost, in instructions: on a kernel without debug options.
# icount: yes
# timeout: 300
# The same addresses on both kernels: how many page tables a mapping takes depends
# on where it is.
# cmdline: nokaslr norandmaps tsc=reliable
# modules: vivid vim2m vimc
bench
