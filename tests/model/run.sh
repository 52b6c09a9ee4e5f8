#!/bin/sh
# SPDX-License-Identifier: MIT
# Searches a list of cases exhaustively. A line of it: name, what must be found, model, flags. What can be
# found: pass; hang (somebody sleeps for ever); assert; cycle (livelock). A case that fails in another
# way than the list says is a failure, and so is a search that did not come to its end.
# usage: run.sh SOURCE-ROOT C-COMPILER LIST [REGEX]   only the cases whose names match
set -u
root=$(cd "$1" && pwd) cc=$2 list=$3 regex=${4:-.}
. "$root/tests/api/tally.sh"
models=$root/tests/model

work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
trap 'exit 1' INT TERM
cd "$work" || exit 1

# search MODEL WANT FLAG... - leaves what was found and the number of states in the file result
search() {
	model=$1 want=$2
	shift 2
	# What must fail does so early; there, compiling and clearing memory would be most of the work.
	optimize=-O1 hash=22
	[ "$want" = pass ] || optimize=-O0 hash=18
	case " $* " in
	*' -DLTL '*) kind=-DNFAIR=3 options='-a -f' ;;
	*) kind='-DSAFETY -DNOCLAIM' options= ;;
	esac
	case " $* " in *' -DCOLLAPSE '*) kind="$kind -DCOLLAPSE" ;; esac
	# shellcheck disable=SC2086 # words are meant
	spin -a "$@" "$models/$model" >log 2>&1 &&
		"$cc" $optimize -w $kind -DMEMLIM=11000 -o pan pan.c >log 2>&1 &&
		./pan -m20000 -w$hash $options >log 2>&1
	awk '
		/^pan:[0-9]+: invalid end state/ { got = "hang" }
		/^pan:[0-9]+: assertion violated/ { got = "assert" }
		/^pan:[0-9]+: acceptance cycle/ { got = "cycle" }
		/errors: 0$/ { none = 1 }
		/states, stored/ { states = $1 }
		/Search not completed|max search depth too small|out of memory|reached -DMEMLIM/ { broken = 1 }
		END { printf "%s %.0f\n", got ? got : none && !broken ? "pass" : "incomplete", states }
	' log >result
}

count=$(grep -cE '^[a-z]' "$models/$list.txt")
number=0 all=0
while read -r name want model flags; do
	case $name in '' | '#'*) continue ;; esac
	number=$((number + 1))
	echo "$name" | grep -qE "$regex" || continue
	printf '%3d/%d %-24s ' "$number" "$count" "$name"
	begin=$(date +%s)
	# shellcheck disable=SC2086 # words are meant
	search "$model" "$want" $flags
	read -r got states <result
	all=$((all + states))
	printf '%-6s %9d states %4d s  %s %s\n' "$got" "$states" $(($(date +%s) - begin)) "$model" "$flags"
	if [ "$got" = "$want" ]; then
		passed=$((passed + 1))
	else
		failed=$((failed + 1))
		echo "FAIL $name: expected $want"
		grep -iE '^(pan|spin)|error' log
	fi
done <"$models/$list.txt"
note "model $list: $((passed + failed)) cases, $all states, $failed not as expected"
finish
