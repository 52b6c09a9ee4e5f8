#!/bin/sh
# SPDX-License-Identifier: MIT
# The manual pages, as installed: they render without a warning, say what the headers say, refer to what is
# there, and their examples build against the installed copy and print what they say.
# usage: man.sh SOURCE-ROOT BUILD-ROOT CC
set -u
root=$1 build=$2 cc=$3
. "$root/tests/install/stage.sh"

page7=$(find "$work/stage" -name peal.7)
if [ -z "$page7" ]; then
	skip "the manual pages" "built without scdoc"
	finish
fi
if ! command -v man >"$work/man"; then
	skip "the manual pages" "no man-db"
	finish
fi
mandir=$(dirname "${page7%/*}")
# One look for all machines; a page is not cut where this terminal ends.
export LC_ALL=C.UTF-8 MANWIDTH=80 MAN_KEEP_FORMATTING=
unset MANPATH MANOPT MANPAGER PAGER

# renders FILE - gives $work/page
renders() {
	man --warnings=w -l "$1" >"$work/page" 2>"$work/warnings" && [ ! -s "$work/warnings" ] && [ -s "$work/page" ] ||
		{ cat "$work/warnings"; false; }
}
is_refused() {
	! renders "$1"
}
fits_a_terminal() {
	! grep -E '.{81}' "$work/page"
}
for page in $(find "$mandir" -name 'peal*.[137]' -type f | sort); do
	check "${page##*/} renders without a warning" renders "$page"
	check "it fits a terminal" fits_a_terminal
done
printf '.TH x 3\n.SH NAME\nx \\- y\n.no-such-macro\n' >"$work/wrong.3"
check "a page that is wrong is found out" is_refused "$work/wrong.3"

# declared - the declarations of the public headers, one a line
declared() {
	cat "$root"/include/peal/*.h | grep -v '^#define' | tr '\n' ' ' | grep -oE 'PEAL_API [^;{]*;' |
		sed -E 's/PEAL_(API|INLINE) //g; s/[[:space:]]+/ /g'
}

# in_synopses - those of the pages
in_synopses() {
	for page in $(find "$mandir/man3" -type f); do
		sed -n '/^\.SH SYNOPSIS/,/^\.SH DESCRIPTION/p' "$page"
	done | grep -v '^[.#]' | tr '\n' ' ' | sed -E 's/[[:space:]]+/ /g; s/\( /(/g; s/; ?/;\n/g' | grep .
}

synopses_are_the_headers() {
	declared | sort >"$work/declared"
	in_synopses | sed 's/^ //' | sort | diff "$work/declared" - && [ "$(wc -l <"$work/declared")" -gt 70 ]
}
check "each function is in one synopsis, and as its header declares it" synopses_are_the_headers

check "each function's contract is on its page" env PYTHONDONTWRITEBYTECODE=1 \
	python3 "$root/tests/install/contracts.py" "$root/include" "$mandir/man3"

# without_comments - no directive is followed
without_comments() {
	cat "$root"/include/peal/*.h | grep -v '^#' | $cc -fpreprocessed -E -P - | tr -d '[:space:]'
}

types_are_the_headers() {
	without_comments >"$work/headers"
	for page in $(find "$mandir/man3" -type f); do
		sed -nE '/^(struct|enum) peal_\w+ \{/,/^\};/p' "$page"
	done | tr -d '[:space:]' | sed 's/};/};\n/g' >"$work/types"
	[ "$(wc -l <"$work/types")" -gt 15 ] || return 1
	while read -r type; do
		grep -qF "$type" "$work/headers" || { echo "no $type"; return 1; }
	done <"$work/types"
}
check "each type is shown as its header declares it" types_are_the_headers

# Those that detail/ declares are called by the inline functions alone.
functions=$(sed -nE 's/^[[:space:]]*(peal_[a-z0-9_]+);.*/\1/p' "$root/src/libpeal.map" |
	grep -vxE "$(grep -ohE 'PEAL_API [^{(]*\(' "$root"/include/peal/detail/*.h | grep -v PEAL_INLINE |
		sed -E 's/\($//; s/.*[ *]//' | paste -sd '|')")

every_function_is_named_once() {
	for page in $(find "$mandir/man3" -type f); do
		sed -n '/^\.SH NAME/,/^\.SH SYNOPSIS/p' "$page" | grep -v '^\.' | tr '\n' ' ' | sed 's/ - .*//' | tr -d ' ' |
			tr ',' '\n'
		echo
	done | grep . | sort >"$work/named"
	echo "$functions" | sort | diff - "$work/named"
}
check "each function of the ABI is in the NAME line of one page" every_function_is_named_once

man_finds_each() {
	missing=0
	for name in $functions; do
		# What is found is the page that names it, by itself or through a link.
		found=$(man -M "$mandir" -w 3 "$name") && grep -q "$name" "$found" || { echo "no $name"; missing=1; }
	done
	return "$missing"
}
check "man finds each function" man_finds_each

references_lead_somewhere() {
	missing=0
	for page in $(find "$mandir" -name 'peal*.[137]' -type f); do
		for reference in $(grep -oE '\\fBpeal[a-z0-9_-]*\\fR\([137]\)' "$page" |
			sed -E 's/^\\fB//; s/\\fR\((.)\)/.\1/' | sort -u); do
			# Section 1 comes with the command.
			[ -d "$mandir/man${reference##*.}" ] || continue
			[ -e "$mandir/man${reference##*.}/$reference" ] || { echo "${page##*/}: no $reference"; missing=1; }
		done
	done
	return "$missing"
}
check "what the pages of Peal refer to is there" references_lead_somewhere

# shows PAGE EXAMPLE - all of it but the licence line, whatever the renderer made of spaces
shows() {
	grep -v SPDX "$2" | tr -d '[:space:]' >"$work/example"
	LC_ALL=C man -l "$mandir/man3/$1" | tr -d '[:space:]' | grep -qFf "$work/example"
}

# shellcheck disable=SC2046 # words are meant
builds() {
	$cc -std=gnu11 -Wall -Wextra -Werror -O2 "$1" -o "$work/example" $(pkg-config --cflags --libs peal) "-L$libdir"
}

prints_what_it_says() {
	said=$(sed -nE 's/.*Prints "(.*)"\..*/\1/p' "$1")
	printed=$(timeout 300 "$work/example" 2>&1) && [ -n "$said" ] && [ "$printed" = "$said" ] ||
		{ printf 'says: %s\nprints: %s\n' "$said" "$printed"; false; }
}

for source in "$root"/docs/man/*.3.scd; do
	page=$(basename "$source" .scd)
	example=$root/docs/man/examples/$(sed -n 's/^@example //p' "$source")
	check "$page shows its example" shows "$page" "$example"
	check "it builds" builds "$example"
	check "it prints what it says" prints_what_it_says "$example"
done
finish
