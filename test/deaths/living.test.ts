// SPDX-License-Identifier: Apache-2.0
import { spawnSync } from 'node:child_process';
import { describe, expect, it } from 'vitest';
import { isRunning } from './living.ts';
import { record } from './sample.ts';

const about = (pid: number, endMs: number) => ({
  ...record,
  resource: { ...record.resource, 'process.pid': pid },
  timeUnixNs: BigInt(endMs) * 1_000_000n,
});
const HOUR_MS = 3_600_000;

describe('the process of a termination record', () => {
  it('is still running if it started before the reported termination', () => {
    expect(isRunning(about(process.pid, Date.now() + HOUR_MS))).toBe(true);
  });

  it('is another process if it started after the reported termination', () => {
    expect(isRunning(about(process.pid, Date.now() - HOUR_MS))).toBe(false);
  });

  it('is not running if it does not exist', () => {
    expect(isRunning(about(spawnSync('true').pid, Date.now() + HOUR_MS))).toBe(false);
  });
});
