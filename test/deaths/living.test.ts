// SPDX-License-Identifier: Apache-2.0
import { spawnSync } from 'node:child_process';
import { describe, expect, it } from 'vitest';
import { lives } from './living.ts';
import { record } from './sample.ts';

const about = (pid: number, endMs: number) => ({
  ...record,
  resource: { ...record.resource, 'process.pid': pid },
  timeUnixNs: BigInt(endMs) * 1_000_000n,
});
const HOUR_MS = 3_600_000;

describe('a process that a record calls dead', () => {
  it('lives if it exists, and did before the reported termination', () => {
    expect(lives(about(process.pid, Date.now() + HOUR_MS))).toBe(true);
  });

  it('is another one if it began only after that end', () => {
    expect(lives(about(process.pid, Date.now() - HOUR_MS))).toBe(false);
  });

  it('does not if it is gone', () => {
    expect(lives(about(spawnSync('true').pid, Date.now() + HOUR_MS))).toBe(false);
  });
});
