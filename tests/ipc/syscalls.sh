#!/bin/sh
# SPDX-License-Identifier: MIT
# Law 5, by count: two spinning processes exchange a million records both ways, and the number of
# their system calls does not depend on that.
# usage: syscalls.sh SOURCE-ROOT SPINNER GUEST
set -u
root=$1 spinner=$2 guest=$3
. "$root/tests/api/tally.sh"

if ! strace -c true 2>/dev/null; then
	skip "system calls of two spinning processes" "strace is missing or may not trace here"
	finish
fi

counts=$(mktemp)
trap 'rm -f "$counts"' EXIT

check "a million records go and come" strace -f -c -o "$counts" "$spinner" "$guest"

# Starting and ending two processes takes a few hundred; two million records more would show.
few() {
	total=$(awk '$NF == "total" { print $4 }' "$counts")
	cat "$counts"
	[ -n "$total" ] && [ "$total" -gt 50 ] && [ "$total" -lt 2000 ]
}
check "they cost no system calls" few

# The dear ones by name: none of them on the way of a record.
asleep() {
	awk '$NF ~ /^(futex|sendto|recvfrom|ppoll|membarrier)$/ { print; n += $4 } END { exit n > 200 }' "$counts"
}
check "hardly any bell, poll or membarrier" asleep
finish
