#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
exec /usr/lib/whodunit/node /usr/lib/whodunit/dist/main.js "$@"
