# shellcheck shell=bash disable=SC2034
# SPDX-License-Identifier: GPL-2.0
# Sourced by every script of the lab: paths, messages, locks.

set -euo pipefail
export LC_ALL=C

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
BUILD=$ROOT/build				# everything made here, but the caches
CACHE=${XDG_CACHE_HOME:-$HOME/.cache}/v4l2-safe-removal	# shared by clones
TREE=$BUILD/tree				# base + series, one commit per patch
BASETREE=$BUILD/base				# the base alone
FLAVOURS="uml x86_64 arm64"

# What a flavour's guests are made of
debian_arch() { [ "$1" = arm64 ] && echo arm64 || dpkg --print-architecture; }
programs_dir() { [ "$1" = arm64 ] && echo "$BUILD/bin-arm64" || echo "$BUILD/bin"; }

# arm64_machine MIB: QEMU's options.  What no device of virt-2.10 answers reads as
# zero, which some drivers need; QEMU 10.1 and later do without them.
arm64_machine()
{
	local m=virt
	! qemu-system-aarch64 -M help | grep -q '^virt-2\.10 ' || m=virt-2.10
	echo "-M $m,gic-version=2 -cpu cortex-a57 -smp 2 -m ${1}M"
}

# platform_row DRIVER: its line of platform/drivers.tbl
platform_row()
{
	awk -F'|' -v d="$1" '!/^#/ && $1 == d { print; found = 1 } END { exit !found }' "$ROOT/lab/platform/drivers.tbl" ||
		die "DRIVER=$1 is unknown; there is: $(platform_drivers | tr '\n' ' ')"
}

# platform_device DRIVER: NAME/DEVICE, as the tests want it
platform_device()
{
	local row driver nodes
	row=$(platform_row "$1")
	IFS='|' read -r _ driver nodes _ <<<"$row"
	echo "$driver/$(node_device "${nodes%% *}")"
}
# platform_other DRIVER: the device of the third node, after a sensor's; or nothing
platform_other()
{
	local row nodes
	row=$(platform_row "$1")
	IFS='|' read -r _ _ nodes _ <<<"$row"
	read -r _ _ nodes <<<"$nodes"
	[ -z "$nodes" ] || node_device "$nodes"
}
# node_device NODE: what Linux calls the device of a node of a device tree
node_device()
{
	local node=${1##*/}
	[ "$node" = "${node%@*}" ] || node=${node#*@}.${node%@*}
	echo "$node"
}
platform_drivers() { awk -F'|' '!/^#/ && $5 != "sensor" { print $1 }' "$ROOT/lab/platform/drivers.tbl"; }

say()  { printf '%s\n' "$*" >&2; }
step() { printf '== %s\n' "$*" >&2; }
die()  { printf 'error: %s\n' "$*" >&2; exit 1; }

# need TOOL...: a missing tool is one clear line, not a stack of them.
need()
{
	local t
	for t; do
		command -v "$t" >/dev/null || die "$t is missing: 'make setup' installs what the lab uses"
	done
}

# room DIR MIB: refuse to start what would fill the disk.
room()
{
	local free
	mkdir -p "$1" || die "cannot create $1"
	free=$(df -Pm "$1" | awk 'NR == 2 { print $4 }')
	[ "$free" -ge "$2" ] || die "$1 has $free MiB free, this needs $2: make room, or move it (XDG_CACHE_HOME= for the cache)"
}

# lock FILE WHAT: one at a time; a second one waits, bounded, and says so.
# The file descriptor stays open, so the lock lasts until the caller exits.
lock()
{
	mkdir -p "$(dirname "$1")"
	exec {LOCKFD}>"$1"
	flock -n "$LOCKFD" && return
	say "waiting for another $2"
	flock -w 3600 "$LOCKFD" || die "another $2 holds $1 for an hour"
}

# A temporary directory beside what it will be renamed to; gone on any exit.
TMPDIRS=()
tmpdir()
{
	mkdir -p "$1"
	TMP=$(mktemp -d -p "$1")
	TMPDIRS+=("$TMP")
}
cleanup() { [ ${#TMPDIRS[@]} -eq 0 ] || rm -rf "${TMPDIRS[@]}"; }
trap cleanup EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

# ms: a clock for durations
ms() { local t; read -r t _ </proc/uptime; echo "${t/./}0"; }

# debian_mirror: the mirror that this machine's own apt uses.
debian_mirror()
{
	local m
	[ -z "${MIRROR:-}" ] || { echo "$MIRROR"; return; }
	need apt-get
	# shellcheck disable=SC2016
	m=$(apt-get indextargets --format '$(ORIGIN)|$(LABEL)|$(REPO_URI)' 2>/dev/null |
		sed -n '/^Debian|Debian|/{s///p;q}')
	# nothing downloaded yet: look where apt would
	[ -n "$m" ] || m=$(cat /etc/apt/sources.list /etc/apt/sources.list.d/* 2>/dev/null |
		sed -nE 's/^(URIs:|deb( \[[^]]*\])?)[[:space:]]+([^[:space:]]+).*/\3/p' |
		grep -E '/debian/?$' | head -n 1)
	[ -n "$m" ] || die "no Debian mirror in apt's configuration: give MIRROR=URI"
	echo "$m"
}

debian_keyring()
{
	local k
	for k in /usr/share/keyrings/debian-archive-keyring.{gpg,pgp}; do
		[ -e "$k" ] && { echo "$k"; return; }
	done
	die "debian-archive-keyring is missing: 'make setup' installs what the lab uses"
}
