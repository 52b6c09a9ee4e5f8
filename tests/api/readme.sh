#!/bin/sh
# SPDX-License-Identifier: MIT
# The README's example is examples/quick.c, and that one runs.
# usage: readme.sh SOURCE-ROOT QUICK-PROGRAM
set -u
root=$1 quick=$2
. "$root/tests/api/tally.sh"

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# Without the licence line, which a reader of the page does not need.
sed -n '/^```c$/,/^```$/p' "$root/README.md" | sed '1d;$d' >"$work/readme.c"
grep -v SPDX "$root/examples/quick.c" >"$work/quick.c"

says_hello() {
	answer=$("$quick") && [ "$answer" = "the plugin says: hello, ring" ]
}

check "the example in the README is examples/quick.c" diff "$work/quick.c" "$work/readme.c"
check "the example runs" says_hello
finish
