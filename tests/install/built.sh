# SPDX-License-Identifier: MIT
# Sourced after stage.sh: what is asked of a program that was built against the installed copy.

says_hello() {
	answer=$("$1") && [ "$answer" = "the plugin says: hello, ring" ]
}

uses_the_shared_one() {
	readelf -d "$1" | grep -q 'NEEDED.*\[libpeal\.so\.0\]'
}

uses_none() {
	[ -x "$1" ] && ! readelf -d "$1" | grep 'NEEDED.*libpeal'
}
