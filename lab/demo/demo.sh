# shellcheck shell=sh
# SPDX-License-Identifier: GPL-2.0
#
# The guest's side of the demo.  Arguments: DRIVER CYCLES.  Leaves one line
# "RESULT<TAB>check<TAB>pass|fail<TAB>what was seen" per check, for table.sh.
# timeout: 400
# memory: 4096
# cmdline: vivid.n_devs=1

driver=$1 cycles=$2 status=0
result() { printf 'RESULT\t%s\t%s\t%s\n' "$@"; }

echo "=== $(uname -r): applications use $driver, it is unbound and bound again"
demo "$driver"
case $? in
0)	;;
1)	status=1 ;;
*)	result "applications" fail "could not be started"; exit 1 ;;
esac

echo "=== v4l2-compliance on the new nodes"
nodes=0 tests=0 failed=0
for node in /sys/class/video4linux/*; do
	[ "$(basename "$(readlink "$node/device/driver")")" = "$driver" ] || continue
	read -r name <"$node/name"
	case $node in
	*subdev*) opt=-u ;;
	*) opt=-d ;;
	esac
	out=$(timeout -s KILL 300 v4l2-compliance -P $opt "/dev/${node##*/}" 2>&1)
	# Total for vivid device /dev/video0: 48, Succeeded: 48, Failed: 0, Warnings: 0
	total=$(echo "$out" | sed -n 's/^Total for .*: \([0-9]*\), Succeeded: [0-9]*, Failed: \([0-9]*\),.*/\1 \2/p')
	echo "$name: ${total:-did not end}" | sed 's/ \([0-9]*\)$/ tests, \1 failed/'
	echo "$out" | grep -B 1 FAIL
	: "${total:=1 1}"
	nodes=$((nodes + 1))
	tests=$((tests + ${total% *}))
	failed=$((failed + ${total#* }))
done
if [ $nodes -gt 0 ] && [ $failed -eq 0 ]; then
	result v4l2-compliance pass "$tests tests on $nodes new nodes, none failed"
else
	result v4l2-compliance fail "$tests tests on $nodes new nodes, $failed failed"
	status=1
fi

echo "=== $cycles times unbind and bind under load"
stress "$driver" "$cycles" || status=1
exit $status
