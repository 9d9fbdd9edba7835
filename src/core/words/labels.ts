// SPDX-License-Identifier: Apache-2.0
// Short texts for facts, used in attributes and in sentences.
import { SHORT_ID_CHARS } from '../identity/container.ts';
import type { ExecutableState, ForeignRoot } from '../identity/executable.ts';
import type { Identities, Identity } from '../identity/identity.ts';
import type { Named } from '../identity/names.ts';
import { codeName } from '../verdict/signals.ts';

/** `["containerd-shim(812)", "systemd(1)"]`, nearest first. */
export function ancestorLabels(ancestors: readonly Named[]): string[] {
  return ancestors.map(({ name, pid }) => `${name}(${pid})`);
}

/** `SEGV_MAPERR at 0xbeef`; `SI_KERNEL` if there is no address. */
export function faultLabel(signo: number, code: number, address: string | null): string {
  return address === null ? codeName(signo, code) : `${codeName(signo, code)} at ${address}`;
}

/** `, in container web`: by its name, its host name, or the beginning of its id. Empty: in none. */
export function containerLabel({ container, placement }: Pick<Identity, 'container' | 'placement'>): string {
  if (container === null) return '';
  const { name, hostname, isNumbered } = container;
  if (name === null && hostname !== null && !isNumbered) return `, in a container with the host name ${hostname}`;
  return `, in container ${name ?? placement.containerId?.slice(0, SHORT_ID_CHARS)}`;
}

/** What a reader must know before trusting a path: `the sender's executable lies in a root that chroot(2) set`. */
export function executableFacts({ victim, sender }: Identities): string[] {
  const undescribed = sender !== null && sender.executable === null;
  const subjects = [['its', victim] as const, ...(sender === null ? [] : [["the sender's", sender] as const])];
  const facts = subjects.flatMap(([whose, { foreignRoot, inUserContainer, executableState }]) => [
    ...(foreignRoot === null ? [] : [`${whose} executable ${FOREIGN_ROOTS[foreignRoot]}`]),
    ...(inUserContainer ? [`${whose} executable ${IN_USER_CONTAINER}`] : []),
    ...(executableState === null ? [] : [`${whose} executable ${STATES[executableState]}`]),
  ]);
  return undescribed ? [...facts, "the sender's executable is not known: the sender may have chosen its name"] : facts;
}

const IN_USER_CONTAINER = 'lies in a container that an unprivileged user started: its path is one in there';

const FOREIGN_ROOTS: Readonly<Record<ForeignRoot, string>> = {
  mount_namespace:
    'is mounted in a namespace that an unprivileged user can arrange: its path is not one of the machine',
  chroot: 'lies in a root that chroot(2) set: its path is not one of the machine',
  unmounted: 'lies in a file system that is no longer mounted: its path is not one of the machine',
};

const STATES: Readonly<Record<ExecutableState, string>> = {
  deleted: 'was deleted or replaced after it was executed',
  memfd: 'is in memory only (memfd_create): the process chose its name',
};
