#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# test.sh COMMAND: the tests, one function for each, see "make help".  Every
# check is a line "ok NAME" or "not ok NAME"; the last line of all counts them.

. "$(dirname "$0")/lib.sh"

LOGS=$BUILD/logs
FLAVOUR=${FLAVOUR:-uml}
DRIVERS="vivid vim2m vicodec visl vimc"
CYCLES=${CYCLES:-20}
DRIVER=${DRIVER:-all}
MINUTES=${MINUTES:-1}
TYPE=${TYPE:-}
BITS=${BITS:-64}
lab=$ROOT/lab

mkdir -p "$LOGS"
RESULTS=$(mktemp -p "$LOGS" --suffix=.results)
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

# control FLAVOUR NAME CASE: a boot with one case that the kernel has to report.  Beside
# that the case is to be what it says: nothing else that it looks at may be wrong.
control()
{
	local log=$LOGS/$2/console
	NAME=$2 "$lab/run.sh" "$1" kunit || return
	grep -qE "ok 1 $3( |\$)" "$log" || { say "$3 has not run"; return 1; }
	! grep -E 'EXPECTATION FAILED|ASSERTION FAILED|hangs, leaking' "$log" >&2
}

kunit_parse() { python3 "$TREE/tools/testing/kunit/kunit.py" parse "$1" >"$2" 2>&1; }

do_kunit()	# FLAVOUR
{
	local f=$1 log=$LOGS/kunit-$1 c expect param lockdep='possible (circular|recursive) locking[^,]*, at:'
	local controls='cdev_lockdep|v4l2_dev_bad|v4l2_dev_lockdep'
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
	grep -vE "	($controls)[.]" "$log/results" | results "kunit $f:"
	for c in ${controls//|/ }; do
		grep -q "	${c}[.]" "$log/results" || result fail "kunit $f: there is no $c"
	done
	# What the kernel must report: then it is not what it was, so a boot for each
	while IFS=$'\t' read -r _ c; do
		case $c in
		cdev_*)	param=cdev_kunit.lockdep_reports ;;
		*)	param=v4l2_dev_kunit.bad_drivers ;;
		esac
		case $c in
		*.call_after_drain_under_lock)	expect="$lockdep call_after_drain_under_lock[+]" ;;
		*_lockdep.*)		expect="$lockdep cdev_drain[+]" ;;
		*.devm_state)		expect='KASAN: slab-use-after-free in stub_release[+]' ;;
		*.no_drain)		expect='KASAN: slab-use-after-free in stub_read[+]' ;;
		*.m2m_freed_early)	expect='KASAN: slab-use-after-free in .* WARNING: lib/refcount.c:[0-9]+ at v4l2_m2m_ctx_release[+]' ;;
		*.no_wake)		expect='81:0 .*: removal waits for' ;;
		*)			expect="what lab/test.sh does not know: $c" ;;
		esac
		EXPECT=$expect APPEND="kunit.filter_glob=$c $param=1" \
			try "kunit $f: the kernel reports $c" control "$f" "kunit-$f-${c#*.}" "${c#*.}" || :
	done < <([ "$f" != uml ] || grep -E "	($controls)[.]" "$log/results")
	try "kunit $f: kunit.py parse" kunit_parse "$log/ktap" "$log/parse" || :
}

do_selftest()	# FLAVOUR [ARGUMENT-OF-THE-TEST...]
{
	local f=$1 n=$1$ABI log=$LOGS/selftest-$1$ABI
	shift
	step "selftest, $n"
	try "selftest $n: kernel" kernel "$f" || return 0
	try "selftest $n: programs" "$lab/guest.sh" programs "$f" || return 0
	try "selftest $n: no complaint of the kernel" env NAME="selftest-$n" "$lab/run.sh" "$f" selftest ${ABI:+"$ABI"} "$@" || :
	ktap "$log/job" | results "selftest $n:"
	try "selftest $n: complete" planned "$log/job" || :
}

# As a 32-bit program, with both sizes of time_t: what has a layout of its own
# there.  All of it is "make selftest FLAVOUR=x86_64 BITS=32".
do_compat()
{
	local ABI
	for ABI in -32 -32t64; do
		do_selftest x86_64 -T alone -T close_order -v vid_cap -f media -f request
	done
}

# The unpatched kernel must fail, in the ways that lab/baseline.txt says and in
# no other: a test never seen failing proves nothing.  A reason that begins with
# "sometimes:" is a race that may be missed.
do_baseline()	# FLAVOUR
{
	local f=$1 k=$1$ABI log=$LOGS/baseline-$1$ABI r n
	step "baseline: the selftest on the unpatched kernel, $k"
	try "baseline $k: kernel" kernel "$f" BASE || return 0
	try "baseline $k: programs" "$lab/guest.sh" programs "$f" || return 0
	# "alone" leaves open what the base frees: that kernel may be gone then
	NAME="baseline-$k-alone" "$lab/run.sh" -b "$f" selftest ${ABI:+"$ABI"} -t alone >"$log-alone.out" 2>&1 || :
	try "baseline $k: alone: use after free" grep -q 'KASAN: use-after-free' "$LOGS/baseline-$k-alone/oracle" || :
	NAME="baseline-$k" "$lab/run.sh" -b "$f" selftest ${ABI:+"$ABI"} -T alone >"$log.out" 2>&1 || :
	if ! planned "$log/job"; then
		cat "$log.out" >&2
		result fail "baseline $k: complete"
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
				result pass "baseline $k: fails as expected: $n"
			else
				result fail "baseline $k: fails, not expected in lab/baseline.txt: $n"
			fi
		fi
	done <"$log/got"
	while IFS=$'\t' read -r n r; do
		grep -qxF -- "fail	$n" "$log/got" || [ "$r" != "${r#sometimes:}" ] ||
			result fail "baseline $k: does not fail, but is in lab/baseline.txt: $n"
	done <"$log/expected"
}

# matrix_guest DRIVER [-b] [ARGUMENT-OF-THE-TEST...]: one driver, in a boot of its
# own: what a guest that dies or hangs does not reach is only this one's
matrix_guest()
{
	local d=$1 b=
	shift
	[ "${1:-}" != -b ] || { b=-base; shift; }
	rm -rf "$LOGS/matrix-$FLAVOUR$b-$d"
	NAME="matrix-$FLAVOUR$b-$d" "$lab/run.sh" ${b:+-b} "$FLAVOUR" matrix -d "$d" "$@"
}

# matrix_patched DRIVER [ARGUMENT-OF-THE-TEST...]: nothing may fail
matrix_patched()
{
	local d=$1 log=$LOGS/matrix-$FLAVOUR-$1 f n
	try "matrix $FLAVOUR: $d: no complaint of the kernel" matrix_guest "$@" || :
	f=$(grep -c '^not ok' "$log/job" || :)
	n=$(grep -c '^ok [^#]*$' "$log/job" || :)
	grep -A1 '^not ok' "$log/job" | head -n 20 || :
	grep 'woke the last call' "$log/job" || :
	try "matrix $FLAVOUR: $d: $n cells passed, $f failed" [ "$n" -gt 0 -a "$f" -eq 0 ] || :
	try "matrix $FLAVOUR: $d: complete" planned "$log/job" || :
}

# The unpatched kernel must fail; how often, the table says
matrix_base()
{
	matrix_guest "$1" -b >"$LOGS/matrix-$FLAVOUR-base-$1.out" 2>&1 || :
	try "matrix $FLAVOUR: $1: the unpatched kernel fails" grep -q '^not ok' "$LOGS/matrix-$FLAVOUR-base-$1/job" || :
}

# Of all drivers and states the scenario that asks for most.  None may fail, so
# that one boot will do.
do_matrix_quick()
{
	step "matrix, $FLAVOUR"
	try "matrix $FLAVOUR: kernel" kernel "$FLAVOUR" || return 0
	try "matrix $FLAVOUR: programs" "$lab/guest.sh" programs "$FLAVOUR" || return 0
	matrix_patched "${DRIVERS// /,}" -s hot-rebind-late-close
}

do_matrix()
{
	local d f=$FLAVOUR jobs=()
	step "matrix, $f"
	try "matrix $f: kernel" kernel "$f" || return 0
	try "matrix $f: programs" "$lab/guest.sh" programs "$f" || return 0
	try "matrix $f: base kernel" kernel "$f" BASE || return 0
	for d in $DRIVERS; do
		both "matrix_patched $d" "matrix_base $d"
		jobs+=("$LOGS/matrix-$f-base-$d/job" "$LOGS/matrix-$f-$d/job")
	done
	awk -f "$lab/matrix.awk" "${jobs[@]}"
}

do_faults()	# [ARGUMENT-OF-THE-TEST...]
{
	local f=$FLAVOUR log=$LOGS/faults-$FLAVOUR
	step "fault injection, $f"
	try "faults $f: kernel" kernel "$f" || return 0
	try "faults $f: programs" "$lab/guest.sh" programs "$f" || return 0
	try "faults $f: no complaint of the kernel" env NAME="faults-$f" "$lab/run.sh" "$f" faults "$@" || :
	grep -E '^(not )?ok' "$log/job" | sed 's/^/# /' || :
	ktap "$log/job" | results "faults $f:"
	try "faults $f: complete" planned "$log/job" || :
}

# A kernel that follows every probe by a removal and another probe.  Each driver
# is bound and loaded again, each node streams afterwards.
do_reprobe()
{
	local log=$LOGS/reprobe-uml image
	step "every probe twice, uml"
	try "reprobe uml: kernel" kernel uml || return 0
	try "reprobe uml: programs" "$lab/guest.sh" programs uml || return 0
	image=$(VARIANT=reprobe "$lab/kernel.sh" uml) || { result fail "reprobe uml: kernel of its own"; return 0; }
	try "reprobe uml: no complaint of the kernel" env KERNEL="$image" NAME=reprobe-uml "$lab/run.sh" uml matrix -s module-unload -t open || :
	ktap "$log/job" | results "reprobe uml:"
	try "reprobe uml: complete" planned "$log/job" || :
}

do_compliance()	# FLAVOUR DRIVER...
{
	local f=$1 log=$LOGS/compliance-$1
	shift
	step "compliance, $f: $*"
	try "compliance $f: kernel" kernel "$f" || return 0
	try "compliance $f: no complaint of the kernel" env NAME="compliance-$f" "$lab/run.sh" "$f" compliance "$@" || :
	ktap "$log/job" | results "compliance $f:"
	try "compliance $f: complete" planned "$log/job" || :
}

# vivid not in UML: jobs/compliance.sh says why
do_compliance_x86_64() { do_compliance x86_64 vivid; }
do_compliance_uml() { do_compliance uml vim2m vicodec visl vimc; }

do_sequences()	# FLAVOUR
{
	local f=$1 log=$LOGS/sequences-$1
	step "sequences of test-media, $f"
	try "sequences $f: kernel" kernel "$f" || return 0
	try "sequences $f: no complaint of the kernel" env NAME="sequences-$f" "$lab/run.sh" "$f" sequences || :
	ktap "$log/job" | results "sequences $f:"
	try "sequences $f: complete" planned "$log/job" || :
}

# stress FLAVOUR NAME CYCLES ARGUMENT...
stress()
{
	local f=$1 what=$2 cycles=$3 image
	step "$what, $f, $cycles cycles"
	image=$("$lab/kernel.sh" "$f") || { result fail "$what $f: kernel"; return 0; }
	try "$what $f: programs" "$lab/guest.sh" programs "$f" || return 0
	try "$what $f" env KERNEL="$image" NAME="$what-$f" TIMEOUT=$((400 + 15 * cycles)) \
		"$lab/run.sh" "$f" stress "$cycles" "${@:4}" || :
	try "$what $f: drains were measured" grep -q '^drains  *[1-9]' "$LOGS/$what-$f/job" || :
	sed -n 's/^RESULT\t\([^\t]*\)\t[a-z]*\t\(.*\)/# \1: \2/p; s/^.* unbinds: min /# &/p; s/^drains /# &/p' "$LOGS/$what-$f/job"
}

do_stress() { stress "$1" stress "$2" all; }			# FLAVOUR CYCLES

# So many cycles that time in which all sleep has to be skipped, and without debug
# options: what leaks a little shows, in less than an hour.  The times that it
# prints are not real ones.
do_endurance()	# CYCLES
{
	VARIANT=endurance CONFIG=$lab/config/plain.config APPEND=time-travel stress uml endurance "$1" vivid
}

# How long an unbind takes: with debug options it says more about these
do_times() { VARIANT=plain stress uml times "$1" all; }		# CYCLES

# torture_guest FLAVOUR NAME IMAGE SECONDS [TYPE...]: one boot
torture_guest()
{
	local f=$1 n=$2 image=$3 what="no complaint of the kernel"
	local log=$LOGS/torture-$n
	shift 3
	[ -z "${EXPECT:-}" ] || what="the kernel reports the races"
	rm -rf "$log"
	try "torture $n: $what" env KERNEL="$image" NAME="torture-$n" TIMEOUT=$((450 + 11 * $1)) \
		"$lab/run.sh" "$f" torture "$@" || :
	ktap "$log/job" | results "torture $n:"
	grep '^#' "$log/job" || :
	try "torture $n: complete" planned "$log/job" || :
}

# Without TYPE all of them
do_torture()	# FLAVOUR SECONDS [TYPE...]
{
	local f=$1 n=$1${VARIANT:+-$VARIANT} image t good=() racy=(cdev_racy)
	step "torture, $n, $2 s each: ${*:3}"
	image=$("$lab/kernel.sh" "$f") || { result fail "torture $n: kernel"; return 0; }
	if [ "${VARIANT:-}" != kcsan ]; then
		torture_guest "$f" "$n" "$image" "${@:2}"
		return
	fi
	# What races is in a boot of its own, where KCSAN has to say so
	[ $# -gt 2 ] || set -- "$@" cdev v4l2
	for t in "${@:3}"; do
		case $t in
		cdev_busted|v4l2_busted) racy+=("$t") ;;
		*_racy)		;;
		*)		good+=("$t") ;;
		esac
	done
	[ ${#good[@]} -eq 0 ] || torture_guest "$f" "$n" "$image" "$2" "${good[@]}"
	EXPECT='KCSAN: [^[]*\[cdevtorture\]' torture_guest "$f" "$n-control" "$image" "$2" "${racy[@]}"
}

# With KCSAN instead of KASAN
do_races() { VARIANT=kcsan do_torture x86_64 60; }

# What the series makes larger; most may be built in or modules
MEASURED="fs/char_dev fs/cdev_drain drivers/media/mc/mc drivers/media/v4l2-core/videodev
	drivers/media/v4l2-core/v4l2-mem2mem drivers/media/common/videobuf2/videobuf2-common
	drivers/media/common/videobuf2/videobuf2-v4l2 drivers/media/cec/core/cec"

# sizes OBJ: SIZE<TAB>name<TAB>bytes of code and constants, of vmlinux and of the
# objects that are compiled under the name of each of these
sizes()
{
	local m name
	size "$1/vmlinux" | awk 'NR == 2 { print "SIZE\tvmlinux\t" $1 }' || return
	for m in $MEASURED; do
		name=${m##*/}
		{ grep -lF "KBUILD_MODNAME='\"${name//-/_}\"'" "$1/${m%/*}"/.*.o.cmd || :; } |
			sed -n '/[.]mod[.]o[.]cmd$/d; s|/[.]\([^/]*\)[.]cmd$|/\1|p' | xargs -r size |
			awk -v n="$name" 'NR > 1 { t += $1 } END { if (t) print "SIZE\t" n "\t" t }' || return
	done
}

# bench_kernel [BASE]
bench_kernel()
{
	local base=${1:+-base} image job
	image=$(VARIANT=plain "$lab/kernel.sh" x86_64 "$@") || { result fail "bench$base: kernel of its own"; return 0; }
	for job in bench unbind; do
		try "$job$base" env KERNEL="$image" NAME="$job$base" "$lab/run.sh" x86_64 "$job" || :
	done
	sizes "${image%/arch/*}" >"$LOGS/bench$base/sizes" || result fail "bench$base: sizes"
}

# The gate beside other mechanisms: instructions on one CPU, and ratios with two,
# where they meet.  The kernel is bench's with one more module, and in its place.
bench_refscale()
{
	local image name
	image=$(VARIANT=plain CONFIG=$lab/config/refscale.config "$lab/kernel.sh" x86_64) ||
		{ result fail "refscale: kernel of its own"; return 0; }
	try "refscale-icount" env ICOUNT=1 KERNEL="$image" NAME=refscale-icount "$lab/run.sh" x86_64 refscale 1 3 3 1 || :
	try "refscale" env KERNEL="$image" NAME=refscale "$lab/run.sh" x86_64 refscale 5 15 10 1 2 || :
	for name in refscale-icount refscale; do
		ktap "$LOGS/$name/job" | results "$name:"
		try "$name: complete" planned "$LOGS/$name/job" || :
	done
}

# /dev/null's cdev has not
opted_out()
{
	grep -h '^BENCH	null' "$LOGS/bench-base/job" "$LOGS/bench/job" | cut -f2,3 | sort | uniq -c |
		awk '$1 != 2 { bad = 1; print "# " $0 } END { exit bad || NR != 2 }'
}

# platform_guest DRIVER NAME [-b] JOB [ARGUMENT...]: its log is NAME[-base]-DRIVER;
# whether it went well is for platform_verdict
platform_guest()
{
	local d=$1 name=$2 b=
	shift 2
	[ "$1" != -b ] || { b=-base; shift; }
	name=$name$b-$d
	rm -rf "${LOGS:?}/$name"
	DEVICES=$d NAME=$name "$lab/run.sh" ${b:+-b} arm64 "$@" >"$LOGS/$name.out" 2>&1 || :
}

# platform_verdict LOG: one line.  In the end its first word counts: clean,
# reports (of the test or the kernel), or lost (hung, or died).
platform_verdict()
{
	local failed=0 kinds
	kinds=$(grep -oE 'KASAN: [a-z-]+( in [a-z0-9_]+)?|WARNING: at [a-z0-9_]+|ODEBUG: [a-z ]+|INFO: task|Oops|kmemleak|LAB: tasks in D state|nobody cared' "$1/oracle" 2>/dev/null | sort | uniq -c |
		sort -rn | awk '{ n = $1; $1 = "" } NR <= 3 { printf "%s%s%s", s, $0, (n > 1 ? " (" n ")" : ""); s = "," }
			END { if (NR > 3) print ", and " NR - 3 " more" }') || :
	failed=$(grep -c '^not ok' "$1/job" 2>/dev/null || :)
	if ! grep -q 'LAB: end' "$1/console" 2>/dev/null; then
		echo "lost:${kinds:- no report}"
	elif [ -n "$kinds" ] || [ "$failed" -gt 0 ] || ! planned "$1/job"; then
		echo "reports: $failed of $(grep -cE '^(not )?ok' "$1/job") failed${kinds:+,}$kinds"
	else
		echo "clean: $(grep '^ok' "$1/job" | grep -vc '# SKIP') passed"
	fi
}

# The simplest case on both kernels, for every driver.  A converted one must be
# clean here and not there.  Of the others the verdicts are shown and counted, but
# not judged: what happens once freed memory is used is chance, on either kernel.
platform_sweep()	# DRIVER...
{
	local d a b
	for d; do
		both "platform_guest $d removal -b removal $(platform_device "$d")" \
			"platform_guest $d removal removal $(platform_device "$d")"
		a=$(platform_verdict "$LOGS/removal-base-$d")
		b=$(platform_verdict "$LOGS/removal-$d")
		printf '# %-24s unpatched %s\n# %-24s patched   %s\n' "$d" "$a" "" "$b"
		echo "${a%%:*}, patched ${b%%:*}" >>"$RESULTS.verdicts"
		case $(platform_row "$d") in
		*"|converted")
			try "platform: $d: held, unbound, closed: the unpatched kernel fails" [ "${a%%:*}" != clean ] || :
			try "platform: $d: held, unbound, closed" [ "${b%%:*}" = clean ] || :
			;;
		esac
	done
}

# All that is tested of a driver, on the patched kernel
platform_driver()	# DRIVER CYCLES
{
	local d=$1 v dev r=$1 rdev other n
	dev=$(platform_device "$d")
	# where it has something to stream from
	! (platform_row "$d-sensor") >/dev/null 2>&1 || r=$d-sensor
	rdev=$(platform_device "$r")
	platform_guest "$d" matrix matrix -d "$dev"
	v=$(platform_verdict "$LOGS/matrix-$d")
	grep -A1 '^not ok' "$LOGS/matrix-$d/job" | head -n 20 || :
	grep 'woke the last call' "$LOGS/matrix-$d/job" || :
	try "platform: $d: matrix: $v" [ "${v%%:*}" = clean ] || :
	try "platform: $d: matrix: its clocks and runtime PM were watched" \
		watched "$LOGS/matrix-$d/job" || :
	n=$(grep -c '^ok [^#]*\.device-removal[^#]*$' "$LOGS/matrix-$d/job" || :)
	platform_guest "$d" device -b matrix -d "$dev" -s device-removal -t open
	v=$(platform_verdict "$LOGS/device-base-$d")
	try "platform: $d: device removed: the unpatched kernel fails: $v" [ "${v%%:*}" != clean ] || :
	try "platform: $d: device removed: $n cells of the matrix passed" [ "$n" -gt 0 ] || :
	if grep -q "^${dev%/*} when" "$lab/platform/models.tbl"; then
		platform_guest "$r" frames frames "$rdev" 2
		v=$(platform_verdict "$LOGS/frames-$r")
		grep -A9 '^not ok' "$LOGS/frames-$r/job" | sed 's/^/# /' || :
		try "platform: $d: real frames, in all modes: $v" [ "${v%%:*}" = clean ] || :
	fi
	try "platform: $d: $2 cycles under load and interrupts" env DEVICES="$r" NAME="storm-$d" TIMEOUT=$((400 + 20 * $2)) \
		"$lab/run.sh" arm64 storm "$rdev" "$2" || :
	sed -n 's/^RESULT\t\([^\t]*\)\t[a-z]*\t\(.*\)/# \1: \2/p; s/^.* unbinds: min /# &/p; /^# frames\|^# model/p' "$LOGS/storm-$d/job"
	# not unbind: the driver core warns if there is no memory for the names
	# of a device link
	platform_guest "$d" faults faults -d "$dev" -e 20 -o bind,open-video,open-subdev,open-media,request,streamon
	v=$(platform_verdict "$LOGS/faults-$d")
	grep -E '^(not )?ok' "$LOGS/faults-$d/job" | sed 's/^/# /' || :
	try "platform: $d: fault injection: $v" [ "${v%%:*}" = clean ] || :
	if [ "$r" != "$d" ]; then
		platform_guest "$r" sensor sensor "$rdev" 4
		v=$(platform_verdict "$LOGS/sensor-$r")
		grep '^not ok' "$LOGS/sensor-$r/job" | sed 's/^/# /' || :
		try "platform: $d: the sensor goes, or the receiver: $v" [ "${v%%:*}" = clean ] || :
		other=$(platform_other "$r")
		if [ -n "$other" ]; then
			platform_guest "$r" two two "$rdev" 4 "$other"
			v=$(platform_verdict "$LOGS/two-$r")
			grep '^not ok' "$LOGS/two-$r/job" | sed 's/^/# /' || :
			try "platform: $d: one of two devices goes: $v" [ "${v%%:*}" = clean ] || :
		fi
	fi
	both "platform_guest $d compliance -b compliance $dev" "platform_guest $d compliance compliance $dev"
	platform_compliance "$d" "$d"
	[ "$r" = "$d" ] || { platform_guest "$r" compliance compliance "$rdev"; platform_compliance "$d" "$r"; }
}

# platform_compliance DRIVER ROW: that of the driver, or with a sensor, which the
# unpatched kernel does not have
platform_compliance()
{
	local base=$LOGS/compliance-base-$1 log=$LOGS/compliance-$2 what="platform: $2: v4l2-compliance"
	try "$what: complete" planned "$log/job" || :
	try "$what: no complaint of the kernel that the unpatched one does not make" \
		no_new_complaints "$base/oracle" "$log/oracle" || :
	try "$what: $(grep -c ': OK' "$log/job") tests pass, none fails that does not on the unpatched kernel" \
		no_new_failures "$base/job" "$log/job" || :
}

watched() { [ -s "$1" ] && ! grep -q 'not watched' "$1"; }	# JOB

# aspeed-video makes one: it has no memory of its own here, and asks the page
# allocator for more than that ever has in one piece
no_new_complaints()	# BASE PATCHED
{
	local f
	for f in "$1" "$2"; do
		sed -E 's/^\[ *[0-9.]+\] //; s/, CPU#.*//' "$f" | sort -u >"$f.kinds" || return 1
	done
	comm -13 "$1.kinds" "$2.kinds" | awk '{ print "# " $0 } END { exit NR > 0 }'
}

no_new_failures()	# BASE PATCHED
{
	local f
	grep -q ': OK' "$2" || return 1
	for f in "$1" "$2"; do
		sed -n '/^===/h; /: FAIL/ { G; s/\n/ /p }' "$f" | sort -u >"$f.failures"
	done
	comm -13 "$1.failures" "$2.failures" | awk '{ print "# " $0 } END { exit NR > 0 }'
}

do_platform()	# all|DRIVER... CYCLES
{
	local d
	step "platform drivers, arm64: $1"
	try "platform: kernel" kernel arm64 || return 0
	try "platform: base kernel" kernel arm64 BASE || return 0
	try "platform: programs" "$lab/guest.sh" programs arm64 || return 0
	if [ "$1" = all ]; then
		# shellcheck disable=SC2046
		platform_sweep $(platform_drivers)
		sort "$RESULTS.verdicts" | uniq -c | sed 's/^ */# drivers: /; s/\([0-9]\) /\1 unpatched /'
		return
	fi
	for d in $1; do
		platform_sweep "$d"
		platform_driver "$d" "$2"
	done
}

# Kernels without debug options, which differ by the series alone
do_bench()
{
	step "bench: instructions for each call"
	try "bench: programs" "$lab/guest.sh" programs x86_64 || return 0
	bench_kernel BASE
	bench_kernel
	try "bench: not one instruction more where nobody has opted in" opted_out || :
	bench_refscale
	"$lab/report.py" bench
}

do_lint()
{
	step "lint"
	"$lab/lint.sh" "$@" >"$LOGS/lint" || :
	results "lint:" <"$LOGS/lint"
}

do_coccicheck()
{
	step "semantic patches"
	"$lab/coccicheck.sh" >"$LOGS/coccicheck" || echo "fail	it ran" >>"$LOGS/coccicheck"
	results "coccicheck:" <"$LOGS/coccicheck"
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

# state: a word for what the repository and build/tree are
state()
{
	"$lab/tree.sh" ensure >/dev/null || return
	{
		(cd "$ROOT" && git ls-files -z -co --exclude-standard | xargs -0 sha256sum 2>/dev/null) || :
		git -C "$TREE" rev-parse HEAD base
		git -C "$TREE" diff HEAD
	} | sha256sum | cut -c1-12
}

# once COMMAND...: a step of what takes hours.  If that is interrupted and started
# again, what has passed is not done again, unless something has changed since.
once()
{
	local kept="$STEPS/$*" before
	if [ -e "$kept" ]; then
		step "$*: has passed already"
		cat "$kept" >>"$RESULTS"
		return
	fi
	before=$(wc -l <"$RESULTS")
	"$@"
	tail -n "+$((before + 1))" "$RESULTS" >"$RESULTS.step"
	if [ -s "$RESULTS.step" ] && ! grep -q '^fail' "$RESULTS.step"; then
		mkdir -p "$STEPS"
		mv "$RESULTS.step" "$kept"
	fi
}

# All but stress, whose length is the caller's, and lint, which takes longest and
# says least of what the kernel does
do_all()
{
	once do_kunit uml
	try "kernel: uml, base" kernel uml BASE || :
	once both "do_selftest uml" "do_baseline uml"
	once do_matrix
	try "kernel: x86_64" kernel x86_64 || :
	once both "do_kunit x86_64" do_compliance_x86_64
	once do_compat
	once both "do_torture uml 60" "do_torture x86_64 60"
	once do_races
	once both do_compliance_uml "do_sequences uml"
	once both "do_faults -e 20" do_reprobe
	once do_coccicheck
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
# of the programs: "" is that of the kernel
case $FLAVOUR-$BITS in
*-64)	ABI= ;;
x86_64-32|x86_64-32t64)	ABI=-$BITS ;;
*-32|*-32t64)	die "FLAVOUR=$FLAVOUR runs no 32-bit programs: give FLAVOUR=x86_64" ;;
*)	die "BITS=$BITS is unknown; there is: 64 32 32t64" ;;
esac
case $CYCLES in
*[!0-9]*|"") die "CYCLES=$CYCLES is not a number" ;;
esac
case $MINUTES in
*[!0-9]*|"") die "MINUTES=$MINUTES is not a number" ;;
esac

case ${1:-} in
kunit|selftest)
	do_"$1" "$FLAVOUR"
	;;
baseline)
	do_baseline "$FLAVOUR"
	;;
compliance)
	both do_compliance_x86_64 do_compliance_uml
	;;
sequences)
	do_sequences "$FLAVOUR"
	;;
stress)
	do_stress "$FLAVOUR" "$CYCLES"
	;;
endurance|times)
	do_"$1" "$CYCLES"
	;;
bench)
	do_bench
	;;
report)
	exec "$lab/report.py" open
	;;
matrix|reprobe)
	do_"$1"
	;;
platform)
	for d in $DRIVER; do
		[ "$d" = all ] || platform_row "$d" >/dev/null
	done
	do_platform "$DRIVER" "$CYCLES"
	;;
torture)
	# shellcheck disable=SC2086
	do_torture "$FLAVOUR" $((60 * MINUTES)) $TYPE
	;;
faults)
	do_faults -e 20
	;;
lint)
	do_lint
	;;
coccicheck)
	do_coccicheck
	;;
check)
	do_lint quick
	do_kunit uml
	do_selftest uml -v vid_cap
	;;
test)
	# In UML, which has one CPU, and what takes two.  Whatever else there is,
	# test-all does.
	start=$(ms)
	ABI=
	do_lint quick
	do_kunit uml
	FLAVOUR=uml
	both "do_selftest uml" do_matrix_quick
	do_torture uml 10
	do_kunit x86_64
	step "$((($(ms) - start) / 60000)) minutes"
	;;
test-all|proof)
	start=$(ms)
	ABI=
	FLAVOUR=uml
	STEPS=$BUILD/results/steps/$(state)
	do_all
	if [ "$1" = proof ]; then
		once do_bench
		once both "do_stress uml $((CYCLES / 10))" "do_endurance $CYCLES"
		once do_times $((CYCLES / 10))
	else
		once do_stress uml 20
	fi
	once do_lint
	step "$((($(ms) - start) / 60000)) minutes"
	rm -rf "$BUILD/results/steps"
	mkdir -p "$BUILD/results"
	cp "$RESULTS" "$BUILD/results/checks"
	"$lab/report.py"
	;;
shell)
	"$lab/kernel.sh" "$FLAVOUR" ${2:+BASE} >/dev/null
	"$lab/guest.sh" programs "$FLAVOUR"
	exec "$lab/run.sh" ${2:+-b} "$FLAVOUR" shell
	;;
demo)
	exec "$lab/demo/run.sh"
	;;
*)
	die "usage: test.sh kunit|selftest|baseline|matrix|faults|reprobe|compliance|sequences|stress|endurance|times|torture|bench|lint|coccicheck|platform|check|test|test-all|proof|report|shell|demo"
	;;
esac
summary
