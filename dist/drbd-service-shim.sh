#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# What the systemd units of DRBD do with one resource: drbd-service-shim.sh VERB RESOURCE.
#
# Roles are drbdadm's business here: drbdsetup of series 8.4 knows minors only.
PATH=/usr/sbin:/usr/bin:/sbin:/bin
export DRBD_DONT_WARN_ON_VERSION_MISMATCH=1

verb=${1-}
resource=${2-}
[ -n "$resource" ] || {
	echo "usage: $0 VERB RESOURCE" >&2
	exit 1
}

# Whether each volume has good data, here or at the peer.
promotable() {
	states=$(drbdadm dstate "$resource" 2>/dev/null) && [ -n "$states" ] || return 1
	! echo "$states" | grep -qv UpToDate
}

# Looks after each event; there is one for the present state at once.
wait_promotable() {
	pipe=$(mktemp -u /run/drbd/events.XXXXXX)
	mkfifo -m 600 "$pipe" || exit 1
	drbdsetup events2 "$resource" >"$pipe" &
	events=$!
	found=1
	while read -r _; do
		if promotable; then
			found=0
			break
		fi
	done <"$pipe"
	kill "$events" 2>/dev/null
	rm -f "$pipe"
	return "$found"
}

# on, off: the logical volumes among the backing devices.
logical_volumes() {
	for device in $(drbdadm sh-ll-dev "$resource"); do
		case $device in
		/dev/*/*) ;;
		*) continue ;;
		esac
		if [ "$1" = on ]; then
			[ -b "$device" ] || lvchange -ay "$device"
		else
			[ ! -b "$device" ] || lvchange -an "$device"
		fi
	done
}

case $verb in
adjust) exec drbdadm adjust "$resource" ;;
down) exec drbdsetup down "$resource" ;;
primary) exec drbdadm primary "$resource" ;;
# Series 8.4 can't take the role from a device in use.
secondary | secondary-force | secondary-secondary-force) exec drbdadm secondary "$resource" ;;
secondary-or-escalate | secondary-secondary-force-or-escalate)
	# Nothing is Primary where nothing is configured.
	[ "$(drbdsetup events2 --now "$resource")" = "exists -" ] && exit 0
	drbdadm secondary "$resource"
	code=$?
	[ "$code" = 0 ] || echo "<0>drbdadm secondary $resource ended with $code" >&2
	exit "$code"
	;;
wait-promotable) wait_promotable ;;
lv-on) logical_volumes on ;;
lv-off) logical_volumes off ;;
*)
	echo "$0: unknown verb $verb" >&2
	exit 1
	;;
esac
