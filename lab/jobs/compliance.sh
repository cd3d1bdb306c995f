# SPDX-License-Identifier: GPL-2.0
# v4l2-compliance, with streaming, on every node of one vivid and on its media
# device; at the same time cec-compliance, which mostly waits, on another.
#
# v4l2-compliance allocates as many buffers as a queue may have.  Not in UML: each
# of their pages is a mapping of the host, which has too few (vm.max_map_count).
# timeout: 400
# kmemleak: yes
# memory: 6144
# cmdline: vivid.n_devs=2

# what is tested and what is wrong, without the lists of formats
brief='grep -E (test|Total|fail|FAIL|warn|Disconnect)'

# node NAME: the /dev node of that name
node()
{
	for n in /sys/class/video4linux/*; do
		read -r name <"$n/name"
		[ "$name" != "$1" ] || echo "/dev/${n##*/}"
	done
}

# A TV and a player on one cable: HDMI in is connected to "Output HDMI 001-0",
# the last of the menu
v4l2-ctl -d "$(node vivid-001-vid-cap)" -c hdmi_001_0_is_connected_to=3
cec-ctl -s -D vivid -a vivid-001-vid-cap0 --tv
cec-ctl -s -D vivid -a vivid-001-vid-out0 --playback
cec-follower -s -D vivid -a vivid-001-vid-out0 >/dev/null 2>&1 &
follower=$!
cec-compliance -D vivid -a vivid-001-vid-cap0 -r4 -t10 --skip-test-standby-resume >/tmp/cec 2>&1 &
cec=$!

for dir in /sys/class/video4linux/*; do
	read -r name <"$dir/name"
	case $name in
	vivid-000-*) ;;
	*) continue ;;
	esac
	echo "=== v4l2-compliance $name"
	v4l2-compliance -d "/dev/${dir##*/}" -s5 -P | $brief
done
echo "=== v4l2-compliance media device"
v4l2-compliance -M platform:vivid-000 -P | $brief
wait $cec
kill $follower
echo "=== cec-compliance"
$brief /tmp/cec
