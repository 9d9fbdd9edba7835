// SPDX-License-Identifier: Apache-2.0
// What the ancestors of a process executed: `bash /opt/tidy.sh (pid 33, alice)`. The probes keep it from the exec on (docs/decisions/0091).
import type { Identities } from '../identity/identity.ts';
import type { NamedAncestor } from '../identity/names.ts';
import { quotedText } from './quoted.ts';
import { visible } from './visible.ts';

/** Ancestors in the evidence. The attributes have all. */
const ANCESTORS_IN_EVIDENCE = 3;

/** Nearest first. One whose program is not known has its name alone. */
export function ancestorCommandLines(ancestors: readonly NamedAncestor[]): string[] {
  return ancestors.map(({ name, pid, arguments: args, user }) => {
    const line = quotedText(args.shown?.join(' ').trim() || name);
    return visible(`${line} (pid ${pid}${user === null ? '' : `, ${user.name ?? `uid ${user.uid}`}`})`);
  });
}

/** What led to the sender. Nothing where no arguments are known: the names are in the sentence. */
export function ancestryFacts({ sender }: Identities): string[] {
  if (sender === null || !hasProgram(sender.ancestors)) return [];
  const { ancestors } = sender;
  const chain = ancestorCommandLines(ancestors.slice(0, ANCESTORS_IN_EVIDENCE)).join(' ← ');
  return [`the sender was started by ${chain}${ancestors.length > ANCESTORS_IN_EVIDENCE ? ' ← …' : ''}`];
}

export function hasProgram(ancestors: readonly NamedAncestor[]): boolean {
  return ancestors.some(({ arguments: { shown } }) => shown !== null);
}
