// SPDX-License-Identifier: Apache-2.0
// The memory of the machine in the last seconds. When a termination is reported, the memory of the process is free again: what led to it is
// what was read before the signal.
import { readFileSync } from 'node:fs';
import { type Memory, parseMeminfo } from '../core/identity/memory.ts';

const SAMPLE_MS = 1_000;
/** A sample before a signal counts for as long. */
const AGE_NS_MAX = 3_000_000_000n;
const SAMPLES_MAX = 16;

interface Sample {
  readonly atNs: bigint;
  readonly memory: Memory;
}

/** Starts to read it. Returns what was read last before a time (ns since 1970). null: nothing shortly before. Never throws. */
export function memoryReader(path = '/proc/meminfo'): (timeNs: bigint) => Memory | null {
  const samples: Sample[] = [];
  const sample = (): void => {
    const memory = read(path);
    if (memory === null) return;
    samples.push({ atNs: BigInt(Date.now()) * 1_000_000n, memory });
    if (samples.length > SAMPLES_MAX) samples.shift();
  };
  sample();
  setInterval(sample, SAMPLE_MS).unref();
  return (timeNs) => {
    const last = samples.findLast(({ atNs }) => atNs <= timeNs);
    return last !== undefined && timeNs - last.atNs <= AGE_NS_MAX ? last.memory : null;
  };
}

function read(path: string): Memory | null {
  try {
    return parseMeminfo(readFileSync(path, 'utf8'));
  } catch {
    return null;
  }
}
