#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Runs a Docker daemon that leaves the machine's own alone. In a mount namespace of its own, it hides the directories that a daemon writes
# to, and a containerd that it would use. The arguments are the daemon and its options.
for directory in /etc/docker /run/docker /run/containerd; do
	mkdir -p $directory && mount -t tmpfs tmpfs $directory || exit
done
exec "$@"
