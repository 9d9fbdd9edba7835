// SPDX-License-Identifier: Apache-2.0
// Whether the sender of a signal carries out what others ask of it, and of whom it takes requests.
import type { Identity, VictimIdentity } from '../identity/identity.ts';
import type { Role } from '../identity/role.ts';
import type { Known } from './requests.ts';
import type { Carrier } from './tools.ts';

/** null: it acts for itself, as far as is known. */
export function carrierOf(sender: Identity, role: Role | null, victim: VictimIdentity): Carrier | null {
  switch (role?.role) {
    case 'service_manager':
      return managerOf(sender, role);
    case 'container_runtime':
      return engineOf(victim);
    case 'supervisor':
      return SUPERVISORS.get(sender.program.script ?? sender.program.file ?? '') ?? null;
    case undefined:
    case 'shell':
    case 'timeout':
    case 'oom_daemon':
    case 'watchdog':
    case 'application_server':
    case 'ci_runner':
    case 'coding_agent':
      return null;
  }
}

const SUPERVISORS: ReadonlyMap<string, Carrier> = new Map([
  ['supervisord', 'supervisord'],
  ['pm2', 'pm2'],
  ['monit', 'monit'],
]);

function managerOf({ program, user, placement }: Identity, role: Role): Carrier | null {
  if (role.shutsDown) return 'systemd';
  if (program.file === 'runsv') return 'runit';
  if (program.file !== 'systemd' && program.file !== 'systemd-executor') return null;
  const isOfUser = user.uid !== 0 || placement.unit?.startsWith('user@') === true;
  return isOfUser ? 'user_systemd' : 'systemd';
}

/** The engine of the victim's container, by the name that it gave to the cgroup. null: it is in none. */
export function engineOf({ placement, cgroup }: VictimIdentity): Carrier | null {
  if (placement.podUid !== null) return 'kubernetes';
  if (placement.containerName !== null) return 'lxc';
  if (placement.containerId === null || cgroup === null) return null;
  const end = cgroup.indexOf(placement.containerId);
  const above = cgroup.slice(0, end).split('/').slice(-2).join('/');
  if (/libpod|podman/.test(above)) return 'podman';
  if (/nerdctl/.test(above)) return 'nerdctl';
  return /crio|cri-containerd|k8s\.io/.test(above) ? 'kubernetes' : 'docker';
}

/** Every user can write here: the program is whatever its user wants it to be. */
const WRITABLE_BY_USERS = /^(?!\/)|^\/(?:home|tmp|var\/tmp|dev|run\/user|proc|memfd:)/;

/**
 * Whether the tool is what its name says: a file of root, that no user can replace. A user's own file counts where only that user is asked.
 */
export function isGenuine({ request }: Known, identity: Identity, carrierUid: number): boolean {
  const { executable, foreignRoot, executableState, inUserContainer, user } = identity;
  if (executable === null || foreignRoot !== null || executableState === 'memfd') return false;
  const { script, file_owner: owner } = request;
  const isOwn = user.uid === carrierUid && !request.process.user_namespace;
  if (isOwn && user.uid !== 0) return owner === null || owner === 0 || owner === user.uid;
  if (inUserContainer || WRITABLE_BY_USERS.test(script ?? executable)) return false;
  return owner === 0 || (owner === null && isOwn);
}

/** Whether the carrier does what this user asks, whatever else is configured. Of others, only the success of the tool shows it. */
export function mayAsk({ request: { process } }: Known, carrierUid: number): boolean {
  return !process.user_namespace && (process.uid === 0 || process.uid === carrierUid);
}
