// SPDX-License-Identifier: Apache-2.0
// The memory of the machine in the last seconds. When a termination is reported, the memory of the process is free again: what led to it is
// what was read before the signal.
import { readFileSync } from 'node:fs';
import { type Memory, parseMeminfo } from '../core/identity/memory.ts';
import { eachSecond } from './each-second.ts';

/** A sample before a signal counts for as long. */
const AGE_NS_MAX = 3_000_000_000n;
const SAMPLES_MAX = 16;

interface Sample {
  readonly atNs: bigint;
  /** The file, which is parsed when it is asked for. */
  readonly text: string;
}

/** Starts to read it. Returns what was read last before a time (ns since 1970). null: nothing shortly before. Never throws. */
export function memoryReader(path = '/proc/meminfo'): (timeNs: bigint) => Memory | null {
  const samples: Sample[] = [];
  const sample = (): void => {
    const text = read(path);
    if (text === null) return;
    samples.push({ atNs: BigInt(Date.now()) * 1_000_000n, text });
    if (samples.length > SAMPLES_MAX) samples.shift();
  };
  sample();
  eachSecond(sample);
  return (timeNs) => {
    const last = samples.findLast(({ atNs }) => atNs <= timeNs);
    return last !== undefined && timeNs - last.atNs <= AGE_NS_MAX ? parseMeminfo(last.text) : null;
  };
}

function read(path: string): string | null {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return null;
  }
}
