#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Before a removal, not before an upgrade: stops both programs and detaches the probes. Queue and configuration stay.
set -e
case $1 in
0 | remove)
	if [ -d /run/systemd/system ]; then
		systemctl disable --now whodunit.service whodunit-loader.service
	fi
	/usr/lib/whodunit/whodunit-loader unload || true
	;;
esac
