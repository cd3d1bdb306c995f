#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# coccicheck.sh: what scripts/coccinelle/media/v4l2_removal.cocci finds on the
# base and in the series, and how far v4l2_removal_convert.cocci gets.  Prints a
# line "pass|fail<TAB>NAME" for each check to stdout, and tables and the reports
# that fail one to stderr.  The reports are in build/logs/coccicheck-{base,series},
# the tables in build/results/coccicheck, where report.py finds them.
#
# "make coccicheck" of the kernel would do the same, for half an hour: most files
# of the media subsystem have nothing to do with it.

. "$(dirname "$0")/lib.sh"

need spatch git
# one at a time takes long, all at a time much memory
jobs=${JOBS:-$(nproc)}
rules="devm-state devm-drvdata empty-release freed-in-remove no-drain locked-drain"
platform="aspeed/ nxp/dw100/ nxp/imx8-isi/ rockchip/rkisp1/ sunxi/sun8i-di/ sunxi/sun8i-rotate/ verisilicon/"
converted="^(drivers/media/test-drivers/(vivid/|visl/|vimc/|vicodec/|vim2m[.]c|vsensor[.]c)|samples/v4l/|drivers/media/platform/(${platform// /|}))"
words='video_(un)?register_device|video_set_drvdata|video_device_release_empty|v4l2_device_(un)?register\(|vb2_queue_init|media_device_(un)?register'
# not converted by the series, for the other script to begin with
begin="samsung/s5p-g2d/g2d.c amlogic/meson-ge2d/ge2d.c m2m-deinterlace.c renesas/rcar_jpu.c samsung/s5p-jpeg/jpeg-core.c"

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

# files: what has to do with V4L2, and what allocates the state for it; not the
# KUnit tests, which drain under a lock on purpose
files()
{
	local d
	grep -rlE "$words" --include='*.c' --exclude-dir=tests drivers samples >"$TMP/files"
	sed 's|/[^/]*$||' "$TMP/files" | sort -u | while read -r d; do
		grep -lE 'devm_k[a-z_]*alloc' "$d"/*.c || :
	done | sort -u - "$TMP/files"
}

# scan SRC OUT: one line for each report.  That of marvell/mmp-driver.c is there
# only if the same process of spatch has read mcam-core.c before.
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
# print KIND HEAD...: those rows of the results, to read
print()
{
	local kind=$1
	shift
	{ (IFS=$'\t'; echo "$*"); sed -n "s/^$kind\t//p" "$TMP/results"; } |
		awk -F'\t' '{ printf "%-24s", $1; for (i = 2; i <= NF; i++) printf " %8s", $i; print "" }' >&2
}
for r in $rules; do
	printf 'FOUND\t%s\t%d\t%d\n' "$r" "$(count "$r" "$logs/coccicheck-base")" "$(count "$r" "$logs/coccicheck-series")"
done >"$TMP/results"
printf 'FOUND\tall\t%d\t%d\n' "$(wc -l <"$logs/coccicheck-base")" "$(wc -l <"$logs/coccicheck-series")" >>"$TMP/results"
print FOUND rule base series

for r in $rules; do
	check "finds on the base: $r" grep -qF "[$r]" "$logs/coccicheck-base"
done
check "finds on the base what was converted" some "$logs/coccicheck-base"
for d in $platform; do
	check "finds on the base: ${d%/}" grep -q "^drivers/media/platform/$d" "$logs/coccicheck-base"
done
check "nothing in converted drivers" none "$logs/coccicheck-series"

# by_hand FILE: what is left to do in it, as far as a program can count: interrupts
# that devm frees too late; what stops the hardware before v4l2_device_quiesce(); a
# mem2mem device that comes after the first node; what close() does to the hardware;
# labels that have become one.
by_hand()
{
	awk '
	BEGIN { hw = "pm_runtime_(put|disable)|clk_disable|dma_release_channel" }
	/^[a-z].*[a-z_0-9]+\(/ {
		removing = /_remove\(struct/
		closing = /_(release|close)\(struct file/
	}
	/v4l2_device_quiesce\(/ { removing = 0 }
	/devm_request[a-z_]*irq\(/ { irq++ }
	$0 ~ hw && removing { early++ }
	$0 ~ hw && closing { close_++ }
	/video_register_device\(/ { node = 1 }
	/v4l2_m2m_init\(/ && node { late++ }
	/^[a-z_0-9]+:$/ { labels += label; label = 1; next }
	NF { label = 0 }
	END { printf "%d\t%d\t%d\t%d\t%d\n", irq, early, late, close_, labels }' "$1"
}

# begun FILE: convert a copy, look for what must be there, and for reports, of which
# none may be left; the rest is a row of the results
begun()
{
	local f=drivers/media/platform/$1 copy=$TMP/${1##*/}.d/${1##*/} lines
	mkdir "${copy%/*}"
	cp "$BASETREE/${f%/*}"/*.[ch] "${copy%/*}" &&
	cocci patch "$convert" --in-place "$copy" >"$TMP/out" 2>"$TMP/err" &&
	cocci report "$find" --no-show-diff "$copy" >"$TMP/left" 2>"$TMP/err" || return
	# exits with 1, since they differ
	lines=$(git diff --no-index --numstat "$BASETREE/$f" "$copy" | cut -f1,2) || :
	printf 'BEGUN\t%s\t%d\t%d\t%s\t%s\n' "$1" "$(grep -c "^$f:" "$logs/coccicheck-base")" \
		"$(grep -c ': \[[a-z-]*\]' "$TMP/left")" "${lines:-0$'\t'0}" "$(by_hand "$copy")" >>"$TMP/results"
	! grep ': \[[a-z-]*\]' "$TMP/left" >&2 &&
		grep -q 'v4l2_device_alloc(' "$copy" &&
		grep -q 'v4l2_device_quiesce(' "$copy" &&
		[ "$(grep -c 'v4l2_device_remove(' "$copy")" -gt 1 ]
}
for f in $begin; do
	check "begins to convert ${f##*/}" begun "$f"
done
print BEGUN begun reports left added removed irq early late close labels

mkdir -p "$BUILD/results"
mv "$TMP/results" "$BUILD/results/coccicheck"
