#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# kernel.sh FLAVOUR [BASE]: configure and build a kernel and its modules: the
# series in build/tree, or the base alone in build/base.  Prints the image.
#
#	VARIANT=NAME	with lab/config/NAME.config on top, in a directory of
#			its own; that begins as a copy of the flavour's, so that
#			only what the options change is built again
#
# The objects are in b-FLAVOUR, a direct child of the tree: the kernel then
# calls its source "..", and ccache's entries serve every clone.

. "$(dirname "$0")/lib.sh"

flavour=${1:-}
base=${2:-}
cross=
case $flavour in
uml)	arch=um target=linux image=linux objects=1290 ;;
x86_64)	arch=x86_64 target=bzImage image=arch/x86/boot/bzImage objects=1850 ;;
arm64)	arch=arm64 target=Image image=arch/arm64/boot/Image objects=1250 cross=aarch64-linux-gnu- ;;
*)	die "FLAVOUR=$flavour is unknown; there is: $FLAVOURS" ;;
esac

need make "${cross}gcc" ccache flex bison bc flock
if [ -n "$base" ]; then
	"$ROOT/lab/tree.sh" base
	src=$BASETREE
else
	"$ROOT/lab/tree.sh" ensure
	src=$TREE
fi
variant=${VARIANT:+-$VARIANT}
[ -z "$variant" ] || [ -e "$ROOT/lab/config/$VARIANT.config" ] || die "VARIANT=$VARIANT is unknown"
obj=$src/b-$flavour$variant
name=$flavour${base:+-base}$variant
log=$BUILD/logs/kernel-$name.log
room "$BUILD" 2000
mkdir -p "$obj" "$BUILD/logs"
lock "$obj/lab.lock" "build of $name"

if [ -n "$variant" ] && [ ! -e "$obj/.config" ] && [ -e "$src/b-$flavour/vmlinux" ]; then
	room "$BUILD" 4000
	cp -a --reflink=auto "$src/b-$flavour/." "$obj" || die "could not copy $src/b-$flavour"
fi

export CCACHE_DIR=$CACHE/ccache CCACHE_NOHASHDIR=1 CCACHE_MAXSIZE=10G
export KBUILD_BUILD_TIMESTAMP='Thu Jan 1 00:00:00 UTC 1970'
export KBUILD_BUILD_USER=lab KBUILD_BUILD_HOST=lab KBUILD_BUILD_VERSION=1
mk() { make -C "$src" ARCH="$arch" O="${obj##*/}" CROSS_COMPILE="$cross" CC="ccache ${cross}gcc" HOSTCC="ccache gcc" "$@"; }

# Configuration: the fragments on allnoconfig.  A new .config replaces the old
# one only if it differs, so that nothing is built again for nothing.
fragments=("$ROOT/lab/config/common.config")
# what the series adds; the base does not know these
[ -n "$base" ] || fragments+=("$ROOT/lab/config/series.config")
fragments+=("$ROOT/lab/config/$flavour.config")
[ -z "$variant" ] || fragments+=("$ROOT/lab/config/$VARIANT.config")
[ -z "${CONFIG:-}" ] || fragments+=("$CONFIG")
cat "${fragments[@]}" >"$obj/lab.fragment"
KCONFIG_CONFIG=lab.config KCONFIG_ALLCONFIG=$obj/lab.fragment mk -s allnoconfig >"$log" 2>&1 || {
	tail -n 20 "$log" >&2
	die "the kernel's configuration failed, see $log"
}
missing=
while IFS='=' read -r symbol value; do
	case $symbol in
	CONFIG_*) ;;
	*) continue ;;
	esac
	if [ "$value" = n ]; then
		! grep -q "^$symbol=" "$obj/lab.config" || missing+=" $symbol=n"
	else
		grep -qxF "$symbol=$value" "$obj/lab.config" || missing+=" $symbol=$value"
	fi
done < <(awk -F= '/^CONFIG_/ { v[$1] = $2 } END { for (s in v) print s "=" v[s] }' "$obj/lab.fragment")
[ -z "$missing" ] || die "the configuration of $name lost:$missing (unmet dependency, or no such symbol)"
cmp -s "$obj/lab.config" "$obj/.config" || mv "$obj/lab.config" "$obj/.config"

# Build.  Progress is the count of objects in the log; how many there will be
# is known of a full build only.
[ ! -e "$obj/vmlinux" ] || objects=
start=$(ms)
progress()
{
	local done=0 last=0 left now
	while sleep 2; do
		now=$((($(ms) - start) / 1000))
		done=$(grep -cE '^  (CC|AS|LD|AR|HOSTCC|HOSTLD) ' "$log" || :)
		left=
		[ -z "$objects" ] || [ "$done" -lt 20 ] || [ "$done" -ge "$objects" ] ||
			left=", about $(((objects - done) * now / done)) s to go"
		if [ -t 2 ]; then
			printf '\r%s: %d%s objects, %d s%s   ' "$name" "$done" "${objects:+/$objects}" "$now" "$left" >&2
		elif [ $((now - last)) -ge 60 ]; then
			last=$now
			say "$name: $done${objects:+/$objects} objects, $now s$left"
		fi
	done
}
step "building $name (log: ${log#"$ROOT"/})"
progress & progress=$!
status=0
mk -j"${JOBS:-$(nproc)}" "$target" modules >>"$log" 2>&1 || status=$?
kill $progress 2>/dev/null
wait $progress 2>/dev/null || :
[ ! -t 2 ] || printf '\r\033[K' >&2
if [ $status -ne 0 ]; then
	grep -nE '(error|Error|undefined reference)' "$log" | head -n 20 >&2
	df -Pm "$obj" | awk 'NR == 2 && $4 < 50 { exit 1 }' || die "building $name failed: the disk is full"
	die "building $name failed, see $log"
fi
say "$name: $(grep -cE '^  (CC|AS|LD|AR|HOSTCC|HOSTLD) ' "$log" || :) objects in $((($(ms) - start) / 1000)) s"
echo "$obj/$image"
