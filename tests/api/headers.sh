#!/bin/sh
# SPDX-License-Identifier: MIT
# Each public header compiles alone, as C11 and as every C++ from 11 to 20, without a warning.
# usage: headers.sh SOURCE-ROOT CC CXX [INCLUDE-DIRECTORY]
set -u
root=$1 cc=$2 cxx=$3 include=${4:-$1/include}
. "$root/tests/api/tally.sh"

# compiles COMPILER LANGUAGE STANDARD HEADER
compiles() {
	printf '#include <%s>\n#include <%s>\n' "$4" "$4" |
		$1 -x "$2" "-std=$3" -Wall -Wextra -Wpedantic -Werror -I"$include" -fsyntax-only -
}

for header in "$include"/peal/*.h; do
	name=peal/$(basename "$header")
	check "$name is C11" compiles "$cc" c c11 "$name"
	for standard in c++11 c++14 c++17 c++20; do
		check "$name is $standard" compiles "$cxx" c++ "$standard" "$name"
	done
done

# no_internals HEADER - nothing outside include/ is needed, no _Atomic
no_internals() {
	! grep -nE '#include "|_Atomic [a-z]|_Atomic\(|stdatomic' "$1"
}
for header in "$include"/peal/*.h "$include"/peal/detail/*.h; do
	check "$(basename "$header") includes nothing internal" no_internals "$header"
done
finish
