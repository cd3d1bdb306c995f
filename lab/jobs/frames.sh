# SPDX-License-Identifier: GPL-2.0
# Arguments: NAME/DEVICE CYCLES.  With hardware that does what platform/models.tbl says:
# frames come, come late, fail, and do not come.  And they come while the driver goes.
# timeout: 300
# kmemleak: yes
# modules: vsensor
# shellcheck source=lab/platform/streams.sh
. /lab/streams.sh
[ -z "$sensor" ] || bind_sensor

# show NAME: why
show()
{
	[ $bad = 0 ] || { echo "# $1:"; tail -n 8 /tmp/stream | sed 's/^/# | /'; }
}

# What the driver makes of an error.  isi: no frame.  The others have none, or count it.
errors()
{
	case $driver in
	mxc-isi)
		ended 3
		seen
		verdict "$1: error: $frames frames, ended" $((frames > 0))
		;;
	rkisp1|sun8i-rotate)
		ended 20
		seen
		verdict "$1: error: $frames frames, all the same" $((frames < FRAMES))
		;;
	*)
		ended 3
		seen
		verdict "$1: error: $failed buffers have the error flag, $frames have not" $((failed == 0 || frames))
		;;
	esac
}

for s in $(streams); do
	FRAMES=5
	# the model is seldom fast enough, see "until" in model.c
	[ "$driver:$s" != mxc-isi:capture ] || FRAMES=1
	hardware never
	start "$s" $FRAMES
	ended 3
	seen
	# hantro gives up on a job itself
	verdict "$s: never: $frames frames, ended" $((frames > 0))
	show "$s, never"

	hardware answers
	start "$s" $FRAMES
	ended 20
	seen
	verdict "$s: answers: $frames frames in $took s, $failed failed" $((frames < FRAMES || failed))
	show "$s, answers"

	hardware late
	start "$s" $FRAMES
	ended 20
	seen
	verdict "$s: late: $frames frames in $took s, $failed failed" $((frames < FRAMES || failed || (took < 1 && FRAMES > 1)))
	show "$s, late"

	hardware error
	start "$s" $FRAMES
	errors "$s"
	show "$s, error"

	for mode in answers storm; do
		hardware $mode
		for cycle in $(seq "$2"); do
			start "$s" 0
			sleep 2
			drv "$driver" unbind "$device"
			ended 10
			verdict "$s: $mode $cycle: unbound, the stream ends" $?
			seen
			[ $FRAMES = 1 ] || verdict "$s: $mode $cycle: $frames frames by then, $failed failed" $((frames == 0))
			show "$s, $mode"
			drv "$driver" bind "$device"
		done
	done
done
hardware answers
echo "1..$n"
exit $bad
