// SPDX-License-Identifier: Apache-2.0
// The container, pod and systemd unit of a process, from its cgroup path. Knows the paths of Docker, containerd, CRI-O, Podman,
// Kubernetes, Amazon ECS, BuildKit, Garden, LXC and systemd-nspawn, on cgroup v1 and v2, with the systemd and the cgroupfs driver.

export interface Placement {
  readonly containerId: string | null;
  /** Set for LXC and systemd-nspawn. Other runtimes do not put the name into the path. */
  readonly containerName: string | null;
  readonly podUid: string | null;
  /** The innermost systemd unit (service, scope, …) at or below the container; never a slice. */
  readonly unit: string | null;
}

const RUNTIMES = 'docker|cri-containerd|containerd|crio|cri-o|libpod|libpod-payload|podman|nerdctl|kata|moby';
/** 64 hexadecimal digits, alone or after the runtime's name. `slice:cri-containerd:id`: runc without the systemd driver. */
const CONTAINER_SEGMENT = new RegExp(`^(?:(?:.*:)?(?:${RUNTIMES})[-_:])?([0-9a-f]{64})(?:\\.scope)?$`);
/** Amazon ECS on Fargate: the task id and up to ten digits. */
const FARGATE_SEGMENT = /^([0-9a-f]{32}-\d{8,10})$/;
/** Container ids of other forms, by the name of the directory above. */
const BY_PARENT: Readonly<Record<string, RegExp>> = {
  buildkit: /^([a-z0-9]{25})$/,
  garden: /^([0-9a-f-]{20,64})$/,
};
const LXC_SEGMENT = /^lxc\.payload\.(.+)$/;
const LXC_DIRECTORIES: ReadonlySet<string> = new Set(['lxc', 'lxc.payload']);
/** Machines of systemd-machined, without virtual machines: their process runs on the host. */
const NSPAWN_SEGMENT = /^(?:machine-(?!qemu\\x2d)(.+)\.scope|systemd-nspawn@(.+)\.service)$/;
const POD_SEGMENT =
  /(?:^|-)pod([0-9a-f]{8}[-_][0-9a-f]{4}[-_][0-9a-f]{4}[-_][0-9a-f]{4}[-_][0-9a-f]{12}|[0-9a-f]{32})(?:\.slice)?(?::|$)/;
const UNIT_SEGMENT = /\.(?:service|scope|mount|socket|swap)$/;
const NOWHERE: Placement = { containerId: null, containerName: null, podUid: null, unit: null };

/** The innermost container wins; a unit above it belongs to the runtime, not to the process. */
export function placementOf(cgroup: string | null): Placement {
  if (cgroup === null || cgroup === '/') return NOWHERE;
  let { containerId, containerName, podUid, unit } = NOWHERE;
  let above = '';
  for (const segment of cgroup.split('/')) {
    const id = containerIdOf(segment, above);
    const name = containerNameOf(segment, above);
    if (id !== null || name !== null) {
      containerId = id;
      containerName = name;
      unit = null;
    }
    const pod = POD_SEGMENT.exec(segment)?.[1];
    if (pod !== undefined) podUid = pod.replaceAll('_', '-');
    // systemd prefixes names that could clash with the kernel's files with `_` (cg_escape in src/basic/cgroup-util.c).
    if (UNIT_SEGMENT.test(segment)) unit = segment.replace(/^_/, '');
    above = segment;
  }
  return { containerId, containerName, podUid, unit };
}

/** In a container: the host's /etc/passwd does not apply to its user ids. */
export function isContained({ containerId, containerName }: Placement): boolean {
  return containerId !== null || containerName !== null;
}

function containerIdOf(segment: string, above: string): string | null {
  const own = CONTAINER_SEGMENT.exec(segment) ?? FARGATE_SEGMENT.exec(segment);
  return own?.[1] ?? BY_PARENT[above]?.exec(segment)?.[1] ?? null;
}

/** systemd escapes a dash within a name as `\\x2d`. */
function containerNameOf(segment: string, above: string): string | null {
  if (LXC_DIRECTORIES.has(above)) return segment;
  const lxc = LXC_SEGMENT.exec(segment)?.[1];
  const [, scope, service] = NSPAWN_SEGMENT.exec(segment) ?? [];
  return lxc ?? (scope ?? service)?.replaceAll('\\x2d', '-') ?? null;
}
