# SPDX-License-Identifier: GPL-2.0
# Argument: NAME/DEVICE.  The simplest case there is: open all nodes of a driver,
# unbind it, make every call, close, bind again.
# timeout: 60
# cmdline: kmemleak=off
v4l2_removal_matrix -d "$1" -s hot-unbind-rebind -t open
