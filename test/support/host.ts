// SPDX-License-Identifier: Apache-2.0
// A machine for tests.
import type { Host } from '../../src/core/identity/host.ts';

export const host: Host = {
  id: '3d1219c7c4c5404aaa1f6d2a48adfda4',
  name: 'web-1',
  arch: 'amd64',
  osVersion: '6.18.44',
  memoryBefore: () => null,
  corePattern: () => null,
  containerById: () => null,
  userNames: new Map([
    [0, 'root'],
    [1000, 'alice'],
  ]),
  tags: {},
};
