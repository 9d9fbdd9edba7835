// SPDX-License-Identifier: Apache-2.0
// Runs other tools that need tracefs on machines that may not have mounted it.

/** Runs a command in a new mount namespace with tracefs, so that the machine's mounts do not change. */
export const WITH_TRACEFS = [
  'unshare',
  '--mount',
  'sh',
  '-c',
  'mountpoint -q /sys/kernel/tracing || mount -t tracefs tracefs /sys/kernel/tracing && exec "$@"',
  'sh',
];
