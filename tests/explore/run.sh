#!/bin/sh
# SPDX-License-Identifier: MIT
# Explores a list of cases. In a list, "= NAME [FILE SED]" is a program: the library's ring, compiled
# against the explorer, with one file changed by sed or none; a list may also name a program of
# mutants.txt, and "= litmus" is litmus.c. The lines below it are its cases: what must be found, options.
# What can be found: pass; hang (somebody sleeps for ever); wrong (a record or an end that is not right);
# race (payload that is not ordered); busy (one bell woke twice); cycle (it need not end); seen (a litmus).
# A search that did not come to its end is "bound", which no list of the ring expects.
# usage: run.sh SOURCE-ROOT C-COMPILER EXPLORER-LIBRARY LIST [REGEX]   only programs whose names match
set -u
root=$1 cc=$2 library=$3 list=$4 regex=${5:-.}
. "$root/tests/api/tally.sh"
here=$root/tests/explore

work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
trap 'exit 1' INT TERM

# mutate FILE SED - a changed copy that is found before the real one; must differ
mutate() {
	mkdir -p "$work/new/$(dirname "$1")"
	sed "$2" "$root/$1" >"$work/new/$1" && ! cmp -s "$root/$1" "$work/new/$1"
}

# made_by PROGRAM - FILE SED
made_by() {
	sed -n "s/^= $1 //p" "$here/mutants.txt"
}

# compile [FILE SED]
compile() {
	rm -rf "$work/new"
	sources="$here/code.c $here/scenario.c"
	[ "$program" = litmus ] && sources=$here/litmus.c
	[ -z "${1:-}" ] || mutate "$1" "$2" || { echo "sed changes nothing in $1"; return 1; }
	# shellcheck disable=SC2086 # files are meant
	"$cc" -std=gnu11 -O1 -w -include "$here/atomic.h" -I"$here" -I"$work/new/include" \
		-I"$work/new/src" -I"$root/include" -I"$root/src" \
		$sources "$library" -o "$work/explore"
}

count=$(grep -cE '^[a-z]' "$here/$list.txt")
number=0 all=0 program=
while read -r want options; do
	case $want in
	'' | '#'*) continue ;;
	=)
		program=${options%% *}
		rest=${options#"$program"}
		rest=${rest# }
		echo "$program" | grep -qE "$regex" || { program=; continue; }
		[ -n "$rest" ] || rest=$(made_by "$program")
		file=${rest%% *}
		compile "$file" "${rest#"$file" }" >"$work/log" 2>&1 || {
			failed=$((failed + 1))
			echo "FAIL $program: can not be made"
			cat "$work/log"
			program=
		}
		continue
		;;
	esac
	number=$((number + 1))
	[ -n "$program" ] || continue
	printf '%3d/%d %-24s ' "$number" "$count" "$program"
	# shellcheck disable=SC2086 # words are meant
	"$work/explore" $options >"$work/result" 2>&1
	read -r got states transitions ends executions depth <"$work/result"
	all=$((all + ${states:-0}))
	printf '%-6s %9s states %8s executions  %s\n' "$got" "${states:-}" "${executions:-}" "$options"
	case $want in */*) got=$got/$executions ;; esac
	if [ "$got" = "$want" ]; then
		passed=$((passed + 1))
	else
		failed=$((failed + 1))
		echo "FAIL $program $options: expected $want"
		cat "$work/result"
	fi
done <"$here/$list.txt"
note "explore $list: $((passed + failed)) cases of the real code, $all states, $failed not as expected"
finish
