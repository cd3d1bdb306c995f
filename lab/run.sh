#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# run.sh [-b] FLAVOUR JOB [ARG...]: boot a kernel, run a job in it, and fail if
# the job fails, if the kernel complains, or if the guest does not end in time.
#
# JOB is a script, lab/jobs/JOB.sh or a path with a slash, run by busybox sh in
# the guest; "shell" is an interactive shell.  Lines at its top say what it needs:
#
#	# cmdline: ...		for the kernel's command line
#	# timeout: SECONDS	for the whole guest, boot included (UML; QEMU has 4 times that)
#	# memory: MIB		2048 otherwise
#	# modules: NAME...	what to load first; all test drivers otherwise, "none" for none
#	# kmemleak: yes		look for leaks when the job is done
#	# icount: yes		QEMU counts instructions, and the TSC shows them; one CPU
#	# allow: REGEX		what the kernel is made to say here
#
#	-b		the base instead of the series
#	KERNEL=FILE	this image instead of the one of build/tree
#	TIMEOUT=SECONDS	instead of the script's
#	APPEND=...	more for the command line
#	ICOUNT=1	as "icount: yes"
#	EXTRA="FILE..."	more programs for /lab/bin
#	EXPECT=REGEX	a control: the kernel must complain, and like that: all that the
#			oracle finds, in one line
#	NAME=...	name of the log directory, build/logs/NAME
#	DEVICES=DRIVER	arm64: with the devices of that driver of platform/drivers.tbl,
#			and all modules that these ask for
#	ACCEL=kvm	for QEMU; default is tcg, and nothing is probed
#	VERBOSE=1	show the console

. "$(dirname "$0")/lib.sh"

base=
[ "${1:-}" != -b ] || { base=-base; shift; }
flavour=${1:-} job=${2:-}
[ $# -ge 2 ] || die "usage: run.sh [-b] FLAVOUR JOB [ARG...]"
shift 2
case " $FLAVOURS " in
*" $flavour "*) ;;
*) die "FLAVOUR=$flavour is unknown; there is: $FLAVOURS" ;;
esac
script=/dev/null
case $job in
shell)	;;
*/*)	script=$job ;;
*)	script=$ROOT/lab/jobs/$job.sh ;;
esac
[ -e "$script" ] || die "no job $script"
need cpio timeout
case $flavour in
x86_64)	need qemu-system-x86_64 ;;
arm64)	need qemu-system-aarch64 ;;
esac
[ -z "${DEVICES:-}" ] || [ "$flavour" = arm64 ] || die "DEVICES= is for arm64"

header() { sed -n "s/^# $1: //p" "$script"; }

src=$TREE
[ -z "$base" ] || src=$BASETREE
case $flavour in
uml)	kernel=${KERNEL:-$src/b-uml/linux} scale=1 ;;
x86_64)	kernel=${KERNEL:-$src/b-x86_64/arch/x86/boot/bzImage} scale=4 ;;
arm64)	kernel=${KERNEL:-$src/b-arm64/arch/arm64/boot/Image} scale=4 ;;
esac
[ -f "$kernel" ] || die "there is no $kernel: 'make kernel FLAVOUR=$flavour${base:+ BASE=1}' builds it"
obj=${kernel%/linux}
obj=${obj%/arch/*/boot/*Image}
modules=$(header modules)
[ -z "${DEVICES:-}" ] || : "${modules:=vim2m}"	# something to import DMABUFs
: "${modules:=vivid vim2m vicodec vimc visl}"
rootfs=$("$ROOT/lab/guest.sh" rootfs "$flavour")
log=$BUILD/logs/${NAME:-$flavour$base-$(basename "$job" .sh)}
console=$log/console
limit=$((${TIMEOUT:-$(header timeout || :)} + 0))
[ $limit -gt 0 ] || limit=120
limit=$((limit * scale))
mem=$(($(header memory || :) + 0))
[ $mem -gt 0 ] || mem=2048
mkdir -p "$log"

# The guest: Debian's part, and ours behind it
tmpdir "$BUILD"
mkdir -p "$TMP/root/lab/bin"
cp "$ROOT/lab/init" "$TMP/root/init"
chmod +x "$TMP/root/init"
cp "$script" "$TMP/root/lab/job" 2>/dev/null || :
[ $# -eq 0 ] || printf '%q ' "$@" >"$TMP/root/lab/args"
[ "$(header kmemleak)" != yes ] || touch "$TMP/root/lab/kmemleak"
[ "$job" != shell ] || touch "$TMP/root/lab/shell"
# not /lib, which is a link in Debian's part; the guest makes the index
if [ "$modules" != none ] && [ -f "$obj/modules.order" ]; then
	dir=$TMP/root/usr/lib/modules/$(cat "$obj/include/config/kernel.release")
	mkdir -p "$dir"
	cp "$obj"/modules.{order,builtin,builtin.modinfo} "$dir/"
	sed "s|^|$obj/|; s|o$|ko|" "$obj/modules.order" | xargs cp -t "$dir"
	echo "$modules" >"$TMP/root/lab/modules"
fi
machine=()
if [ -n "${DEVICES:-}" ]; then
	platform_row "$DEVICES" >"$TMP/root/lab/platform"
	machine=(-dtb "$("$ROOT/lab/guest.sh" dtb "$DEVICES" "$mem")")
	IFS='|' read -r _ driver _ words _ <"$TMP/root/lab/platform"
	grep "^$driver " "$ROOT/lab/platform/models.tbl" >"$TMP/root/lab/model" || :
	cp "$ROOT/lab/platform/streams.sh" "$TMP/root/lab/"
	for f in $words; do
		machine+=(-device "loader,addr=${f%=*},data=${f#*=},data-len=4")
	done
fi
for f in "$(programs_dir "$flavour")"/* ${EXTRA:-}; do
	[ ! -f "$f" ] || cp "$f" "$TMP/root/lab/bin/"
done
{
	cat "$rootfs"
	(cd "$TMP/root" && find . | cpio -o -H newc -R 0:0 --quiet | gzip -1)
} >"$TMP/initrd" || die "could not pack the guest: is the disk full?"

append="rdinit=/init printk.time=1 loglevel=7 printk.devkmsg=on log_buf_len=4M panic=-1 kunit.enable=0"
append+=" $(header cmdline) ${APPEND:-}"
case $flavour in
uml)
	cmd=("$kernel" "mem=${mem}M" seccomp=on "uml_dir=$TMP" "initrd=$TMP/initrd" con=none "con0=fd:0,fd:1")
	read -ra words <<<"$append"
	cmd+=("${words[@]}")
	;;
x86_64)
	if [ "$(header icount)" = yes ] || [ -n "${ICOUNT:-}" ]; then
		machine=(-accel 'tcg,thread=single' -icount 'shift=0,sleep=off' -cpu max -smp 1)
	elif [ "${ACCEL:-tcg}" = tcg ]; then
		machine=(-accel 'tcg,thread=multi' -cpu max -smp 2)
	else
		machine=(-accel "$ACCEL" -cpu host -smp 2)
	fi
	# Four levels of page tables: identify_cpu() clears the CPU's capabilities
	# while interrupts are on, X86_FEATURE_LA57 with them, and to KASAN every
	# address is a wild one in an interrupt that comes then.  2 boots in 20.
	append+=" no5lvl"
	cmd=(qemu-system-x86_64 "${machine[@]}" -m "${mem}M" -no-reboot
		-display none -nodefaults -serial stdio -kernel "$kernel"
		-initrd "$TMP/initrd" -append "console=ttyS0 $append")
	;;
arm64)
	read -ra words <<<"$(arm64_machine "$mem")"
	cmd=(qemu-system-aarch64 -accel 'tcg,thread=multi' "${words[@]}" "${machine[@]}" -no-reboot
		-display none -nodefaults -serial stdio -kernel "$kernel"
		-initrd "$TMP/initrd" -append "console=ttyAMA0 $append")
	;;
esac

if [ "$job" = shell ]; then
	# no limit: the user ends it
	"${cmd[@]}" || :
	exit 0
fi

start=$(ms)
# If we are killed, so is the guest: by KILL, UML listens to nothing less, and by
# its own id, UML leaves the process group of timeout.
# shellcheck disable=SC2317
reap()
{
	[ -n "${guest:-}" ] || return
	pkill -KILL -P "$guest" || :
	kill -KILL "$guest" 2>/dev/null || :
}
trap 'reap; cleanup' EXIT
: >"$console"
timeout -s KILL $limit "${cmd[@]}" </dev/null >"$console" 2>&1 &
guest=$!
[ -z "${VERBOSE:-}" ] || tail -f --pid=$guest "$console" >&2 &
# UML may wait for a process that it has killed itself, after its last word
off=0
while kill -0 $guest 2>/dev/null; do
	sleep 0.2
	! tail -n 2 "$console" | grep -q 'reboot: Power down' || off=$((off + 1))
	if [ $off -eq 150 ]; then
		say "$flavour$base $job: the guest is off, but did not end: killed"
		reap
	fi
done
wait $guest 2>/dev/null || :
guest=
sed -i 's/\r//g' "$console"
seconds=$((($(ms) - start) / 1000))
sed -nE 's/^(\[ *[0-9.]+\] )?lab\| //p' "$console" >"$log/job"
git -C "$ROOT" describe --always --dirty >"$log/commit" || :

bad=0
if ! grep -q 'LAB: end' "$console"; then
	bad=1
	if [ $seconds -ge $limit ]; then
		say "$flavour$base $job: the guest hung, killed after $limit s; the last lines of ${console#"$ROOT"/}:"
	else
		say "$flavour$base $job: the guest ended too early; the last lines of ${console#"$ROOT"/}:"
	fi
	tail -n 5 "$console" | sed 's/^/| /' >&2
fi
if ! "$ROOT/lab/oracle.sh" "$console" "$(header allow)" >"$log/oracle" && [ -z "${EXPECT:-}" ]; then
	bad=1
	say "$flavour$base $job: the kernel complained, see ${console#"$ROOT"/}:"
	head -n 20 "$log/oracle" | sed 's/^/| /' >&2
fi
if [ -n "${EXPECT:-}" ] && ! tr '\n' ' ' <"$log/oracle" | grep -qE "$EXPECT"; then
	bad=1
	say "$flavour$base $job: the kernel did not complain, or not like '$EXPECT'"
fi
result=$(sed -nE 's/.*LAB: exit ([0-9]+).*/\1/p' "$console" | head -n 1)
if [ "${result:-1}" != 0 ]; then
	bad=1
	[ -z "$result" ] || say "$flavour$base $job: the job failed ($result), see ${log#"$ROOT"/}/job"
fi
[ $bad -ne 0 ] || say "$flavour$base $job: ok, $seconds s"
exit $bad
