// SPDX-License-Identifier: Apache-2.0
import { expect, it } from 'vitest';
import { withoutCredentials } from '../../../src/core/delivery/target.ts';

it('credentials in an endpoint are not shown', () => {
  expect(withoutCredentials('https://me:secret@c:4318/v1/logs')).toBe('https://c:4318/v1/logs');
});
