#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# Installs what was built, or takes it away again.
#
#   dist/install.sh install     build/ to this system, or below $DESTDIR
#   dist/install.sh uninstall
#
# Files of an installed drbd-utils are diverted (dpkg-divert) and put back at uninstall.
# MODULE=no leaves the kernel module out.
set -eu

here=$(cd "$(dirname "$0")/.." && pwd)
root=${DESTDIR:-}
manifest=$root/var/lib/drbd-rs/manifest
diverted=$root/var/lib/drbd-rs/diverted

say() { echo "$*"; }

die() {
	echo "install.sh: $*" >&2
	exit 1
}

# divert PATH: moves the file of another package out of the way. Debian may know a path by its
# name before /usr was merged.
divert() {
	[ -z "$root" ] || return 0
	command -v dpkg-divert >/dev/null 2>&1 || return 0
	for path in "$1" "${1#/usr}"; do
		case $path in /usr/* | /etc/* | /lib/* | /sbin/*) ;; *) continue ;; esac
		dpkg-query -S "$path" >/dev/null 2>&1 || continue
		dpkg-divert --list "$path" | grep -q drbd-rs && return 0
		# This ending makes systemd overlook what else would be an init script.
		dpkg-divert --quiet --local --rename --divert "$path.drbd-rs.dpkg-bak" --add "$path"
		echo "$path" >>"$diverted"
		return 0
	done
}

# put MODE SOURCE PATH: installs one file and remembers it.
put() {
	divert "$3"
	install -D -m "$1" "$2" "$root$3"
	echo "$3" >>"$manifest"
}

# link TARGET PATH
link() {
	divert "$2"
	mkdir -p "$root$(dirname "$2")"
	ln -sf "$1" "$root$2"
	echo "$2" >>"$manifest"
}

# keep SOURCE PATH: a configuration file, never overwritten and never removed.
keep() {
	if [ -e "$root$2" ]; then
		say "kept $2 as it is"
	else
		install -D -m 644 "$1" "$root$2"
	fi
}

# The program to ask for generated texts. Built for a newer system than this one, it runs in the
# build root only, where the checkout has another name: so all names are relative to it.
own_drbdadm() {
	(
		cd "$here"
		if build/sbin/drbdadm --version >/dev/null 2>&1; then
			build/sbin/drbdadm "$@"
		else
			scripts/in-root build/sbin/drbdadm "$@"
		fi
	)
}

install_module() {
	[ "${MODULE:-yes}" = yes ] || return 0
	module=$here/build/drbd.ko
	[ -f "$module" ] || die "no $module: run make first"
	release=$(modinfo -F vermagic "$module" | cut -d' ' -f1)
	[ -n "$release" ] || die "cannot tell which kernel $module is for"
	put 644 "$module" "/usr/lib/modules/$release/updates/drbd.ko"
	if [ -d "$root/usr/lib/modules/$release/kernel" ]; then
		depmod ${root:+-b "$root"} "$release"
	else
		say "kernel $release is not installed here; run depmod $release where it is"
	fi
}

install_tools() {
	[ -x "$here/build/sbin/drbdadm" ] || die "no build/sbin/drbdadm: run make first"
	put 755 "$here/build/sbin/drbdadm" /usr/sbin/drbdadm
	link drbdadm /usr/sbin/drbdsetup
	link drbdadm /usr/sbin/drbdmeta
}

install_texts() {
	made=$here/build/generated
	mkdir -p "$made"
	own_drbdadm generate man build/generated
	gzip -9nf "$made"/*.[58]
	for page in "$made"/*.[58].gz; do
		section=${page%.gz}
		put 644 "$page" "/usr/share/man/man${section##*.}/${page##*/}"
	done
	own_drbdadm generate completion bash >"$made/drbdadm"
	put 644 "$made/drbdadm" /usr/share/bash-completion/completions/drbdadm
	put 644 "$here/dist/etc/drbd.d/r0.res.example" /usr/share/doc/drbd-rs/r0.res
}

install_system() {
	put 755 "$here/dist/drbd.init" /usr/lib/drbd/scripts/drbd
	put 755 "$here/dist/drbd.init" /etc/init.d/drbd
	put 644 "$here/dist/drbd.service" /usr/lib/systemd/system/drbd.service
	put 644 "$here/dist/65-drbd.rules" /usr/lib/udev/rules.d/65-drbd.rules
	put 644 "$here/dist/drbd.tmpfiles" /usr/lib/tmpfiles.d/drbd.conf
	keep "$here/dist/etc/drbd.conf" /etc/drbd.conf
	keep "$here/dist/etc/drbd.d/global_common.conf" /etc/drbd.d/global_common.conf
}

# Lets what runs know of new or lost files.
refresh() {
	[ -z "$root" ] || return 0
	mkdir -p /run/drbd/lock
	chmod 700 /run/drbd /run/drbd/lock
	if [ -d /run/systemd/system ]; then
		systemctl daemon-reload || say "systemctl daemon-reload failed"
	fi
	if command -v udevadm >/dev/null 2>&1; then
		udevadm control --reload 2>/dev/null || say "udev does not run, nothing to reload"
	fi
}

do_install() {
	[ ! -e "$manifest" ] || do_uninstall
	mkdir -p "$(dirname "$manifest")"
	: >"$manifest"
	install_module
	install_tools
	install_texts
	install_system
	refresh
	say "installed. Start at boot: systemctl enable drbd. An example: /usr/share/doc/drbd-rs/r0.res"
}

do_uninstall() {
	[ -e "$manifest" ] || die "nothing installed: no $manifest"
	while read -r path; do
		rm -f "$root$path"
	done <"$manifest"
	if [ -e "$diverted" ]; then
		while read -r path; do
			dpkg-divert --quiet --local --rename --remove "$path"
		done <"$diverted"
	fi
	releases=$(sed -n 's|^/usr/lib/modules/\([^/]*\)/.*|\1|p' "$manifest")
	rm -f "$manifest" "$diverted"
	rmdir "$root/var/lib/drbd-rs" "$root/usr/share/doc/drbd-rs" "$root/usr/lib/drbd/scripts" \
		"$root/usr/lib/drbd" 2>/dev/null || :
	for release in $releases; do
		if [ -d "$root/usr/lib/modules/$release/kernel" ]; then
			depmod ${root:+-b "$root"} "$release"
		fi
	done
	refresh
	say "uninstalled; /etc/drbd.conf and /etc/drbd.d stay"
}

case ${1:-} in
install) do_install ;;
uninstall) do_uninstall ;;
*) die "usage: install.sh install|uninstall" ;;
esac
