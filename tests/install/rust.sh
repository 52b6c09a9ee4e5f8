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
mkdir -p "$work/rust/bindings" "$work/rust/examples"
cp -r "$root/bindings/rust" "$work/rust/bindings"
cp -r "$root/examples/rust" "$work/rust/examples"
cd "$work/rust/bindings/rust" || exit 1
export CARGO_HOME="$work/cargo" CARGO_TARGET_DIR="$work/target" CARGO_NET_OFFLINE=true CARGO_INCREMENTAL=0
export CARGO_TERM_COLOR=never RUSTFLAGS='-D warnings' RUSTDOCFLAGS='-D warnings'
# Optimised, since that is what finds what is unsound, and with all assertions.
export CARGO_PROFILE_DEV_OPT_LEVEL=2 CARGO_PROFILE_DEV_DEBUG=0
# Each test counts the descriptors of the process.
export RUST_TEST_THREADS=1
export PEAL_C_GUEST="$build/tests/guest" PEAL_RUST_GUEST="$work/target/debug/echo"

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

# As it would be published, in a place of its own.
is_whole() {
	"$CARGO" package --allow-dirty
}

builds_the_example() {
	(cd "$work/rust/examples/rust" && "$CARGO" build)
}

# c_program OUTPUT SOURCE...
c_program() {
	output=$1
	shift
	# shellcheck disable=SC2046 # words are meant
	$cc -std=gnu11 -Wall -Wextra -Werror -O2 "-I$root/tests" "$@" -o "$output" \
		$(pkg-config --cflags --libs peal) "-L$libdir"
}

serves_a_c_host() {
	c_program "$work/host" "$root/tests/install/rust-host.c" "$root/tests/ipc/ipc.c" &&
		"$work/host" "$PEAL_RUST_GUEST"
}

serves_a_python_host() {
	PYTHONPATH="$pythondir" PEAL_LIBRARY="$libdir/libpeal.so.0" PYTHONDONTWRITEBYTECODE=1 \
		python3 -W error - "$PEAL_RUST_GUEST" <<-'END'
		import peal, sys
		with peal.Channel(to_guest=4096, to_host=4096) as channel, channel.spawn(sys.argv[1:]) as child:
		    for i in range(1000):
		        channel.tx.send(bytes(i), type=i)
		        assert channel.rx.receive() == (bytes(i), i)
		    channel.close()
		    assert child.wait() == 0
	END
}

says_the_same() {
	c_program "$work/abi" "$work/abi.c" && "$work/abi" >"$work/abi-c" &&
		"$CARGO" run --quiet --example abi >"$work/abi-rust" &&
		diff "$work/abi-c" "$work/abi-rust" && [ "$(wc -l <"$work/abi-c")" -gt 100 ]
}

refuses() {
	"$CARGO" build --quiet &&
		python3 "$root/tests/install/rust-rules.py" "$root/bindings/rust/src/rules.rs" "$work" \
			--extern "peal=$work/target/debug/libpeal.rlib" -L "$libdir"
}

# listing FILE OUTPUT - the first block of Rust
listing() {
	sed -n '/^```rust$/,/^```$/{//!p; /^```$/q}' "$1" >"$2"
	[ "$(wc -l <"$2")" -gt 10 ] || { echo "no listing in $1"; false; }
}

builds_the_listing() {
	listing "$root/docs/bindings.md" examples/listing.rs && "$CARGO" build --example listing
}

without_libpeal() {
	message=$(PKG_CONFIG_PATH=/nowhere PKG_CONFIG_LIBDIR=/nowhere CARGO_TARGET_DIR="$work/none" \
		"$CARGO" build 2>&1) && return 1
	echo "$message"
	echo "$message" | grep -q 'libpeal 0.1 was not found' && echo "$message" | grep -q PKG_CONFIG_PATH
}

check "the crate holds all that it needs" is_whole
check "the example builds" builds_the_example
check "it serves a host in C, in every configuration" serves_a_c_host
check "it serves a host in Python" serves_a_python_host
cargo_cases "the crate's promises" --tests
cargo_cases "programs in its documentation" --doc
check "what the types refuse is refused for the reason given" refuses
mkdir examples
check "all of the C interface is declared, or left out by name" \
	python3 "$root/tests/install/rust-abi.py" src/sys.rs "$prefix/include/peal" "$libdir/libpeal.so.0" \
	"$work/abi.c" examples/abi.rs
check "the declarations are those of the C headers" says_the_same
check "the listing in docs/bindings.md builds" builds_the_listing
check "without libpeal it says what is missing" without_libpeal
finish
