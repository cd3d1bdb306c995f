# SPDX-License-Identifier: GPL-2.0
# Arguments: NAME/DEVICE CYCLES [WORKERS].  Unbind and bind a platform driver while
# applications do all they can, and its interrupts come all the time.
# timeout: 600
# kmemleak: yes
driver=${1%/*} device=${1#*/}
with_action()
{
	for d in /sys/kernel/irq/*; do
		[ -z "$(cat "$d/actions")" ] || echo "${d##*/}"
	done
}
with_action >/tmp/bound
echo "$device" >"/sys/bus/platform/drivers/$driver/unbind"
with_action >/tmp/unbound
echo "$device" >"/sys/bus/platform/drivers/$driver/bind"
irqs=$(grep -vxFf /tmp/unbound /tmp/bound)
[ -n "$irqs" ] || { echo "$1 has no interrupt"; exit 1; }
# Its status is cleared by writing ones, which memory keeps: an interrupt of an
# idle pipe would look like a frame, of which the driver warns.
[ "$driver" != mxc-isi ] || irqs=
echo "interrupts: ${irqs:-none}"
while [ -n "$irqs" ]; do
	for i in $irqs; do
		echo trigger >"/sys/kernel/debug/irq/irqs/$i"
	done
	busybox usleep 2000
done 2>/dev/null &
storm=$!
# shellcheck disable=SC2086
stress "$1" "$2" ${3:-}
status=$?
kill "$storm"
exit $status
