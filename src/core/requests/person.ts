// SPDX-License-Identifier: Apache-2.0
// Who executed a command as root: the user who logged in, or the one who executed sudo. Only what the kernel knows; SUDO_USER is a claim.
import type { Host } from '../identity/host.ts';
import type { Identity } from '../identity/identity.ts';
import type { User } from '../identity/names.ts';
import { isContained } from '../identity/placement.ts';
import type { Ancestor } from '../wire/event.ts';

/** Programs by which one user becomes another. */
const ELEVATION = /^\/(?:usr\/)?(?:local\/)?s?bin\/(?:sudo|sudo-rs|doas|su|pkexec|run0|runuser)$/;

export function personOf(identity: Identity, ancestors: readonly Ancestor[], host: Host): User {
  const { user, loginUser, placement } = identity;
  if (loginUser !== null) return loginUser;
  const uid = uidBehind(ancestors);
  if (uid === null || uid === user.uid) return user;
  return { uid, name: isContained(placement) ? null : (host.userNames.get(uid) ?? null) };
}

/** Of the program that executed sudo. null: there is none, or it is not known. */
function uidBehind(ancestors: readonly Ancestor[]): number | null {
  const isElevation = ({ exe }: Ancestor): boolean => exe != null && ELEVATION.test(exe);
  const first = ancestors.findIndex(isElevation);
  if (first === -1) return null;
  return ancestors.slice(first).find((ancestor) => !isElevation(ancestor))?.uid ?? null;
}
