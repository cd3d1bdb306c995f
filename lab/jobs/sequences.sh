# SPDX-License-Identifier: GPL-2.0
# What v4l-utils' contrib/test/test-media does to the drivers around unbind, in
# its order but with a verdict for each step: unbind and bind return, programs
# end, nodes go and come back and still work.  Arguments: DRIVER... (all).
# timeout: 900
# kmemleak: yes
# cmdline: vivid.n_devs=1

[ $# -gt 0 ] || set -- vivid vim2m vicodec vimc visl
limit=600	# tenths of a second, for whatever has to end by itself
n=0 bad=0

# result NAME [REASON]: why it failed, or nothing
result()
{
	n=$((n + 1))
	[ -n "$2" ] || { echo "ok $n $driver: $1"; return; }
	bad=1
	echo "not ok $n $driver: $1"
	echo "# ${2#; }"
}

skip()
{
	n=$((n + 1))
	echo "ok $n $driver: $1 # SKIP $2"
}

# A zombie is not alive
alive()
{
	read -r stat 2>/dev/null <"/proc/$1/stat" || return 1
	case ${stat##*) } in
	Z*) return 1 ;;
	esac
}

# ends PID: wait for it, for no longer than the limit
ends()
{
	waited=0
	while alive "$1"; do
		[ $waited -lt $limit ] || return 1
		waited=$((waited + 1))
		sleep 0.1
	done
	wait "$1"
	return 0
}

# drv unbind|bind: fails if that does not return
drv()
{
	echo "$driver.0" >"/sys/bus/platform/drivers/$driver/$1" &
	ends $!
}

# The /dev nodes of the driver
nodes()
{
	for dir in /sys/class/video4linux/*/device/driver /sys/bus/media/devices/*/../driver \
		/sys/bus/cec/devices/*/../driver; do
		[ "$(basename "$(readlink "$dir")")" = "$driver" ] || continue
		dir=${dir%/driver}
		dir=${dir%/device}
		echo "/dev/$(basename "${dir%/..}")"
	done
}

count() { nodes | wc -l; }

# node NAME: the video node of that name
node()
{
	for dir in /sys/class/video4linux/*; do
		read -r name <"$dir/name"
		[ "$name" != "$1" ] || echo "/dev/${dir##*/}"
	done
}

# vimc's pipeline matches nowhere by default
pipeline()
{
	[ "$driver" = vimc ] || return 0
	for s in "Sensor A" "Sensor B"; do
		media-ctl -d platform:vimc.0 -V "\"$s\":0[fmt:SRGGB8_1X8/640x480]" >/dev/null
	done
	v4l2-ctl -d "$(node "Raw Capture 0")" -v width=640,height=480,pixelformat=RGGB >/dev/null
}

# Which node streams, and how; and how to make its DQBUF block
streaming()
{
	arg=--stream-mmap block=''
	case $driver in
	vivid)	dev=$(node vivid-000-vid-cap) block="v4l2-ctl -d $dev -c percentage_of_dropped_buffers=100" ;;
	vim2m)	dev=$(node vim2m) arg="--stream-mmap --stream-out-mmap" block=: ;;
	vicodec) dev=$(node stateful-encoder) arg="--stream-mmap --stream-out-mmap" block=: ;;
	vimc)	dev=$(node "Raw Capture 0") ;;
	visl)	dev=$(node visl) arg='' block=: ;;
	esac
}

# A frame is a "<" or ">" of v4l2-ctl's
frames() { tr -cd '<>' </tmp/stream 2>/dev/null | wc -c; }

# stream ARG...: start v4l2-ctl and wait until it has had some frames
stream()
{
	: >/tmp/stream
	v4l2-ctl -d "$dev" "$@" >/tmp/stream 2>&1 &
	pid=$!
	i=0
	while [ "$(frames)" -lt 3 ]; do
		i=$((i + 1))
		if [ $i -gt $limit ] || ! alive $pid; then
			why="does not stream: $(tail -n 1 /tmp/stream)"
			kill -9 $pid 2>/dev/null
			return 1
		fi
		sleep 0.1
	done
}

# Asleep, and for long enough that it is not only until the next frame
blocked()
{
	i=0 quiet=0
	while [ $quiet -lt 20 ]; do
		i=$((i + 1))
		[ $i -lt $limit ] || return 1
		before=$(frames)
		sleep 0.1
		quiet=$((quiet + 1))
		grep -q '^[0-9]* ([^)]*) S' /proc/$pid/stat 2>/dev/null && [ "$before" = "$(frames)" ] || quiet=0
	done
}

# Unbind under the program $pid and bind again; sets $why
under()
{
	why=
	drv unbind || { why="unbind did not return"; return; }
	ends $pid || { why="the program did not end"; kill -9 $pid; wait $pid; }
	[ "$(count)" -eq 0 ] || why="$why; nodes are left: $(nodes)"
	drv bind || { why="$why; bind did not return"; return; }
	[ "$(count)" -eq "$all" ] || why="$why; $(count) nodes of $all are back"
	health
}

# The new nodes work
health()
{
	for dev in $(nodes); do
		case $dev in
		/dev/video*) timeout -s KILL 60 v4l2-ctl -d "$dev" -D >/dev/null || why="$why; $dev does not answer" ;;
		/dev/v4l-subdev*|/dev/media*|/dev/cec*) (: <"$dev") 2>/dev/null || why="$why; $dev cannot be opened" ;;
		esac
	done
	pipeline
	streaming
	[ -n "$arg" ] || return
	# shellcheck disable=SC2086
	timeout -s KILL 60 v4l2-ctl -d "$dev" $arg --stream-count=3 >/tmp/health 2>&1 ||
		why="$why; the new node does not stream: $(tail -n 1 /tmp/health)"
}

idle()
{
	sleep 0 & pid=$!
	under
	result "unbind and bind while idle" "$why"
}

while_streaming()
{
	pipeline
	streaming
	[ -n "$arg" ] || { skip "unbind while it streams" "v4l2-ctl makes no requests"; return; }
	# shellcheck disable=SC2086
	if stream $arg; then under; fi
	result "unbind while it streams" "$why"
}

while_blocked()
{
	streaming
	[ -n "$block" ] || { skip "unbind in DQBUF" "no frame can be withheld"; return; }
	why=
	case $driver in
	vivid)	stream --stream-mmap || { result "unbind in DQBUF" "$why"; return; } ;;
	# nothing comes out where nothing goes in
	*)	v4l2-ctl -d "$dev" --stream-mmap >/tmp/stream 2>&1 &
		pid=$! ;;
	esac
	$block
	if blocked; then under; else why="it does not block: $(tail -n 1 /tmp/stream)"; kill -9 $pid; fi
	result "unbind in DQBUF" "$why"
}

# Every node held open by a process of its own; they end one after the other,
# half of them when it is unbound, half when it is bound again
while_open()
{
	rm -f /tmp/held.* /tmp/go.*
	why='' k=0 pids=''
	for dev in $(nodes); do
		k=$((k + 1))
		(
			exec 9<>"$dev" && : >/tmp/held.$k
			while [ ! -e /tmp/go.$k ]; do sleep 0.1; done
		) 2>/dev/null &
		pids="$pids $!"
	done
	i=0
	while held=$(find /tmp -name 'held.*' | wc -l) && [ "$held" -lt $k ] && [ $i -lt $limit ]; do
		i=$((i + 1))
		sleep 0.1
	done
	drv unbind || why="unbind did not return"
	[ "$(count)" -eq 0 ] || why="$why; nodes are left: $(nodes)"
	i=0
	for p in $pids; do
		i=$((i + 1))
		[ $i -ne $((k / 2 + 1)) ] || drv bind || why="$why; bind did not return"
		: >/tmp/go.$i
		ends "$p" || why="$why; a close did not return"
	done
	[ "$(count)" -eq "$all" ] || why="$why; $(count) nodes of $all are back"
	[ "$held" -eq $k ] || why="$why; only $held of $k nodes could be held open"
	health
	result "unbind with every node held open, closed one by one" "$why"
}

unload()
{
	if ! grep -q "^$driver " /proc/modules 2>/dev/null; then
		skip "unload and load" "$driver is built in"
		return
	fi
	why=
	# DEBUG_KOBJECT_RELEASE puts off each release by up to 4 s, one leads to
	# another, and the last may be the module's code: see wait_released() in
	# v4l2_removal_matrix.c.  So too for the driver's name in sysfs.
	drv unbind || why="unbind did not return"
	sleep 20
	rmmod "$driver" 2>/tmp/rmmod & ends $! || why="rmmod did not return"
	[ ! -e "/sys/module/$driver" ] || why="$why; the module is still there: $(cat /tmp/rmmod)"
	sleep 5
	modprobe "$driver" & ends $! || why="$why; modprobe did not return"
	[ "$(count)" -eq "$all" ] || why="$why; $(count) nodes of $all are back"
	health
	result "unload and load" "$why"
}

echo "1..$((5 * $#))"
for driver; do
	all=$(count)
	if [ "$all" -eq 0 ]; then
		for t in 1 2 3 4 5; do result "sequence $t" "it has no nodes"; done
		continue
	fi
	idle
	while_streaming
	while_blocked
	while_open
	unload
done
exit $bad
