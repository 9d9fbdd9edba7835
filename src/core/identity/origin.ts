// SPDX-License-Identifier: Apache-2.0
// The origin of a termination: the user, in the outermost unit, container, pod or user slice. What is bounded is shared by origin
// (core/shares.ts). Made of facts only, and of names that root chose: a user can make cgroups, user ids in a namespace, and claims, but
// no origin. The unit counts by its path, not by the id of its cgroup: systemd makes a new cgroup for each start of a service.
import { Memo } from '../memo.ts';
import type { OriginKey } from '../shares.ts';
import type { Actor, Origin } from '../wire/event.ts';
import { namesByRoot } from './placement.ts';

/** Directories that hold units and are none, as in bpf/origin.h. So are slices, but for those of a user or a pod. */
const GROUPINGS: ReadonlySet<string> = new Set([
  'docker',
  'kubepods',
  'burstable',
  'besteffort',
  'machine',
  'lxc',
  'lxc.payload',
  'libpod_parent',
  'containerd',
  'k8s.io',
  'kubelet',
  'buildkit',
  'garden',
  'ecs',
  'moby',
  'default',
  'mesos',
  'nomad',
  'podruntime',
  'system',
  'user',
  'slurm',
]);
const UNIT_SLICE = /^user-\d|-pod/;
type Person = Pick<Actor, 'uid' | 'real_uid' | 'cgroup' | 'cgroup_claimed'>;
/** The loader does not know the origin. */
const NO_UID = 0xffff_ffff;

export function originOf({ origin, process }: { readonly origin: Origin; readonly process: Person }): OriginKey {
  const uid = origin.uid === NO_UID ? (process.real_uid ?? process.uid) : origin.uid;
  const byId = origin.cgroup === 0n ? '' : `#${origin.cgroup}`;
  const { cgroup, cgroup_claimed: claimed } = process;
  if (cgroup === null || !cgroup.startsWith('/')) return `${uid} ${byId}`;
  return `${uid} ${remembered.of(`${claimed} ${cgroup}`, () => placeOf(cgroup, claimed))}`;
}

/** Places that are remembered. */
const REMEMBERED_MAX = 256;
const remembered = new Memo<string>(REMEMBERED_MAX);

/** The path down to the outermost component that does not only group, and that root made. Empty: the root cgroup. */
function placeOf(cgroup: string, claimed: number): string {
  const segments = cgroup.split('/');
  const byRoot = segments.slice(0, namesByRoot(segments, claimed));
  const end = byRoot.findIndex((name, index) => index > 0 && isOrigin(name));
  return (end === -1 ? byRoot : byRoot.slice(0, end + 1)).join('/');
}

function isOrigin(name: string): boolean {
  return name.endsWith('.slice') ? UNIT_SLICE.test(name) : !GROUPINGS.has(name);
}

/** The parts of an origin. `place`: a path that begins with a slash, `#` and the id of a cgroup, or nothing. */
export function originParts(origin: OriginKey): { readonly uid: number; readonly place: string } {
  const at = origin.indexOf(' ');
  return { uid: Number(origin.slice(0, at)), place: origin.slice(at + 1) };
}
