#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# table.sh UNPATCHED PATCHED: the demo's table, from the log directories of its
# two guests (job, oracle and console, as lab/run.sh leaves them there).
# Fails if the patched kernel missed a check, or a check is missing.

. "$(dirname "$0")/../lib.sh"

[ $# -eq 2 ] || die "usage: table.sh UNPATCHED PATCHED (log directories)"
for dir; do
	[ -f "$dir/job" ] || die "no $dir/job: that guest did not run"
done

# One guest's results, and what only the host knows about it
results()
{
	local n
	grep -a '^RESULT' "$1/job" || :
	n=$(grep -ac . "$1/oracle" || :)
	if [ "$n" = 0 ]; then
		printf 'RESULT\tkernel reports\tpass\tnone\n'
	else
		printf 'RESULT\tkernel reports\tfail\t%d lines, first: %.50s\n' "$n" \
			"$(sed -n '1s/^\[[^]]*\] //p' "$1/oracle")"
	fi
	if grep -aq 'LAB: end' "$1/console"; then
		printf 'RESULT\tguest\tpass\tended by itself\n'
	else
		printf 'RESULT\tguest\tfail\thung or died\n'
	fi
}

tmpdir "$BUILD"
results "$1" >"$TMP/unpatched"
results "$2" >"$TMP/patched"
awk -F '\t' '
	function cell(side, check) {
		if (!((side, check) in verdict))
			return "not reached"
		return (verdict[side, check] == "pass" ? "ok    " : "FAIL  ") seen[side, check]
	}
	{
		side = FILENAME ~ /unpatched$/ ? "u" : "p"
		if (!(($2) in known)) {
			known[$2]
			order[++n] = $2
		}
		verdict[side, $2] = $3
		seen[side, $2] = $4
	}
	END {
		# printed last: without it the demo did not get to its end
		if (!("calls under load" in known))
			order[++n] = "calls under load"
		for (i = 1; i <= n; i++) {
			u = cell("u", order[i])
			if (length(order[i]) > w1)
				w1 = length(order[i])
			if (length(u) > w2)
				w2 = length(u)
		}
		printf "%-*s | %-*s | %s\n", w1, "check", w2, "unpatched", "patched"
		for (i = 1; i <= n; i++) {
			printf "%-*s | %-*s | %s\n", w1, order[i], w2, cell("u", order[i]), cell("p", order[i])
			if (verdict["p", order[i]] != "pass")
				missed++
			if (verdict["u", order[i]] != "pass")
				base++
		}
		printf "\n%d checks; unpatched misses %d, patched %d\n", n, base, missed
		exit missed ? 1 : 0
	}
' "$TMP/unpatched" "$TMP/patched"
