// SPDX-License-Identifier: Apache-2.0
// The memory of the machine, as /proc/meminfo has it. io/memory.ts reads it.

/** In bytes. */
export interface Memory {
  readonly total: number;
  /** What can be had without swapping. */
  readonly available: number;
  readonly swapTotal: number;
  readonly swapFree: number;
}

/** null: a line is missing. */
export function parseMeminfo(text: string): Memory | null {
  const bytes = (name: string): number => Number(new RegExp(`^${name}:\\s+(\\d+) kB$`, 'm').exec(text)?.[1]) * 1024;
  const memory = {
    total: bytes('MemTotal'),
    available: bytes('MemAvailable'),
    swapTotal: bytes('SwapTotal'),
    swapFree: bytes('SwapFree'),
  };
  return Object.values(memory).some(Number.isNaN) ? null : memory;
}
