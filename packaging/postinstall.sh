#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# After an installation or an upgrade: the user, the socket's directory; what runs already is replaced. The first start is left to a person.
set -e
systemd-sysusers whodunit.conf
chgrp whodunit /etc/whodunit/whodunit.env
systemd-tmpfiles --create whodunit.conf || true # without /run, as in a chroot, the next boot does it
if [ -d /run/systemd/system ]; then
	systemctl daemon-reload
	systemctl try-restart whodunit-loader.service whodunit.service
fi
case $1 in
1 | configure)
	[ -n "$2" ] || echo "whodunit: set the endpoint in /etc/whodunit/whodunit.env, then: systemctl enable --now whodunit-loader whodunit"
	;;
esac
