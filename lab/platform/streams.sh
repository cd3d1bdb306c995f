# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=dash disable=SC2034
# For the jobs of platform drivers, whose argument is NAME/DEVICE: what each can stream,
# and checks.
driver=${1%/*} device=${1#*/}
sensor=
for dir in /sys/bus/platform/devices/vsensor-*; do
	[ ! -e "$dir" ] || sensor=${dir##*/}
done
n=0 bad=0
verdict()	# NAME STATUS
{
	n=$((n + 1))
	[ "$2" = 0 ] && echo "ok $n $1" || { bad=1; echo "not ok $n $1"; }
}

drv() { echo "$3" >"/sys/bus/platform/drivers/$1/$2" || verdict "$1 $2" 1; }

# The sensor is nobody's until it is told so
bind_sensor()
{
	echo vsensor >"/sys/bus/platform/devices/$sensor/driver_override"
	drv vsensor bind "$sensor"
}

# hardware MODE: what it does from now on, see model.c; in the background, $model
hardware()
{
	IFS='|' read -r _ _ nodes _ </lab/platform
	killall model 2>/dev/null
	while killall -0 model 2>/dev/null; do
		busybox usleep 10000
	done
	model "$1" /lab/model "${nodes%% *}" &
	model=$!
}

# node NAME [DEVICE]: its /dev node of that name, a pattern
node()
{
	for dir in "/sys/bus/platform/devices/${2:-$device}"/video4linux/video*; do
		{ read -r name <"$dir/name"; } 2>/dev/null || continue
		# shellcheck disable=SC2254
		case $name in
		$1)	echo "/dev/${dir##*/}" ;;
		esac
	done
}

# format PAD[...]...: along the pipeline, with one program: each takes its time
format()
{
	local IFS=,
	for dir in /sys/bus/media/devices/*; do
		[ "$(basename "$(readlink -f "$dir/..")")" = "$device" ] || continue
		media-ctl -d "/dev/${dir##*/}" -V "$*" || echo "# $* was refused"
	done
}

# What there is to stream: a word for each
streams()
{
	case $driver:$sensor in
	hantro-vpu:*)		echo encoder decoder ;;
	rkisp1:vsensor-isp)	echo mainpath ;;
	mxc-isi:vsensor-isi)	echo capture m2m ;;
	*)			echo stream ;;
	esac
}

# set_up STREAM: sets $video, and $also for the program frames
set_up()
{
	also=
	video=$(node '*')
	case $driver:$1 in
	rkisp1:mainpath)
		video=$(node rkisp1_mainpath)
		format "'$sensor':0[fmt:SRGGB10_1X10/640x480]" \
			"'rkisp1_csi':0[fmt:SRGGB10_1X10/640x480]" \
			"'rkisp1_isp':0[fmt:SRGGB10_1X10/640x480]" \
			"'rkisp1_isp':0[crop:(0,0)/640x480]" \
			"'rkisp1_isp':2[fmt:YUYV8_2X8/640x480]" \
			"'rkisp1_isp':2[crop:(0,0)/640x480]" \
			"'rkisp1_resizer_mainpath':0[fmt:YUYV8_2X8/640x480]" \
			"'rkisp1_resizer_mainpath':0[crop:(0,0)/640x480]" \
			"'rkisp1_resizer_mainpath':1[fmt:YUYV8_1_5X8/640x480]"
		v4l2-ctl -d "$video" -v width=640,height=480,pixelformat=NV12
		;;
	mxc-isi:capture)
		video=$(node mxc_isi.0.capture)
		format "'$sensor':0[fmt:UYVY8_1X16/640x480 field:none]" \
			"'crossbar':0/0[fmt:UYVY8_1X16/640x480 field:none]" \
			"'mxc_isi.0':0[fmt:UYVY8_1X16/640x480 field:none]"
		v4l2-ctl -d "$video" -v width=640,height=480,pixelformat=YUYV
		;;
	mxc-isi:m2m)
		video=$(node mxc_isi.m2m)
		;;
	hantro-vpu:encoder)
		video=$(node '*-enc') also="YUYV JPEG"
		;;
	hantro-vpu:decoder)
		# MPEG-2; the controls' defaults make a frame
		video=$(node '*-dec') also=MG2S
		;;
	esac
}

# start STREAM COUNT: in the background, $stream
start()
{
	set_up "$1"
	# shellcheck disable=SC2086
	frames "$video" "$2" $also >/tmp/stream 2>&1 &
	stream=$!
}

# seen: how many frames, and failed ones, that was
seen()
{
	frames=$(grep -c frame /tmp/stream)
	failed=$(grep -c failed /tmp/stream)
}

uptime() { read -r now _ </proc/uptime; now=${now%.*}; }

# ended SECONDS: does it end by itself in that time?  $took says when.  Otherwise it is
# killed; then that has to end it.
ended()
{
	uptime
	took=$now
	while kill -0 "$stream" 2>/dev/null && [ $((now - took)) -lt "$1" ]; do
		busybox usleep 100000
		uptime
	done
	took=$((now - took))
	kill -0 "$stream" 2>/dev/null || { wait "$stream"; return 0; }
	kill "$stream"
	for _ in $(seq 50); do
		kill -0 "$stream" 2>/dev/null || { wait "$stream"; return 1; }
		busybox usleep 100000
	done
	verdict "a stream that is killed ends" 1
	return 1
}
