#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# Compares our drbdsetup (/lab/drbdsetup-84) with the stock one on the same driver, two resources of
# one node that are each other's peer: connected, syncing, paused, verifying, disconnected. Also
# runs both listeners through it all and compares what they printed. Run in a lab guest.
modprobe drbd; S=/lib/drbd/drbdsetup-84; O=/lab/drbdsetup-84; n=0; bad=0
echo /bin/true > /sys/module/drbd/parameters/usermode_helper 2>/dev/null; printf /bin/true > /sys/module/drbd/parameters/usermode_helper
cd /tmp; ip addr add 10.0.0.1/24 dev lo 2>/dev/null; ip link set lo up
norm2() { tr -s " \n" " " < "$1" | sed -E "s/(done:|read:|written:|sent:|received:|pending:|unacked:|out-of-sync:)[0-9.]+/\1N/g"; }
norm() { sed -E 's/[0-9]+/N/g; s/ +/ /g' "$1" | tr '\n' ' '; }
cc() { $S "$@" >/tmp/so 2>/tmp/se </dev/null; sr=$?; $O "$@" >/tmp/oo 2>/tmp/oe </dev/null; or=$?; n=$((n+1)); }
c() { [ "${!#}" = "--color=always" ] && { cc "$@"; norm2 /tmp/so > /tmp/s1; norm2 /tmp/oo > /tmp/o1; cmp -s /tmp/s1 /tmp/o1 || { bad=$((bad+1)); echo "### COLOR $*"; diff /tmp/so /tmp/oo | cat -A | head -20; }; return; }; cc "$@"; if [ $sr != $or ] || ! cmp -s /tmp/so /tmp/oo || ! cmp -s /tmp/se /tmp/oe; then bad=$((bad+1)); echo "### DIFF $* (stock $sr, ours $or)"; diff /tmp/so /tmp/oo | head -12 | cat -A | cut -c1-220; diff /tmp/se /tmp/oe | head -6| cut -c1-200; fi; }
cn() { [ "${!#}" = "--color=always" ] && { c "$@"; return; }; cc "$@"; if [ $sr != $or ] || [ "$(norm /tmp/so)" != "$(norm /tmp/oo)" ] || ! cmp -s /tmp/se /tmp/oe; then bad=$((bad+1)); echo "### DIFFN $* (stock $sr, ours $or)"; diff /tmp/so /tmp/oo | head -12 | cat -A | cut -c1-220; fi; }
o() { $O "$@"; r=$?; [ $r = 0 ] || echo "## ours $* -> $r"; }
q() { k=$1; for M in 1 2; do for x in role cstate dstate show-gi get-gi sh-status show; do $k $x $M; done; done; $k sh-status; c show; c show a --show-defaults; for opt in "" "--verbose" "--statistics" "--verbose --statistics" "--color=always" "--verbose --statistics --color=always"; do $k status $opt; done; $k events2 --now --statistics; }
for x in S O; do for opt in "events2" "events2 --statistics" "events2 a" "events2 --statistics b" "events" "events 1" "events b"; do eval "p=\$$x"; f="/tmp/ev.$x.${opt// /_}"; $p $opt > $f 2>&1 & done; done; sleep 1
for r in a b; do o new-resource $r; done; o new-minor a 1 0; o new-minor b 2 0; o new-minor a 3 1; o new-minor b 4 1
drbdmeta --force 1 v08 /dev/data0 internal create-md >/dev/null 2>&1; drbdmeta --force 2 v08 /dev/data1 internal create-md >/dev/null 2>&1
o attach 1 /dev/data0 /dev/data0 internal --resync-rate=300k --c-plan-ahead=0; o attach 2 /dev/data1 /dev/data1 internal --resync-rate=300k --c-plan-ahead=0
A=10.0.0.1:7001; B=10.0.0.1:7002
o connect a $A $B --verify-alg=crc32c --ping-timeout=50; q c; o connect b $B $A --verify-alg=crc32c --ping-timeout=50
$S wait-connect 1 --wfc-timeout=20 --degr-wfc-timeout=20 --outdated-wfc-timeout=20; echo "wc $?"; $O wait-connect 1 -t 20 2>/dev/null; echo "wc $?"; sleep 1
q c
o primary 1 --force; sleep 2; q cn
o pause-sync 1; sleep 2; q c
c primary 2; c outdate 1; c outdate 2; c verify 1; c resize 1; c new-current-uuid 1;  c disconnect 1.2.3.4 $A
o pause-sync 2; sleep 1; q c; o resume-sync 1;o resume-sync 2; o disk-options 2 --resync-rate=100M --c-plan-ahead=0; o disk-options 1 --resync-rate=100M --c-plan-ahead=0
( $S wait-sync 1 >/dev/null 2>&1; echo "stock wait-sync $?" ) & ( $O wait-sync 1 > /dev/null 2>&1; echo "ours wait-sync $?" ) & wait %15 %16 2>/dev/null; sleep 3;
q c
o disk-options 1 --resync-rate=500k --c-plan-ahead=0; o verify 1; sleep 1; $S cstate 1; q cn; $S cstate 1;
o disconnect $A $B; sleep 2; q c; sleep 1
o detach 2; q c; o down b; o secondary 1; c primary 1; q c; c down a; sleep 2
kill $(jobs -p); sleep 1
for f in /tmp/ev.S.*; do g=${f/ev.S/ev.O}; if cmp -s $f $g; then echo "same $(wc -l <$f) $f"; else bad=$((bad+1)); echo "### EVDIFF $f"; diff $f $g | head -14; fi; done
echo "compared $n different $bad"
[ "$bad" = 0 ]
