# SPDX-License-Identifier: GPL-2.0
# Arguments: NAME/DEVICE CYCLES.  Unbind and bind a platform driver while
# applications do all they can, jobs and frames complete where platform/models.tbl
# says how, and the driver's interrupts come all the time.
# timeout: 600
# kmemleak: yes
# modules: vim2m vsensor
# shellcheck source=lab/platform/streams.sh
. /lab/streams.sh
[ -z "$sensor" ] || bind_sensor
hardware storm >/tmp/model

# stress sets up at random: beside it, streams that are set up as they must be
while :; do
	for s in $(streams); do
		start "$s" 20
		ended 5
		grep -c frame /tmp/stream >>/tmp/frames
	done
	busybox usleep 100000
done >/dev/null 2>&1 &
beside=$!
renice -n -20 -p "$beside"
# with a sensor, bound for as long as it takes to set up the pipeline
# shellcheck disable=SC2086
stress "$1" "$2" ${sensor:+8 2000}
status=$?
kill "$beside"
echo "# frames beside: $(awk '{ n += $1 } END { print n + 0 }' /tmp/frames)"
[ -z "$sensor" ] || drv vsensor unbind "$sensor"
killall model
wait "$model"
cat /tmp/model
if ! grep -q '[1-9][0-9]* more interrupts' /tmp/model; then
	echo "RESULT	interrupts under load	fail	there were none"
	status=1
fi
exit $status
