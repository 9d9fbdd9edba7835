// SPDX-License-Identifier: Apache-2.0
// The container, pod and systemd unit of a process, from its cgroup path. Knows the paths of Docker, containerd, CRI-O, Podman,
// Kubernetes, Amazon ECS, BuildKit, Garden, LXC and systemd-nspawn, on cgroup v1 and v2, with the systemd and the cgroupfs driver.
// A name counts only if root chose it, where that runtime puts it (docs/decisions/0054).
import { Memo } from '../memo.ts';
import type { Actor } from '../wire/event.ts';

export interface Placement {
  readonly containerId: string | null;
  /** Set for LXC and systemd-nspawn. Other runtimes do not put the name into the path. */
  readonly containerName: string | null;
  readonly podUid: string | null;
  /** The innermost systemd unit (service, scope, …) at or below the container; never a slice. */
  readonly unit: string | null;
  /** The innermost unit that root did not name: of a user's manager, or of an unprivileged container. */
  readonly userUnit: string | null;
}

const RUNTIMES = 'docker|cri-containerd|containerd|crio|cri-o|libpod|libpod-payload|podman|nerdctl|kata|moby';
/** 64 hexadecimal digits, alone or after the runtime's name. `slice:cri-containerd:id`: runc without the systemd driver. */
const CONTAINER_SEGMENT = new RegExp(`^(?:(?:.*:)?(?:${RUNTIMES})[-_:])?([0-9a-f]{64})$`);
/** The systemd driver makes a scope, which systemd puts into a slice. */
const CONTAINER_SCOPE = new RegExp(`^(?:${RUNTIMES})-([0-9a-f]{64})\\.scope$`);
/** Amazon ECS on Fargate: the task id and up to ten digits. */
const FARGATE_SEGMENT = /^([0-9a-f]{32}-\d{8,10})$/;
/** Container ids of other forms, by the name of the directory above. */
const BY_PARENT: Readonly<Record<string, RegExp>> = {
  buildkit: /^([a-z0-9]{25})$/,
  garden: /^([0-9a-f-]{20,64})$/,
};
/** The shortest of these forms. */
const CONTAINER_ID_CHARS_MIN = 20;
const LXC_SEGMENT = /^lxc\.payload\.(.+)$/;
const LXC_DIRECTORIES: ReadonlySet<string> = new Set(['lxc', 'lxc.payload']);
const MACHINES = 'machine.slice';
/** Machines of systemd-machined, without virtual machines: their process runs on the host. */
const NSPAWN_SEGMENT = /^(?:machine-(?!qemu\\x2d)(.+)\.scope|systemd-nspawn@(.+)\.service)$/;
const POD_SEGMENT =
  /(?:^|-)pod([0-9a-f]{8}[-_][0-9a-f]{4}[-_][0-9a-f]{4}[-_][0-9a-f]{4}[-_][0-9a-f]{12}|[0-9a-f]{32})(?:\.slice)?(?::|$)/;
/** The directory of kubelet, on the host or of a node that is itself a container. */
const PODS_SEGMENT = /(?:^|-)kubepods(?:[-.]|$)/;
const UNIT_SEGMENT = /\.(?:service|scope|mount|socket|swap)$/;
/** The manager of a user, which names everything below it. */
const USER_MANAGER = /^user@\d+\.service$/;
const USER_SLICE = /^user(?:-\d+)?\.slice$/;
const NOWHERE: Placement = { containerId: null, containerName: null, podUid: null, unit: null, userUnit: null };

type Place = Pick<Actor, 'cgroup' | 'cgroup_claimed'>;

/** Places that are remembered. */
const REMEMBERED_MAX = 256;
const remembered = new Memo<Placement>(REMEMBERED_MAX);

/** The innermost container wins; a unit above it belongs to the runtime, not to the process. */
export function placementOf({ cgroup, cgroup_claimed: claimed }: Place): Placement {
  if (cgroup === null || cgroup === '/') return NOWHERE;
  return remembered.of(`${claimed} ${cgroup}`, () => placementIn(cgroup, claimed));
}

function placementIn(cgroup: string, claimed: number): Placement {
  const segments = cgroup.split('/');
  const byRoot = namesByRoot(segments, claimed);
  return { ...placementByRoot(segments.slice(0, byRoot)), userUnit: lastUnit(segments.slice(byRoot)) };
}

/** How many names, from the root on, root chose. None if the path was cut: then nothing is known of the names above. */
export function namesByRoot(segments: readonly string[], claimed: number): number {
  if (segments[0] !== '') return 0;
  const manager = segments.findIndex((segment) => USER_MANAGER.test(segment));
  return Math.max(0, Math.min(segments.length - claimed, manager === -1 ? segments.length : manager + 1));
}

function placementByRoot(segments: readonly string[]): Omit<Placement, 'userUnit'> {
  let { containerId, containerName, podUid } = NOWHERE;
  let inside = 0;
  let inPods = false;
  let above = '';
  for (const [index, segment] of segments.entries()) {
    // No runtime of root puts containers here.
    if (USER_SLICE.test(segment)) break;
    const id = containerIdOf(segment, above);
    const name = containerNameOf(segment, above);
    if (id !== null || name !== null) {
      containerId = id;
      containerName = name;
      inside = index;
    }
    inPods ||= PODS_SEGMENT.test(segment);
    if (inPods) podUid = podUidOf(segment) ?? podUid;
    above = segment;
  }
  return { containerId, containerName, podUid, unit: lastUnit(segments.slice(inside)) };
}

/** null: not the directory of a pod. */
export function podUidOf(segment: string): string | null {
  return POD_SEGMENT.exec(segment)?.[1]?.replaceAll('_', '-') ?? null;
}

/** systemd prefixes names that could clash with the kernel's files with `_` (cg_escape in src/basic/cgroup-util.c). */
function lastUnit(segments: readonly string[]): string | null {
  return segments.findLast((segment) => UNIT_SEGMENT.test(segment))?.replace(/^_/, '') ?? null;
}

export function isUserManager(unit: string | null): boolean {
  return unit !== null && USER_MANAGER.test(unit);
}

/** In a container: the host's /etc/passwd does not apply to its user ids. */
export function isContained({ containerId, containerName }: Placement): boolean {
  return containerId !== null || containerName !== null;
}

function containerIdOf(segment: string, above: string): string | null {
  if (segment.length < CONTAINER_ID_CHARS_MIN) return null;
  const scope = above.endsWith('.slice') ? CONTAINER_SCOPE.exec(segment) : null;
  const own = scope ?? CONTAINER_SEGMENT.exec(segment) ?? FARGATE_SEGMENT.exec(segment);
  return own?.[1] ?? BY_PARENT[above]?.exec(segment)?.[1] ?? null;
}

/** systemd escapes a dash within a name as `\\x2d`. */
function containerNameOf(segment: string, above: string): string | null {
  if (LXC_DIRECTORIES.has(above)) return segment;
  const lxc = LXC_SEGMENT.exec(segment)?.[1];
  const [, scope, service] = (above === MACHINES && NSPAWN_SEGMENT.exec(segment)) || [];
  return lxc ?? (scope ?? service)?.replaceAll('\\x2d', '-') ?? null;
}
