#!/bin/sh
# SPDX-License-Identifier: MIT
# What a header declares, what the symbol map lists and what the library exports are the same.
# usage: symbols.sh SOURCE-ROOT LIBRARY.so
set -u
root=$1 library=$2
. "$root/tests/api/tally.sh"

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# A declaration marked PEAL_API may go over several lines; its name is the word before the first (.
cat "$root"/include/peal/*.h "$root"/include/peal/detail/*.h |
	grep -v '^#define' | tr '\n' ' ' | grep -oE 'PEAL_API [^;{(]*\(' | sed -E 's/ *\($//; s/.*[ *]//' | sort -u >"$work/headers"
sed -nE 's/^[[:space:]]*(peal_[a-z0-9_]+);.*/\1/p' "$root/src/libpeal.map" | sort -u >"$work/map"
nm -D --defined-only "$library" | awk '{ print $3 }' | sed 's/@.*//' | grep -v '^LIBPEAL_' |
	sort -u >"$work/library"

some_symbols() {
	[ "$(wc -l <"$work/headers")" -gt 40 ]
}
check "headers declare symbols" some_symbols
check "the map lists what headers declare" diff "$work/headers" "$work/map"
check "the library exports what headers declare" diff "$work/headers" "$work/library"
finish
