// SPDX-License-Identifier: Apache-2.0
// All scenarios, in order.
import { killAnything } from './a-kill-anything.ts';
import { collectorDown } from './b-collector-down.ts';
import { collectorMisbehaves } from './c-collector-misbehaves.ts';
import { diskFull } from './d-disk-full.ts';
import { queueDamaged } from './e-queue-damaged.ts';
import { powerLoss } from './f-power-loss.ts';
import { clockJumps } from './g-clock-jumps.ts';
import { badClients } from './h-bad-clients.ts';
import { upgrade } from './i-upgrade.ts';
import { backendFails } from './j-backend-fails.ts';
import { floods } from './k-floods.ts';
import { incidents } from './l-incidents.ts';
import { outOfMemory } from './m-out-of-memory.ts';
import type { Scenario } from './scenario.ts';
import { soak } from './soak.ts';
import { storm } from './storm.ts';

export const SCENARIOS: readonly Scenario[] = [
  killAnything,
  collectorDown,
  collectorMisbehaves,
  diskFull,
  queueDamaged,
  powerLoss,
  clockJumps,
  badClients,
  upgrade,
  backendFails,
  floods,
  incidents,
  outOfMemory,
  storm,
  soak,
];
