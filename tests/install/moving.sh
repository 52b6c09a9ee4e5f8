#!/bin/sh
# SPDX-License-Identifier: MIT
# docs/moving.md shows parts of programs. Peal's side builds against an installed copy and runs; the other side
# builds where its library is, and prints the same.
# usage: moving.sh SOURCE-ROOT BUILD-ROOT CC CXX
set -u
root=$1 build=$2 cc=$3 cxx=$4
. "$root/tests/install/stage.sh"
export PYTHONDONTWRITEBYTECODE=1
examples=$root/examples/moving

check "its listings are the examples'" python3 "$root/tests/install/listings.py" "$root" "$root/docs/moving.md"

# shellcheck disable=SC2046 # words are meant
builds_with_peal() {
	$cc -std=gnu11 -Wall -Wextra -Werror -O2 "$examples/$1-peal.c" -o "$work/$1-peal" \
		$(pkg-config --cflags --libs peal) "-L$libdir"
}

# prints PROGRAM TEXT
prints() {
	timeout 300 "$work/$1" >"$work/$1.out" && cat "$work/$1.out" && [ "$(cat "$work/$1.out")" = "$2" ]
}

print_the_same() {
	diff "$work/$1.out" "$work/$1-peal.out"
}

# other NAME PACKAGE HEADER COMPILER ARGUMENTS... - the side that is left behind
other() {
	name=$1 package=$2 header=$3
	shift 3
	if ! echo "#include <$header>" | "$@" -E - >"$work/preprocessed" 2>&1; then
		skip "$name without Peal" "no $package"
		return
	fi
	check "$name builds without Peal" with_warnings "$@"
	# iceoryx needs its daemon, of which there can be one on a machine.
	[ "$name" != iceoryx ] || return
	# A container may have no message queues.
	status=0
	timeout 300 "$work/$name" >"$work/$name.out" || status=$?
	if [ "$status" = 77 ]; then
		skip "$name runs without Peal" "the kernel refuses"
		return
	fi
	check "$name runs without Peal" [ "$status" = 0 ]
	check "$name prints the same with and without Peal" print_the_same "$name"
}

# Arguments of libraries come behind the program.
with_warnings() {
	"$@" -Wall -Wextra -Werror -O2 "$examples/$name".c* -o "$work/$name" $libraries
}

# with_peal NAME TEXT
with_peal() {
	check "$1 builds with Peal" builds_with_peal "$1"
	check "$1 runs with Peal" prints "$1-peal" "$2"
}

with_peal pipe 'one two three end'
with_peal mq 'one two three end '
with_peal boost 2525.0
with_peal zmq 13
with_peal iceoryx 7000
libraries=
other pipe libc6-dev unistd.h "$cc" -std=gnu11
other mq libc6-dev mqueue.h "$cc" -std=gnu11
other boost libboost-dev boost/lockfree/spsc_queue.hpp "$cxx" -std=c++17 -x c++
libraries=-lzmq
other zmq libzmq3-dev zmq.h "$cc" -std=gnu11
libraries=-liceoryx_binding_c
# Not on the usual path, and with its version in it.
iceoryx=$(find /usr/include/iceoryx -mindepth 1 -maxdepth 1 2>/dev/null | head -n 1)
other iceoryx libiceoryx-binding-c-dev iceoryx_binding_c/api.h "$cc" -std=gnu11 \
	-I"${iceoryx:-.}"
finish
