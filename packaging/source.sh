#!/bin/sh
# SPDX-License-Identifier: MIT
# Writes the sources as a release has them, peal-VERSION/, into a tar file.
# usage: source.sh OUTPUT.tar.gz [TAR-OPTION...]
set -eu
root=$(cd "$(dirname "$0")/.." && pwd)
version=$(sed -n "s/^ *version: '\(.*\)',/\1/p" "$root/meson.build")
[ -n "$version" ] || { echo "source.sh: no version in $root/meson.build" >&2; exit 1; }

output=$1
shift
# What neither git nor the build nor cargo put there, in an order and with owners that depend on nobody.
tar -C "$root" --exclude-vcs --exclude='./build*' --exclude=__pycache__ --exclude=target --exclude=Cargo.lock "$@" \
	--sort=name --owner=0 --group=0 --numeric-owner --transform "s|^\.|peal-$version|" -czf "$output" .
