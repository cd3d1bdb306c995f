#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# test.sh COMMAND: the tests, one function for each, see "make help".  Every
# check is a line "ok NAME" or "not ok NAME"; the last line of all counts them.

. "$(dirname "$0")/lib.sh"

LOGS=$BUILD/logs
FLAVOUR=${FLAVOUR:-uml}
CYCLES=${CYCLES:-20}
lab=$ROOT/lab

mkdir -p "$LOGS"
RESULTS=$(mktemp "$LOGS/results.XXXXXX")
trap 'rm -f "$RESULTS"*; cleanup' EXIT

# result pass|fail|skip NAME
result()
{
	printf '%s\t%s\n' "$1" "$2" >>"$RESULTS"
	case $1 in
	pass)	echo "ok $2" ;;
	fail)	echo "not ok $2" ;;
	skip)	echo "ok $2 # SKIP" ;;
	esac
}

# results PREFIX: the same for lines "pass|fail|skip<TAB>NAME"
results()
{
	local r n
	while IFS=$'\t' read -r r n; do
		result "$r" "$1 $n"
	done
}

# try NAME COMMAND...: one check, the command's exit status
try()
{
	local name=$1
	shift
	if "$@"; then result pass "$name"; else result fail "$name"; return 1; fi
}

# ktap FILE: the top level of a KTAP report
ktap()
{
	awk '
	/^(not )?ok [0-9]+/ {
		r = /^ok/ ? "pass" : "fail"
		if (/# SKIP/) r = "skip"
		sub(/^(not )?ok [0-9]+ (- )?/, ""); sub(/ +#.*/, "")
		print r "\t" $0
	}' "$1"
}

# planned FILE: does the report have as many results as it announced?  A program
# that died in the middle must not pass for one that is done.
planned() { awk '/^1\.\.[0-9]+/ { n = substr($0, 4) } /^(not )?ok [0-9]+/ { m++ } END { exit !(n && n == m) }' "$1"; }

kernel() { "$lab/kernel.sh" "$@" >/dev/null; }

kunit_parse() { python3 "$TREE/tools/testing/kunit/kunit.py" parse "$1" >"$2" 2>&1; }

do_kunit()	# FLAVOUR
{
	local f=$1 log=$LOGS/kunit-$1 c
	step "KUnit, $f"
	try "kunit $f: kernel" kernel "$f" || return 0
	# the console is judged by run.sh, the report in it by kunit.py
	try "kunit $f: no complaint of the kernel" env NAME="kunit-$f" "$lab/run.sh" "$f" kunit || :
	sed -E 's/^\[ *[0-9.]+\] //' "$log/console" | sed -n '/^KTAP version 1/,/LAB: start/p' >"$log/ktap"
	# suites are at the top level; count their cases, one level down
	awk '
	/^    # Subtest: / { suite = $3 }
	/^    (not )?ok [0-9]+/ {
		r = /^    ok/ ? "pass" : "fail"
		if (/# SKIP/) r = "skip"
		sub(/^ +(not )?ok [0-9]+ (- )?/, ""); sub(/ +#.*/, "")
		print r "\t" suite "." $0
	}' "$log/ktap" >"$log/results"
	[ -s "$log/results" ] || echo "fail	report: none" >"$log/results"
	grep -v '	cdev_lockdep[.]' "$log/results" | results "kunit $f:"
	# What lockdep must report: it says so once for each boot, so a boot for each
	while IFS=$'\t' read -r _ c; do
		try "kunit $f: lockdep reports ${c#*.}" env NAME="kunit-$f-${c#*.}" EXPECT='possible (circular|recursive) locking' \
			APPEND="kunit.filter_glob=$c cdev_kunit.lockdep_reports=1" "$lab/run.sh" "$f" kunit || :
	done < <([ "$f" != uml ] || grep '	cdev_lockdep[.]' "$log/results")
	try "kunit $f: kunit.py parse" kunit_parse "$log/ktap" "$log/parse" || :
}

do_selftest()	# FLAVOUR [ARGUMENT-OF-THE-TEST...]
{
	local f=$1 log=$LOGS/selftest-$1
	shift
	step "selftest, $f"
	try "selftest $f: kernel" kernel "$f" || return 0
	try "selftest $f: programs" "$lab/guest.sh" programs || return 0
	try "selftest $f: no complaint of the kernel" env NAME="selftest-$f" "$lab/run.sh" "$f" selftest "$@" || :
	ktap "$log/job" | results "selftest $f:"
	try "selftest $f: complete" planned "$log/job" || :
}

# The unpatched kernel must fail, in the ways that lab/baseline.txt says and in
# no other: a test never seen failing proves nothing.  A reason that begins with
# "sometimes:" is a race that may be missed.
do_baseline()	# FLAVOUR
{
	local f=$1 log=$LOGS/baseline-$1 r n
	step "baseline: the selftest on the unpatched kernel, $f"
	try "baseline $f: kernel" kernel "$f" BASE || return 0
	try "baseline $f: programs" "$lab/guest.sh" programs || return 0
	# "alone" leaves open what the base frees: that kernel may be gone then
	NAME="baseline-$f-alone" "$lab/run.sh" -b "$f" selftest -t alone >"$log-alone.out" 2>&1 || :
	try "baseline $f: alone: use after free" grep -q 'KASAN: use-after-free' "$LOGS/baseline-$f-alone/oracle" || :
	NAME="baseline-$f" "$lab/run.sh" -b "$f" selftest -T alone >"$log.out" 2>&1 || :
	if ! planned "$log/job"; then
		cat "$log.out" >&2
		result fail "baseline $f: complete"
		return 0
	fi
	sed '/^#/d; /^$/d' "$lab/baseline.txt" >"$log/expected"
	ktap "$log/job" >"$log/got"
	# each kind of complaint of the kernel is one more result
	sed -E 's/^\[ *[0-9.]+\] //' "$log/oracle" | grep -oE '(KASAN: [a-z-]+ in [a-zA-Z0-9_]+|WARNING: [^,]*|ODEBUG: [a-z ]*|INFO: task|kmemleak:|LAB: .*)' |
		sed -E 's/:[0-9]+ / /; s/^/fail\tkernel: /' | sort -u >>"$log/got" || :
	while IFS=$'\t' read -r r n; do
		if [ "$r" = fail ]; then
			if cut -f1 "$log/expected" | grep -qxF -- "$n"; then
				result pass "baseline $f: fails as expected: $n"
			else
				result fail "baseline $f: fails, not expected in lab/baseline.txt: $n"
			fi
		fi
	done <"$log/got"
	while IFS=$'\t' read -r n r; do
		grep -qxF -- "fail	$n" "$log/got" || [ "$r" != "${r#sometimes:}" ] ||
			result fail "baseline $f: does not fail, but is in lab/baseline.txt: $n"
	done <"$log/expected"
}

# compliance_results JOB: a result for each node
compliance_results()
{
	awk '
	/^=== / { name = substr($0, 5) }
	/^(Total|Grand Total) for / || /Total:/ {
		if (match($0, /Failed: [0-9]+/))
			print (substr($0, RSTART + 8, RLENGTH - 8) == 0 ? "pass" : "fail") "\t" name
	}' "$1"
}

do_compliance()	# FLAVOUR
{
	local f=$1 log=$LOGS/compliance-$1 n
	step "compliance, $f"
	try "compliance $f: kernel" kernel "$f" || return 0
	try "compliance $f: no complaint of the kernel" env NAME="compliance-$f" "$lab/run.sh" "$f" compliance || :
	compliance_results "$log/job" >"$log/results"
	results "compliance $f:" <"$log/results"
	# each one that began must have a total
	n=$(grep -c '^=== ' "$log/job" || :)
	try "compliance $f: $n programs complete" [ "$n" -gt 0 -a "$n" = "$(wc -l <"$log/results")" ] || :
}

do_stress()	# FLAVOUR
{
	local f=$1
	step "stress, $f, $CYCLES cycles"
	try "stress $f: kernel" kernel "$f" || return 0
	try "stress $f: programs" "$lab/guest.sh" programs || return 0
	try "stress $f" env NAME="stress-$f" "$lab/run.sh" "$f" stress "$CYCLES" || :
	sed -n 's/^RESULT\t\([^\t]*\)\t[a-z]*\t\(.*\)/# \1: \2/p' "$LOGS/stress-$f/job"
}

do_lint()
{
	step "lint"
	"$lab/lint.sh" "$@" >"$LOGS/lint" || :
	results "lint:" <"$LOGS/lint"
}

# both COMMAND COMMAND: two guests at a time, on two cores; one report after the
# other
both()
{
	local a b
	$1 >"$RESULTS.1" 2>&1 & a=$!
	$2 >"$RESULTS.2" 2>&1 & b=$!
	wait $a || result fail "$1 ended early"
	cat "$RESULTS.1"
	wait $b || result fail "$2 ended early"
	cat "$RESULTS.2"
}

summary()
{
	local p f s
	p=$(grep -c '^pass' "$RESULTS" || :)
	f=$(grep -c '^fail' "$RESULTS" || :)
	s=$(grep -c '^skip' "$RESULTS" || :)
	if [ "$f" -gt 0 ]; then
		echo
		echo "Failed (logs in build/logs):"
		grep '^fail' "$RESULTS" | cut -f2 | sed 's/^/  /'
	fi
	echo "$p passed, $f failed, $s skipped"
	[ "$f" -eq 0 ]
}

# shellcheck disable=SC2153
case " $FLAVOURS " in
*" $FLAVOUR "*) ;;
*) die "FLAVOUR=$FLAVOUR is unknown; there is: $FLAVOURS" ;;
esac
case $CYCLES in
*[!0-9]*|"") die "CYCLES=$CYCLES is not a number" ;;
esac

case ${1:-} in
kunit|selftest)
	do_"$1" "$FLAVOUR"
	;;
baseline)
	do_baseline "$FLAVOUR"
	;;
compliance|stress)
	# not in UML: jobs/compliance.sh says why
	do_"$1" x86_64
	;;
lint)
	do_lint
	;;
check)
	do_lint quick
	do_kunit uml
	do_selftest uml -v vid_cap
	;;
test)
	start=$(ms)
	do_kunit uml
	try "kernel: uml, base" kernel uml BASE || :
	both "do_selftest uml" "do_baseline uml"
	try "kernel: x86_64" kernel x86_64 || :
	both "do_kunit x86_64" "do_compliance x86_64"
	do_stress x86_64
	do_lint
	step "$((($(ms) - start) / 60000)) minutes"
	;;
shell)
	"$lab/kernel.sh" "$FLAVOUR" ${2:+BASE} >/dev/null
	"$lab/guest.sh" programs
	exec "$lab/run.sh" ${2:+-b} "$FLAVOUR" shell
	;;
demo)
	exec "$lab/demo/run.sh"
	;;
*)
	die "usage: test.sh kunit|selftest|baseline|compliance|stress|lint|check|test|shell|demo"
	;;
esac
summary
