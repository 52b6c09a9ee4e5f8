#!/bin/sh
# SPDX-License-Identifier: MIT
# The benchmark measures what it says: every message of every implementation that needs no foreign
# package arrives right, and its output can be used. Never a time: this machine may be busy.
# usage: bench.sh SOURCE-ROOT PEAL-BENCH
set -u
root=$1 bench=$2
. "$root/tests/api/tally.sh"

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
json=$work/bench.json html=$work/bench.html

runs() {
	"$bench" --smoke --json "$json" --html "$html" >"$work/table" || return 1
	# A void run says so in the table.
	! grep -w void "$work/table"
}

has_keys() {
	python3 - "$json" <<'PYTHON'
import json, sys

report = json.load(open(sys.argv[1]))
machine, results = report["machine"], report["results"]
for key in ("cpu", "cores", "kernel", "l2_bytes", "date", "peal", "compiler"):
    assert key in machine, key
wanted = ("bench impl mode payload unit median min max runs "
          "ratio_to_best_peer ratio_to_limit").split()
for result in results:
    for key in wanted:
        assert key in result, (key, result)
    assert result["runs"] == 1 and result["median"] >= 0, result
seen = {result["bench"] for result in results}
assert {"onecpu", "spawn", "wake" if machine["cores"] > 1 else "onecpu-rtt"} <= seen, seen
PYTHON
}

# What was measured is on the page, its markup is in order, and nothing is fetched from elsewhere.
shows_all() {
	python3 - "$json" "$html" <<'PYTHON'
import html.parser, json, re, sys
import xml.etree.ElementTree

results = json.load(open(sys.argv[1]))["results"]
page = open(sys.argv[2], encoding="utf-8").read()
VOID = {"meta"}

class Page(html.parser.HTMLParser):
    def __init__(self):
        super().__init__()
        self.open, self.ids, self.links, self.text = [], [], [], []

    def handle_starttag(self, tag, attrs):
        assert tag not in ("script", "link", "img", "iframe", "object", "use", "image"), tag
        if tag not in VOID:
            self.open.append(tag)
        for name, value in attrs:
            assert name not in ("src", "srcset", "xlink:href", "data"), (tag, name)
            if name == "href":
                self.links.append(value)
            if name == "id":
                self.ids.append(value)

    def handle_startendtag(self, tag, attrs):
        self.handle_starttag(tag, attrs)
        self.handle_endtag(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag, (tag, self.getpos())

    def handle_data(self, data):
        self.text.append(data)

parsed = Page()
parsed.feed(page)
assert not parsed.open, parsed.open
text = "".join(parsed.text)
benches = {result["bench"] for result in results}
assert len(benches) > 1 and sorted(benches) == sorted(parsed.ids), (benches, parsed.ids)
for result in results:
    assert result["name"] in text, result["name"]
assert all(link[0] == "#" and link[1:] in parsed.ids for link in parsed.links), parsed.links
for reference in ("://", "url(", "@import"):
    assert reference not in page, reference
assert not re.search(r"\b(nan|inf)\b", page), "a number that is none"
plots = re.findall("<svg.*?</svg>", page, re.DOTALL)
assert plots
for plot in plots:
    xml.etree.ElementTree.fromstring(plot)
PYTHON
}

compares() {
	"$bench" --smoke --only spawn --compare "$json" >"$work/compared" &&
		grep -q '^spawn .*peal .* -> ' "$work/compared"
}

# Ended in the middle, it still reports, and leaves no process behind.
ends_cleanly() {
	"$bench" --only onecpu >"$work/stopped" &
	pid=$!
	sleep 1
	children=$(cat "/proc/$pid/task/$pid/children")
	kill -INT "$pid"
	wait "$pid"
	[ $? = 130 ] || return 1
	grep -q '^Interrupted' "$work/stopped" || return 1
	for child in $children; do
		[ ! -e "/proc/$child" ] || return 1
	done
}

fails_with() {
	expected=$1
	shift
	"$bench" "$@" >/dev/null 2>&1
	[ $? = "$expected" ]
}

fits_a_screen() {
	[ "$("$bench" --help | wc -l)" -le 24 ] && [ "$("$bench" --help | wc -L)" -le 100 ]
}

check "all data arrive right" runs
check "the JSON has what it should have" has_keys
check "the page shows all that was measured, and needs nothing else" shows_all
check "results can be compared with earlier ones" compares
check "an interrupt ends it cleanly" ends_cleanly
check "an unknown option is wrong usage" fails_with 2 --no-such-option
check "an unknown name is wrong usage" fails_with 2 --only no-such-bench
check "an argument is wrong usage" fails_with 2 argument
check "an unreadable file to compare with is an error" fails_with 1 --smoke --only spawn --compare "$work/none"
check "the help fits a screen" fits_a_screen
finish
