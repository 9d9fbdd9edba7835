#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# After an installation or upgrade: creates the users and the socket's directory, and restarts what is running. It does not start or enable anything.
set -e
systemd-sysusers whodunit.conf
chgrp whodunit /etc/whodunit/whodunit.env
systemd-tmpfiles --create whodunit.conf || true # without /run, as in a chroot, this happens at the next boot
if [ -d /run/systemd/system ]; then
	systemctl daemon-reload
	systemctl try-restart whodunit-loader.service whodunit.service
fi
case $1 in
1 | configure)
	if [ -n "$2" ]; then
		: # an upgrade of the .deb
	elif [ -d /run/systemd/system ]; then
		echo "whodunit: set the endpoint in /etc/whodunit/whodunit.env, then: systemctl enable --now whodunit-loader whodunit"
	else
		echo "whodunit: systemd does not run here. This starts both programs, until Ctrl-C: whodunit up"
	fi
	;;
esac
