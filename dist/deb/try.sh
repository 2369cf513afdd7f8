#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# Tries the packages in a throw-away copy of the build root: the module is built anew from what the
# package holds, with the kernel's Rust metadata made on the spot, as on a machine with another kernel
# than the package was made for; it is signed; and removed, nothing is left.
#
# The lab's scenario `packages` does the rest: it loads the module and upgrades it in use.
set -eu

here=$(cd "$(dirname "$0")/../.." && pwd)
[ -n "${DRBD_RS_INSIDE-}" ] || exec "$here/scripts/in-root" /src/dist/deb/try.sh "$@"
log=/src/build/log/packages.log

# Within the copy.
steps() {
	release=$(cat /etc/drbd-rs/kernel-version)
	module=/usr/lib/modules/$release/updates/drbd-rs/drbd.ko
	dpkg -i /packages/*.deb
	test "$(modinfo -k "$release" -F implementation drbd)" = drbd-rs

	# As Debian's packages leave it: headers without metadata, the source beside them.
	rm -rf "/usr/src/linux-headers-$release/rust" "/usr/src/linux-headers-$release/scripts/target.json"
	ln -s linux "/usr/src/linux-source-$(echo "$release" | cut -d. -f1,2)"
	find "/usr/src/linux-headers-$release/" | sort >/run/headers
	ready=$(sha256sum <"$module")
	rm -r /usr/lib/drbd-rs-module/ready
	# What a kernel's package does when its headers are there.
	run-parts --arg="$release" /etc/kernel/header_postinst.d
	test "$ready" != "$(sha256sum <"$module")"
	test "$(modinfo -k "$release" -F implementation drbd)" = drbd-rs
	# The one that was built here asks for the very symbols that the other one asked for.
	nm -u "$module" | sort >/run/built
	nm -u /src/build/drbd.ko | sort | diff - /run/built
	find "/usr/src/linux-headers-$release/" | sort | diff /run/headers -

	DRBD_RS_SECURE_BOOT=yes drbd-rs-module install "$release"
	modinfo -k "$release" -F signer drbd | grep 'modules of drbd-rs'
	tail -c 28 "$module" | grep -a '~Module signature appended~'

	# A build that fails leaves what is there.
	before=$(sha256sum <"$module")
	echo '#error no' >>/usr/lib/drbd-rs-module/source/kernel/sys/shim.h
	if drbd-rs-module install "$release"; then exit 1; fi
	test "$before" = "$(sha256sum <"$module")"
	test -z "$(find /var/lib/drbd-rs-module -name 'work.*')"

	dpkg -r drbd-rs-module drbd-rs-utils
	test ! -e "$module"
	test -n "$(modinfo -k "$release" -F filename drbd)"
	dpkg -P drbd-rs-module drbd-rs-utils
	test ! -e /var/lib/drbd-rs-module
	dpkg -V drbd-utils
	test -z "$(dpkg-divert --list '*dpkg-bak')"

	# Without the stock tools the packages bring a configuration, and take it away again.
	dpkg -P drbd-utils
	dpkg -i /packages/drbd-rs-utils_*.deb
	drbdadm --version | grep -q ^DRBDADM_IMPLEMENTATION=
	test -e /etc/drbd.conf
	dpkg -P drbd-rs-utils
	test ! -e /etc/drbd.conf
	test ! -e /usr/sbin/drbdadm
}
if [ "${1-}" = steps ]; then
	set -x
	steps
	exit 0
fi

mkdir -p /src/build/log
copy=$(mktemp -d /tmp/drbd-rs-packages.XXXXXX)
trap 'rm -rf --one-file-system "$copy"' EXIT
/src/dist/deb/build.sh "$copy/packages" >/dev/null
code=0
unshare --mount sh -euc '
	cd "$1"
	mkdir lower upper work root
	mount --bind / lower
	mount -t overlay overlay -o "lowerdir=lower,upperdir=upper,workdir=work" root
	mkdir root/packages
	for folder in proc dev sys; do mount --rbind "/$folder" "root/$folder"; done
	for folder in src tmp; do mount --bind "/$folder" "root/$folder"; done
	mount --bind packages root/packages
	mount -t tmpfs tmpfs root/run
	exec chroot root /src/dist/deb/try.sh steps
' sh "$copy" >"$log" 2>&1 </dev/null || code=$?
if [ $code != 0 ]; then
	tail -n 40 "$log"
	find "$copy/upper/var/lib/drbd-rs-module" -name '*.log' -exec tail -n 20 {} + 2>/dev/null || :
	echo "packages: failed (the whole log: build/log/packages.log)"
	exit 1
fi
echo "packages: built, signed, removed"
