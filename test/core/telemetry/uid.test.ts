// SPDX-License-Identifier: Apache-2.0
import { describe, expect, it } from 'vitest';
import { recordUid } from '../../../src/core/telemetry/uid.ts';

const BOOT_ID = '7c1f7b53-9d3c-4c53-8f0e-0a6d1b2c3d4e';

describe('the key of a termination', () => {
  it('is a UUID of version 5', () => {
    expect(recordUid(BOOT_ID, 1, 2n)).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-5[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
  });

  it('is the same for the same termination, in every release', () => {
    expect(recordUid(BOOT_ID, 4242, 9_000_000_000n)).toBe('e2372680-c749-5e74-9e3e-5cdcd5da83e5');
  });

  it('depends on boot, pid and start time', () => {
    expect(
      new Set([recordUid('a', 1, 2n), recordUid('b', 1, 2n), recordUid('a', 2, 2n), recordUid('a', 1, 3n)]).size,
    ).toBe(4);
  });
});
