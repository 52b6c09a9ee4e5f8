#!/bin/sh
# SPDX-License-Identifier: MIT
# Outside programs in C build against an installed copy that pkg-config finds, and run: with gcc and
# clang, shared and static, unoptimised and with all optimisation at link time.
# usage: c.sh SOURCE-ROOT BUILD-ROOT
set -u
root=$1 build=$2
. "$root/tests/install/stage.sh"
. "$root/tests/install/built.sh"

cp "$root/examples/quick.c" "$root/examples/host.c" "$work"
echo 'int main(void) { return 0; }' >"$work/nothing.c"

# builds COMPILER PROGRAM OUTPUT "PKG-CONFIG-OPTIONS" OPTION...
builds() {
	compiler=$1 program=$2 output=$3 query=$4
	shift 4
	# shellcheck disable=SC2046,SC2086 # words are meant
	"$compiler" -std=gnu11 -Wall -Wextra -Werror "$@" "$work/$program.c" -o "$output" \
		$(pkg-config --cflags --libs $query peal)
}

# try COMPILER OPTION...
try() {
	compiler=$1
	shift
	what="$compiler $*"
	if ! "$compiler" "$@" "$work/nothing.c" -o "$work/nothing" >/dev/null 2>&1; then
		skip "$what" "$compiler can not link so here"
		return
	fi
	check "$what: builds, shared" builds "$compiler" quick "$work/quick" "" "$@"
	check "$what: it uses libpeal.so.0" uses_the_shared_one "$work/quick"
	check "$what: it runs" says_hello "$work/quick"
	check "$what: builds, static" builds "$compiler" quick "$work/quick-static" --static -static "$@"
	check "$what: it uses no libpeal.so" uses_none "$work/quick-static"
	check "$what: it runs, static" says_hello "$work/quick-static"
	check "$what: a host with a poller builds, static" builds "$compiler" host "$work/host" --static -static "$@"
	check "$what: it runs, static" "$work/host"
	rm -f "$work/quick" "$work/quick-static" "$work/host"
}

without_liburing() {
	gcc "-I$prefix/include" "$work/quick.c" -o "$work/quick-bare" "$libdir/libpeal.a" && says_hello "$work/quick-bare"
}

for compiler in gcc clang; do
	if command -v "$compiler" >/dev/null; then
		try "$compiler" -O0
		try "$compiler" -O2
		try "$compiler" -O3 -flto
	else
		skip "outside programs, $compiler" "it is not installed"
	fi
done
check "a static program without a poller needs no liburing" without_liburing

# The command, where it was built, and what it finds beside it.
if [ -x "$build/tools/peal" ]; then
	check "the command runs" "$prefix/bin/peal" doctor
	if [ -x "$build/bench/peal-bench" ]; then
		check "it finds its benchmarks" "$prefix/bin/peal" bench --list
	else
		skip "it finds its benchmarks" "built without bench"
	fi
else
	skip "the command runs" "built without tools"
fi
finish
