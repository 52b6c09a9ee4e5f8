#!/bin/sh
# SPDX-License-Identifier: MIT
# The Rust crate over the installed copy, with the cargo and rustc of the system and no other crate.
# usage: rust.sh SOURCE-ROOT BUILD-ROOT CC
set -u
root=$1 build=$2 cc=$3
. "$root/tests/install/stage.sh"

# Debian's, the oldest that the crate promises; not one of the user's that comes first in PATH.
export CARGO=/usr/bin/cargo RUSTC=/usr/bin/rustc RUSTDOC=/usr/bin/rustdoc
if [ ! -x "$CARGO" ] || [ ! -x "$RUSTC" ]; then
	skip "the Rust crate" "no cargo and rustc in /usr/bin"
	finish
fi

# What cargo writes stays in $work: it sees a copy, with nothing of the repository around it.
mkdir -p "$work/rust/bindings"
cp -r "$root/bindings/rust" "$work/rust/bindings"
cd "$work/rust/bindings/rust" || exit 1
export CARGO_HOME="$work/cargo" CARGO_TARGET_DIR="$work/target" CARGO_NET_OFFLINE=true CARGO_INCREMENTAL=0
export CARGO_TERM_COLOR=never RUSTFLAGS='-D warnings' RUSTDOCFLAGS='-D warnings'
export PEAL_C_GUEST="$build/tests/guest"

# cargo_cases NAME CARGO-ARGUMENT... - counts the cases that cargo's tests count; there must be some
cargo_cases() {
	case_name=$1
	shift
	"$CARGO" test "$@" >"$work/cases" 2>&1
	status=$?
	# shellcheck disable=SC2046 # two words
	set -- $(awk '/^test result: / { p += $4; f += $6 } END { print p + 0, f + 0 }' "$work/cases")
	passed=$((passed + $1)) failed=$((failed + $2))
	if [ "$status" = 0 ] && [ "$1" -gt 0 ] && [ "$2" = 0 ]; then
		echo "ok   $case_name: $1 cases"
	else
		[ "$2" -gt 0 ] || failed=$((failed + 1))
		echo "FAIL $case_name"
		cat "$work/cases"
	fi
}

says_the_same() {
	# shellcheck disable=SC2046 # words are meant
	$cc -std=gnu11 -Wall -Werror "$work/abi.c" -o "$work/abi" $(pkg-config --cflags --libs peal) &&
		"$work/abi" >"$work/abi-c" &&
		"$CARGO" run --quiet --example abi >"$work/abi-rust" &&
		diff "$work/abi-c" "$work/abi-rust"
}

cargo_cases "the crate's promises" --tests

mkdir examples
check "all of the C interface is declared, or left out by name" \
	python3 "$root/tests/install/rust-abi.py" src/sys.rs "$prefix/include/peal" "$libdir/libpeal.so.0" \
	"$work/abi.c" examples/abi.rs
check "the declarations are those of the C headers" says_the_same
finish
