#!/bin/sh
# SPDX-License-Identifier: MIT
# The README's example is examples/quick.c, that of docs/poller.md is examples/host.c, and they run.
# usage: readme.sh SOURCE-ROOT QUICK-PROGRAM HOST-PROGRAM
set -u
root=$1 quick=$2 host=$3
. "$root/tests/api/tally.sh"

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# quotes PAGE EXAMPLE - without the licence line, which a reader of the page does not need
quotes() {
	sed -n '/^```c$/,/^```$/p' "$root/$1" | sed '1d;$d' >"$work/page.c"
	grep -v SPDX "$root/examples/$2" | diff - "$work/page.c"
}

says_hello() {
	answer=$("$quick") && [ "$answer" = "the plugin says: hello, ring" ]
}

# Whichever plugin is faster.
hosts_five() {
	"$host" | sed "s/'.*' (pid [0-9]*) //" | sort >"$work/host.out" && diff - "$work/host.out" <<-END
		answer 0
		answer 1
		answer 2
		answer 3
		exited with status 0
		exited with status 0
		exited with status 0
		exited with status 0
		exited with status 1
	END
}

# A plugin that took itself for the host would start the next one, and so on.
starts_no_other() {
	status=0
	timeout 60 "$1" --segment-fd=x || status=$?
	[ "$status" = 1 ]
}

is_short() {
	[ "$(wc -l <"$root/examples/$1")" -le 60 ]
}

check "the example in the README is examples/quick.c" quotes README.md quick.c
check "the example runs" says_hello
check "a plugin that can not attach starts no other" starts_no_other "$quick"
check "the example in docs/poller.md is examples/host.c" quotes docs/poller.md host.c
check "it is a host in at most 60 lines" is_short host.c
check "that host runs" hosts_five
check "its plugin that can not attach starts no other" starts_no_other "$host"
finish
