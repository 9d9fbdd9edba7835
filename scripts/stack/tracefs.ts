// SPDX-License-Identifier: Apache-2.0
// Other tools that read tracefs, run where it may not be mounted.

/** Runs a command with tracefs in a mount namespace of its own, so that nothing on the machine changes. */
export const WITH_TRACEFS = [
  'unshare',
  '--mount',
  'sh',
  '-c',
  'mountpoint -q /sys/kernel/tracing || mount -t tracefs tracefs /sys/kernel/tracing && exec "$@"',
  'sh',
];
