#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# guest.sh: what the guests run on.
#
#	rootfs FLAVOUR	print the cpio archive of Debian packages that every guest
#			starts from; made once, kept in the cache
#	programs FLAVOUR  build our own programs for it, static, into build/bin;
#			the tests also as 32-bit programs, NAME-32 and NAME-32t64.
#			For arm64 into build/bin-arm64
#	dtb DRIVER MIB	print the device tree of an arm64 machine with so much memory,
#			where a driver of platform/drivers.tbl finds its devices

. "$(dirname "$0")/lib.sh"

SUITE=forky			# v4l-utils older than 1.32 fail on 7.3 by themselves
PACKAGES=v4l-utils,busybox-static,kmod
V4L_UTILS=1.32

do_rootfs()
{
	local arch key out mirror keyring v
	arch=$(debian_arch "$1")
	# a change to this script up to the end of this function makes a new one
	key=$(sed '/^}/q' "$ROOT/lab/guest.sh" | sha256sum | cut -c1-12)
	out=$CACHE/guest/$arch-$key.cpio.gz
	lock "$CACHE/guest.lock" "making of the guest"
	[ ! -f "$out" ] || { echo "$out"; return; }
	need mmdebstrap cpio gzip dpkg
	mirror=$(debian_mirror)
	keyring=$(debian_keyring)
	room "$CACHE/guest" 300
	tmpdir "$CACHE/guest"
	step "making the guest's root, $arch: $PACKAGES of $SUITE from $mirror"
	# as this machine's apt reaches the archive: proxies, checks of dates
	apt-config dump | grep -E '^Acquire::(http|https|ftp|ForceIPv4|Retries|Check-)' >"$TMP/apt.conf" || :
	# packages are only unpacked, which takes no root
	mmdebstrap --mode="$([ "$(id -u)" -eq 0 ] && echo root || echo chrootless)" --variant=extract --architectures="$arch" --include="$PACKAGES" --keyring="$keyring" \
		--aptopt="$TMP/apt.conf" "$SUITE" "$TMP/root.tar" "$mirror" >"$TMP/log" 2>&1 || {
		mkdir -p "$BUILD/logs"
		cp "$TMP/log" "$BUILD/logs/guest.log"
		die "mmdebstrap could not get $PACKAGES of $SUITE from $mirror ($(grep -m 1 -oE 'Could not .*|E: .*' "$TMP/log")), see $BUILD/logs/guest.log: check the network, or give another MIRROR="
	}
	mkdir "$TMP/root"
	tar -xf "$TMP/root.tar" -C "$TMP/root" --exclude=./dev --no-same-owner
	v=$(zcat "$TMP/root/usr/share/doc/v4l-utils/changelog.Debian.gz" | sed -n '1s/.*(\(.*\)).*/\1/p;q')
	dpkg --compare-versions "$v" ge "$V4L_UTILS" || die "v4l-utils of $SUITE is '$v', older than $V4L_UTILS"
	(
		cd "$TMP/root"
		rm -rf var usr/share/{doc,man,locale,lintian,bash-completion,bug} usr/lib/*/gconv
		mkdir -p dev proc sys tmp run root lab
		for d in bin sbin lib lib64; do
			mkdir -p usr/$d
			ln -sfn usr/$d $d
		done
		for t in sh mount umount cat sleep mkdir poweroff ls ps dmesg grep sed awk \
			timeout kill head tail cut tr wc sort uniq seq ln rm cp mv stty \
			setsid cttyhack vi less find readlink basename dirname env true \
			false date id nproc test uname printf sync touch xargs tee expr od \
			pidof killall mktemp chmod mknod; do
			[ -e usr/bin/$t ] || ln -s busybox usr/bin/$t
		done
		echo "$v" >lab/v4l-utils
		find . | sort | cpio -o -H newc -R 0:0 --quiet --reproducible | gzip -1n
	) >"$TMP/out" || die "could not pack the guest's root: is the disk full?"
	mv "$TMP/out" "$out"
	echo "$out"
}

# program FILE SUFFIX OPTION...
program()
{
	local out
	out=$bin/$(basename "$1" .c)$2
	"${cross}gcc" -static -pthread -O2 -Wall -Wextra -Wno-unused-parameter -Wno-missing-field-initializers -Wno-format-truncation \
		-D_GNU_SOURCE -isystem "$hdr/usr/include" -I "$src/tools/testing/selftests" \
		"${@:3}" "$1" -o "$out.new" || die "could not compile $1"
	cmp -s "$out.new" "$out" && rm "$out.new" || mv "$out.new" "$out"
}

do_programs()
{
	local src=$TREE cross='' arch=x86_64 bin hdr f
	bin=$(programs_dir "$1")
	[ "$1" != arm64 ] || { cross=aarch64-linux-gnu- arch=arm64; }
	need "${cross}gcc" make
	"$ROOT/lab/tree.sh" ensure
	lock "$BUILD/programs.lock" "build of the programs"
	hdr=$src/b-headers-$arch
	mkdir -p "$bin" "$BUILD/logs"
	make -s -C "$src" ARCH="$arch" O="${hdr##*/}" headers >"$BUILD/logs/headers.log" 2>&1 ||
		die "make headers failed, see $BUILD/logs/headers.log"
	for f in "$src"/tools/testing/selftests/media_tests/v4l2_removal*.c "$ROOT"/lab/demo/*.c "$ROOT"/lab/jobs/*.c; do
		[ -e "$f" ] || continue
		# counts by the TSC of x86
		[ "$arch:${f##*/}" != arm64:bench.c ] || continue
		program "$f" ""
		case $arch:$f in
		x86_64:"$src"/*)
			# i386 has two ABIs, by the size of time_t.  The harness
			# of the kselftests casts pointers to long long.
			program "$f" -32 -m32 -Wno-pointer-to-int-cast
			program "$f" -32t64 -m32 -Wno-pointer-to-int-cast -D_TIME_BITS=64 -D_FILE_OFFSET_BITS=64
			;;
		esac
	done
}

# The machine's own device tree with platform/fake-soc.dtso on it
do_dtb()
{
	local row nodes n out mib=$2
	row=$(platform_row "$1")
	need dtc fdtoverlay fdtput qemu-system-aarch64
	tmpdir "$BUILD"
	read -ra machine <<<"$(arm64_machine "$mib")"
	qemu-system-aarch64 "${machine[@]/%gic-version=2/gic-version=2,dumpdtb=$TMP/virt.dtb}" >"$TMP/log" 2>&1 || :
	dtc -q -@ -I dts -O dtb -o "$TMP/soc.dtbo" "$ROOT/lab/platform/fake-soc.dtso" >>"$TMP/log" 2>&1 &&
		fdtoverlay -i "$TMP/virt.dtb" -o "$TMP/out.dtb" "$TMP/soc.dtbo" >>"$TMP/log" 2>&1 || {
		tail -n 5 "$TMP/log" >&2
		die "could not make the device tree of the arm64 machine"
	}
	IFS='|' read -r _ _ nodes _ <<<"$row"
	for n in $nodes; do
		fdtput -t s "$TMP/out.dtb" "$n" status okay || die "platform/fake-soc.dtso has no $n"
	done
	out=$BUILD/dtb/$1-$mib.dtb
	mkdir -p "$BUILD/dtb"
	mv "$TMP/out.dtb" "$out"
	echo "$out"
}

case "$#:${1:-}" in
2:rootfs)	do_rootfs "$2" ;;
2:programs)	do_programs "$2" ;;
3:dtb)		do_dtb "$2" "$3" ;;
*)		die "usage: guest.sh rootfs FLAVOUR | programs FLAVOUR | dtb DRIVER MIB" ;;
esac
