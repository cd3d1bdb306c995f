# SPDX-License-Identifier: GPL-2.0
# Arguments: SECONDS [TYPE...].  The module of fs/tests/cdevtorture.c, which has
# to succeed, and to find what is wrong with its busted types.  With more than
# one CPU, one of them goes and comes back all the time.
# timeout: 300
# kmemleak: yes
# modules: torture
# what a busted type is to find
# allow: _busted-torture:!!!

seconds=$1
shift
[ $# -gt 0 ] || set -- cdev cdev_busted v4l2 v4l2_busted
n=0 bad=0
[ ! -e /sys/kernel/debug/kcsan ] || echo on >/sys/kernel/debug/kcsan
[ ! -e /sys/devices/system/cpu/cpu1/online ] || hotplug="onoff_interval=100"

verdict()
{
	dmesg | sed -n "s/.*$1-torture:--- End of test: \([A-Z_]*\).*/\1/p"
}

echo "1..$#"
for type; do
	n=$((n + 1))
	want=SUCCESS
	case $type in
	*_busted) want=FAILURE ;;
	esac
	# shellcheck disable=SC2086
	modprobe cdevtorture torture_type="$type" $hotplug && sleep "$seconds" && rmmod cdevtorture
	got=$(verdict "$type")
	dmesg | sed -n "s/.*$type-torture: removals/# $type: removals/p; s/.*$type-torture:!!!/# $type:/p" | tail -n 2
	if [ "$got" = $want ]; then
		echo "ok $n $type ends in $want"
	else
		bad=1
		echo "not ok $n $type ends in ${got:-nothing}, not in $want"
	fi
done
# it has looked, and at how much
if [ -e /sys/kernel/debug/kcsan ]; then
	watched=$(sed -n 's/^setup_watchpoints: //p' /sys/kernel/debug/kcsan)
	echo "# KCSAN: ${watched:-no} watchpoints were set up"
	[ "${watched:-0}" -gt 0 ] || bad=1
fi
exit $bad
