// SPDX-License-Identifier: Apache-2.0
// The memory of the machine in the last seconds. When a termination is reported, the memory of the process is free again: what led to it is
// what was read before the signal.
import { openSync, readSync } from 'node:fs';
import { type Memory, parseMeminfo } from '../core/identity/memory.ts';
import { eachSecond } from './each-second.ts';

/** A sample before a signal counts for as long. */
const AGE_NS_MAX = 3_000_000_000n;
const SAMPLES_MAX = 16;
/** The file has about 1,500. */
const FILE_BYTES_MAX = 8_192;

interface Sample {
  readonly atNs: bigint;
  readonly text: string;
  /** Parsed when it is first asked for: an idle service needs none of them. */
  memory?: Memory | null;
}

/** Starts to read it. Returns what was read last before a time (ns since 1970). null: nothing shortly before. Never throws. */
export function memoryReader(path = '/proc/meminfo'): (timeNs: bigint) => Memory | null {
  const samples: Sample[] = [];
  const read = reader(path);
  const sample = (): void => {
    const text = read();
    if (text === null) return;
    samples.push({ atNs: BigInt(Date.now()) * 1_000_000n, text });
    if (samples.length > SAMPLES_MAX) samples.shift();
  };
  sample();
  eachSecond(sample);
  return (timeNs) => {
    const last = samples.findLast(({ atNs }) => atNs <= timeNs);
    if (last === undefined || timeNs - last.atNs > AGE_NS_MAX) return null;
    last.memory ??= parseMeminfo(last.text);
    return last.memory;
  };
}

/** Returns the reader of a file that stays open. It returns null if the file cannot be read. */
function reader(path: string): () => string | null {
  const bytes = Buffer.alloc(FILE_BYTES_MAX);
  let fd: number | null = null;
  return () => {
    try {
      fd ??= openSync(path, 'r');
      return bytes.toString('latin1', 0, readSync(fd, bytes, 0, FILE_BYTES_MAX, 0));
    } catch {
      return null;
    }
  };
}
