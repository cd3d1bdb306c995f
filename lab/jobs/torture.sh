# SPDX-License-Identifier: GPL-2.0
# Arguments: SECONDS [TYPE...].  The module of fs/tests/cdevtorture.c, which has
# to succeed, and to find in its busted types what each is busted for, and nothing
# else: they show it within 15 s, or 20 where a drain waits in vain.  With more than
# one CPU, one of them goes and comes back all the time.
#
# With KCSAN, cdev_racy has to be reported, and no type that drains: for a boot of
# its own, with EXPECT=.
# timeout: 300
# kmemleak: yes
# modules: torture
# what a busted type is to find
# allow: _busted-torture:!!!

seconds=$1
shift
[ $# -gt 0 ] || set -- cdev cdev_busted cdev_late_busted cdev_early_busted \
	cdev_nowake_busted cdev_free_busted \
	v4l2 v4l2_busted v4l2_late_busted v4l2_early_busted v4l2_free_busted
n=0 bad=0
kcsan=/sys/kernel/debug/kcsan
log=/tmp/torture
race='KCSAN: .*\[cdevtorture\]'
errors="in a removed device:in freed memory:in memory used again:accepted late:refused early:drains not woken:failed opens:failed adds"

hotplug='' looks=''
if [ -e $kcsan ]; then
	# few watchpoints, and long ones: emulated CPUs seldom run at the same time
	echo 40000 >/sys/module/kcsan/parameters/skip_watch
	echo 10000 >/sys/module/kcsan/parameters/udelay_task
	echo on >$kcsan
	looks="looks=10000"
else
	kcsan=
fi
if [ -e /sys/devices/system/cpu/cpu1 ]; then
	hotplug="onoff_interval=100"
else
	echo "# one CPU: none can go"
fi

# count NAME: the last number behind it, of what the module has said
count() { grep -o '[a-z][a-z ]*: [0-9]*' $log | sed -n "s/^$1: //p" | tail -n 1; }

# positive NAME...: says which of these counts is not
positive()
{
	for name; do
		[ "$(count "$name")" -gt 0 ] 2>/dev/null || echo "no $name"
	done
}

# judge TYPE: what is wrong with its run
judge()
{
	want=SUCCESS must=
	case $1 in
	*_late_busted)	must="accepted late" ;;
	*_early_busted)	must="refused early" ;;
	*_nowake_busted) must="drains not woken" ;;
	*_free_busted)	must="in freed memory:in memory used again" ;;
	*_busted)	must="in a removed device" ;;
	esac
	[ -z "$must" ] || want=FAILURE
	got=$(sed -n 's/^--- End of test: \([A-Z_]*\).*/\1/p' $log)
	[ "$got" = $want ] || echo "ends in ${got:-nothing}, not in $want"
	positive removals opens calls
	case $options in
	*onoff*) positive offlined ;;
	esac
	IFS=:
	# shellcheck disable=SC2086
	positive $must
	for name in $errors; do
		case ":$must:" in
		*":$name:"*) continue ;;
		esac
		[ "$(count "$name")" -eq 0 ] 2>/dev/null || [ -z "$(count "$name")" ] ||
			echo "$name: $(count "$name")"
	done
	unset IFS
	[ -n "$kcsan" ] || return 0
	case $1 in
	*_racy)	grep -q "$race" $log || echo "KCSAN does not report it" ;;
	cdev_busted|v4l2_busted) ;;
	*)	! grep "$race" $log ;;
	esac
}

echo "1..$#"
for type; do
	n=$((n + 1))
	s=$seconds
	case $type in
	# a drain takes 10 s, and stopping the test wakes it
	*_nowake_busted) s=20 ;;
	*_busted) [ -n "$kcsan" ] || [ "$s" -lt 15 ] || s=15 ;;
	esac
	# races take two CPUs all the time
	options="$hotplug $looks"
	case $type in
	*_racy)	options="looks=100000 bound_ms=500" ;;
	# for somebody to be inside when a device goes
	*_nowake_busted) options="$options bound_ms=500" ;;
	esac
	dmesg -c >/dev/null
	# shellcheck disable=SC2086
	modprobe cdevtorture torture_type="$type" $options && sleep "$s" && rmmod cdevtorture
	dmesg | sed -n "s/^\[ *[0-9.]*\] //; s/^$type-torture://p; /$race/p" >$log
	for line in ' removals' ' offlined' '!!! in'; do
		sed -n "/^$line/ { s/^!!!//; s/^/# $type:/; p }" $log | tail -n 1
	done
	wrong=$(judge "$type")
	[ -z "$wrong" ] || echo "$wrong" | sed "s/^/# $type: /"
	case $type:$wrong in
	*_busted:)	echo "ok $n $type fails as it must" ;;
	*_racy:)	echo "ok $n $type ends well, and races" ;;
	*:)		echo "ok $n $type succeeds" ;;
	*)		echo "not ok $n $type"; bad=1 ;;
	esac
done
# it has looked, and at how much
if [ -n "$kcsan" ]; then
	watched=$(sed -n 's/^setup_watchpoints: //p' $kcsan)
	races=$(sed -n 's/^data_races: //p' $kcsan)
	echo "# KCSAN: ${watched:-no} watchpoints were set up, $races races seen"
	[ "${watched:-0}" -gt 0 ] || bad=1
fi
exit $bad
