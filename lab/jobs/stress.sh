# SPDX-License-Identifier: GPL-2.0
# Arguments: CYCLES [DRIVER,... [WORKERS]].  All the drivers, unbound and bound
# again under load.  More cycles need a longer TIMEOUT than this.
# shellcheck disable=SC2086
# timeout: 300
# kmemleak: yes
# cmdline: vivid.n_devs=1
stress "${2:-all}" "$1" ${3:-}
