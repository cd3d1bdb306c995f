# SPDX-License-Identifier: GPL-2.0
# Argument: CYCLES.  vivid unbound and bound again, under load.
# timeout: 200
# kmemleak: yes
# cmdline: vivid.n_devs=1
stress vivid "$1"
