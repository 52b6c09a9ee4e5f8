#!/bin/sh
# SPDX-License-Identifier: MIT
# The Debian packages build, please lintian, unpack side by side, say what they need, and work: programs
# are built against them and run with them, in a directory that stands for a machine's root.
# usage: debian.sh SOURCE-ROOT
set -u
root=$1
. "$root/tests/api/tally.sh"
. "$root/tests/install/built.sh"

for program in dpkg-buildpackage dh lintian; do
	if ! command -v "$program" >/dev/null; then
		skip "the Debian packages" "no $program here"
		finish
	fi
done

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 1' HUP INT TERM
debs=$work/debs machine=$work/machine

# Nobody debugs these.
builds() {
	DEB_BUILD_OPTIONS=noautodbgsym "$root/packaging/debian/build.sh" "$debs"
}

# Warnings too.
pleases_lintian() {
	lintian --allow-root --fail-on error,warning "$debs"/*.deb
}

# unpacks - as dpkg does, which refuses a file that two packages have. Only python3-peal is not
# configured: its script, debhelper's, wants a Python in there.
unpacks() {
	mkdir -p "$machine/var/lib/dpkg/updates" "$machine/var/lib/dpkg/info" &&
		: >"$machine/var/lib/dpkg/status" &&
		PATH=$PATH:/usr/sbin:/sbin dpkg --root="$machine" --force-not-root --force-depends --log=/dev/null \
			--unpack "$debs"/*.deb &&
		PATH=$PATH:/usr/sbin:/sbin dpkg --root="$machine" --force-not-root --force-depends --log=/dev/null \
			--configure libpeal0 libpeal-dev peal-tools
}

# brings_no_script PACKAGE
brings_no_script() {
	! ls "$machine/var/lib/dpkg/info" | grep -E "^$1(:.*)?\.(pre|post)(inst|rm)$"
}

# needs PACKAGE WHAT
needs() {
	dpkg-deb -f "$debs/$1"_*.deb Depends | tee /dev/stderr | grep -qF "$2"
}

# What they need is to be had, all together; -s does nothing.
can_be_installed() {
	apt-get -s install "$debs"/*.deb
}

# runs_peal ARGUMENT...
runs_peal() {
	LD_LIBRARY_PATH="$libdir" "$machine/usr/bin/peal" "$@"
}

# outside OUTPUT [-static] - quick.c, copied out of the tree
outside() {
	cp "$root/examples/quick.c" "$work" &&
		flags=$(PKG_CONFIG_PATH="$libdir/pkgconfig" PKG_CONFIG_SYSROOT_DIR="$machine" pkg-config \
			--cflags --libs ${2:+--static} peal) &&
		gcc -Wall -Wextra -Werror "$work/quick.c" -o "$1" $flags ${2:-}
}

# imports_python - Debian's Python, and no other peal than the package's
imports_python() {
	(cd "$work" && LD_LIBRARY_PATH="$libdir" PYTHONDONTWRITEBYTECODE=1 \
		PYTHONPATH="$machine/usr/lib/python3/dist-packages" /usr/bin/python3 -c 'import peal
assert peal.__file__.startswith("'"$machine"'"), peal.__file__
with peal.Channel(to_guest=4096) as channel: channel.tx.send(b"hello")')
}

# notices_a_lost_symbol - the check that guards the build, with one more symbol to be found
notices_a_lost_symbol() {
	sed 's/^ peal_send@/ peal_lost@LIBPEAL_0.1 0.1.0\n&/' "$root/packaging/debian/libpeal0.symbols" >"$work/symbols"
	mkdir "$work/debian"
	cp "$root/packaging/debian/control" "$root/packaging/debian/changelog" "$work/debian"
	(cd "$work" && ! dpkg-gensymbols -plibpeal0 -P"$machine" -e"$libdir/libpeal.so.0" -Isymbols -O/dev/null -c4) \
		>"$work/lost" 2>&1 && grep '^-.*peal_lost' "$work/lost"
}

check "the packages build" builds
[ "$failed" = 0 ] || finish
check "lintian has no error and no warning" pleases_lintian
check "dpkg unpacks and configures them side by side" unpacks
libdir=$(dirname "$(find "$machine/usr/lib" -name libpeal.so.0)")
for package in libpeal0 libpeal-dev peal-tools; do
	check "$package brings no script" brings_no_script "$package"
done
check "peal-tools needs the library" needs peal-tools 'libpeal0 (>= 0.1.0'
check "libpeal-dev needs the same library" needs libpeal-dev 'libpeal0 (= '
check "libpeal-dev needs liburing" needs libpeal-dev liburing-dev
check "what they need is to be had" can_be_installed
check "the command runs" runs_peal doctor
check "it has its man page" test -e "$machine/usr/share/man/man1/peal.1.gz"
check "a program builds with libpeal-dev" outside "$work/quick"
check "it uses libpeal.so.0" uses_the_shared_one "$work/quick"
LD_LIBRARY_PATH="$libdir" check "it runs" says_hello "$work/quick"
check "a program builds with libpeal-dev, static" outside "$work/quick-static" -static
check "it uses no libpeal.so" uses_none "$work/quick-static"
check "it runs, static" says_hello "$work/quick-static"
check "the Python package imports" imports_python
check "a symbol that is gone would end the build" notices_a_lost_symbol
finish
