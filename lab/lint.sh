#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# lint.sh [quick]: what can be checked without booting.  Prints a line
# "pass|fail|skip<TAB>NAME" for each check to stdout, and what is wrong to stderr.
#
# "quick" leaves out what compiles.

. "$(dirname "$0")/lib.sh"

quick=${1:-}
need git perl python3 shellcheck
[ -n "$quick" ] || need gcc make ccache sparse sphinx-build

export CCACHE_DIR=$CACHE/ccache CCACHE_NOHASHDIR=1 CCACHE_MAXSIZE=10G
export KBUILD_BUILD_TIMESTAMP='Thu Jan 1 00:00:00 UTC 1970'
export KBUILD_BUILD_USER=lab KBUILD_BUILD_HOST=lab KBUILD_BUILD_VERSION=1

g() { git -C "$TREE" "$@"; }

# check NAME COMMAND...: the command's output is shown if it fails.
check()
{
	local name=$1
	shift
	if "$@" >"$TMP/out" 2>&1; then
		printf 'pass\t%s\n' "$name"
	else
		printf 'fail\t%s\n' "$name"
		say "lint: $name:"
		head -n 60 "$TMP/out" | sed 's/^/| /' >&2
	fi
}

tmpdir "$BUILD"

# the lab itself

lab_scripts()
{
	cd "$ROOT" &&
	git ls-files -co --exclude-standard '*.sh' .ci/run | grep -E '^(lab|.ci)/' |
		grep -vE '^lab/(jobs/|demo/demo[.]sh)' | xargs shellcheck -x &&
	# run by the guest's busybox sh, which knows ${x:0:1}
	shellcheck -x -s dash -e SC3057 lab/init lab/jobs/*.sh
}

# Names of this machine, of package servers, or of who works how do not belong
# into what others clone.
no_traces()
{
	local files
	files=$(git -C "$ROOT" ls-files -co --exclude-standard)
	! (cd "$ROOT" && echo "$files" | xargs -d '\n' grep -nIE "(^|[[:space:]\"'=(:])/(work|root)/[a-z]|deb[.]debian[.]org|^Signed-off-by: ")
}

check "shellcheck" lab_scripts
check "oracle sees what it must" "$ROOT/lab/oracle.sh" --self-test
check "no traces of one machine" no_traces

# the series

check "series composes" "$ROOT/lab/tree.sh" ensure
sed -n 's/^note: \(.*\) is named by no line.*/\1/p' "$TMP/out" >"$TMP/unnamed"
all_named() { ! grep . "$TMP/unnamed"; }
check "every new file enters with a patch" all_named
check "postings: at most 15 patches, each with a cover letter" "$ROOT/lab/tree.sh" mail
commits=$(g rev-list --reverse base..HEAD)

# As the README applies them
mails()
{
	local -x GIT_INDEX_FILE=$TMP/index
	g read-tree base && g apply --cached --allow-empty "$BUILD"/mail/*/*.patch &&
		[ "$(g write-tree)" = "$(g rev-parse 'HEAD^{tree}')" ]
}

check "postings: applied in the order of their names they are the series" mails

# The ids of new files only say that nobody looked whether MAINTAINERS covers
# them: look.
maintained()
{
	local f bad=0
	for f in $(g diff --name-only --diff-filter=A base HEAD); do
		(cd "$TREE" && scripts/get_maintainer.pl --no-git --no-git-fallback --no-rolestats -f "$f") 2>/dev/null |
			grep -v 'linux-kernel@vger' | grep -q . || { echo "$f: nobody maintains it"; bad=1; }
	done
	return $bad
}

checkpatch()
{
	local rc=0
	g format-patch -q -1 --stdout --no-signature "$1" >"$TMP/patch"
	! grep -i '^Signed-off-by:' "$TMP/patch" || rc=1
	grep -q '^Assisted-by: ' "$TMP/patch" || { echo "Assisted-by: is missing"; rc=1; }
	# Who sends it signs it off; FILE_PATH_CHANGES is "maintained" above; the
	# commits that Fixes: names are upstream's, whose history is not here; the
	# macros of trace events are written as in no other file; ENOSYS is what
	# the caller of get_unmapped_area() without MMU looks for.  Debian's
	# python first, as spdxcheck needs its modules.
	(cd "$TREE" && PATH=/usr/bin:$PATH scripts/checkpatch.pl --strict --terse --show-types --showfile \
		--no-summary --max-line-length=80 --ignore MISSING_SIGN_OFF,FILE_PATH_CHANGES,UNKNOWN_COMMIT_ID \
		"$TMP/patch") |
		grep -vE '^include/trace/events/.*:(OPEN_ENDED_LINE|PARENTHESIS_ALIGNMENT):|^drivers/media/v4l2-core/v4l2-dev.c:.*:ENOSYS:' >"$TMP/bad" || :
	! grep . "$TMP/bad" || rc=1
	return $rc
}

check "new files have maintainers" maintained
for c in $commits; do
	check "checkpatch: $(g log -1 --format=%s "$c")" checkpatch "$c"
done

# kernel-doc -Wall, touched files: an error, but for what the base has already
# (where a message quotes the source, its beginning tells).
kernel_doc()
{
	local f rc=0
	for f in $(g diff --name-only --diff-filter=AM base HEAD -- '*.c' '*.h'); do
		(cd "$TREE" && doc "$f") >"$TMP/now"
		mkdir -p "$TMP/base/$(dirname "$f")"
		g show "base:$f" >"$TMP/base/$f" 2>/dev/null || :
		(cd "$TMP/base" && doc "$f") >"$TMP/before"
		! comm -23 "$TMP/now" "$TMP/before" | grep . || rc=1
	done
	return $rc
}
doc()
{
	python3 "$TREE/tools/docs/kernel-doc" -none -Wall -Werror "$1" 2>&1 |
		grep -v 'warnings as errors' | sed -E 's/:[0-9]+(:[0-9]+)?/:/' | cut -c1-140 | sort || :
}
check "kernel-doc on touched files" kernel_doc

# The example of the documentation is the driver, before and after.
example()
{
	python3 - "$TREE" <<-'EOF'
	import re, subprocess, sys
	driver = "drivers/media/platform/sunxi/sun8i-di/sun8i-di"
	with open(sys.argv[1] + "/Documentation/driver-api/media/v4l2-removal.rst") as f:
	    text = f.read().split("A complete example\n", 1)[1].split("\nChecklist\n", 1)[0]
	blocks = re.findall(r"^(Before|After):\n\n[.][.] code-block:: c\n\n((?:\t.*\n|\n)+)", text, re.M)
	bad = [b for b, _ in blocks] != ["Before", "After"]
	for (_, code), commit in zip(blocks, ("base", "HEAD")):
	    source = "".join(subprocess.run(["git", "-C", sys.argv[1], "show", "%s:%s.%s" % (commit, driver, e)],
	                                    capture_output=True, text=True, check=True).stdout for e in "ch")
	    for part in re.split(r"(?<=\n\}\n)\n|(?<=\n\};\n)\n", re.sub(r"^\t", "", code.strip("\n") + "\n", flags=re.M)):
	        if part not in source:
	            print("%s has no such:\n%s" % (commit, part))
	            bad = True
	sys.exit(bad)
	EOF
}
check "the documentation's example is the code" example

[ -z "$quick" ] || exit 0

# touched objects: W=1, sparse; and each commit.  For x86_64, and for arm64 what
# that kernel alone has, if it was built: the platform drivers.

arches=x86_64
if [ -e "$TREE/b-arm64/vmlinux" ]; then
	need aarch64-linux-gnu-gcc
	arches+=" arm64"
else
	printf 'skip\t%s\n' "what compiles, of platform drivers: 'make kernel FLAVOUR=arm64' first"
fi

mk()	# ARCH SRC ARGUMENT...
{
	local arch=$1 src=$2 cross=
	shift 2
	[ "$arch" = x86_64 ] || cross=aarch64-linux-gnu-
	make -C "$src" ARCH="$arch" CROSS_COMPILE=$cross CC="ccache ${cross}gcc" HOSTCC="ccache gcc" \
		-j"${JOBS:-$(nproc)}" -s "$@"
}

# config ARCH SRC OBJ: what of the fragments SRC knows
config()
{
	mkdir -p "$2/$3"
	cat "$ROOT"/lab/config/{common,series,"$1"}.config >"$2/$3/lab.fragment"
	KCONFIG_ALLCONFIG=$2/$3/lab.fragment mk "$1" "$2" O="$3" allnoconfig
}

# objects ARCH SRC FROM TO: the objects of touched sources that are built at all
objects()
{
	local f
	for f in $(g diff --name-only --diff-filter=AM "$3" "$4" -- '*.c'); do
		[ "$1" = x86_64 ] || [ ! -e "$TREE/b-x86_64/${f%.c}.o" ] || continue
		[ ! -e "$TREE/b-$1/${f%.c}.o" ] || [ ! -e "$2/$f" ] || echo "${f%.c}.o"
	done
}

# messages ARCH SRC OBJECTS: of gcc W=1 and sparse, without line numbers
messages()
{
	local arch=$1 src=$2 obj=b-lint-$1
	shift 2
	config "$arch" "$src" "$obj" >"$TMP/log" 2>&1 &&
	mk "$arch" "$src" O="$obj" prepare >>"$TMP/log" 2>&1 || { cat "$TMP/log" >&2; return 1; }
	# C=2 checks what is up to date as well
	mk "$arch" "$src" O="$obj" W=1 C=2 CF=-D__CHECK_ENDIAN__ "$@" >"$TMP/log" 2>&1 || { cat "$TMP/log" >&2; return 1; }
	grep -E '(warning|error):' "$TMP/log" | sed -E 's/:[0-9]+(:[0-9]+)?:/:/; s/^(\.\.\/|\.\/)//' | sort -u || :
}

clean_build()	# ARCH
{
	local o
	"$ROOT/lab/kernel.sh" "$1" || return 1
	"$ROOT/lab/tree.sh" base || return 1
	mapfile -t o < <(objects "$1" "$TREE" base HEAD)
	[ ${#o[@]} -gt 0 ] || return 0
	messages "$1" "$TREE" "${o[@]}" >"$TMP/now" || return 1
	mapfile -t o < <(objects "$1" "$BASETREE" base HEAD)
	messages "$1" "$BASETREE" "${o[@]}" >"$TMP/before" || return 1
	! comm -23 "$TMP/now" "$TMP/before" | grep .
}

# Every commit builds: the objects it touches, in a tree of its own.  A commit
# that passed is remembered beside ccache, by its id.
bisect=$BUILD/bisect
bisectable()	# COMMIT
{
	local arch o stamp last kconfig=
	stamp=$CACHE/lint/$1-$(echo "$arches" | cat - "$ROOT"/lab/config/*.config | sha256sum | cut -c1-12)
	[ ! -e "$stamp" ] || return 0
	if [ ! -d "$bisect" ]; then
		g worktree prune
		g worktree add -q --detach "$bisect" base || return 1
	fi
	last=$(git -C "$bisect" rev-parse HEAD) || return 1
	git -C "$bisect" checkout -q --detach "$1" || return 1
	git -C "$bisect" diff --quiet "$last" "$1" -- '*Kconfig*' || kconfig=changed
	for arch in $arches; do
		# takes longer than most objects, and seldom changes anything
		[ -z "$kconfig" ] && [ -e "$bisect/b-$arch/.config" ] ||
			config "$arch" "$bisect" "b-$arch" || return 1
		mapfile -t o < <(objects "$arch" "$bisect" "$1~" "$1")
		[ ${#o[@]} -eq 0 ] || mk "$arch" "$bisect" O="b-$arch" "${o[@]}" || return 1
	done
	mkdir -p "$CACHE/lint"
	touch "$stamp"
}

# What sphinx says of the media documentation, and of what else the series touches:
# documents, and those that have the kernel-doc of touched files.  All is one run
# without the rest: a reference into that is wrong only if it is nowhere.
documents()
{
	local f
	{
		echo Documentation/index.rst
		g diff --name-only base HEAD -- 'Documentation/*.rst'
		for f in $(g diff --name-only base HEAD -- '*.c' '*.h'); do
			(cd "$TREE" && grep -rlE "^[.][.] kernel-doc:: +$f\$" Documentation --include='*.rst') || :
		done
	} | sed -E 's,^Documentation/,,; s,^((driver|userspace)-api/media)/.*,\1/**,' | sort -u | paste -sd,
}

sphinx()
{
	nice -n 10 make -s -C "$1" O="$TMP/html" SPHINXOPTS="-q -D include_patterns=$docs -D exclude_patterns=netlink" \
		htmldocs >"$TMP/log" 2>&1 || { tail -n 20 "$TMP/log" >&2; return 1; }
	grep -E 'WARNING|ERROR' "$TMP/log" | sed -E "s|$1/||g; s/:[0-9]+:/:/g" | sort -u || :
	rm -rf "$TMP/html"
}

# elsewhere: of sphinx's lines, without references to what was left out
elsewhere()
{
	local line to
	while read -r line; do
		to=$(sed -nE "s/.*undefined label: '?([^' ]+).*/\1/p" <<<"$line")
		[ -n "$to" ] && grep -rqiE "^ *[.][.] _\`?$to\`?:" "$TREE/Documentation" --include='*.rst' && continue
		to=$(sed -nE "s/.*(unknown|nonexisting) document:? '?([^' ]+).*/\2/p" <<<"$line")
		[ -n "$to" ] && [ -e "$TREE/Documentation/$to.rst" ] && continue
		echo "$line"
	done
}

html_docs()
{
	local docs
	"$ROOT/lab/tree.sh" base || return 1
	docs=$(documents)
	sphinx "$TREE" >"$TMP/now" || return 1
	sphinx "$BASETREE" >"$TMP/before" || return 1
	! comm -23 "$TMP/now" "$TMP/before" | elsewhere | grep .
}

check "htmldocs of what is touched: no new warning" html_docs
for arch in $arches; do
	check "W=1 and sparse on touched objects, $arch: nothing new" clean_build "$arch"
done
# the kernel leaves sparse out, with a warning only, if it cannot parse its headers
! grep -qs 'C=2 specified, but sparse is not available' "$TMP/log" ||
	printf 'skip\t%s\n' "sparse: $(sparse --version) is too old for this kernel, W=1 only"
for c in $commits; do
	check "builds: $(g log -1 --format=%s "$c")" bisectable "$c"
done
