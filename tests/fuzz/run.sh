#!/bin/sh
# SPDX-License-Identifier: MIT
# One target, or all, by libFuzzer or AFL++, under ASan and UBSan. Starts from the corpus of the repository;
# what is found goes to the build folder. Ends with an error when something was found that must not be.
# usage: run.sh SOURCE-ROOT BUILD-FOLDER libfuzzer|afl|merge [TARGET|all] [SECONDS]
set -eu
root=$(cd "$1" && pwd) build=$2 engine=$3 targets=${4:-all} seconds=${5:-60}
[ "$targets" != all ] || targets='producer consumer segment attach arguments handle'

sanitize='-fsanitize=address,undefined -fno-sanitize-recover=all'
case $engine in
afl)
	cc=afl-clang-fast kind=afl
	# The compiler of AFL++ adds the sanitizers itself.
	sanitize=-fno-sanitize-recover=all
	export AFL_USE_ASAN=1 AFL_USE_UBSAN=1 AFL_QUIET=1
	coverage=
	;;
libfuzzer | merge) cc=clang kind=libfuzzer coverage=-fsanitize=fuzzer-no-link ;;
*)
	sed -n 's/^# usage: //p' "$0" >&2
	exit 2
	;;
esac
mkdir -p "$build/$kind"
build=$(cd "$build/$kind" && pwd)
cd "$root"

# The poller asks nothing of the peer by itself, and needs liburing.
library=$(echo src/base/*.c src/ring/*.c src/doorbell/*.c src/spawn/*.c src/channel/*.c)
harness=$(for name in arguments attach consumer files fuzz handle memory producer segment; do
	echo "tests/fuzz/$name.c"
done)
flags="-std=gnu11 -g -O1 -D_GNU_SOURCE= -Iinclude -Isrc -Itests -include tests/fuzz/atomic.h $sanitize"
names='-Dclock_gettime=fuzz_clock_gettime -Dsyscall=fuzz_syscall'

objects=
for source in $library $harness; do
	object=$build/$(echo "$source" | tr / _).o
	objects="$objects $object"
	case $source in
	src/*) extra=$names ;;
	*) extra= ;;
	esac
	# shellcheck disable=SC2086 # words are meant
	$cc $flags $extra $coverage -c "$source" -o "$object"
done

# The folder of what is found, beside that of the repository.
run_libfuzzer() {
	mkdir -p "$build/corpus-$1"
	"$build/$1" -max_total_time="$seconds" -max_len=1024 -timeout=20 -print_final_stats=1 \
		-artifact_prefix="$build/$1-" "$build/corpus-$1" "$root/tests/fuzz/corpus/$1"
}

run_afl() {
	rm -rf "$build/found-$1"
	# A container has neither a core pattern nor a governor of its own to set.
	AFL_SKIP_CPUFREQ=1 AFL_I_DONT_CARE_ABOUT_MISSING_CRASHES=1 AFL_NO_AFFINITY=1 \
		afl-fuzz -V "$seconds" -i "$root/tests/fuzz/corpus/$1" -o "$build/found-$1" -- "$build/$1"
	found=$(find "$build/found-$1" -path '*crashes/id*' -o -path '*hangs/id*')
	[ -z "$found" ] || { printf 'found:\n%s\n' "$found" && return 1; }
}

# The fewest files that cover what all cover, into the repository.
run_merge() {
	rm -rf "$build/merged-$1"
	mkdir -p "$build/merged-$1" "$build/corpus-$1"
	"$build/$1" -merge=1 -use_counters=0 -max_len=512 "$build/merged-$1" "$root/tests/fuzz/corpus/$1" \
		"$build/corpus-$1"
	rm -f "$root/tests/fuzz/corpus/$1"/*
	cp "$build/merged-$1"/* "$root/tests/fuzz/corpus/$1/"
}

for target in $targets; do
	echo "fuzz: $target, $engine, $seconds s"
	# shellcheck disable=SC2086
	$cc $flags -fsanitize=fuzzer "-DFUZZ_TARGET=\"$target\"" -o "$build/$target" \
		tests/fuzz/entry.c $objects
	"run_$engine" "$target"
done
