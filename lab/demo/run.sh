#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# run.sh: the demo, on the unpatched kernel and on ours, in QEMU, and its table.
# DRIVER= (vivid) and CYCLES= (20) from the environment.

. "$(dirname "$0")/../lib.sh"

driver=${DRIVER:-vivid} cycles=${CYCLES:-20}
case $cycles in
""|0|*[!0-9]*) die "CYCLES=$cycles is not a number of cycles" ;;
esac
"$ROOT/lab/guest.sh" programs x86_64
known=$("$BUILD/bin/demo" -l | tr '\n' ' ')
case " $known" in
*" $driver "*) ;;
*) die "DRIVER=$driver is unknown; there is: $known" ;;
esac
"$ROOT/lab/kernel.sh" x86_64 BASE >/dev/null
"$ROOT/lab/kernel.sh" x86_64 >/dev/null

# guest NAME TITLE [-b]: both run to their end, whatever they find: the table
# below is the judge
guest()
{
	local name=$1 title=$2
	shift 2
	rm -rf "$BUILD/logs/$name"
	step "$title"
	NAME=$name "$ROOT/lab/run.sh" "$@" x86_64 "$ROOT/lab/demo/demo.sh" "$driver" "$cycles" || :
	[ -f "$BUILD/logs/$name/job" ] || die "the guest did not run"
	grep -av '^RESULT' "$BUILD/logs/$name/job" || :
}

guest demo-base "the unpatched kernel" -b
guest demo "the patched kernel"
step "$driver"
"$ROOT/lab/demo/table.sh" "$BUILD/logs/demo-base" "$BUILD/logs/demo"
