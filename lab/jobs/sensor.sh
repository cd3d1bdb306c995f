# SPDX-License-Identifier: GPL-2.0
# Arguments: NAME/DEVICE CYCLES [OTHER].  A receiver that streams from vsensor, and
# either of them goes first.  No frame ever comes: a stream is asleep in DQBUF.
#
# OTHER is another device of the same driver.  It comes and goes, at work or not,
# while the first one streams, or converts frames; of which it must see nothing.
# timeout: 300
# kmemleak: yes
# modules: vsensor
driver=${1%/*} device=${1#*/} cycles=$2 other=${3:-}
cd /sys/bus/platform || exit 1
sensor=$(basename devices/vsensor-*)
n=0 bad=0

verdict()	# NAME STATUS
{
	n=$((n + 1))
	[ "$2" = 0 ] && echo "ok $n $1" || { bad=1; echo "not ok $n $1"; }
}

drv() { echo "$3" >"drivers/$1/$2" || verdict "$1 $2" 1; }

# node NAME [DEVICE]: the /dev node of that name
node()
{
	for dir in /sys/class/video4linux/*; do
		[ "$(basename "$(readlink "$dir/device")")" = "${2:-$device}" ] || continue
		read -r name <"$dir/name" && [ "$name" = "$1" ] && echo "/dev/${dir##*/}"
	done
}

# format PAD[...]: along the pipeline
format()
{
	for dir in /sys/bus/media/devices/*; do
		[ "$(basename "$(readlink -f "$dir/..")")" = "$device" ] || continue
		media-ctl -d "/dev/${dir##*/}" -V "$1" || echo "# $1 was refused"
	done
}

set_up()
{
	case $driver in
	rkisp1)
		video=$(node rkisp1_mainpath)
		format "'$sensor':0[fmt:SRGGB10_1X10/640x480]"
		format "'rkisp1_csi':0[fmt:SRGGB10_1X10/640x480]"
		format "'rkisp1_isp':0[fmt:SRGGB10_1X10/640x480]"
		format "'rkisp1_isp':0[crop:(0,0)/640x480]"
		format "'rkisp1_isp':2[fmt:YUYV8_2X8/640x480]"
		format "'rkisp1_isp':2[crop:(0,0)/640x480]"
		format "'rkisp1_resizer_mainpath':0[fmt:YUYV8_2X8/640x480]"
		format "'rkisp1_resizer_mainpath':0[crop:(0,0)/640x480]"
		format "'rkisp1_resizer_mainpath':1[fmt:YUYV8_1_5X8/640x480]"
		v4l2-ctl -d "$video" -v width=640,height=480,pixelformat=NV12
		;;
	mxc-isi)
		video=$(node mxc_isi.0.capture)
		format "'$sensor':0[fmt:UYVY8_1X16/640x480 field:none]"
		format "'crossbar':0/0[fmt:UYVY8_1X16/640x480 field:none]"
		format "'mxc_isi.0':0[fmt:UYVY8_1X16/640x480 field:none]"
		v4l2-ctl -d "$video" -v width=640,height=480,pixelformat=YUYV
		;;
	esac
}

# Starts one in the background, $stream
stream()
{
	set_up
	v4l2-ctl -d "$video" --stream-mmap=3 --stream-count=1 >/tmp/stream 2>&1 &
	stream=$!
	sleep 3
	kill -0 $stream 2>/dev/null
	verdict "$1" $?
	grep -i error /tmp/stream | sed 's/^/# /'
}

# $stream has to end by itself, or by a signal if $2
ended()
{
	[ -z "${2:-}" ] || kill $stream 2>/dev/null
	seconds=0
	while kill -0 $stream 2>/dev/null && [ $seconds -lt 10 ]; do
		sleep 1
		seconds=$((seconds + 1))
	done
	verdict "$1" $((seconds >= 10))
	kill -KILL $stream 2>/dev/null
	wait $stream
}

echo vsensor >"devices/$sensor/driver_override"
drv vsensor bind "$sensor"
for cycle in $(seq "$cycles"); do
	stream "$cycle: streams"
	drv vsensor unbind "$sensor"
	sleep 1
	ended "$cycle: the sensor goes, the stream ends" signal
	drv vsensor bind "$sensor"
	stream "$cycle: the sensor is back, and streams"
	drv "$driver" unbind "$device"
	ended "$cycle: the receiver goes, the stream ends"
	drv "$driver" bind "$device"
	stream "$cycle: the receiver is back, and streams"
	drv vsensor unbind "$sensor"
	drv "$driver" unbind "$device"
	ended "$cycle: both go, the stream ends"
	if [ $((cycle % 2)) = 0 ]; then
		drv "$driver" bind "$device"
		drv vsensor bind "$sensor"
	else
		drv vsensor bind "$sensor"
		drv "$driver" bind "$device"
	fi
done

# ------------------------------------------------------------ two devices

# frames DEVICE LOG: convert some in the background, if there are interrupts; $frames
frames()
{
	: >"$2"
	convert "$(node mxc_isi.m2m "$1")" >"$2" 2>&1 &
	frames=$!
	sleep 3
}

# count: those of the first device
count() { tr -cd '<' </tmp/frames | wc -c; }

# other_goes MESSAGE: and comes, once idle, once with a node that is at work
other_goes()
{
	drv "$driver" unbind "$other"
	drv "$driver" bind "$other"
	frames "$other" /tmp/stream
	stream=$frames
	kill -0 $stream 2>/dev/null
	verdict "$1, the other one converts" $?
	drv "$driver" unbind "$other"
	ended "$1, the other one goes, its stream ends"
	drv "$driver" bind "$other"
}

# The first interrupt of the device: that of the pipe that converts
interrupt()
{
	for dir in /sys/kernel/irq/*; do
		[ "$(cat "$dir/actions")" != "$device" ] || echo "${dir##*/}"
	done | sort -n | head -n 1
}

# Says at each interrupt that a frame is done, since nothing clears the memory
hardware()
{
	while :; do
		echo trigger >"/sys/kernel/debug/irq/irqs/$1"
		busybox usleep 20000
	done
}

# A channel is on, in its first register
on() { [ $(($(busybox devmem "0x${device%%.*}" 32) >> 31)) = 1 ]; }

if [ -n "$other" ]; then
	stream "two: streams"
	first=$stream
	on
	verdict "two: its channel is on" $?
	for cycle in $(seq "$cycles"); do
		other_goes "two, $cycle: one streams"
		kill -0 $first 2>/dev/null && on
		verdict "two, $cycle: the stream goes on" $?
	done
	stream=$first
	drv "$driver" unbind "$device"
	ended "two: it goes as well, the stream ends"
	drv "$driver" bind "$device"

	frames "$device" /tmp/frames
	first=$frames
	hardware "$(interrupt)" &
	hardware=$!
	for cycle in $(seq "$cycles"); do
		before=$(count)
		other_goes "two, $cycle: one converts"
		sleep 1
		after=$(count)
		[ "$after" -gt "$before" ]
		verdict "two, $cycle: frames come, $before, $after" $?
	done
	# of interrupts that an idle pipe does not expect, the driver warns
	kill $hardware
	sleep 1
	stream=$first
	drv "$driver" unbind "$device"
	ended "two: it goes as well, frames end"
	echo "# $(tail -n 1 /tmp/frames)"
	drv "$driver" bind "$device"
fi
echo "1..$n"
exit $bad
