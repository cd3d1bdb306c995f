#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# oracle.sh CONSOLE [ALLOW]: did the kernel complain?  The one check of every
# guest's console; prints what it finds, but for what matches ALLOW, and fails then.
#
# Looks from the line "LAB: start" on (or from KUnit's first line, for tests that
# run during boot): with kmemleak and a second CPU the boot has a report of its
# own, which is not about what is tested.

. "$(dirname "$0")/lib.sh"

BAD='KASAN|KCSAN|KMSAN|UBSAN|ODEBUG|BUG:|BUG |WARNING:|Oops|Internal error|general protection'
BAD+='|possible recursive locking|circular locking|inconsistent lock state|suspicious RCU'
BAD+='|possible deadlock|bad unlock balance|held lock freed|lock held when returning|nested lock was not taken'
BAD+='|possible irq lock inversion|irq-unsafe lock order|DEBUG_LOCKS_WARN|INFO: lockdep is turned off'
BAD+='|refcount_t|sleeping function called|scheduling while atomic|Voluntary context switch within RCU'
BAD+='|, at: [a-zA-Z0-9_]+\+0x'				# which locks lockdep's report is about
BAD+='|INFO: task .* blocked|blocked for more than|self-detected stall|detected stalls|soft lockup|hard LOCKUP|rcu_.*kthread starved'
BAD+='|removal waits for [0-9]+ calls in progress'	# a drain that waits too long
BAD+='|kmemleak: [0-9]* new suspected|unreferenced object|list_(add|del) corruption|kernel BUG|Bad page|Bad rss'
BAD+='|Runtime PM usage count underflow|Unbalanced pm_runtime|irq [0-9]+: nobody cared'
BAD+='|invoked oom-killer|Out of memory|ran out of memory'
BAD+='|Unable to handle kernel|Kernel panic|Kernel mode fault|segfault at|Call [Tt]race:|!!!|printk messages dropped'
BAD+='|LAB: no module|LAB: tasks in D state|LAB: debug_locks (0|none)|LAB: taint [1-9]'

# What a job prints is its own business.
NOT='(^|\] )lab\| '

findings()
{
	awk '/LAB: start|KTAP version 1/ { on = 1 } on' "$1" | grep -E "$BAD" | grep -vE "$NOT${2:+|$2}"
}

# What left a taint, or switched lockdep off, may have been the boot
boot_findings()
{
	awk '/LAB: start|KTAP version 1/ { exit } 1' "$1" | grep -E "$BAD" | sed 's/^/before the start: /'
}

# Positive control: every line of the sample must be found, none of the others.
if [ "${1:-}" = --self-test ]; then
	tmpdir "$BUILD"
	n=0
	while IFS= read -r line; do
		n=$((n + 1))
		printf 'LAB: start\n%s\n' "$line" >"$TMP/console"
		findings "$TMP/console" >/dev/null || die "the oracle does not see: $line"
	done <"$ROOT/lab/oracle-sample.txt"
	printf '%s\n' 'WARNING: before the start' 'LAB: start' 'lab| WARNING: in a job' '[  1.0] lab| BUG: too' \
		'vivid-000: V4L2 capture device registered as video0' 'LAB: debug_locks 1' 'LAB: taint 0' >"$TMP/console"
	! findings "$TMP/console" || die "the oracle sees what it should not"
	say "oracle: $n bad lines seen"
	exit 0
fi

[ -s "${1:-}" ] || die "usage: oracle.sh CONSOLE [ALLOW] | --self-test"
found=$(findings "$@") || exit 0
case $found in
*"LAB: debug_locks"*|*"LAB: taint"*) boot_findings "$1" || : ;;
esac
printf '%s\n' "$found"
exit 1
