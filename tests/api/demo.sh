#!/bin/sh
# SPDX-License-Identifier: MIT
# The demo keeps its word: its table is what wc prints, its CRC-32 is what zlib says, a plugin that
# dies is told in one clear sentence, and the exit status tells the truth.
# usage: demo.sh SOURCE-ROOT DEMO-PROGRAM
set -u
root=$1 demo=$(realpath "$2")
. "$root/tests/api/tally.sh"

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work" || exit 1

# --- Files with all that can go wrong in counting ------------------------------------------------

: >empty
printf 'one line, no newline' >no-newline
printf 'naïve Zürich — «колокол» 鐘\302\240鐘\n' >utf-8
printf 'a name with spaces\n' >'a name  with spaces'
printf '\r\f \v\t\n\n  words \t between\vall\fkinds\rof space\n' >spaces
# White space, nothing, and a word at each side of the border of a 64 KiB record.
python3 -c '
import sys
for end in "xx", "x ", " x", "  ", "x\n", "\nx":
    sys.stdout.write("w" * (65536 - 1) + end + "w" * (65536 - 1))
' >borders
# Bytes that the C locale can not print. Debian 12's wc does not take them alone for a word; others
# do, POSIX among them.
python3 -c '
import random, sys
random.seed(1)
special = b" \0 \1\n \377 a\1 \200b\n"
sys.stdout.buffer.write(bytes(range(256)) + special + random.randbytes(3 << 20))
' >binary
# Larger than the ring, which is 4 MiB.
"$demo" --generate | head -c 20000001 >large

# --- The table -----------------------------------------------------------------------------------

# table OUTPUT - its rows: CRC-32 and two spaces, then what wc prints
table() {
	sed -n '/^CRC-32/,/^$/p' "$1" | sed '1d;$d'
}

# equals_wc FILE...
equals_wc() {
	"$demo" --no-crash "$@" >equals.out || return
	table equals.out | cut -c 11- >equals.demo
	LC_ALL=C wc "$@" >equals.wc
	[ -s equals.demo ] && diff equals.wc equals.demo
}

check "an empty file is counted as wc does" equals_wc empty
check "a file without a last newline is counted as wc does" equals_wc no-newline
check "a name with spaces is printed as wc does" equals_wc 'a name  with spaces'
check "all kinds of white space are counted as wc does" equals_wc spaces
check "words at the borders of records are counted as wc does" equals_wc borders
check "a file larger than the ring is counted as wc does" equals_wc large
check "many files and their total are printed as wc does" \
	equals_wc empty no-newline spaces borders large empty spaces 'a name  with spaces'
if [ "$(printf '\001' | LC_ALL=C wc -w)" -eq 0 ]; then
	check "UTF-8 is counted as wc does" equals_wc utf-8
	check "a binary file is counted as wc does" equals_wc binary
	check "a program is counted as wc does" equals_wc "$demo"
else
	skip "binary and UTF-8 files are counted as wc does" "this wc takes unprintable bytes for a word"
fi

standard_input() {
	"$demo" --no-crash - spaces <large >stdin.out || return
	table stdin.out | cut -c 11- >stdin.demo
	LC_ALL=C wc - spaces <large | diff - stdin.demo
}
check "standard input is counted as wc does" standard_input

a_pipe() {
	head -c 9999999 large | "$demo" --no-crash - >pipe.out || return
	table pipe.out | cut -c 11- >pipe.demo
	head -c 9999999 large | LC_ALL=C wc - | diff - pipe.demo
}
check "a pipe is counted as wc does" a_pipe

# The plugin has to wait for room to answer, and then the host for room to ask.
more_answers_than_fit() {
	mkdir many && seq 5000 | (cd many && xargs touch) && equals_wc many/* large
}
check "thousands of files are counted as wc does" more_answers_than_fit

crc_is_zlibs() {
	"$demo" --no-crash empty no-newline utf-8 binary borders large >crc.out || return
	table crc.out | sed '$d' | cut -c 1-8 >crc.demo
	python3 -c '
import sys, zlib
for name in sys.argv[1:]:
    print("%08x" % zlib.crc32(open(name, "rb").read()))
' empty no-newline utf-8 binary borders large | diff - crc.demo
}
check "the CRC-32 is zlib's" crc_is_zlibs

# --- What goes wrong -----------------------------------------------------------------------------

# One that is missing, one that is no file: as wc says, and the others are counted.
bad_files() {
	status=0
	"$demo" --no-crash spaces missing . large >bad.out 2>bad.err || status=$?
	table bad.out | cut -c 11- >bad.demo
	LC_ALL=C wc spaces missing . large >bad.wc 2>bad.wc-err
	[ "$status" = 1 ] && diff bad.wc bad.demo && sed 's/^wc:/peal-demo:/' bad.wc-err | diff - bad.err
}
check "bad files are told, the others counted, and the status is 1" bad_files

sentence="    peal-demo: the plugin died after [0-9.]* MiB of 19.1 MiB: '.*/peal-demo-plugin' \
(pid [0-9]*) was killed by signal 9 (Killed)"

a_crash() {
	"$demo" spaces large >crash.out 2>crash.err && [ ! -s crash.err ] &&
		grep -x "$sentence" crash.out && grep 'This was on purpose' crash.out
}
check "a plugin that kills itself is told in a sentence" a_crash

no_file_to_crash_on() {
	"$demo" empty >tiny.out 2>tiny.err && [ ! -s tiny.err ] && grep 'of 16.0 MiB: ' tiny.out
}
check "without a large file, it dies on a generated one" no_file_to_crash_on

standard_input_is_used_up() {
	"$demo" - <large >once.out && grep 'of 16.0 MiB: ' once.out
}
check "standard input is not read twice" standard_input_is_used_up

no_crash() {
	"$demo" --no-crash large >calm.out && ! grep 'killed' calm.out
}
check "--no-crash leaves it out" no_crash

# Next to a copy of the host there is no plugin; what there is, is wrong in some other way.
wrong_plugin() { # TEXT
	status=0
	copy/peal-demo spaces >wrong.out 2>wrong.err || status=$?
	[ "$status" = 1 ] && [ ! -s wrong.out ] && grep "$1" wrong.err
}
mkdir copy && cp "$demo" copy/peal-demo
LD_LIBRARY_PATH=$(dirname "$demo")/../src
export LD_LIBRARY_PATH
check "a plugin that is missing is told" wrong_plugin "peal-demo-plugin': No such file"
printf '#!/bin/sh\nexit 3\n' >copy/peal-demo-plugin && chmod +x copy/peal-demo-plugin
check "a plugin that does not attach is told" wrong_plugin 'exited with status 3'
printf '#!/bin/sh\nexec "%s-plugin" --die-after=0 "$@"\n' "$demo" >copy/peal-demo-plugin
check "a plugin that dies in earnest is told, and the status is 1" \
	wrong_plugin 'peal-demo: the plugin died after .* was killed by signal 9'

full_disk() {
	status=0
	"$demo" --no-crash spaces >/dev/full 2>full.err || status=$?
	[ "$status" = 1 ] && grep 'standard output: No space left' full.err
}
check "a full disk is told, and the status is 1" full_disk

# --- The command line and the terminal -----------------------------------------------------------

# says STATUS FILE ARGUMENT... - the usage, with that status, in that file of out and err
says_usage() {
	status=0 expected=$1 file=$2
	shift 2
	"$demo" "$@" >usage.out 2>usage.err || status=$?
	[ "$status" = "$expected" ] && grep '^usage: peal-demo' "usage.$file"
}
check "--help is help" says_usage 0 out --help
check "an unknown option is refused" says_usage 2 err --frobnicate

dashes() {
	cp spaces ./--help && equals_wc -- --help
}
check "-- ends the options" dashes

# Enough to last longer than the 50 ms after which a bar appears.
long="large large large large large large large large large large large large large large large"

# No escape sequence and no bar when nobody looks, colours or not.
clean() {
	# shellcheck disable=SC2086 # words are meant
	TERM=xterm "$demo" $long >clean.out 2>clean.err && [ ! -s clean.err ] &&
		! LC_ALL=C grep "$(printf '[\033\r]')" clean.out
}
check "a pipe gets no progress" clean

# on_terminal NAME=VALUE... - what a terminal gets, in terminal.out
on_terminal() {
	env TERM=xterm LC_ALL=C "$@" script -qec "'$demo' --no-crash $long" /dev/null \
		>terminal.out </dev/null
}

colours() {
	on_terminal && grep 'counting' terminal.out && grep "$(printf '\033\\[32m#')" terminal.out
}
no_colours() {
	on_terminal NO_COLOR=1 && grep 'counting' terminal.out &&
		! grep "$(printf '\033\\[[0-9]')" terminal.out
}
dumb() {
	on_terminal TERM=dumb && ! grep 'counting' terminal.out
}
if script -qec true /dev/null >/dev/null 2>&1; then
	check "a terminal gets a bar" colours
	check "NO_COLOR gets no colours" no_colours
	check "a dumb terminal gets no bar" dumb
else
	skip "what a terminal gets" "script(1) is missing"
fi
finish
