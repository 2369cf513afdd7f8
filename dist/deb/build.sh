#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# build.sh FOLDER [VERSION]: makes the Debian packages of what was built, into FOLDER (of the
# checkout, unless its name is absolute).
#
#   drbd-rs-utils    the tools, in the place of those of drbd-utils (diverted, not replaced)
#   drbd-rs-module   the module for the kernel of the build root, and what builds it for others
#
# VERSION is that of the packages (default: that of the workspace, with date and name of the commit).
# The same commit gives the same packages.
set -eu

here=$(cd "$(dirname "$0")/../.." && pwd)
[ -n "${DRBD_RS_INSIDE-}" ] || exec "$here/scripts/in-root" /src/dist/deb/build.sh "$@"
[ $# -ge 1 ] || { echo "usage: build.sh FOLDER [VERSION]" >&2; exit 2; }
cd "$here"
case $1 in
/*) folder=$1 ;;
*) folder=$here/$1 ;;
esac
git() { command git -c safe.directory='*' "$@"; }
base=$(sed -n '/^\[workspace.package\]/,/^\[/s/^version = "\(.*\)"/\1/p' Cargo.toml)
commit=$(git rev-parse HEAD 2>/dev/null || echo 0000000000000000000000000000000000000000)
SOURCE_DATE_EPOCH=$(git log -1 --format=%ct 2>/dev/null || stat -c %Y Cargo.toml)
export SOURCE_DATE_EPOCH
default=$base+git$(date -u -d "@$SOURCE_DATE_EPOCH" +%Y%m%d%H%M).$(echo "$commit" | cut -c1-8)
version=${2:-$default}

for file in build/drbd.ko build/sbin/drbdadm; do
	[ -e "$file" ] || { echo "build.sh: no $file: run make first" >&2; exit 1; }
done
rm -rf "$folder"
mkdir -p "$folder"
stage=$folder/stage

# finish NAME: writes the control folder of $stage/NAME and packs it.
finish() {
	top=$stage/$1
	mkdir -p "$top/DEBIAN" "$top/usr/share/doc/$1"
	cp LICENSE "$top/usr/share/doc/$1/copyright"
	paths=$(cd "$top" && find usr etc ! -type d 2>/dev/null | grep -v '^usr/share/doc/' |
		sed 's|^|/|' | sort | tr '\n' ' ')
	size=$(du -k -s --apparent-size "$top" | cut -f1)
	for file in dist/deb/"${1#drbd-rs-}"/*; do
		sed -e "s|@VERSION@|$version|g" -e "s|@DEPENDS@|$2|g" -e "s|@SIZE@|$size|g" \
			-e "s|@PATHS@|$paths|g" "$file" >"$top/DEBIAN/${file##*/}"
	done
	chmod 755 "$top"/DEBIAN/*
	chmod 644 "$top/DEBIAN/control"
	if [ -d "$top/etc" ]; then
		(cd "$top" && find etc -type f | sed 's|^|/|' | sort) >"$top/DEBIAN/conffiles"
	fi
	find "$top" -newermt "@$SOURCE_DATE_EPOCH" -exec touch -h -d "@$SOURCE_DATE_EPOCH" {} +
	dpkg-deb --root-owner-group -Zxz --build "$top" "$folder" >/dev/null
}

# needs PROGRAM: the packages that its libraries come from.
needs() {
	mkdir -p "$stage/debian"
	printf 'Source: drbd-rs\n\nPackage: drbd-rs\nArchitecture: amd64\n' >"$stage/debian/control"
	(cd "$stage" && dpkg-shlibdeps -O "$1" 2>/dev/null) | sed 's/^shlibs:Depends=//'
}

utils=$stage/drbd-rs-utils
mkdir -p "$utils"
BUILD=$here/build DESTDIR=$utils dist/install.sh stage
finish drbd-rs-utils "$(needs "$utils/usr/sbin/drbdadm")"

module=$stage/drbd-rs-module
library=$module/usr/lib/drbd-rs-module
release=$(LC_ALL=C grep -aom1 'vermagic=[^ ]*' build/drbd.ko | cut -d= -f2)
mkdir -p "$library/source/kernel" "$library/source/drbd-core" "$library/ready/$release" \
	"$module/usr/sbin"
cp build/drbd.ko "$library/ready/$release/drbd.ko"
dpkg-query -W -f '${Version}\n' "linux-headers-$release" >"$library/ready/$release/package"
echo "$version" >"$library/version"
echo "$commit" >"$library/commit"
cp scripts/rust-metadata "$library/"
# Without what only cargo's tests read.
find Kbuild kernel drbd-core/src \( -name '*.rs' -o -name '*.[ch]' -o -name Kbuild \) \
	! -path '*/tests/*' ! -name tests.rs | cpio --quiet -pd "$library/source"
install -m 755 dist/module/drbd-rs-module "$module/usr/sbin/drbd-rs-module"
for hook in postinst.d postrm.d header_postinst.d; do
	mkdir -p "$module/etc/kernel/$hook"
	install -m 755 "dist/module/kernel-hook" "$module/etc/kernel/$hook/drbd-rs-module"
done
finish drbd-rs-module ""
rm -rf "$stage"
ls "$folder"
