// SPDX-License-Identifier: Apache-2.0
// The arguments of conclude() besides the event, for tests: empty state, everything is reported, nothing aggregated.
import { type Circumstances, conclude } from '../../src/core/conclude.ts';
import { CrashPlaces } from '../../src/core/crash/history.ts';
import { CrashLoops } from '../../src/core/filter/aggregate.ts';
import { rulesOf } from '../../src/core/filter/built-in.ts';
import { Commands } from '../../src/core/filter/commands.ts';
import { Incidents } from '../../src/core/filter/incidents.ts';
import { Loops } from '../../src/core/filter/loops.ts';
import { Endings, Recent, Seen } from '../../src/core/filter/memory.ts';
import { Units } from '../../src/core/requests/units.ts';
import { Restarts } from '../../src/core/telemetry/restart.ts';
import type { Death } from '../../src/core/wire/event.ts';
import { host } from './host.ts';

export function circumstances(changes: Partial<Circumstances> = {}): Circumstances {
  return {
    bootId: '7c1f7b53-9d3c-4c53-8f0e-0a6d1b2c3d4e',
    host,
    argumentsMode: 'redacted',
    rules: rulesOf([], 'all'),
    seen: new Seen(100),
    recent: new Recent(),
    places: new CrashPlaces(),
    loops: new CrashLoops(Number.POSITIVE_INFINITY),
    incidents: new Incidents(true),
    commands: new Commands(),
    restartLoops: new Loops(),
    restarts: new Restarts(),
    endings: new Endings(),
    units: new Units(),
    requests: [],
    reading: null,
    observedNs: 1_795_455_345_900_000_001n,
    nowMs: 0,
    ...changes,
  };
}

/** Returns the record of a termination. Throws if it has none. */
export function recordOf(death: Death, changes: Partial<Circumstances> = {}) {
  const conclusion = conclude(death, circumstances(changes));
  if (conclusion.kind !== 'new' || conclusion.record === null) throw new Error('no record');
  return conclusion.record;
}
