# SPDX-License-Identifier: GPL-2.0
# Arguments: DRIVER... (all five).  v4l2-compliance, with streaming, on every node
# and media device of the drivers, of one instance of vivid; at the same time
# cec-compliance, which mostly waits, on another.  A result in KTAP for each node.
# NAME/DEVICE, alone, is a platform driver, which does not stream.
#
# v4l2-compliance allocates as many buffers as a queue may have.  vivid's not in
# UML: each of their pages is a mapping of the host, which has too few
# (vm.max_map_count).
# timeout: 500
# kmemleak: yes
# memory: 6144
# cmdline: vivid.n_devs=2

[ $# -gt 0 ] || set -- vivid vim2m vicodec visl vimc
n=0 bad=0

# verdict NAME FAILED: how many tests of it failed
verdict()
{
	n=$((n + 1))
	if [ "$2" = 0 ]; then
		echo "ok $n $1"
	else
		bad=1
		echo "not ok $n $1"
	fi
}

# name DEVICE: as sysfs has it
name()
{
	read -r found 2>/dev/null <"/sys/class/video4linux/${1#/dev/}/name" || found="media device"
	echo "$found"
}

# result NAME COMMAND...: a verdict, or one for each node if it tests several
result()
{
	what=$1
	shift
	echo "=== $what"
	timeout -s KILL 1800 "$@" >/tmp/out 2>&1
	status=$?
	# what is tested and what is wrong, without the lists of formats
	grep -E '(test|Total|fail|FAIL|warn|Disconnect)' /tmp/out
	# "Total for vimc device /dev/video0: 50, Succeeded: 50, Failed: 0, Warnings: 0";
	# cec-compliance names no device
	sed -n 's/^Total.* device \([^ ]*\): .*Failed: \([0-9]*\).*/\1 \2/p; t
		s/^.*Total: .*Failed: \([0-9]*\).*/- \1/p' /tmp/out >/tmp/totals
	# killed, or died
	[ $status -lt 124 ] && [ -s /tmp/totals ] || echo "- 1" >/tmp/totals
	several=$(($(wc -l </tmp/totals) > 1))
	while read -r dev failed; do
		if [ $several = 1 ]; then
			verdict "$what $(name "$dev")" "$failed"
		else
			verdict "$what" "$failed"
		fi
	done </tmp/totals
}

# node NAME: the /dev node of that name
node()
{
	for dir in /sys/class/video4linux/*; do
		read -r name <"$dir/name"
		[ "$name" != "$1" ] || echo "/dev/${dir##*/}"
	done
}

# The formats along vimc's pipeline match nowhere by default.  The scaler crops
# and enlarges, as in Documentation/admin-guide/media/vimc.rst.
vimc_pipeline()
{
	for f in '"Sensor A":0[fmt:SBGGR8_1X8/640x480]' '"Sensor B":0[fmt:SBGGR8_1X8/640x480]' \
		'"Debayer A":0[fmt:SBGGR8_1X8/640x480]' '"Debayer B":0[fmt:SBGGR8_1X8/640x480]' \
		'"Scaler":0[fmt:RGB888_1X24/640x480]' '"Scaler":0[crop:(100,50)/400x150]' \
		'"Scaler":1[fmt:RGB888_1X24/300x700]'; do
		media-ctl -d platform:vimc.0 -V "$f" || echo "# media-ctl $f failed"
	done
	v4l2-ctl -d "$(node "RGB/YUV Capture")" -v width=300,height=700
	v4l2-ctl -d "$(node "Raw Capture 0")" -v pixelformat=BA81
	v4l2-ctl -d "$(node "Raw Capture 1")" -v pixelformat=BA81
}

# video DRIVER: every video node of it
video()
{
	for dir in /sys/class/video4linux/video* /sys/class/video4linux/vbi* /sys/class/video4linux/radio* \
		/sys/class/video4linux/swradio* /sys/class/video4linux/v4l-touch*; do
		[ -e "$dir" ] || continue
		[ "$(basename "$(readlink "$dir/device/driver")")" = "${1%/*}" ] || continue
		read -r name <"$dir/name"
		case $1-$name in
		*/*) result "$name, not streaming" v4l2-compliance -d "/dev/${dir##*/}" -P ;;
		vivid-vivid-001-*) ;;
		# -s feeds them noise, not a bitstream: that fails on the
		# base as well, in 5 and in 8 tests
		*-decoder) result "$1 $name, not streaming" v4l2-compliance -d "/dev/${dir##*/}" -P ;;
		*) result "$1 $name" v4l2-compliance -d "/dev/${dir##*/}" -s5 -P ;;
		esac
	done
}

# others DRIVER: its subdevs and its media devices
others()
{
	for dir in /sys/class/video4linux/v4l-subdev*; do
		[ "$(basename "$(readlink "$dir/device/driver")")" = "${1%/*}" ] || continue
		read -r name <"$dir/name"
		result "$name" v4l2-compliance -u "/dev/${dir##*/}" -P
	done
	for dir in /sys/bus/media/devices/*; do
		[ "$(basename "$(readlink "$dir/../driver")")" = "${1%/*}" ] || continue
		result "media device" v4l2-compliance -M "/dev/${dir##*/}" -P
	done
}

cec()
{
	# A TV and a player on one cable: HDMI in is connected to "Output HDMI
	# 001-0", the last of the menu
	v4l2-ctl -d "$(node vivid-001-vid-cap)" -c hdmi_001_0_is_connected_to=3
	cec-ctl -s -D vivid -a vivid-001-vid-cap0 --tv
	cec-ctl -s -D vivid -a vivid-001-vid-out0 --playback
	cec-follower -s -D vivid -a vivid-001-vid-out0 >/dev/null 2>&1 &
	follower=$!
	cec-compliance -D vivid -a vivid-001-vid-cap0 -r4 -t10 --skip-test-standby-resume >/tmp/cec 2>&1 &
	cec=$!
}

for driver; do
	case $driver in
	vivid)
		cec
		video vivid
		result "vivid media device" v4l2-compliance -M platform:vivid-000 -P
		wait $cec
		kill $follower
		result "cec-compliance" cat /tmp/cec
		;;
	vimc)
		vimc_pipeline
		# the media device and all its nodes, with their pipelines
		result vimc v4l2-compliance -m platform:vimc.0 -s5 -P
		;;
	vim2m)
		video vim2m
		result "vim2m media device" v4l2-compliance -M platform:vim2m -P
		;;
	*/*)
		# shellcheck source=lab/platform/streams.sh
		. /lab/streams.sh
		# the unpatched kernel has no vsensor
		[ -z "$sensor" ] || ! modprobe vsensor || bind_sensor
		video "$1"
		others "$1"
		;;
	*)
		video "$driver"
		result "$driver media device" v4l2-compliance -M "platform:$driver" -P
		;;
	esac
done
echo "1..$n"
exit $bad
