#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Runs a Docker daemon without affecting the one of the machine. In a new mount namespace, it hides the directories that a daemon writes to,
# and the containerd that it would use. The arguments are the daemon and its options.
for directory in /etc/docker /run/docker /run/containerd; do
	mkdir -p $directory && mount -t tmpfs tmpfs $directory || exit
done
exec "$@"
