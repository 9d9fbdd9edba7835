#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Boots a Debian tree as a separate machine: in new namespaces of all kinds except user, and with an overlay as root. /srv is
# a directory of this machine's own file system, as on a machine without an overlay.
# $1: the Debian tree. $2: a directory for the overlay. $3: a cgroup of version 2, its root cgroup; it has no controllers if the machine has
# them in version 1. $4 and what follows: the command that becomes process 1, the child of this process.
set -e
mkdir "$2/upper" "$2/work" "$2/root" "$2/srv"
echo $$ >"$3/cgroup.procs"
exec unshare --mount --pid --uts --ipc --net --cgroup --fork --kill-child=KILL sh -ec '
mount -t overlay overlay -o lowerdir="$1",upperdir="$2/upper",workdir="$2/work" "$2/root"
cd "$2/root"
mount --bind "$2/srv" srv
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
shift 3
exec env -i PATH=/usr/sbin:/usr/bin container=whodunit-test "$@"
' sh "$@"
