// SPDX-License-Identifier: Apache-2.0
// The stack of most stories: a collector, and whodunit exporting to it.
import { afterAll, beforeAll } from 'vitest';
import { type Collector, startCollector } from '../../scripts/stack/collector.ts';
import { exportTo, startWhodunit, type Whodunit } from '../../scripts/stack/whodunit.ts';

export interface Watched {
  readonly collector: Collector;
  readonly whodunit: Whodunit;
}

/** Starts both before the tests of a file or `describe`, and stops them afterwards. `env` is the service's. */
export function watched(env: NodeJS.ProcessEnv = {}, loaderEnv: NodeJS.ProcessEnv = {}): Watched {
  const both: { collector?: Collector; whodunit?: Whodunit } = {};
  beforeAll(async () => {
    both.collector = await startCollector();
    both.whodunit = await startWhodunit({ ...exportTo(both.collector, 'grpc'), ...env }, loaderEnv);
  });
  afterAll(async () => {
    await both.whodunit?.stop(); // undefined: it did not start
    await both.collector?.stop();
  });
  return both as Watched;
}
