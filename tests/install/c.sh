#!/bin/sh
# SPDX-License-Identifier: MIT
# What is installed is enough: the quick example builds against an installed copy that pkg-config
# finds, shared and static, and runs.
# usage: c.sh SOURCE-ROOT BUILD-ROOT CC
set -u
root=$1 build=$2 cc=$3
. "$root/tests/install/stage.sh"

# builds OUTPUT EXTRA-LINK-ARGUMENTS...
builds() {
	output=$1
	shift
	# shellcheck disable=SC2046 # words are meant
	$cc -std=gnu11 -Wall -Wextra -Werror -O2 "$root/examples/quick.c" -o "$output" \
		$(pkg-config --cflags --libs peal) "$@"
}

# A poller needs liburing, which peal.pc knows.
builds_static_host() {
	# shellcheck disable=SC2046 # words are meant
	$cc -std=gnu11 -Wall -Wextra -Werror -O2 "$root/examples/host.c" -o "$work/host" \
		$(pkg-config --cflags --libs --static peal) -static "-L$libdir"
}

says_hello() {
	answer=$("$1") && [ "$answer" = "the plugin says: hello, ring" ]
}

uses_the_shared_one() {
	readelf -d "$1" | grep -q 'NEEDED.*libpeal\.so\.0'
}

check "the quick example builds, shared" builds "$work/quick" "-L$libdir"
check "it is linked with libpeal.so.0" uses_the_shared_one "$work/quick"
check "it runs" says_hello "$work/quick"
check "the quick example builds, static" builds "$work/quick-static" -static "-L$libdir"
check "it runs, static" says_hello "$work/quick-static"
check "a host with a poller builds, static" builds_static_host
check "it runs, static" "$work/host"
check "it builds without optimisation" builds "$work/quick-O0" -O0 "-L$libdir"
check "it runs, -O0" says_hello "$work/quick-O0"

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
