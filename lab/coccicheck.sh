#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# coccicheck.sh: what scripts/coccinelle/media/v4l2_removal.cocci finds on the
# base and in the series.  Prints a line "pass|fail<TAB>NAME" for each check to
# stdout, and a table and the reports that fail one to stderr.  The reports are
# in build/logs/coccicheck-{base,series}.
#
# "make coccicheck" of the kernel would do the same, for half an hour: most files
# of the media subsystem have nothing to do with it.

. "$(dirname "$0")/lib.sh"

need spatch git
# one at a time takes long, all at a time much memory
jobs=${JOBS:-$(nproc)}
rules="devm-state devm-drvdata empty-release freed-in-remove no-drain locked-drain"
converted='^(drivers/media/test-drivers/(vivid/|visl/|vimc/|vicodec/|vim2m[.]c)|samples/v4l/)'
words='video_(un)?register_device|video_set_drvdata|video_device_release_empty|v4l2_device_(un)?register\(|vb2_queue_init|media_device_(un)?register'
# not converted, for the other script to begin with
begin="samsung/s5p-g2d/g2d.c sunxi/sun8i-di/sun8i-di.c m2m-deinterlace.c renesas/rcar_jpu.c samsung/s5p-jpeg/jpeg-core.c"

"$ROOT/lab/tree.sh" ensure
"$ROOT/lab/tree.sh" base
find=$TREE/scripts/coccinelle/media/v4l2_removal.cocci
convert=$TREE/scripts/coccinelle/media/v4l2_removal_convert.cocci
logs=$BUILD/logs
mkdir -p "$logs"
tmpdir "$BUILD"

# cocci MODE SCRIPT ARGUMENT...: as scripts/coccicheck calls it
cocci()
{
	local mode=$1 script=$2 options
	shift 2
	options=$(sed -n 's|^// Options: ||p' "$script")
	# shellcheck disable=SC2086
	spatch -D "$mode" --very-quiet --cocci-file "$script" $options "$@"
}

# files: what has to do with V4L2, and what allocates the state for it
files()
{
	local d
	grep -rlE "$words" --include='*.c' drivers samples >"$TMP/files"
	sed 's|/[^/]*$||' "$TMP/files" | sort -u | while read -r d; do
		grep -lE 'devm_k[a-z_]*alloc' "$d"/*.c || :
	done | sort -u - "$TMP/files"
}

# scan SRC OUT: one line for each report
scan()
{
	(
		cd "$1" || exit
		files | sed G >"$TMP/groups"
		cocci report "$find" --no-show-diff --file-groups "$TMP/groups" \
			--jobs "$jobs" --chunksize 1 >"$TMP/out" 2>"$TMP/err"
	) || { tail -n 20 "$TMP/err" >&2; return 1; }
	grep -E '^[^ ]+:[0-9]+:[0-9-]+: \[[a-z-]+\]' "$TMP/out" | sort -u >"$2"
}

check()
{
	local name=$1
	shift
	if "$@"; then printf 'pass\t%s\n' "$name"; else printf 'fail\t%s\n' "$name"; fi
}

none() { ! grep -E "$converted" "$1" >&2; }
some() { grep -qE "$converted" "$1"; }

# The base and the script seldom change
stamp=$CACHE/coccicheck/$(git -C "$BASETREE" rev-parse HEAD)-$({ spatch --version; cat "$find"; echo "$words"; } | sha256sum | cut -c1-12)
step "coccicheck (reports: build/logs/coccicheck-*)"
if [ ! -e "$stamp" ]; then
	mkdir -p "${stamp%/*}"
	scan "$BASETREE" "$logs/coccicheck-base" || die "spatch failed on the base"
	cp "$logs/coccicheck-base" "$stamp.$$"
	mv "$stamp.$$" "$stamp"
fi
cp "$stamp" "$logs/coccicheck-base"
scan "$TREE" "$logs/coccicheck-series" || die "spatch failed on the series"

count() { grep -cF "[$1]" "$2" || :; }
printf '%-16s %6s %6s\n' rule base series >&2
for r in $rules; do
	printf '%-16s %6d %6d\n' "$r" "$(count "$r" "$logs/coccicheck-base")" "$(count "$r" "$logs/coccicheck-series")" >&2
done
printf '%-16s %6d %6d\n' all "$(wc -l <"$logs/coccicheck-base")" "$(wc -l <"$logs/coccicheck-series")" >&2

for r in $rules; do
	check "finds on the base: $r" grep -qF "[$r]" "$logs/coccicheck-base"
done
check "finds on the base what was converted" some "$logs/coccicheck-base"
check "nothing in converted drivers" none "$logs/coccicheck-series"

begun()
{
	(cd "$BASETREE" && cocci patch "$convert" "drivers/media/platform/$1") >"$TMP/patch" 2>"$TMP/err" &&
		grep -q '^+.*v4l2_device_alloc(' "$TMP/patch" &&
		[ "$(grep -c '^+.*v4l2_device_quiesce(' "$TMP/patch")" -gt 0 ] &&
		[ "$(grep -c '^+.*v4l2_device_remove(' "$TMP/patch")" -gt 1 ]
}
for f in $begin; do
	check "begins to convert ${f##*/}" begun "$f"
done
