#!/bin/sh
# SPDX-License-Identifier: MIT
# Every branch of what judges the peer's words, descriptors and arguments is taken, each way, by the corpus of
# the fuzzers and the unit tests of the same things together. coverage.txt says which functions.
# usage: coverage.sh SOURCE-ROOT C-COMPILER
set -u
root=$(cd "$1" && pwd) cc=$2
. "$root/tests/api/tally.sh"
list=$root/tests/fuzz/coverage.txt
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
libs='-lcheck -lsubunit -lm -lrt -lpthread'

# compile FLAGS SOURCE... - without optimisation, so that a branch of the source is one of the code, and the
# hot functions are called rather than inlined
compile() {
	flags=$1
	shift
	for source; do
		# shellcheck disable=SC2086 # words are meant
		"$cc" -std=gnu11 -g -O0 -w -D_GNU_SOURCE= -D_FILE_OFFSET_BITS=64 "-I$root/include" "-I$root/src" "-I$root/tests" \
			-include "$root/tests/fuzz/atomic.h" $flags -c "$root/$source" \
			-o "$folder/$(echo "$source" | tr / _).o" || return 1
	done
}

build() {
	cd "$root" || return 1
	library=$(echo src/base/*.c src/ring/*.c src/doorbell/*.c src/spawn/*.c src/channel/*.c)
	# shellcheck disable=SC2046,SC2086
	compile '--coverage -Dclock_gettime=fuzz_clock_gettime -Dsyscall=fuzz_syscall' $library &&
		compile '' $(echo tests/fuzz/*.c | sed 's,[^ ]*/entry.c,,') tests/harness.c \
			tests/unit/ring-fixture.c tests/unit/test-adopt.c tests/unit/test-fd.c \
			tests/unit/test-once.c tests/unit/test-segment.c || return 1
	cd "$folder" || return 1
	mkdir main && mv tests_*_test-*.o main
	for program in fuzz_test-fuzz unit_test-adopt unit_test-fd unit_test-once unit_test-segment; do
		wraps=
		[ "$program" != unit_test-once ] ||
			wraps=$(sed -n 's/^CALL([^,]*, [^,]*, \([a-z0-9]*\),.*/-Wl,--wrap=\1/p' \
				"$root/tests/unit/test-once.c")
		# shellcheck disable=SC2086
		"$cc" --coverage -o "$program" "main/tests_$program.c.o" ./*.o $wraps $libs || return 1
	done
}

# Each in the folder, where the counters lie; without a tally, since they are counted as tests elsewhere.
run() {
	cd "$folder" || return 1
	PEAL_TALLY='' PEAL_CORPUS=$root/tests/fuzz/corpus PEAL_FUZZ_VARIATIONS=0 ./fuzz_test-fuzz &&
		PEAL_TALLY='' ./unit_test-adopt && PEAL_TALLY='' ./unit_test-fd &&
		PEAL_TALLY='' ./unit_test-once && PEAL_TALLY='' ./unit_test-segment
}

# One line a branch: file function line taken(0|1) text. Headers are looked at by way of inline.c, which
# emits the hot functions.
branches() {
	cd "$folder" || return 1
	for counters in src_*.gcda; do
		gcov -b -c -t "$counters" 2>/dev/null
	done | awk -v root="$root/" '
		/^ *-: *0:Source:/ {
			sub(/^.*Source:/, "")
			sub("^" root, "")
			file = $0; function_name = "-"
			next
		}
		/^ *-: *0:/ { next }
		/^branch/ {
			if (line != 0)
				print file, function_name, line, ($0 ~ /never executed|taken 0( |$)/ ? 0 : 1), text
			next
		}
		/^ *[-#=0-9*]+: *[0-9]+:/ {
			rest = $0
			sub(/^[^:]*: */, "", rest)
			line = rest; sub(/:.*/, "", line)
			text = rest; sub(/^[0-9]*:/, "", text)
			if (text ~ /^[a-zA-Z_].*\(/ && text !~ /;$/ && text !~ /^#/) {
				function_name = text
				sub(/\(.*/, "", function_name)
				sub(/.*[ *]/, "", function_name)
			}
			sub(/^[ \t]*/, "", text)
		}'
}

# judge - the table, and what is missing; fails if something is
judge() {
	awk '
		FNR == NR && /^(#|$)/ { next }
		FNR == NR {
			for (i = 2; i <= NF; i++)
				wanted[$1 " " $i] = 1
			next
		}
		($1 " " $2) in wanted {
			name = $1 " " $2; text = $0
			sub(/^[^ ]+ [^ ]+ [^ ]+ [^ ]+ /, "", text)
			all[name]++
			if ($4)
				taken[name]++
			else
				missing = missing "not taken: " $1 ":" $3 " (" $2 ") " text "\n"
		}
		END {
			for (name in wanted) {
				printf "%-52s %3d branches, %3d taken\n", name, all[name], taken[name] | "sort"
				if (!all[name])
					missing = missing "no branch found in " name "\n"
				total += all[name]; hit += taken[name]
			}
			close("sort")
			printf "%s", missing
			printf "branches of the validators: %d of %d taken\n", hit, total
			exit missing != ""
		}' "$list" "$folder/branches"
}

check "what counts branches can be built" build
check "the corpus and the unit tests run" run
branches >"$folder/branches"
check "every branch of the validators is taken" judge
judge >"$folder/table"
cat "$folder/table"
note "$(tail -n 1 "$folder/table")"
finish
