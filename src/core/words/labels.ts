// SPDX-License-Identifier: Apache-2.0
// Short texts for facts, used in attributes and in sentences.
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
