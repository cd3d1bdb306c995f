#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# guest.sh: what the guests run on.
#
#	rootfs		print the cpio archive of Debian packages that every guest
#			starts from; made once, kept in the cache
#	programs	build our own programs for it, static, into build/bin; the
#			tests also as 32-bit programs, NAME-32 and NAME-32t64

. "$(dirname "$0")/lib.sh"

SUITE=forky			# v4l-utils older than 1.32 fail on 7.3 by themselves
PACKAGES=v4l-utils,busybox-static,kmod
V4L_UTILS=1.32

do_rootfs()
{
	local key out mirror keyring v
	# a change to this script up to the end of this function makes a new one
	key=$(sed '/^}/q' "$ROOT/lab/guest.sh" | sha256sum | cut -c1-12)
	out=$CACHE/guest/$(dpkg --print-architecture)-$key.cpio.gz
	lock "$CACHE/guest.lock" "making of the guest"
	[ ! -f "$out" ] || { echo "$out"; return; }
	need mmdebstrap cpio gzip dpkg
	mirror=$(debian_mirror)
	keyring=$(debian_keyring)
	room "$CACHE/guest" 300
	tmpdir "$CACHE/guest"
	step "making the guest's root: $PACKAGES of $SUITE from $mirror"
	# as this machine's apt reaches the archive: proxies, checks of dates
	apt-config dump | grep -E '^Acquire::(http|https|ftp|ForceIPv4|Retries|Check-)' >"$TMP/apt.conf" || :
	# packages are only unpacked, which takes no root
	mmdebstrap --mode="$([ "$(id -u)" -eq 0 ] && echo root || echo chrootless)" --variant=extract --include="$PACKAGES" --keyring="$keyring" \
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
	out=$BUILD/bin/$(basename "$1" .c)$2
	gcc -static -O2 -Wall -Wextra -Wno-unused-parameter -D_GNU_SOURCE -isystem "$hdr/usr/include" \
		-I "$src/tools/testing/selftests" "${@:3}" "$1" -o "$out.new" || die "could not compile $1"
	cmp -s "$out.new" "$out" && rm "$out.new" || mv "$out.new" "$out"
}

do_programs()
{
	local src=$TREE hdr f
	need gcc make
	"$ROOT/lab/tree.sh" ensure
	lock "$BUILD/programs.lock" "build of the programs"
	hdr=$src/b-headers
	mkdir -p "$BUILD/bin" "$BUILD/logs"
	make -s -C "$src" ARCH=x86_64 O=b-headers headers >"$BUILD/logs/headers.log" 2>&1 ||
		die "make headers failed, see $BUILD/logs/headers.log"
	for f in "$src"/tools/testing/selftests/media_tests/v4l2_removal*.c "$ROOT"/lab/demo/*.c "$ROOT"/lab/jobs/*.c; do
		[ -e "$f" ] || continue
		program "$f" ""
		case $f in
		"$src"/*)
			# i386 has two ABIs, by the size of time_t.  The harness
			# of the kselftests casts pointers to long long.
			program "$f" -32 -m32 -Wno-pointer-to-int-cast
			program "$f" -32t64 -m32 -Wno-pointer-to-int-cast -D_TIME_BITS=64 -D_FILE_OFFSET_BITS=64
			;;
		esac
	done
}

case ${1:-} in
rootfs)		do_rootfs ;;
programs)	do_programs ;;
*)		die "usage: guest.sh rootfs|programs" ;;
esac
