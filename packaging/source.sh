#!/bin/sh
# SPDX-License-Identifier: MIT
# Writes the sources as a release has them, peal-VERSION/, into a tar file.
# usage: source.sh OUTPUT.tar.gz
set -eu
root=$(cd "$(dirname "$0")/.." && pwd)
version=$(sed -n "s/^ *version: '\(.*\)',/\1/p" "$root/meson.build")
[ -n "$version" ] || { echo "source.sh: no version in $root/meson.build" >&2; exit 1; }

# What neither git nor the build put there, in an order and with owners that depend on nobody.
tar -C "$root" --exclude-vcs --exclude='./build*' --exclude=__pycache__ \
	--sort=name --owner=0 --group=0 --numeric-owner --transform "s|^\.|peal-$version|" -czf "$1" .
