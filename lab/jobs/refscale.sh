# SPDX-License-Identifier: GPL-2.0
# Arguments: ROUNDS RUNS DRAINS READERS...  kernel/rcu/refscale.c, on a kernel
# without debug options: what it costs to enter and to leave, by each type that
# a removal can wait for, and how long it waits.  In rounds, so that what else
# the machine does meets all types alike.  Prints lines
#
#	REFSCALE	TYPE	READERS	ns for one loop, median of the runs
#	DRAIN	TYPE	idle|reader	min	median	max, in ns
#
# "jiffies" reads a variable: little but the loop.  A type that costs clearly less
# has not done what it says; one that loses an exit does not come out of its drain.
# cmdline: tsc=reliable
# timeout: 300
# modules: torture

rounds=$1 runs=$2 drains=$3
shift 3
floor=jiffies
types="refcnt rwsem srcu srcu-fast drm percpu-ref kernfs cdev"
out=/tmp/refscale
: >$out

# load TYPE READERS DRAINS: a load of the module, which is one measurement
load()
{
	dmesg -c >/dev/null
	modprobe refscale scale_type="$1" nreaders="$2" ndrains="$3" nruns="$runs" \
		loops=10000 shutdown_secs=0 || return 1
	i=0
	until dmesg | grep -q 'END OF TEST'; do
		sleep 0.2
		i=$((i + 1))
		[ $i -lt 300 ] || return 1	# the module cannot be removed now
	done
	# waits until all is printed
	rmmod refscale || return 1
	dmesg | sed 's/^\[ *[0-9.]*\] //' >/tmp/log
	awk '
	/^Runs/ { on = 1; next }
	on && /^[0-9]+[ \t]+[0-9.]+$/ { print $2 }' /tmp/log | sort -n >/tmp/times
	[ "$(wc -l </tmp/times)" -eq "$runs" ] || return 1
	printf 'REFSCALE\t%s\t%s\t%s\n' "$1" "$2" "$(sed -n "$((runs / 2 + 1))p" /tmp/times)"
	sed -nE "s/.*Drains, (idle|after a reader): $3, min ([0-9]+) median ([0-9]+) max ([0-9]+) .*/DRAIN\t$1\t\1\t\2\t\3\t\4/p" \
		/tmp/log | sed 's/after a reader/reader/'
}

lost=
while [ "$rounds" -gt 0 ] && [ -z "$lost" ]; do
	rounds=$((rounds - 1))
	for type in $floor $types; do
		d=$drains
		for readers; do
			load "$type" "$readers" "$d" >>$out || { lost=$type; break 2; }
			d=0
		done
	done
done
cat $out

bad=0 n=0
# shellcheck disable=SC2086
set -- $types
echo "1..$#"
for type; do
	n=$((n + 1))
	verdict=$(awk -F'\t' -v t="$type" -v floor=$floor -v lost="$lost" -v drains="$drains" '
	$1 == "REFSCALE" && $2 == floor && (!(($3) in most) || $4 > most[$3]) { most[$3] = $4 }
	$1 == "REFSCALE" && $2 == t && (!(($3) in least) || $4 < least[$3]) { least[$3] = $4; seen++ }
	$1 == "DRAIN" && $2 == t { drained[$3] = 1 }
	END {
		if (t == lost) print "does not end"
		else if (!seen) print "has not run"
		else if (t != "refcnt" && drains && !(("idle" in drained) && ("reader" in drained))) print "did not drain"
		else for (r in least) if (least[r] < 0.9 * most[r]) { print "costs less than " floor; exit }
	}' $out)
	if [ -z "$verdict" ]; then
		echo "ok $n $type"
	else
		bad=1
		echo "not ok $n $type $verdict"
	fi
done
exit $bad
