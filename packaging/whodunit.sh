#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# whodunit, from any folder, also by a symbolic link: with the Node.js and the bundle beside it.
folder=$(dirname "$(readlink -f "$0")")
exec "$folder/node" "$folder/dist/main.js" "$@"
