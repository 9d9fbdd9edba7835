#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Before a removal, not before an upgrade: both are stopped, and the probes leave the kernel. Queue and configuration stay.
set -e
case $1 in
0 | remove)
	if [ -d /run/systemd/system ]; then
		systemctl disable --now whodunit.service whodunit-loader.service
	fi
	/usr/lib/whodunit/whodunit-loader unload || true
	;;
esac
