#!/bin/sh
# SPDX-License-Identifier: MIT
# A Meson project of somebody else's gets Peal from where it is installed, or by a wrap as a subproject,
# which then needs nothing but liburing and builds nothing but the library.
# usage: wrap.sh SOURCE-ROOT BUILD-ROOT
set -u
root=$1 build=$2
. "$root/tests/install/stage.sh"
. "$root/tests/install/built.sh"
unset LD_LIBRARY_PATH # a subproject's library is found without it

project=$work/project
mkdir -p "$project/subprojects/packagefiles" "$work/only-liburing"
cp "$root/tests/install/wrap/meson.build" "$root/examples/quick.c" "$root/examples/quick.cc" \
	"$root/examples/host.c" "$project"
uring=$(PKG_CONFIG_SYSROOT_DIR= pkg-config --variable=pcfiledir liburing)/liburing.pc

# makes_the_wrap - as docs/install.md shows, but from a file
makes_the_wrap() {
	tar=$project/subprojects/packagefiles/peal.tar.gz
	"$root/packaging/source.sh" "$tar" && cp "$uring" "$work/only-liburing" &&
		cat >"$project/subprojects/peal.wrap" <<-WRAP
			[wrap-file]
			directory = $(tar -tzf "$tar" | sed 's|/.*||; q')
			source_filename = ${tar##*/}
			source_hash = $(sha256sum "$tar" | cut -d' ' -f1)

			[provide]
			dependency_names = peal
		WRAP
}

# builds DIRECTORY MESON-OPTION...
builds() {
	directory=$1
	shift
	meson setup "$directory" "$project" "$@" && ninja -C "$directory"
}

# Nothing but liburing can be found: neither the installed Peal nor what its tests and tools need.
alone_with_liburing() {
	PKG_CONFIG_PATH='' PKG_CONFIG_SYSROOT_DIR='' PKG_CONFIG_LIBDIR="$work/only-liburing" "$@"
}

# builds_only DIRECTORY TARGET... - and of Peal's headers and Python package, installs no Python
builds_only() {
	directory=$1
	shift
	meson introspect --targets "$directory" | grep -o '"name": "[^"]*"' | cut -d'"' -f4 | sort >"$work/targets"
	printf '%s\n' "$@" | sort | diff - "$work/targets" && ! meson introspect --installed "$directory" | grep -i python
}

runs() {
	check "$2: quick.c" says_hello "$1/quick-c"
	check "$2: a host with a poller" "$1/host"
}

check "a wrap is made" makes_the_wrap

check "the installed copy is found, shared" builds "$work/shared" --wrap-mode=nofallback
check "it uses libpeal.so.0" uses_the_shared_one "$work/shared/quick-cc"
export LD_LIBRARY_PATH="$libdir"
runs "$work/shared" "the installed copy, shared"
check "the installed copy, shared: quick.cc" says_hello "$work/shared/quick-cc"
unset LD_LIBRARY_PATH

check "the installed copy is found, static" builds "$work/static" --wrap-mode=nofallback -Ddefault_library=static
check "it uses no libpeal.so" uses_none "$work/static/quick-c"
runs "$work/static" "the installed copy, static"

check "the subproject builds, shared" alone_with_liburing builds "$work/wrapped"
check "it uses libpeal.so.0" uses_the_shared_one "$work/wrapped/quick-cc"
check "only the library is built" builds_only "$work/wrapped" quick-c quick-cc host peal
runs "$work/wrapped" "the subproject, shared"
check "the subproject, shared: quick.cc" says_hello "$work/wrapped/quick-cc"

# Here all is found that tools, tests and benchmarks could want, and the installed Peal too.
check "the subproject builds, static" builds "$work/wrapped-static" --wrap-mode=forcefallback -Ddefault_library=static
check "only the library is built" builds_only "$work/wrapped-static" quick-c host peal
check "it uses no libpeal.so" uses_none "$work/wrapped-static/quick-c"
runs "$work/wrapped-static" "the subproject, static"
finish
