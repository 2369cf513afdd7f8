#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# Compares our drbdsetup (/lab/drbdsetup-84) with the stock one on the same driver, one node: usage
# errors, refusals, and every output in each state a node can reach alone. Run in a lab guest; the
# last line says how many commands were compared and how many differed.
modprobe drbd; S=/lib/drbd/drbdsetup-84; O=/lab/drbdsetup-84; n=0; bad=0
cd /tmp
c() { $S "$@" >/tmp/so 2>/tmp/se </dev/null; sr=$?; $O "$@" >/tmp/oo 2>/tmp/oe </dev/null; or=$?; n=$((n+1))
 if [ $sr != $or ] || ! cmp -s /tmp/so /tmp/oo || ! cmp -s /tmp/se /tmp/oe; then bad=$((bad+1)); echo "### DIFF $* (stock $sr, ours $or)"; diff /tmp/so /tmp/oo | head -12 | cat -A | cut -c1-200; diff /tmp/se /tmp/oe | head -6| cut -c1-200; fi; }
o() { $O "$@"; r=$?; [ $r = 0 ] || echo "## ours $* -> $r"; }
q() { M=$1; R=$2; for x in role cstate dstate show-gi get-gi sh-status check-resize show; do c $x $M; done; c sh-status; c sh-status $R; c sh-status nores; c show; c show $R; c show nores; c show $R --show-defaults; for opt in "" "--verbose" "--statistics" "--verbose --statistics" "--color=always" "--verbose --statistics --color=always"; do c status $opt; c status $R $opt; done; c status nores; c events2 --now; c events2 --now --statistics; c events2 $R --now; c events2 nores --now; c wait-connect $M --wfc-timeout=1 --degr-wfc-timeout=1 --outdated-wfc-timeout=1;  c wait-sync $M --wfc-timeout=1; }
mistakes() { c; c help; c help bogus; c --help; c xml-help; c bogus; c role; c role abc; c role 1 2; c role 1 --x; c role 1 -x; c attach 1; c attach 1 /dev/x; c attach 1 /etc/passwd; c attach 1 /dev/data0 /dev/data0 internal extra; c attach 1 /dev/data0 /dev/data0 internal --nosuch; c attach 1 /dev/data0 /dev/data0 internal --resync-rate; c attach 1 /dev/data0 /dev/data0 internal --resync-rate=x; c attach 1 /dev/data0 /dev/data0 internal --resync-rate=; c attach 1 /dev/data0 /dev/data0 nonsense; c attach 1 /dev/data0 /dev/data0 internal --on-io-error=nonsense; c new-resource r0 --on-no-data=x; c new-resource ''; c new-resource; c new-resource a/b; c connect r0 ipv4:10.0.0.1:7790; c connect r0; c disk-options 1 --size=1M; c disk-options; c status --bogus; c status nores r1; c status --color=foo; c wait-connect 1 --wfc-timeout=x; c events2 r0 r1; c 1 role; c role -- 1; c r0 role; c down; c down r0 r1; c down nores; c primary 1 --force=maybe; c primary 99 --force=no; c primary 99 --f; c new-minor r0 1; c new-minor nores 1 x; c new-minor nores 1 -- -1; c new-minor nores 1 0; c disconnect; c disconnect 10.0.0.1 10.0.0.2; c net-options 10.0.0.1 10.0.0.2 --timeout=50; c connect r0 ipv4:10.0.0.1:x ipv4:10.0.0.2;  c connect r0 ipv6:10.0.0.1 ipv4:10.0.0.2; c connect r0 ipv4:10.0.0.1 bogus:10.0.0.2; c connect r0 ipv4:10.0.0.999:1 ipv4:10.0.0.2; c connect r0 nonsense:10.0.0.1:7790 10.0.0.2; c connect r0 ipv4:hostname:7790 10.0.0.2; c connect nores 10.0.0.1 10.0.0.2; c resource-options nores --cpu-mask=1; c role /dev/drbd99; c role minor-1; c role /dev/data0; c del-minor 99; c del-resource nores; c resize 99 --size=x; c wait-connect 99 --wfc-timeout=1; c help attach; for v in $($S help | sed -n '/^Commands/,/^$/p' | tail -n +2); do c help $v; c xml-help $v; done; }
mistakes
q 1 r0
o new-resource r0 --cpu-mask=1; q 1 r0
c new-resource r0; c new-resource r0 extra
o new-minor r0 1 0; q 1 r0
c new-minor r0 1 1; c new-minor r0 2 0; c new-minor r0 1048576 0; c new-minor r0 3 65535; c del-resource r0; c detach 1; c secondary 1; c primary 1; c primary 1 --force; c invalidate 1; c outdate 1; c verify 1; c resize 1; c new-current-uuid 1; c disk-options 1 --al-extents=300
drbdmeta --force 1 v08 /dev/data0 internal create-md >/dev/null 2>&1
c attach 1 /dev/data1 /dev/data1 internal
o attach 1 /dev/data0 /dev/data0 internal --resync-rate=6M --disk-flushes=no --size=20M --on-io-error=pass_on --read-balancing=32K-striping; q 1 r0
c attach 1 /dev/data0 /dev/data0 internal; c del-minor 1; c invalidate 1; c outdate 1; c disk-options 1 --resync-after=1; c disk-options 1 --resync-after=-5
o disk-options 1 --set-defaults --al-extents=257; q 1 r0
o pause-sync 1; c pause-sync 1; q 1 r0; o resume-sync 1; c resume-sync 1
o primary 1 --force; q 1 r0
o suspend-io 1; q 1 r0; o resume-io 1
ip addr add 10.0.0.1/24 dev lo 2>/dev/null
o connect r0 ipv4:10.0.0.1:7790 ipv4:10.0.0.2:7790 --protocol=A --shared-secret='a"b' --verify-alg=crc32c --discard-my-data=no --allow-two-primaries=no --timeout=2k; sleep 1; q 1 r0
c connect r0 ipv4:10.0.0.1:7790 ipv4:10.0.0.2:7790; c connect r0 ipv4:10.0.0.1:7791 ipv4:10.0.0.2:7791; c del-resource r0; c net-options ipv4:10.0.0.1:7790 ipv4:10.0.0.2:7790 --allow-two-primaries; c net-options ipv4:10.0.0.1:7790 ipv4:10.0.0.2:7790 --verify-alg=nonsense; c net-options ipv4:10.0.0.1:7790 ipv4:10.0.0.2:7790 --alternate-address=1.2.3.4; c connect r0 10.0.0.1 10.0.0.2 --alternate-address=1.2.3.4; c verify 1; c new-current-uuid 1; c invalidate-remote 1
o net-options ipv4:10.0.0.1:7790 ipv4:10.0.0.2:7790 --set-defaults --ping-int=7; q 1 r0
o new-resource r1; o new-minor r1 5 3; o new-minor r1 6 7; q 5 r1
c down r0; c down r1; q 1 r0
echo "compared $n different $bad"
[ "$bad" = 0 ]
