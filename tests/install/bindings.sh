#!/bin/sh
# SPDX-License-Identifier: MIT
# The bindings as they are installed: the tests of the build tree once more, copied out of it, with the
# installed header, package, library and command.
# usage: bindings.sh SOURCE-ROOT BUILD-ROOT CC CXX
set -u
root=$1 build=$2 cc=$3 cxx=$4
. "$root/tests/install/stage.sh"
. "$root/tests/install/built.sh"
unset PEAL_LIBRARY
export PYTHONPATH="$pythondir" PYTHONDONTWRITEBYTECODE=1

mkdir "$work/ipc"
cp "$root/tests/ipc/guest.c" "$root/tests/ipc/ipc.c" "$root/tests/ipc/ipc.h" "$work/ipc"
cp "$root/tests/bindings/test-cpp.cc" "$root/tests/bindings/python.py" "$root/examples/python/echo.py" \
	"$root/examples/native/guest.py" "$work"

builds_cpp() {
	# shellcheck disable=SC2046 # words are meant
	$cxx -std=c++17 -Wall -Wextra -Werror -fno-exceptions -fno-rtti "$work/test-cpp.cc" -o "$work/test-cpp" \
		$(pkg-config --cflags --libs peal)
}

builds_a_guest() {
	# shellcheck disable=SC2046 # words are meant
	$cc -std=gnu11 -Wall -Wextra -Werror "-I$work" "$work/ipc/guest.c" "$work/ipc/ipc.c" -o "$work/guest" \
		$(pkg-config --cflags --libs peal)
}

# The package and the library are the installed ones.
imports_what_is_installed() {
	python3 -c 'import os, sys, peal
maps = {line.split()[5] for line in open("/proc/self/maps") if "/libpeal.so" in line}
print(peal.__file__, maps)
sys.exit(os.path.dirname(peal.__file__) != sys.argv[1] + "/peal" or
         {os.path.dirname(path) for path in maps} != {sys.argv[2]})' "$pythondir" "$libdir"
}

# They count for one here.
passes() {
	(cd "$work" && env -u PEAL_TALLY "$@")
}

# echoes GUEST - three records, under the installed command
echoes() {
	printf 'one\ntwo\nthree\n' >"$work/lines"
	"$prefix/bin/peal" run "$@" <"$work/lines" >"$work/echo" && diff "$work/lines" "$work/echo"
}

check "test-cpp builds with the installed header" builds_cpp
check "it uses libpeal.so.0" uses_the_shared_one "$work/test-cpp"
check "its promises hold" passes "$work/test-cpp"
check "a guest in C builds" builds_a_guest
check "Python imports what is installed" imports_what_is_installed
check "the promises of the Python binding hold" passes python3 python.py "$work/echo.py" "$work/guest"
if [ -x "$build/tools/peal" ]; then
	check "a guest of the Python binding echoes under the installed command" echoes "$work/echo.py"
	unset PYTHONPATH
	check "so does a guest without the library" echoes "$work/guest.py"
else
	skip "guests in Python echo under the installed command" "built without tools"
fi
finish
