# SPDX-License-Identifier: GPL-2.0
# KUnit runs during boot.  Without kmemleak, which makes a boot with two CPUs
# report "suspicious RCU usage" by itself.
# timeout: 600
# cmdline: kunit.enable=1 kunit.autorun=1 kmemleak=off
# modules: none
# one case is about this message, with a device number that is its own
# allow: 240:77 .unnamed.: removal waits for 1 calls in progress since [12]0 s
:
