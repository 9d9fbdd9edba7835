#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Boots systemd on a Debian as on a machine of its own: all namespaces but the user's, and a root file system whose changes are thrown away.
# $1: the Debian. $2: a directory for the changes. $3: a cgroup of version 2, the root of what it sees; it has no controllers where the
# machine has them in version 1. SYSTEMD's pid outside is that of the child.
set -e
mkdir "$2/upper" "$2/work" "$2/root"
echo $$ >"$3/cgroup.procs"
exec unshare --mount --pid --uts --ipc --net --cgroup --fork --kill-child=KILL sh -ec '
mount -t overlay overlay -o lowerdir="$1",upperdir="$2/upper",workdir="$2/work" "$2/root"
cd "$2/root"
mount -t proc proc proc
mount -t sysfs sysfs sys
mount -t cgroup2 cgroup2 sys/fs/cgroup
mount -t bpf -o mode=700 bpf sys/fs/bpf
mount -t tmpfs -o mode=755 tmpfs run
mount -t tmpfs -o mode=755 tmpfs dev
for device in null:1:3 zero:1:5 full:1:7 random:1:8 urandom:1:9 tty:5:0; do
	mknod -m 666 dev/${device%%:*} c $(echo ${device#*:} | tr : " ")
done
mkdir dev/pts dev/shm
mount -t devpts -o newinstance,ptmxmode=0666 devpts dev/pts
mount -t tmpfs tmpfs dev/shm
ln -s pts/ptmx dev/ptmx
ip link set lo up
pivot_root . mnt
umount -l /mnt
exec env -i PATH=/usr/sbin:/usr/bin container=whodunit-test /lib/systemd/systemd --system --unit=multi-user.target --log-target=journal --show-status=no
' sh "$1" "$2"
