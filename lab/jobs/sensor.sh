# SPDX-License-Identifier: GPL-2.0
# Arguments: NAME/DEVICE CYCLES.  A receiver that streams from vsensor, and either of
# them goes first.  In every other cycle no frame comes, and the stream is asleep in
# DQBUF.
# timeout: 200
# kmemleak: yes
# modules: vsensor
# shellcheck source=lab/platform/streams.sh
. /lab/streams.sh
what=$(streams) what=${what%% *}

# stream NAME
stream()
{
	start "$what" 0
	sleep 3
	kill -0 "$stream" 2>/dev/null
	verdict "$1" $?
	seen
	# the model is seldom fast enough for isi, see "until" in model.c
	[ "$mode" = never ] || [ "$driver" = mxc-isi ] || verdict "$1, $frames frames" $((frames == 0))
	grep -v frame /tmp/stream | sed 's/^/# /'
}

# gone NAME: it has to end by itself
gone()
{
	ended 10
	verdict "$1" $?
}

bind_sensor
for cycle in $(seq "$2"); do
	mode=answers
	[ $((cycle % 2)) = 1 ] || mode=never
	hardware $mode
	stream "$cycle: streams"
	drv vsensor unbind "$sensor"
	sleep 1
	gone "$cycle: the sensor goes, the stream ends"
	drv vsensor bind "$sensor"
	stream "$cycle: the sensor is back, and streams"
	drv "$driver" unbind "$device"
	gone "$cycle: the receiver goes, the stream ends"
	drv "$driver" bind "$device"
	stream "$cycle: the receiver is back, and streams"
	drv vsensor unbind "$sensor"
	drv "$driver" unbind "$device"
	gone "$cycle: both go, the stream ends"
	if [ $((cycle % 4)) -lt 2 ]; then
		drv "$driver" bind "$device"
		drv vsensor bind "$sensor"
	else
		drv vsensor bind "$sensor"
		drv "$driver" bind "$device"
	fi
done
echo "1..$n"
exit $bad
