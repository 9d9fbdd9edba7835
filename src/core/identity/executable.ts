// SPDX-License-Identifier: Apache-2.0
// Whether the path of an executable is what it seems (docs/decisions/0052): its root may be one that an unprivileged user arranged, and
// the file may be gone. From the flags of the probes (bpf/executable.h).
import type { ProcessExecutableStateValue, ProcessForeignRootValue } from '../telemetry/semconv.ts';
import { isContained, type Placement } from './placement.ts';

export type ForeignRoot = ProcessForeignRootValue;
export type ExecutableState = ProcessExecutableStateValue;

type Flags = readonly string[] | null;

/**
 * null: not foreign, or not known. `user_mounts` is a container that its user started without root, or a disguise in a pid namespace of its
 * own: they differ only in the cgroup.
 */
export function foreignRoot(flags: Flags, placement: Placement): ForeignRoot | null {
  if (flags === null || flags.length === 0) return null;
  if (flags.includes('foreign_mounts')) return 'mount_namespace';
  if (flags.includes('user_mounts') && !isContained(placement)) return 'mount_namespace';
  if (flags.includes('unmounted')) return 'unmounted';
  return flags.includes('chroot') ? 'chroot' : null;
}

/** null: a file, or not known. */
export function executableState(flags: Flags): ExecutableState | null {
  if (flags === null) return null;
  if (flags.includes('memfd')) return 'memfd';
  return flags.includes('deleted') ? 'deleted' : null;
}
