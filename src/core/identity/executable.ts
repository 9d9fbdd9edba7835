// SPDX-License-Identifier: Apache-2.0
// Whether the path of an executable is what it seems (docs/decisions/0052): its root may be one that an unprivileged user arranged, and
// the file may be gone. From the flags of the probes (bpf/executable.h).
import type { ProcessExecutableStateValue, ProcessForeignRootValue } from '../telemetry/semconv.ts';

export type ForeignRoot = ProcessForeignRootValue;
export type ExecutableState = ProcessExecutableStateValue;

type Flags = readonly string[] | null;

/** null: not foreign, or not known. */
export function foreignRoot(flags: Flags): ForeignRoot | null {
  if (flags === null || flags.length === 0) return null;
  if (flags.includes('foreign_mounts')) return 'mount_namespace';
  if (flags.includes('unmounted')) return 'unmounted';
  return flags.includes('chroot') ? 'chroot' : null;
}

/** Mounts and pid namespace belong to an unprivileged user: a container started without root, or a disguise that looks like one. */
export function isInUserContainer(flags: Flags): boolean {
  return flags?.includes('user_mounts') === true;
}

/** null: a file, or not known. */
export function executableState(flags: Flags): ExecutableState | null {
  if (flags === null) return null;
  if (flags.includes('memfd')) return 'memfd';
  return flags.includes('deleted') ? 'deleted' : null;
}
