// SPDX-License-Identifier: Apache-2.0
// Whether the targets of a request are the process that terminated. Only what the kernel and root say of it is compared: what a process calls
// itself makes it the target of no request.
import { glob } from '../glob.ts';
import type { VictimIdentity } from '../identity/identity.ts';
import { namesByRoot } from '../identity/placement.ts';
import type { Ask } from './ask.ts';

/** `unknown`: it names nothing that could be compared. */
export type Match = 'named' | 'other' | 'unknown';

export type Victim = Pick<VictimIdentity, 'placement' | 'cgroup' | 'container'> & { readonly cgroupClaimed: number };

export function matchOf(ask: Ask, victim: Victim, userNames: ReadonlyMap<number, string>): Match {
  const { kind, targets, isCut } = ask;
  const other = isCut ? 'unknown' : 'other';
  switch (kind) {
    case 'unit':
      return matchUnits(ask, victim, other);
    case 'session':
      return targets.some((id) => unitsOf(victim).includes(`session-${id}.scope`)) ? 'named' : other;
    case 'user':
      return targets.some((user) => isOfUser(user, victim, userNames)) ? 'named' : other;
    case 'container':
      return matchContainers(targets, victim, other);
    // join.ts compares it with who sent the signal.
    case 'init':
      return 'other';
    // What these names stand for is in a configuration that is not read.
    case 'service':
    case 'pod':
    case 'program':
    case 'none':
      return 'unknown';
  }
}

/** The names of units and slices in the path, outermost first: those of root; those of a user's manager for what was asked of it. */
function unitsOf({ cgroup, cgroupClaimed }: Victim, isOfUser = false): readonly string[] {
  if (cgroup === null) return [];
  const segments = cgroup.split('/');
  const byRoot = namesByRoot(segments, cgroupClaimed);
  const names = isOfUser ? segments.slice(byRoot) : segments.slice(0, byRoot);
  return names.map((name) => name.replace(/^_/, ''));
}

function matchUnits({ targets, carriers }: Ask, victim: Victim, other: Match): Match {
  const units = unitsOf(victim, carriers.includes('user_systemd'));
  const wanted = targets.map(unitName);
  if (wanted.some((name) => units.some(glob(name)))) return 'named';
  // A target stops the units that belong to it.
  return wanted.some((name) => name.endsWith('.target')) ? 'unknown' : other;
}

/** As systemctl completes it (unit_name_mangle in src/basic/unit-name.c). */
function unitName(target: string): string {
  return /\.(?:service|socket|target|scope|slice|mount|automount|swap|timer|path|device)$/.test(target) ||
    /[*?]$/.test(target)
    ? target
    : `${target}.service`;
}

function isOfUser(user: string, victim: Victim, userNames: ReadonlyMap<number, string>): boolean {
  const [, uid] =
    /^user-(\d+)\.slice$/.exec(unitsOf(victim).find((name) => /^user-\d+\.slice$/.test(name)) ?? '') ?? [];
  return uid !== undefined && (user === uid || userNames.get(Number(uid)) === user);
}

/** The beginning of an id, as long as it is not also chosen as a name. */
const ID_PREFIX = /^[0-9a-f]{6,64}$/;
/** Nothing but an id has this form. */
const WHOLE_ID = /^[0-9a-f]{12,64}$/;

/** The name is what root or the engine says. */
function matchContainers(
  targets: readonly string[],
  { placement: { containerId }, container }: Victim,
  other: Match,
): Match {
  if (container === null) return other;
  if (container.name !== null && targets.includes(container.name)) return 'named';
  if (containerId === null) return other;
  if (targets.some((target) => ID_PREFIX.test(target) && containerId.startsWith(target))) return 'named';
  return container.name !== null || targets.every((target) => WHOLE_ID.test(target)) ? other : 'unknown';
}
