#!/bin/sh
# SPDX-License-Identifier: MIT
# The example says how each of its plugins ended, and is right about it.
# usage: sandboxed.sh SOURCE-ROOT SANDBOXED-PROGRAM
set -u
root=$1 sandboxed=$2
. "$root/tests/api/tally.sh"

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export LC_ALL=C

# Who cheats in strict seccomp is killed, or, where that is refused and a filter takes its place, has made a
# bad system call.
expected() {
	for cage in strict filter; do
		killed='signal 31 (Bad system call)'
		[ "$cage" = filter ] || killed="$1"
		cat <<-END
			$cage
			    a bird -> A BIRD
			    in a cage -> IN A CAGE
			    sings -> SINGS
			    PLUGIN exited with status 0
			$cage --cheat
			    a bird -> A BIRD
			    in a cage -> IN A CAGE
			    PLUGIN was killed by $killed
			$cage --crash
			    a bird -> A BIRD
			    in a cage -> IN A CAGE
			    PLUGIN was killed by signal 4 (Illegal instruction)
		END
	done
}

# ends_as SIGNAL
ends_as() {
	expected "$1" >"$work/expected"
	sed "s/'.*sandboxed-plugin' (pid [0-9]*)/PLUGIN/" "$work/out" | diff "$work/expected" -
}
ends_as_expected() {
	ends_as 'signal 9 (Killed)' || { no_strict && ends_as 'signal 31 (Bad system call)'; }
}
no_strict() {
	! grep -q '^Seccomp:[[:space:]]*0$' /proc/self/status
}

check "it runs to its end, whatever its plugins do" sh -c '"$1" >"$2" 2>"$3"' - "$sandboxed" \
	"$work/out" "$work/err"
check "it says how each of them ended" ends_as_expected
check "nobody complains" cmp "$work/err" /dev/null

own_lines() {
	"$sandboxed" 'one line' >"$work/own" && [ "$(grep -c 'one line -> ONE LINE$' "$work/own")" = 6 ] &&
		[ "$(grep -c 'exited with status 0$' "$work/own")" = 6 ]
}
check "lines can be given" own_lines

# Every sentence of the page about the two lists of calls is about these.
page_has_the_lists() {
	for name in $(grep -oE '^static const int [a-z]+_list\[\] = \{.*' \
		"$root/examples/sandboxed/cage.c" | grep -oE 'SYS_[a-z_]+' | sed 's/SYS_//'); do
		grep -qw "$name" "$root/docs/sandboxing.md" || { echo "no $name"; return 1; }
	done
}
check "the page names the calls that are allowed" page_has_the_lists
finish
