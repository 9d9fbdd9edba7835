#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# whodunit, from any folder, also by a symbolic link: with the Node.js and the bundle beside it.
folder=$(dirname "$(readlink -f "$0")")
# e_machine of elf(5). A shell reads a program for another processor as a script, and prints nonsense.
machine() { od -An -j18 -N2 -tx1 "$1"; }
if [ "$(machine "$folder/node")" != "$(machine /bin/sh)" ]; then
	echo "whodunit: this package is for another processor. This one is $(uname -m): x86_64 needs the package for amd64 or x86_64, aarch64 that for arm64 or aarch64." >&2
	exit 69 # EX_UNAVAILABLE
fi
exec "$folder/node" "$folder/dist/main.js" "$@"
