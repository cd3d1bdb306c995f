# SPDX-License-Identifier: GPL-2.0
#
# matrix.awk: the matrix selftest's results as a table, from the job logs of both
# kernels, whose names have "-base" in them or not.  A cell is "base/patched/all":
# how many passed there and here, and how many there are, without those that are
# impossible.  What a guest did not reach, because it died or hung, did not pass.

BEGIN { patched = 1 }
FNR == 1 { patched = FILENAME !~ /-base/ }
/^(not )?ok [0-9]+ / {
	split($0, word, /ok [0-9]+ /)
	split(word[2], name, ".")
	d = name[1]; s = name[2]; t = name[3]
	if (!(d in seen_d)) { seen_d[d]; drivers[++nd] = d }
	if (!(s in seen_s)) { seen_s[s]; scenarios[++ns] = s }
	if (!(t in seen_t)) { seen_t[t]; states[++nt] = t }
	r = /# SKIP/ ? "skip" : /^ok/ ? "pass" : "fail"
	driver[patched, d, r]++
	if (r == "skip")
		next
	if (patched) {
		all[s, t]++
		all_s[s]++
	}
	if (r == "pass") {
		pass[patched, s, t]++
		pass_s[patched, s]++
	}
}
# "1..N": one driver for each guest
/^1\.\.[0-9]+$/ { plan[FILENAME] = substr($0, 4) }
/^# [a-z0-9]+: [0-9]+ nodes/ { d = $2; sub(":", "", d); of[FILENAME] = d }

function cell(b, p, n) { return n ? sprintf("%d/%d/%d", b, p, n) : "-" }

END {
	printf "%-16s", "state"
	for (i = 1; i <= ns; i++)
		printf " %21s", scenarios[i]
	print ""
	for (j = 1; j <= nt; j++) {
		t = states[j]
		printf "%-16s", t
		for (i = 1; i <= ns; i++) {
			s = scenarios[i]
			printf " %21s", cell(pass[0, s, t], pass[1, s, t], all[s, t])
		}
		print ""
	}
	printf "%-16s", "all"
	for (i = 1; i <= ns; i++)
		printf " %21s", cell(pass_s[0, scenarios[i]], pass_s[1, scenarios[i]], all_s[scenarios[i]])
	print "\n(passed unpatched / passed patched / all that are possible)\n"
	for (f in plan)
		total[f !~ /-base/, of[f]] = plan[f]
	for (k = 0; k < 2; k++) {
		for (i = 1; i <= nd; i++) {
			d = drivers[i]
			p = driver[k, d, "pass"] + 0; q = driver[k, d, "fail"] + 0; r = driver[k, d, "skip"] + 0
			if (total[k, d])
				printf "%-9s %-8s %5d passed, %5d failed, %5d skipped, %5d not reached\n",
					k ? "patched" : "unpatched", d, p, q, r, total[k, d] - p - q - r
			sum[k, "p"] += p; sum[k, "q"] += q; sum[k, "r"] += r; sum[k, "n"] += total[k, d] - p - q - r
		}
		printf "%-9s %-8s %5d passed, %5d failed, %5d skipped, %5d not reached\n",
			k ? "patched" : "unpatched", "all", sum[k, "p"], sum[k, "q"], sum[k, "r"], sum[k, "n"]
	}
}
