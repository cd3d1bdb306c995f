# SPDX-License-Identifier: GPL-2.0
# The kselftest, on two vivid devices.
# timeout: 900
# kmemleak: yes
# cmdline: vivid.n_devs=2
v4l2_removal
