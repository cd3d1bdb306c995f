#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# setup.sh: install the Debian packages that the lab uses, where that is
# allowed; else print the one command that does it.

. "$(dirname "$0")/lib.sh"

PACKAGES=(
	git xz-utils debian-archive-keyring ca-certificates procps	# the base
	gcc libc6-dev make flex bison bc perl python3 libelf-dev ccache	# kernels
	mmdebstrap cpio qemu-system-x86					# guests
	gcc-aarch64-linux-gnu libc6-dev-arm64-cross qemu-system-arm device-tree-compiler	# arm64
	shellcheck sparse python3-ply python3-git coccinelle python3-sphinx	# lint
)

command -v apt-get >/dev/null && command -v dpkg-query >/dev/null ||
	die "this host has no apt: the lab needs a Debian machine (or a container of one)"
case $(uname -m) in
x86_64)	;;
*)	die "this host is $(uname -m): the lab is made for x86_64" ;;
esac

# For 32-bit programs.  Not gcc-multilib where it can be avoided: that conflicts
# with every cross compiler.
v=$(apt-cache depends gcc | sed -nE 's/^ *Depends: (gcc-[0-9]+)$/\1/p')
PACKAGES+=("${v:-gcc}-multilib")

missing=()
for p in "${PACKAGES[@]}"; do
	case $(dpkg-query -W -f '${Status}' "$p" 2>/dev/null || :) in
	*" installed") ;;
	*) missing+=("$p") ;;
	esac
done
[ ${#missing[@]} -gt 0 ] || exit 0

say "missing packages: ${missing[*]}"
if [ "$(id -u)" -eq 0 ]; then
	sudo=
elif command -v sudo >/dev/null && sudo -n true 2>/dev/null; then
	sudo=sudo
else
	die "may not install them; as root: apt-get install --no-install-recommends ${missing[*]}"
fi
mkdir -p "$BUILD/logs"
log=$BUILD/logs/setup.log
# an index that fails need not be the one we need
$sudo apt-get -q update >"$log" 2>&1 || :
$sudo env DEBIAN_FRONTEND=noninteractive apt-get -qy install --no-install-recommends \
	"${missing[@]}" >>"$log" 2>&1 || {
	tail -n 5 "$log" | sed 's/^/| /' >&2
	die "apt-get could not install ${missing[*]}, see $log: check the network"
}
