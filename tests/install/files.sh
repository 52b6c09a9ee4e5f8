#!/bin/sh
# SPDX-License-Identifier: MIT
# Exactly the files of files.txt are installed, they agree about the version, name no place but where
# they lie, and each header compiles without the source tree.
# usage: files.sh SOURCE-ROOT BUILD-ROOT CC CXX
set -u
root=$1 build=$2 cc=$3 cxx=$4
. "$root/tests/install/stage.sh"

# is_built PART - of those that files.txt names
is_built() {
	case $1 in
	always) ;;
	command) [ -x "$build/tools/peal" ] ;;
	bench) [ -x "$build/bench/peal-bench" ] ;;
	manual) [ -e "$build/docs/man/peal.7" ] ;;
	both) is_built command && is_built manual ;;
	*) echo "files.txt: '$1' is no part" >&2 ;;
	esac
}

# expected - the list, with this machine's directories
expected() {
	version=$(sed -n "s/^ *version: '\(.*\)',/\1/p" "$root/meson.build")
	grep -v '^#' "$root/tests/install/files.txt" | while read -r part file; do
		! is_built "$part" || echo "$file"
	done | sed "s|^LIBDIR|${libdir#"$prefix/"}|; s|^PYTHON|${pythondir#"$prefix/"}|; s|VERSION|$version|" | sort
}

are_installed() {
	find "$prefix" ! -type d -printf '%P -> %l\n' | sed 's/ -> $//' | sort >"$work/installed"
	find "$work/stage" ! -type d ! -path "$prefix/*" >>"$work/installed"
	expected >"$work/expected"
	[ "$(wc -l <"$work/expected")" -gt 15 ] && diff "$work/expected" "$work/installed"
}

all_have_a_version() {
	nm -D --defined-only "$libdir/libpeal.so" >"$work/symbols"
	[ "$(grep -c '@@LIBPEAL_' "$work/symbols")" -gt 80 ] && ! grep -v 'LIBPEAL_[0-9.]*$' "$work/symbols"
}

# A static program has these beside its own.
all_begin_with_peal() {
	nm -g --defined-only "$libdir/libpeal.a" | awk 'NF == 3 { print $3 }' >"$work/globals"
	[ "$(wc -l <"$work/globals")" -gt 80 ] && ! grep -v '^peal_' "$work/globals"
}

agree() {
	version=$(pkg-config --modversion peal)
	echo "peal.pc: $version"
	printf '#include <peal/base.h>\nPEAL_VERSION_MAJOR.PEAL_VERSION_MINOR.PEAL_VERSION_PATCH\n' |
		$cc "-I$prefix/include" -E -P - | tail -n 1 | tr -d ' ' | tee "$work/macros"
	sed -n '1s/.*(\(.*\)-.*/\1/p' "$root/packaging/debian/changelog" | tee "$work/changelog"
	[ "$(cat "$work/macros")" = "$version" ] && [ "$(cat "$work/changelog")" = "$version" ]
}

# What people read; the libraries have the paths of their sources in what is for the debugger.
name_no_other_place() {
	! grep -rIn -e "$root" -e "$build" -e "$work" "$prefix"
}

# follows_its_prefix - peal.pc, when the directory above it is moved
follows_its_prefix() {
	flags=$(PKG_CONFIG_SYSROOT_DIR='' pkg-config --define-variable=prefix=/elsewhere --cflags --libs peal)
	[ "$flags" = "-I/elsewhere/include -L/elsewhere/${libdir#"$prefix/"} -lpeal " ] ||
		[ "$flags" = "-I/elsewhere/include -L/elsewhere/${libdir#"$prefix/"} -lpeal" ]
}

takes_another_prefix() {
	meson setup "$work/other" "$root" --prefix=/opt/peal --libdir=lib -Dtests=false -Dexamples=false -Dbench=disabled &&
		grep -x 'prefix=/opt/peal' "$work/other/meson-private/peal.pc" &&
		grep -x 'libdir=${prefix}/lib' "$work/other/meson-private/peal.pc" &&
		grep '{_peal_libdir}/../include"' "$work/other/packaging/cmake/PealConfig.cmake" &&
		meson introspect --installed "$work/other" | grep -o '": "[^"]*"' >"$work/places" &&
		[ "$(grep -c '"/opt/peal/' "$work/places")" -gt 15 ] && ! grep -v '"/opt/peal/' "$work/places"
}

compiles_alone() {
	echo '#include <peal/peal.hpp>' |
		$cxx -x c++ "-std=$1" -Wall -Wextra -Wpedantic -Werror "-I$prefix/include" -fsyntax-only -
}

check "the files of the list are installed, and no others" are_installed
check "every exported symbol has a version" all_have_a_version
check "every global symbol of libpeal.a is Peal's" all_begin_with_peal
check "header, peal.pc and Debian package have one version" agree
check "no text names another place" name_no_other_place
check "peal.pc follows its prefix" follows_its_prefix
check "another prefix is taken" takes_another_prefix
check "each C header compiles alone" env -u PEAL_TALLY "$root/tests/api/headers.sh" "$root" "$cc" "$cxx" "$prefix/include"
check "peal.hpp compiles alone, C++17" compiles_alone c++17
check "peal.hpp compiles alone, C++20" compiles_alone c++20
finish
