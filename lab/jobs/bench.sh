# SPDX-License-Identifier: GPL-2.0
# What calls cost, in instructions: on a kernel without debug options.
# icount: yes
# timeout: 300
# cmdline: nokaslr tsc=reliable
# modules: vivid vim2m vimc
bench
