#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# tree.sh: between this repository and build/tree, a git tree of the base plus
# one complete commit per patch.
#
#	tree	compose build/tree from patches/ and the new files
#	refresh	take the commits made in build/tree back
#	mail	write the series as mails to build/mail, and who gets them
#	ensure	as tree, but take a build/tree with own edits as it is
#	base	check the base out in build/base
#	clean	remove build/, unless build/tree has work that is nowhere else
#
# patches/series has a line for each patch, in order:
#
#	AREA/NNNN-NAME.patch [+ NEW-FILE...]
#
# A patch holds the message and the changes to files that the base has.  The
# new files that enter with it are named after the "+" and live whole, at the
# path they have in the kernel, in this repository.  A directory, with a slash
# at its end, stands for all files in it.
#
# Composing needs no working tree: the commits are made from an index of their
# own, then build/tree moves there in one step, or not at all.  What is lost
# nowhere: build/tree/.git/lab-composed is the commit that was composed last.
# HEAD elsewhere is work done in build/tree; the repository composing to
# something else is work done here.

. "$(dirname "$0")/lib.sh"

# where this repository may hold files of the kernel
OVERLAY=(Documentation drivers fs include scripts/coccinelle tools/testing)
SERIES=$ROOT/patches/series

g() { git -C "$TREE" "$@"; }

series_lines() { sed -e 's/#.*//' -e '/^[[:space:]]*$/d' "$1/patches/series" 2>/dev/null || :; }

# overlay_files SRC [DIR]: new files that the repository holds.
overlay_files()
{
	local d=$1 f
	shift
	[ $# -gt 0 ] || set -- "${OVERLAY[@]}"
	if [ "$d" = "$ROOT" ]; then
		git -C "$ROOT" ls-files -co --exclude-standard -- "$@" | sort -u |
			while read -r f; do [ ! -e "$ROOT/$f" ] || echo "$f"; done
	else
		(cd "$d" && find "$@" -type f 2>/dev/null | sort)
	fi
}

# expand SRC TOKEN...: the files that "+ TOKEN..." stands for.
expand()
{
	local src=$1 t
	shift
	for t; do
		case $t in
		*/)	overlay_files "$src" "${t%/}" ;;
		*)	echo "$t" ;;
		esac
	done
}

in_base() { g cat-file -e "base:$1" 2>/dev/null; }

# area SUBJECT: the directory of a new patch.
area()
{
	local w=${1#media: }
	w=${w%%:*}
	case $w in
	char_dev|cdev*)			echo cdev ;;
	v4l2*)				echo v4l2 ;;
	vb2*|videobuf2*)		echo vb2 ;;
	mc*|media|request)		echo mc ;;
	"driver core")			echo driver-core ;;
	*[!a-zA-Z0-9_-]*)		echo misc ;;
	*)				echo "$w" ;;
	esac
}

# compose SRC: sets COMPOSED to the commit of SRC's series.
compose()
{
	local src=$1 patch rest f mode blob tree last parent=$BASE_ID
	local t=$TMP/compose msg author email date subject
	local -a files
	mkdir -p "$t"
	: >"$t/named"
	GIT_INDEX_FILE=$t/index g read-tree base
	tree=$(g rev-parse "base^{tree}")
	while read -r patch rest; do
		[ -f "$src/patches/$patch" ] || die "patches/series names $patch, which is not in patches/"
		case $rest in
		"")	files=() ;;
		"+ "*)	read -ra files <<<"${rest#+ }" ;;
		*)	die "patches/series: '$patch $rest' is not 'PATCH + NEW-FILE...'" ;;
		esac
		git mailinfo -b --no-scissors "$t/msg" "$t/diff" \
			<"$src/patches/$patch" >"$t/info" 2>"$t/err" ||
			die "patches/$patch is not a mail: $(tail -n 1 "$t/err")"
		author=$(sed -n 's/^Author: //p' "$t/info")
		email=$(sed -n 's/^Email: //p' "$t/info")
		date=$(sed -n 's/^Date: //p' "$t/info")
		subject=$(sed -n 's/^Subject: //p' "$t/info")
		[ -n "$author" ] && [ -n "$email" ] && [ -n "$date" ] && [ -n "$subject" ] ||
			die "patches/$patch lacks From:, Date: or Subject:"
		if grep -q '^diff --git ' "$t/diff"; then
			GIT_INDEX_FILE=$t/index g apply --cached --whitespace=nowarn "$t/diff" 2>"$t/err" ||
				die "patches/$patch does not apply to $BASE_NAME: $(head -n 1 "$t/err")"
		fi
		while read -r f; do
			[ -f "$src/$f" ] && [ ! -L "$src/$f" ] || die "patches/series: $patch brings $f, which is not a file here"
			! in_base "$f" || die "$f is in the base already: what changes it belongs into $patch"
			! grep -qxF -- "$f" "$t/named" || die "patches/series names $f twice"
			echo "$f" >>"$t/named"
			mode=100644
			[ ! -x "$src/$f" ] || mode=100755
			blob=$(g hash-object -w --no-filters "$src/$f")
			GIT_INDEX_FILE=$t/index g update-index --add --cacheinfo "$mode,$blob,$f"
		done < <(expand "$src" "${files[@]}")
		last=$tree
		tree=$(GIT_INDEX_FILE=$t/index g write-tree)
		[ "$tree" != "$last" ] || die "patches/$patch changes nothing"
		msg=$({ echo "$subject"; echo; cat "$t/msg"; } | git stripspace)
		parent=$(echo "$msg" |
			GIT_AUTHOR_NAME=$author GIT_AUTHOR_EMAIL=$email GIT_AUTHOR_DATE=$date \
			GIT_COMMITTER_NAME=$author GIT_COMMITTER_EMAIL=$email GIT_COMMITTER_DATE=$date \
			g commit-tree "$tree" -p "$parent")
	done < <(series_lines "$src")
	overlay_files "$src" | grep -vxFf "$t/named" >"$t/unnamed" || :
	COMPOSED=$parent
}

mention_unnamed()
{
	local f
	while read -r f; do
		say "note: $f is named by no line of patches/series: left out"
	done <"$TMP/compose/unnamed"
}

# The base's repository, cloned on first use; hard links, so cheap, and safe
# against a cache that goes away.
setup_tree()
{
	local b
	b=$("$ROOT/lab/base.sh")
	BASE_GIT=${b% *}
	BASE_ID=${b##* }
	BASE_NAME=$(git --git-dir="$BASE_GIT" log -1 --format=%s base)
	if [ -d "$TREE" ]; then
		g rev-parse -q --verify base >/dev/null || die "$TREE is not a tree of ours: move it away"
		if [ "$(g rev-parse base)" != "$BASE_ID" ]; then
			state
			[ -z "$OWN" ] || die "build/tree has own work on another base: move it away, or 'make refresh' with that base"
			say "another base: $BASE_NAME ($BASE_ID)"
			g fetch -q "$BASE_GIT" base
			g update-ref refs/tags/base "$BASE_ID"
		fi
		return
	fi
	room "$BUILD" 8000
	tmpdir "$BUILD"
	git clone -q --local --no-checkout -o base -b base "$BASE_GIT" "$TMP/tree" ||
		die "could not clone $BASE_GIT to build/tree"
	(
		cd "$TMP/tree" &&
		git config gc.auto 0 &&
		git config core.excludesFile /dev/null &&
		git config core.autocrlf false &&
		echo '/b-*/' >>.git/info/exclude &&
		git branch -q -m base series &&
		git tag base &&
		git remote remove base &&
		git checkout -q series &&
		# Debian's .gitignore ignores every new file: not here
		git update-index --skip-worktree .gitignore &&
		sed -i '/^\/\*$/d' .gitignore &&
		echo "$BASE_ID" >.git/lab-composed
	) || die "could not check out build/tree: is the disk full?"
	mv "$TMP/tree" "$TREE"
}

# state: OWN is what build/tree has and the repository does not, in words.
state()
{
	OWN=
	LAST=$(cat "$TREE/.git/lab-composed")
	HEAD=$(g rev-parse HEAD)
	if [ -n "$(g status --porcelain | head -n 1)" ]; then
		OWN="uncommitted edits"
	elif [ "$HEAD" != "$LAST" ]; then
		OWN="own commits"
	fi
}

KEEP="commit what is not, 'make refresh' takes commits back here; or move build/tree away and compose a new one"

do_tree()	# [ensure]
{
	setup_tree
	tmpdir "$BUILD"
	state
	compose "$ROOT"
	mention_unnamed
	if [ -n "$OWN" ] && { [ "$OWN" = "uncommitted edits" ] || [ "$HEAD" != "$COMPOSED" ]; }; then
		[ "$LAST" = "$COMPOSED" ] ||
			die "build/tree has $OWN, and patches/ or the new files changed too since it was composed: keep one of them aside (git stash here, or move build/tree away)"
		[ "${1:-}" = ensure ] || die "build/tree has $OWN: $KEEP"
		say "note: build/tree has $OWN: taken as it is"
		return
	fi
	if [ "$HEAD" != "$COMPOSED" ]; then
		# Touches only what differs, so that a build stays incremental
		g checkout -q -B series "$COMPOSED" || die "could not check the series out in build/tree"
	fi
	echo "$COMPOSED" >"$TREE/.git/lab-composed"
	say "build/tree: $BASE_NAME + $(g rev-list --count "base..$COMPOSED") commits, ${COMPOSED:0:12}"
}

do_base()
{
	setup_tree
	# "prune" forgets a build/base that was removed by hand
	g worktree prune
	if [ ! -d "$BASETREE" ]; then
		room "$BUILD" 4000
		g worktree add -q --detach "$BASETREE" base || die "could not check out build/base"
	elif [ "$(git -C "$BASETREE" rev-parse HEAD)" != "$BASE_ID" ]; then
		git -C "$BASETREE" checkout -q --detach base || die "could not check out build/base: has it edits?"
	fi
}

# write_patch COMMIT FILE NEW...: COMMIT as a mail, stable: no ids, no version
# of git, no new files.
write_patch()
{
	local c=$1 out=$2 f
	shift 2
	mkdir -p "$(dirname "$out")"
	{
		g log -1 --no-notes --no-color --format=email "$c" |
			sed '1s/^From [0-9a-f]*/From 0000000000000000000000000000000000000000/'
		echo "---"
		[ $# -eq 0 ] || { echo "New files:"; printf ' %s\n' "$@"; }
		[ $# -eq 0 ] || [ ! -s "$TMP/old" ] || echo
		[ ! -s "$TMP/old" ] || xargs -d '\n' -a "$TMP/old" git -C "$TREE" diff-tree \
			-p --stat=72 --no-renames --no-commit-id --no-ext-diff --no-color \
			--src-prefix=a/ --dst-prefix=b/ "$c" -- |
			sed -E '/^index [0-9a-f]+\.\.[0-9a-f]+( [0-7]+)?$/d'
	} >"$out"
}

# new_series OUT: the lines of the new series (TMP/list: "PATCH<TAB>SUBJECT<TAB>
# FILE...") with the comments of the old one.  The comments at the top stay at
# the top, what stands above a patch stays above it, and goes to the next one if
# it is gone.
new_series()
{
	awk -F'\t' -v old="$TMP/subjects" -v series="$SERIES" '
	function flush_to(s) { above[s] = above[s] pending; pending = "" }
	BEGIN {
		while ((getline line <old) > 0) {	# PATCH<TAB>SUBJECT of the old series
			split(line, p, "\t"); subject[p[1]] = p[2]
		}
		intop = 1
		while ((getline line <series) > 0) {
			if (line ~ /^[ \t]*(#|$)/) {
				if (intop) { top = top line "\n"; if (line ~ /^[ \t]*$/) intop = 0 }
				else pending = pending line "\n"
				continue
			}
			intop = 0
			split(line, p, /[ \t]+/)
			order[++n] = subject[p[1]]
			flush_to(subject[p[1]])
			tokens[subject[p[1]]] = line
		}
		tail = pending
	}
	{ patch[++m] = $1; subj[m] = $2; files[m] = $3; alive[$2] = 1 }
	END {
		for (i = 1; i <= n; i++)
			if (!(order[i] in alive)) {
				if (i < n) above[order[i + 1]] = above[order[i]] above[order[i + 1]]
				else tail = above[order[i]] tail
			}
		printf "%s", top
		for (i = 1; i <= m; i++)
			printf "%s%s%s\n", above[subj[i]], patch[i], (files[i] != "" ? " + " files[i] : "")
		printf "%s", tail
	}' "$TMP/list" >"$1"
}

do_refresh()
{
	local c path mode status dir f n subject name out files t
	local -A owner=() count=() oldarea=() oldline=()
	local -a new
	[ -d "$TREE" ] || die "there is no build/tree: 'make tree' composes it"
	setup_tree
	tmpdir "$BUILD"
	state
	[ "$OWN" != "uncommitted edits" ] ||
		die "build/tree has uncommitted edits: commit them there, or amend the commit they belong to"
	[ "$(g symbolic-ref -q HEAD)" = refs/heads/series ] ||
		die "build/tree is not on its branch 'series': finish what is going on there"
	compose "$ROOT"
	if [ "$LAST" != "$COMPOSED" ] && [ "$HEAD" != "$COMPOSED" ]; then
		[ -n "$OWN" ] || die "patches/ or the new files changed since build/tree was composed: 'make tree' brings it there"
		die "build/tree has $OWN, and patches/ or the new files changed too since it was composed: keep one of them aside (git stash here, or move build/tree away)"
	fi
	g merge-base --is-ancestor base HEAD && [ -z "$(g rev-list --merges base..HEAD)" ] ||
		die "build/tree: 'series' is not a straight line of commits from 'base'"

	# what the old series calls them, by subject
	: >"$TMP/subjects"
	while read -r name files; do
		subject=$(git mailinfo -b --no-scissors /dev/null /dev/null <"$ROOT/patches/$name" |
			sed -n 's/^Subject: //p')
		printf '%s\t%s\n' "$name" "$subject" >>"$TMP/subjects"
		oldarea[$subject]=${name%/*}
		oldline[$subject]=${files#+ }
	done < <(series_lines "$ROOT")

	# the patches and new files, beside the old ones
	out=$TMP/out
	mkdir -p "$out/patches"
	: >"$TMP/list"
	for c in $(g rev-list --reverse base..HEAD); do
		subject=$(g log -1 --format=%s "$c")
		new=()
		: >"$TMP/old"
		while IFS=$'\t' read -r status path; do
			read -r _ mode _ _ status <<<"$status"
			if in_base "$path"; then
				echo "$path" >>"$TMP/old"
				continue
			fi
			[ -z "${owner[$path]:-}" ] ||
				die "$path is new in '${owner[$path]}' and changed again in '$subject': squash the change, or let the file enter with the later commit"
			owner[$path]=$subject
			case $mode in
			100644|100755) ;;
			*) die "'$subject': $path is not a plain file" ;;
			esac
			case $path in
			*[[:space:]\"\\]*) die "'$subject': no blanks or quotes in the name of a new file: $path" ;;
			esac
			for dir in "${OVERLAY[@]}" ""; do
				[ "$path" = "${path#"$dir"/}" ] || break
			done
			[ -n "$dir" ] || die "'$subject': new files may be in ${OVERLAY[*]}, not at $path"
			new+=("$path")
			mkdir -p "$out/$(dirname "$path")"
			g cat-file blob "$c:$path" >"$out/$path"
			[ "$mode" = 100644 ] || chmod +x "$out/$path"
		done < <(g diff-tree -r --no-renames --no-commit-id --raw "$c")
		dir=${oldarea[$subject]:-$(area "$subject")}
		n=$((${count[$dir]:-0} + 1))
		count[$dir]=$n
		name=$(g log -1 --format=%f "$c")
		name=$(printf '%s/%04d-%s' "$dir" "$n" "${name:0:52}")
		name=${name%[-.]}.patch
		write_patch "$c" "$out/patches/$name" "${new[@]}"
		printf '%s\t%s\t%s\n' "$name" "$subject" "${new[*]}" >>"$TMP/list"
	done

	# a directory in the old line stays one if it still says the same
	while IFS=$'\t' read -r name subject files; do
		read -ra new <<<"$files"
		for t in ${oldline[$subject]:-}; do
			[ "$t" != "${t%/}" ] || continue
			f=$(printf '%s\n' "${new[@]}" | grep "^$t" | sort) || continue
			[ "$f" = "$(overlay_files "$out" "${t%/}")" ] || continue
			mapfile -t new < <(printf '%s\n' "${new[@]}" | awk -v t="$t" '
				index($0, t) != 1 { print }
				index($0, t) == 1 && !done++ { print t }')
		done
		printf '%s\t%s\t%s\n' "$name" "$subject" "${new[*]}"
	done <"$TMP/list" >"$TMP/list.new"
	mv "$TMP/list.new" "$TMP/list"
	new_series "$out/patches/series"

	# It must come back as it is in build/tree, before it replaces anything.
	cp "$TMP/compose/named" "$TMP/named"	# by the old series
	compose "$out"
	cmp -s <(g log --format=%T%n%an%n%ae%n%at%n%B base..HEAD) \
		<(g log --format=%T%n%an%n%ae%n%at%n%B "base..$COMPOSED") ||
		die "a commit of build/tree does not come back the same as a mail (a line '---' or 'diff ' in its message?): nothing changed here"
	while read -r f; do
		[ ! -e "$ROOT/$f" ] || grep -qxF -- "$f" "$TMP/named" || cmp -s "$ROOT/$f" "$out/$f" ||
			die "$f is here already, in no line of patches/series, and differs from build/tree's: move it away"
	done <"$TMP/compose/named"

	trap '' INT TERM
	while read -r f; do
		grep -qxF -- "$f" "$TMP/compose/named" || rm -f "$ROOT/$f"
	done <"$TMP/named"
	while IFS=$'\t' read -r name _; do
		[ -e "$out/patches/$name" ] || rm -f "$ROOT/patches/$name"
	done <"$TMP/subjects"
	(cd "$out" && find . -type f -printf '%P\n') | while read -r f; do
		[ -e "$ROOT/$f" ] && cmp -s "$out/$f" "$ROOT/$f" &&
			[ "$([ -x "$out/$f" ] && echo x)" = "$([ -x "$ROOT/$f" ] && echo x)" ] && continue
		mkdir -p "$(dirname "$ROOT/$f")"
		cp "$out/$f" "$ROOT/$f.new"
		mv "$ROOT/$f.new" "$ROOT/$f"
		say "refreshed $f"
	done
	find "$ROOT/patches" -mindepth 1 -type d -empty -delete
	# the same trees, so this moves a name only
	g update-ref -m "make refresh" refs/heads/series "$COMPOSED"
	echo "$COMPOSED" >"$TREE/.git/lab-composed"
	say "patches/series: $(g rev-list --count "base..$COMPOSED") patches"
}

# postings: for each one "NAME FIRST LAST", numbers of patches in the series
postings()
{
	awk '
	/^# posting: / { name = $3; next }
	/^[ \t]*(#|$)/ { next }
	{ n++; if (!(name in first)) { order[++m] = name; first[name] = n } last[name] = n }
	END { for (i = 1; i <= m; i++) print (order[i] == "" ? "-" : order[i]), first[order[i]], last[order[i]] }
	' "$SERIES"
}

# mail_posting DIR NAME FROM TO N: the Nth thread, with its cover letter
mail_posting()
{
	local cover=$ROOT/patches/cover/$2.txt letter=$1/0000-cover-letter.patch
	local after=" and the $(($5 - 1)) postings before this one"
	[ "$5" -gt 2 ] || after=" and the posting before this one"
	[ "$5" -gt 1 ] || after=
	[ -f "$cover" ] || die "posting $2 has no patches/cover/$2.txt"
	GIT_COMMITTER_NAME=$(g log -1 --format=%an "$4") \
	GIT_COMMITTER_EMAIL=$(g log -1 --format=%ae "$4") \
		g -c format.signOff=false -c format.signature='' format-patch -q --cover-letter \
		--no-signature --thread=shallow --base="$BASE_ID" -o "$1" "$3..$4"
	awk -v cover="$cover" -v base="$BASE_NAME" -v after="$after" '
	BEGIN { getline subject <cover; getline <cover; while ((getline l <cover) > 0) blurb = blurb l "\n" }
	/^Subject: / { sub(/\*\*\* SUBJECT HERE \*\*\*/, ""); printf "%s%s\n", $0, subject; next }
	$0 == "*** BLURB HERE ***" { printf "%s", blurb; next }
	/^base-commit: / { print "Base: " base after ".  The id is that of an import." }
	{ print }' "$letter" >"$letter.new"
	mv "$letter.new" "$letter"
}

# recipients DIR: who gets a posting, beside it; the kernel's own script knows
recipients()
{
	local -a mails=("$1"/*.patch)
	# without the cover letter, in which it sees no patch
	(cd "$TREE" && scripts/get_maintainer.pl --no-git --no-git-fallback --no-rolestats "${mails[@]:1}") \
		>"$1/recipients" 2>"$TMP/err" && [ -s "$1/recipients" ] && return
	rm -f "$1/recipients"
	say "${1##*/}: no recipients, scripts/get_maintainer.pl says: $(grep -m 1 . "$TMP/err" || echo nothing)"
}

do_mail()
{
	local c bad name first last dir n=0 from
	local -a commits
	setup_tree
	tmpdir "$BUILD"
	compose "$ROOT"
	mention_unnamed
	[ "$COMPOSED" != "$BASE_ID" ] || die "patches/series is empty"
	mapfile -t commits < <(g rev-list --reverse "base..$COMPOSED")
	for c in "${commits[@]}"; do
		bad=
		g log -1 --format=%B "$c" | grep -qi '^Signed-off-by:' && bad="has a Signed-off-by"
		g log -1 --format=%B "$c" | grep -q '^Assisted-by: ' || bad="lacks Assisted-by"
		[ -z "$bad" ] || die "'$(g log -1 --format=%s "$c")' $bad"
	done
	from=$BASE_ID
	while read -r name first last; do
		[ "$name" != - ] || die "patches/series has patches above its first line '# posting: NAME'"
		[ $((last - first)) -lt 15 ] || die "posting $name has $((last - first + 1)) patches, which is more than 15"
		n=$((n + 1))
		printf -v dir '%02d-%s' "$n" "$name"	# in a shell's order, too
		mkdir -p "$TMP/mail/$dir"
		mail_posting "$TMP/mail/$dir" "$name" "$from" "${commits[last - 1]}" "$n"
		recipients "$TMP/mail/$dir"
		from=${commits[last - 1]}
		say "build/mail/$dir: $((last - first + 1)) patches"
	done < <(postings)
	rm -rf "$BUILD/mail"
	mv "$TMP/mail" "$BUILD/mail"
}

do_clean()
{
	if [ -d "$TREE" ]; then
		state
		[ -z "$OWN" ] || die "build/tree has $OWN: $KEEP"
	fi
	rm -rf "$BUILD"
}

need git
lock "$BUILD/tree.lock" "command on build/tree"
case ${1:-} in
tree)		do_tree ;;
ensure)		do_tree ensure ;;
base)		do_base ;;
refresh)	do_refresh ;;
mail)		do_mail ;;
clean)		do_clean ;;
*)		die "usage: tree.sh tree|ensure|base|refresh|mail|clean" ;;
esac
