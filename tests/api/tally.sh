# SPDX-License-Identifier: MIT
# Sourced by the tests that are scripts: counts cases the way the harness does.

passed=0 failed=0 skipped=0

# check NAME COMMAND... - one test case; its output shows only when it fails
check() {
	case_name=$1
	shift
	if output=$("$@" 2>&1); then
		passed=$((passed + 1))
		echo "ok   $case_name"
	else
		failed=$((failed + 1))
		echo "FAIL $case_name"
		printf '%s\n' "$output"
	fi
}

# skip NAME WHY
skip() {
	skipped=$((skipped + 1))
	echo "skip $1: $2"
}

# note SENTENCE - a figure that ./dev shows
note() {
	echo "$1"
	[ -z "${PEAL_TALLY:-}" ] || echo "# $1" >>"$PEAL_TALLY"
}

# finish - tell ./dev, and end with the right status: 77 is Meson's for a test that was skipped
finish() {
	[ -z "${PEAL_TALLY:-}" ] || echo "$passed $failed $skipped" >>"$PEAL_TALLY"
	[ "$failed" != 0 ] || [ "$passed" != 0 ] || [ "$skipped" = 0 ] || exit 77
	[ "$failed" = 0 ] && [ "$passed" -gt 0 ]
	exit
}
