#!/bin/sh
# SPDX-License-Identifier: MIT
# A CMake project of somebody else's, in C and in C++, finds the installed copy wherever it lies.
# usage: cmake.sh SOURCE-ROOT BUILD-ROOT
set -u
root=$1 build=$2
. "$root/tests/install/stage.sh"
. "$root/tests/install/built.sh"

project=$work/project
mkdir "$project"
cp "$root/tests/install/cmake/CMakeLists.txt" "$root/examples/quick.c" "$root/examples/quick.cc" \
	"$root/examples/host.c" "$project"

# builds DIRECTORY CC CXX [TARGET]
builds() {
	cmake -S "$project" -B "$1" -DCMAKE_C_COMPILER="$2" -DCMAKE_CXX_COMPILER="$3" \
		-DCMAKE_BUILD_TYPE=Release && cmake --build "$1" --target "${4:-all}"
}

# finds VERSION... - in a project without a language, which is quick, but does not know where a
# machine of several architectures keeps its libraries
finds() {
	printf 'cmake_minimum_required(VERSION 3.16)\nproject(p NONE)\nfind_package(Peal %s REQUIRED)\n' \
		"$*" >"$work/CMakeLists.txt"
	rm -rf "$work/find"
	cmake -S "$work" -B "$work/find" -DPeal_DIR="$libdir/cmake/Peal"
}

refuses() {
	finds "$1" >"$work/refusal" 2>&1 && return 1
	cat "$work/refusal"
	grep -q 'not accepted' "$work/refusal"
}

says_no_path() {
	! grep -rn "$work\|$root\|$build\|/usr" "$libdir/cmake"
}

try() {
	built=$work/built-$1
	check "a project builds, $1" builds "$built" "$1" "$2"
	for language in c cc; do
		check "shared, $language: it uses libpeal.so.0" uses_the_shared_one "$built/shared-$language"
		check "shared, $language: it runs" says_hello "$built/shared-$language"
		check "static, $language: it uses no libpeal.so" uses_none "$built/static-$language"
		check "static, $language: it runs" says_hello "$built/static-$language"
	done
	check "shared: a host with a poller runs" "$built/shared-host"
	check "static: a host with a poller runs" "$built/static-host"
}

try gcc g++
if command -v clang++ >/dev/null; then
	try clang clang++
else
	skip "a project builds, clang" "clang is not installed"
fi

version=$(pkg-config --modversion peal)
check "this version is found" finds "$version"
check "as exactly that" finds "$version EXACT"
check "an older one of this soname is served" finds 0.0.1
check "a newer one is not" refuses "${version%.*}.99"
check "one of another soname is not" refuses 1.0
check "the package names no path of this machine" says_no_path
mv "$prefix" "$work/moved"
export LD_LIBRARY_PATH="$work/moved${libdir#"$prefix"}"
ln -s "$LD_LIBRARY_PATH" "$work/link"
export Peal_DIR="$work/link/cmake/Peal"
check "a prefix that was moved is found, by way of a link" builds "$work/built-moved" gcc g++ shared-c
check "and what is built there runs" says_hello "$work/built-moved/shared-c"
finish
