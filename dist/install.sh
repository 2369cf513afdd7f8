#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# Installs what was built, or takes it away again.
#
#   dist/install.sh install     build/ to this system, or below $DESTDIR
#   dist/install.sh uninstall
#   dist/install.sh stage       what a package of the tools holds, below $DESTDIR; see dist/deb
#
# Files of an installed drbd-utils are diverted (dpkg-divert) and put back at uninstall.
# MODULE=no leaves the kernel module out; BUILD names another folder than build/.
#
# What was done stands in /var/lib/drbd-rs: `manifest` names the files, `configuration` those that
# are kept once they were changed, with their checksums, `folders` what was made for them, and
# `diverted` the files of others that were moved away. Each is written before it is acted upon, so
# that uninstall also cleans up after an install that broke off.
set -eu

here=$(cd "$(dirname "$0")/.." && pwd)
build=${BUILD:-$here/build}
root=${DESTDIR:-}
state=$root/var/lib/drbd-rs
ending=drbd-rs.dpkg-bak

say() { echo "$*"; }

die() {
	echo "install.sh: $*" >&2
	exit 1
}

# note LIST WORD...: remembers a line.
note() {
	list=$1
	shift
	echo "$*" >>"$state/$list"
}

# make_folder PATH: with all above it; remembers what was not there.
make_folder() {
	[ ! -d "$root$1" ] || return 0
	case $1 in
	/*/*) make_folder "${1%/*}" ;;
	esac
	note folders "$1"
	mkdir -p "$root$1"
}

# put MODE SOURCE PATH, link TARGET PATH: plan to make one file.
put() { echo "$1 $3 $2" >>"$state/plan"; }
link() { echo "link $2 $1" >>"$state/plan"; }

# Says which of the planned paths belong to a package. Debian may know them by their names before
# /usr was merged. One question for all: dpkg reads its whole database for each.
owned() {
	[ -z "$root" ] && command -v dpkg-divert >/dev/null 2>&1 || return 0
	while read -r _ path _; do
		echo "$path"
		echo "${path#/usr}"
	done <"$state/plan" | xargs dpkg-query -S 2>/dev/null | sed -n 's/^[^/]*: \//\//p'
}

# divert PATH: moves the file of another package out of the way.
divert() {
	note diverted "$1"
	# This ending makes systemd overlook what else would be an init script.
	dpkg-divert --quiet --local --rename --divert "$1.$ending" --add "$1"
}

# Does what was planned.
carry_out() {
	owned | sort -u >"$state/owned"
	while read -r path; do
		divert "$path"
	done <"$state/owned"
	while read -r what path source; do
		make_folder "${path%/*}"
		note manifest "$path"
		if [ "$what" = link ]; then
			ln -sf "$source" "$root$path"
		else
			install -m "$what" "$source" "$root$path"
		fi
	done <"$state/plan"
	rm -f "$state/owned" "$state/plan"
}

# keep SOURCE PATH: a configuration file, never overwritten, and removed only while unchanged.
keep() {
	if [ -e "$root$2" ]; then
		say "kept $2 as it is"
		return 0
	fi
	make_folder "${2%/*}"
	note configuration "$(sha256sum <"$1" | cut -d' ' -f1) $2"
	install -m 644 "$1" "$root$2"
}

# The program to ask for generated texts. Built for a newer system than this one, it runs in the
# build root only, where the checkout has another name: so all names are relative to it.
own_drbdadm() {
	if "$build/sbin/drbdadm" --version >/dev/null 2>&1; then
		(cd "$build" && sbin/drbdadm "$@")
	else
		(cd "$build" && "$here/scripts/in-root" sbin/drbdadm "$@")
	fi
}

install_module() {
	[ "${MODULE:-yes}" = yes ] || return 0
	put 644 "$build/drbd.ko" "/usr/lib/modules/$release/updates/drbd.ko"
}

# index_modules RELEASE: lets modprobe know.
index_modules() {
	if [ -d "$root/usr/lib/modules/$1/kernel" ] && command -v depmod >/dev/null 2>&1; then
		depmod ${root:+-b "$root"} "$1"
	else
		say "kernel $1 is not installed here; run depmod $1 where it is"
	fi
}

install_tools() {
	put 755 "$build/sbin/drbdadm" /usr/sbin/drbdadm
	link drbdadm /usr/sbin/drbdsetup
	link drbdadm /usr/sbin/drbdmeta
}

install_texts() {
	texts=$build/generated
	rm -rf "$texts"
	mkdir -p "$texts"
	own_drbdadm generate man generated
	gzip -9n "$texts"/*.[58]
	for page in "$texts"/*.[58].gz; do
		section=${page%.gz}
		put 644 "$page" "/usr/share/man/man${section##*.}/${page##*/}"
	done
	for program in drbdadm drbdsetup drbdmeta; do
		completion bash "$program" "/usr/share/bash-completion/completions/$program"
		completion zsh "$program" "/usr/share/zsh/vendor-completions/_$program"
		completion fish "$program" "/usr/share/fish/vendor_completions.d/$program.fish"
	done
	put 644 "$here/dist/etc/drbd.d/r0.res.example" /usr/share/doc/drbd-rs/r0.res
}

# completion SHELL PROGRAM PATH
completion() {
	own_drbdadm generate completion "$1" "$2" >"$texts/$2.$1"
	put 644 "$texts/$2.$1" "$3"
}

install_system() {
	put 755 "$here/dist/drbd.init" /usr/lib/drbd/scripts/drbd
	put 755 "$here/dist/drbd-service-shim.sh" /usr/lib/drbd/scripts/drbd-service-shim.sh
	put 755 "$here/dist/drbd.init" /etc/init.d/drbd
	for unit in "$here"/dist/systemd/*; do
		put 644 "$unit" "/usr/lib/systemd/system/${unit##*/}"
	done
	put 644 "$here/dist/65-drbd.rules" /usr/lib/udev/rules.d/65-drbd.rules
	put 644 "$here/dist/drbd.tmpfiles" /usr/lib/tmpfiles.d/drbd.conf
	put 644 "$here/dist/drbd.modules-load" /usr/lib/modules-load.d/drbd.conf
}

install_configuration() {
	keep "$here/dist/etc/drbd.conf" /etc/drbd.conf
	keep "$here/dist/etc/drbd.d/global_common.conf" /etc/drbd.d/global_common.conf
}

# The same files as do_install, for a package: no module, and no configuration, which the package
# looks after itself. The init script is a file of the stock package that nobody should divert twice.
do_stage() {
	[ -n "$root" ] || die "stage wants DESTDIR"
	[ -x "$build/sbin/drbdadm" ] || die "no $build/sbin/drbdadm: run make first"
	state=$(mktemp -d)
	install_tools
	install_texts
	install_system
	sed -i '\| /etc/init.d/drbd |d' "$state/plan"
	carry_out
	mkdir -p "$root/usr/share/drbd-rs/etc"
	cp -R "$here/dist/etc/drbd.conf" "$here/dist/etc/drbd.d" "$root/usr/share/drbd-rs/etc/"
	rm -rf "$state"
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
	# Whatever may be missing is looked for before anything is touched.
	[ -x "$build/sbin/drbdadm" ] || die "no $build/sbin/drbdadm: run make first"
	if [ "${MODULE:-yes}" = yes ]; then
		[ -f "$build/drbd.ko" ] || die "no $build/drbd.ko: run make first"
		# As `modinfo -F vermagic` tells, which the machine that builds need not have.
		release=$(LC_ALL=C grep -aom1 'vermagic=[^ ]*' "$build/drbd.ko" | cut -d= -f2)
		[ -n "$release" ] || die "cannot tell which kernel $build/drbd.ko is for"
	fi
	for package in drbd-rs-utils drbd-rs-module; do
		[ -n "$root" ] || [ ! -e "/var/lib/dpkg/info/$package.list" ] ||
			die "the package $package is installed: purge it first"
	done
	[ ! -e "$state" ] || do_uninstall
	mkdir -p "$state"
	: >"$state/manifest"
	install_module
	install_tools
	install_texts
	install_system
	carry_out
	install_configuration
	[ "${MODULE:-yes}" != yes ] || index_modules "$release"
	refresh
	[ -n "$root" ] || [ ! -e /sys/module/drbd ] ||
		say "a drbd module is loaded; the new one is taken after rmmod drbd"
	say "installed. Start at boot: systemctl enable drbd. An example: /usr/share/doc/drbd-rs/r0.res"
}

# lines LIST: what was remembered, the last first.
lines() {
	[ ! -e "$state/$1" ] || sed -n '1!G;h;$p' "$state/$1"
}

do_uninstall() {
	[ -e "$state/manifest" ] || die "nothing installed: no $state/manifest"
	releases=$(sed -n 's|^/usr/lib/modules/\([^/]*\)/.*|\1|p' "$state/manifest")
	lines manifest | while read -r path; do
		rm -f "$root$path"
	done
	if [ -e "$state/diverted" ]; then
		dpkg-divert --list "*.$ending" >"$state/in-force"
	fi
	lines diverted | while read -r path; do
		# An install may have broken off just before it.
		grep -qF " to $path.$ending" "$state/in-force" || continue
		dpkg-divert --quiet --local --rename --remove "$path"
	done
	lines configuration | while read -r sum path; do
		[ -e "$root$path" ] || continue
		if [ "$(sha256sum <"$root$path" | cut -d' ' -f1)" = "$sum" ]; then
			rm -f "$root$path"
		else
			say "$path was changed and stays"
		fi
	done
	lines folders | while read -r path; do
		# Others may have put something there meanwhile.
		rmdir "$root$path" 2>/dev/null || :
	done
	for release in $releases; do
		index_modules "$release"
	done
	rm -rf "$state"
	refresh
	say "uninstalled"
}

case ${1:-} in
install) do_install ;;
uninstall) do_uninstall ;;
stage) do_stage ;;
*) die "usage: install.sh install|uninstall|stage" ;;
esac
