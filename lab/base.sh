#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# base.sh: make sure that the base kernel is in the cache, as a bare git
# repository with one commit, and print "REPOSITORY COMMIT".
#
#	(nothing)	Debian's linux-source-7.3, verified by its checksum
#	KTARBALL=FILE	a kernel.org tarball instead
#	KSRC=DIR	a kernel tree instead, as its files are now
#
# Author and date of the commit are fixed: the same files, the same id.

. "$(dirname "$0")/lib.sh"

PKG=linux-source-7.3
VERSION=7.3.4-1~bpo13+1
SUITE=trixie-backports
SHA256=703e369ddd4cce971452f5a593ee55df3a5c10c83caf0fa0df039633ed181ee3
OTHERWISE="or give the base yourself: KTARBALL=linux-7.3.4.tar.xz or KSRC=DIR"

sha256() { sha256sum "$1" | cut -d' ' -f1; }

# fetch FILE: the package, by apt, which checks the archive's signature; with
# an own sources list, so that the machine's configuration stays as it is.
fetch()
{
	local mirror keyring log
	mirror=$(debian_mirror)
	keyring=$(debian_keyring)
	room "$CACHE/download" 400
	tmpdir "$CACHE/download"
	log=$TMP/log
	mkdir -p "$TMP"/{lists,archives}/partial
	echo "deb [signed-by=$keyring] $mirror $SUITE main" >"$TMP/sources.list"
	cat >"$TMP/apt.conf" <<-END
		Dir::Etc::sourcelist "$TMP/sources.list";
		Dir::Etc::sourceparts "/dev/null";
		Dir::State::lists "$TMP/lists";
		Dir::Cache "$TMP";
		APT::Sandbox::User "";
		Acquire::Languages "none";
		#clear APT::Update::Post-Invoke;
		#clear APT::Update::Post-Invoke-Success;
	END
	say "downloading $PKG $VERSION (160 MB) from $mirror"
	(
		cd "$TMP"
		apt-get -qq -c apt.conf update
	) >"$log" 2>&1 || :
	# apt's update fails on any one index; what counts is the package
	(
		cd "$TMP"
		apt-get -q -c apt.conf download "$PKG=$VERSION"
	) >>"$log" 2>&1 || {
		grep -q "Version .* was not found" "$log" &&
			die "$SUITE on $mirror no longer has $PKG $VERSION: give MIRROR= (an archive of Debian), $OTHERWISE"
		die "could not download $PKG $VERSION from $mirror ($(grep -m 1 -o 'Could not .*' "$log" || tail -n 1 "$log")): check the network, $OTHERWISE"
	}
	set -- "$1" "$TMP"/*.deb
	[ "$(sha256 "$2")" = "$SHA256" ] ||
		die "$PKG $VERSION from $mirror has the wrong checksum, not kept: try another MIRROR=, $OTHERWISE"
	mv "$2" "$1"
}

# import DIR REPOSITORY: the files of DIR as the only commit of REPOSITORY: all
# of them, or those that git knows where DIR is a git tree.  Not by "git add":
# Debian's tree has a .gitignore that ignores it all.  The index stays, so that
# doing it again reads only what changed.
import()
{
	local git=(git --git-dir="$2" --work-tree="$1" -c core.autocrlf=false
		-c core.compression=1 -c gc.auto=0)
	local v tree id
	[ -f "$1/Makefile" ] && [ -d "$1/drivers/media" ] || die "$1 is not a kernel tree"
	v=$(awk -F' = ' '/^(VERSION|PATCHLEVEL|SUBLEVEL) =/ { s = s "." $2 }
		END { print substr(s, 2) }' "$1/Makefile")
	[ -d "$2" ] || git init -q --bare "$2"
	(
		cd "$1"
		"${git[@]}" ls-files -z
		if [ -e .git ]; then
			git ls-files -z
		else
			find . -path ./.git -prune -o \( -type f -o -type l \) -printf '%P\0'
		fi
	) | (cd "$1" && "${git[@]}" update-index -z --add --remove --stdin) ||
		die "could not import $1 into $2"
	tree=$("${git[@]}" write-tree)
	id=$(echo "Linux $v" |
		GIT_AUTHOR_NAME=base GIT_AUTHOR_EMAIL=base@localhost \
		GIT_COMMITTER_NAME=base GIT_COMMITTER_EMAIL=base@localhost \
		GIT_AUTHOR_DATE='1794700800 +0000' \
		GIT_COMMITTER_DATE='1794700800 +0000' \
		"${git[@]}" commit-tree "$tree")
	"${git[@]}" update-ref refs/heads/base "$id"
	git --git-dir="$2" symbolic-ref HEAD refs/heads/base
}

unpack_deb() { dpkg-deb --fsys-tarfile "$1" | tar -xO "./usr/src/$PKG.tar.xz" | tar -xJ -C "$2"; }

need git sha256sum tar xz flock
[ -z "${KSRC:-}" ] || [ -z "${KTARBALL:-}" ] || die "give KSRC= or KTARBALL=, not both"

if [ -n "${KSRC:-}" ]; then
	[ -d "$KSRC" ] || die "KSRC=$KSRC is not a directory"
	KSRC=$(cd "$KSRC" && pwd)
	repo=$CACHE/base/tree-$(echo "$KSRC" | sha256sum | cut -c1-12).git
elif [ -n "${KTARBALL:-}" ]; then
	[ -f "$KTARBALL" ] || die "KTARBALL=$KTARBALL is not a file"
	repo=$CACHE/base/tarball-$(sha256 "$KTARBALL" | cut -c1-12).git
else
	repo=$CACHE/base/$PKG-$VERSION.git
fi

lock "$CACHE/base.lock" "fetch of the base"
if [ -n "${KSRC:-}" ]; then
	room "$CACHE/base" 1000
	import "$KSRC" "$repo"
elif [ ! -d "$repo" ]; then
	room "$CACHE/base" 3500
	if [ -n "${KTARBALL:-}" ]; then
		file=$KTARBALL
	else
		need dpkg-deb
		file=$CACHE/download/${PKG}_${VERSION}_all.deb
		[ -f "$file" ] || fetch "$file"
		[ "$(sha256 "$file")" = "$SHA256" ] ||
			die "$file has the wrong checksum: remove it and try again, $OTHERWISE"
	fi
	tmpdir "$CACHE/base"
	mkdir "$TMP/src"
	step "unpacking $file"
	case $file in
	*.deb)	unpack_deb "$file" "$TMP/src" ;;
	*)	tar -xf "$file" -C "$TMP/src" ;;
	esac 2>"$TMP/log" || die "could not unpack $file ($(head -n 1 "$TMP/log")): is it complete, is the disk full?"
	step "making a git repository of it"
	import "$(echo "$TMP"/src/*)" "$TMP/git"
	git --git-dir="$TMP/git" repack -q -a -d --window=0 || die "git repack failed in $TMP"
	mv "$TMP/git" "$repo"
fi
echo "$repo $(git --git-dir="$repo" rev-parse base)"
