#!/bin/sh
# SPDX-License-Identifier: MIT
# The tutorial, as a reader would follow it: its listings are the steps', and its commands, typed beside an
# installed copy, build them and print what it says.
# usage: tutorial.sh SOURCE-ROOT BUILD-ROOT
set -u
root=$1 build=$2
. "$root/tests/install/stage.sh"

# A reader's copy is where the compiler looks anyway.
export LIBRARY_PATH="$libdir" PYTHONDONTWRITEBYTECODE=1
cp "$root"/examples/tutorial/step*.c "$work"
listings="$root/tests/install/listings.py"

check "its listings are the steps'" python3 "$listings" "$root" "$root/docs/tutorial.md"
check "its sessions are real" python3 "$listings" "$root" "$root/docs/tutorial.md" "$work"
finish
