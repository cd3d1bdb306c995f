# SPDX-License-Identifier: GPL-2.0
# Arguments: NAME/DEVICE CYCLES OTHER.  It converts frames, while OTHER, another device
# of the same driver, comes and goes, idle or with a stream that is asleep.  Of which
# the first one must see nothing.
# timeout: 300
# kmemleak: yes
# shellcheck source=lab/platform/streams.sh
. /lab/streams.sh
other=$3

hardware answers
start m2m 0
first=$stream
sleep 3
seen
verdict "it converts, $frames frames" $((frames == 0))
for cycle in $(seq "$2"); do
	drv "$driver" unbind "$other"
	drv "$driver" bind "$other"
	frames "$(node '*m2m' "$other")" 0 >/tmp/other 2>&1 &
	stream=$!
	sleep 2
	kill -0 "$stream" 2>/dev/null
	verdict "$cycle: the other one is asleep" $?
	drv "$driver" unbind "$other"
	ended 10
	verdict "$cycle: the other one goes, its stream ends" $?
	drv "$driver" bind "$other"
	seen
	before=$frames
	sleep 2
	seen
	verdict "$cycle: frames still come, $before, $frames" $((frames <= before))
done
stream=$first
drv "$driver" unbind "$device"
ended 10
verdict "it goes as well, its stream ends" $?
drv "$driver" bind "$device"
echo "1..$n"
exit $bad
