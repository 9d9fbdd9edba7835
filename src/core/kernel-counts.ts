// SPDX-License-Identifier: Apache-2.0
// The counters of kernel and loader, which outlive the service, and what of them a backend was not sent yet. Pure.

export interface KernelCounts {
  /** The boot in which they began; null: not known. */
  readonly boot: string | null;
  readonly normalExits: number;
  /** Terminations that the kernel, or the loader, lost. */
  readonly kernel: number;
  readonly loader: number;
  /** Facts about signals that were not kept. Absent in a file of an older release. */
  readonly facts?: number;
}

export const NOTHING_EXPORTED: KernelCounts = { boot: null, normalExits: 0, kernel: 0, loader: 0, facts: 0 };

/** What came after `before`. Counters of another boot, and a counter that is smaller than before, began again at 0. */
export function increase(now: KernelCounts, before: KernelCounts): KernelCounts {
  const of = (name: 'normalExits' | 'kernel' | 'loader' | 'facts'): number => {
    const [total = 0, exported = 0] = [now[name], before[name]];
    return now.boot !== before.boot || total < exported ? total : total - exported;
  };
  return {
    boot: now.boot,
    normalExits: of('normalExits'),
    kernel: of('kernel'),
    loader: of('loader'),
    facts: of('facts'),
  };
}
