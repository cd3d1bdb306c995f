# SPDX-License-Identifier: GPL-2.0
# KUnit runs during boot.  Without kmemleak, which makes a boot with two CPUs
# report "suspicious RCU usage" by itself.
# timeout: 600
# cmdline: kunit.enable=1 kmemleak=off vivid.n_devs=1
:
