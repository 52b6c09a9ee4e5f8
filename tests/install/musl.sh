#!/bin/sh
# SPDX-License-Identifier: MIT
# libpeal with musl: built by Debian's musl-gcc, static programs run, and talk to a host with glibc.
# Debian's liburing.a can be linked with musl, since it asks the C library for little.
# usage: musl.sh SOURCE-ROOT BUILD-ROOT
set -u
root=$1 build=$2
. "$root/tests/api/tally.sh"
. "$root/tests/install/built.sh"

if ! command -v musl-gcc >/dev/null; then
	skip "libpeal with musl" "musl-gcc is not installed"
	finish
fi

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 1' HUP INT TERM
prefix=$work/stage/opt/peal
others=$work/others # the headers that musl-gcc can not find: the kernel's and liburing's
triplet=$(gcc -print-multiarch)

finds_headers() {
	mkdir "$others" && ln -s /usr/include/linux /usr/include/asm-generic "/usr/include/$triplet/asm" \
		/usr/include/liburing /usr/include/liburing.h "$others"
}

installs() {
	CC=musl-gcc meson setup "$work/build" "$root" --prefix=/opt/peal --libdir=lib -Dwerror=true -Dtests=false \
		-Dexamples=false -Dtools=disabled -Dbench=disabled -Ddefault_library=static "-Dc_args=-idirafter $others" &&
		meson install -C "$work/build" --destdir "$work/stage" && cp "/usr/lib/$triplet/liburing.a" "$prefix/lib"
}

# builds PROGRAM
builds() {
	cp "$root/examples/$1.c" "$work" &&
		musl-gcc -std=gnu11 -O2 -Wall -Wextra -Werror -static "-I$prefix/include" "$work/$1.c" -o "$work/$1" \
			"-L$prefix/lib" -lpeal -luring
}

has_no_glibc() {
	! grep -a 'GLIBC_\|GNU C Library' "$1"
}

answers_a_host_with_glibc() {
	[ "$(echo hello | "$build/tools/peal" run "$work/upper")" = HELLO ]
}

# What it sleeps in when there is no io_uring.
sleeps_in_epoll() {
	strace -f -o "$work/trace" -e trace=io_uring_setup,epoll_wait,epoll_pwait -e inject=io_uring_setup:error=ENOSYS \
		"$work/host" && grep -q 'io_uring_setup.*INJECTED' "$work/trace" && grep -q 'epoll_p\?wait' "$work/trace"
}

check "the other headers are found" finds_headers
check "libpeal builds with musl-gcc, without a warning, and installs" installs
for program in quick host upper; do
	check "$program.c builds, static" builds "$program"
done
check "it has nothing of glibc" has_no_glibc "$work/quick"
check "quick.c runs" says_hello "$work/quick"
check "host.c runs, with its poller" "$work/host"
if [ -x "$build/tools/peal" ]; then
	check "upper.c answers a host with glibc" answers_a_host_with_glibc
else
	skip "upper.c answers a host with glibc" "built without tools"
fi
if command -v strace >/dev/null; then
	check "host.c sleeps in epoll where there is no io_uring" sleeps_in_epoll
else
	skip "host.c sleeps in epoll where there is no io_uring" "strace is not installed"
fi
finish
