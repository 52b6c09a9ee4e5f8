#!/bin/sh
# SPDX-License-Identifier: MIT
# The installed copy keeps the ABI of the last release; and who breaks it, is told so.
# usage: abi.sh SOURCE-ROOT BUILD-ROOT CC
set -u
root=$1 build=$2
export CC="$3"
. "$root/tests/install/stage.sh"

if ! command -v abidiff >/dev/null; then
	skip "the ABI of the last release" "abidiff is not installed"
	finish
fi
if [ "$(uname -m)" != x86_64 ]; then
	skip "the ABI of the last release" "it was written down on x86_64"
	finish
fi
include=$work/include map=$work/libpeal.map

# answers STATUS SENTENCE [LIBRARY] - about $include
answers() {
	status=0
	"$root/packaging/abi.sh" compare "$include" "${3:-$libdir/libpeal.so}" >"$work/answer" 2>&1 || status=$?
	cat "$work/answer"
	[ "$status" = "$1" ] && grep -q "$2" "$work/answer"
}

# edits FILE SED-COMMAND - in a fresh copy of the headers and of the map; it must change something
edits() {
	rm -rf "$include"
	cp -R "$prefix/include" "$include"
	cp "$root/src/libpeal.map" "$map"
	cp "$work/$1" "$work/before"
	sed -i "$2" "$work/$1"
	! cmp -s "$work/$1" "$work/before"
}

# tells WHAT STATUS SENTENCE FILE SED-COMMAND
tells() {
	check "an edit is made: $1" edits "$4" "$5"
	check "it is told: $1" answers "$2" "$3"
}

# links [FILE] - the library once more, with the symbols that $map has
links() {
	$CC "$@" -shared -Wl,-soname,libpeal.so.0 "-Wl,--version-script,$map" -o "$work/libpeal.so" \
		-Wl,--whole-archive "$libdir/libpeal.a" -Wl,--no-whole-archive -luring
}

cp -R "$prefix/include" "$include"
check "the ABI is that of the last release" answers 0 ^Compatible
echo 'int nothing;' >"$work/nothing.c"
check "a library of something else is made" $CC -shared -Wl,-soname,libnothing.so.0 "$work/nothing.c" -o "$work/nothing.so"
check "it has no ABI of Peal" answers 2 'exports no function' "$work/nothing.so"

tells "a parameter is another" 1 ^Incompatible include/peal/base.h 's/peal_deadline_in_ns(uint64_t/peal_deadline_in_ns(uint32_t/'
tells "a result is another" 1 ^Incompatible include/peal/spawn.h 's/PEAL_API pid_t peal_child_pid/PEAL_API long peal_child_pid/'
tells "an inline function's member has moved" 1 ^Incompatible include/peal/detail/ring.h \
	'/struct peal_producer {/,/}/ { /uint64_t mask;/d; s/uint64_t align;/uint64_t align, mask;/ }'
tells "a struct without a size has grown" 1 ^Incompatible include/peal/channel.h 's/^struct peal_side_stats {/&int more;/'
tells "options have grown in the middle" 1 ^Incompatible include/peal/channel.h \
	'/^struct peal_attach_options {/,/}/ s/uint32_t flags;/uint64_t flags;/'
tells "an enumerator has another value" 1 ^Incompatible include/peal/channel.h 's/PEAL_PEER_CLOSED = 2/PEAL_PEER_CLOSED = 7/'
tells "a flag has another value" 1 ^Incompatible include/peal/spawn.h 's/\(PEAL_SPAWN_NO_NEW_PRIVS\) .*/\1 16u/'

tells "options have grown at the end" 0 'and more' include/peal/channel.h \
	'/^struct peal_attach_options {/,/}/ s/int32_t spin_max_us;/&\n\tuint64_t more;/'
check "by which member" grep more "$work/answer"
tells "there is one more enumerator" 0 'and more' include/peal/channel.h 's/PEAL_PEER_CLOSED = 2,/& PEAL_PEER_NEW = 9,/'

# The library itself, linked with another list of symbols.
check "a symbol is left out" edits libpeal.map '/peal_now_ns;/d'
check "the library is linked without it" links
check "it is told: a function is gone" answers 1 ^Incompatible "$work/libpeal.so"
check "by its name" grep peal_now_ns "$work/answer"
check "a symbol gets another version" edits libpeal.map '/peal_now_ns;/d; s/^};$/&\nLIBPEAL_0.2 { global: peal_now_ns; } LIBPEAL_0.1;/'
check "the library is linked with it" links
check "it is told: a symbol has another version" answers 1 ^Incompatible "$work/libpeal.so"
check "a symbol is new, and declared" edits libpeal.map \
	's/^};$/&\nLIBPEAL_0.2 { global: peal_prevent; } LIBPEAL_0.1;/'
echo 'int peal_prevent(int); int peal_prevent(int x) { return x; }' >"$work/new.c"
echo 'int peal_prevent(int);' >>"$include/peal/base.h"
check "the library is linked with it" links "$work/new.c"
check "it is told: one more function" answers 0 'and more' "$work/libpeal.so"
tells "members that can not be read" 2 'a way not known' include/peal/channel.h \
	'/^struct peal_attach_options {/,/}/ s/int32_t spin_max_us;/& uint64_t more;/'
check "a symbol that no header declares can not be judged" edits include/peal/base.h '/peal_now_ns(void)/d'
check "and that is said" answers 2 'do not declare'
finish
