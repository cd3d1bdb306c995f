# SPDX-License-Identifier: GPL-2.0
# How long removals take, in a guest whose time is its instructions: on a kernel
# without debug options.
# icount: yes
# timeout: 300
# memory: 4096
# cmdline: nokaslr tsc=reliable
# modules: vivid
unbind || exit 1
for n in 1 8 32; do
	rmmod vivid && modprobe vivid n_devs=$n && unbind $n || exit 1
done
