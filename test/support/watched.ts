// SPDX-License-Identifier: Apache-2.0
// What most stories happen in front of: a collector, and a whodunit that exports to it.
import { afterAll, beforeAll } from 'vitest';
import { type Collector, startCollector } from '../../scripts/stack/collector.ts';
import { exportTo, startWhodunit, type Whodunit } from '../../scripts/stack/whodunit.ts';

export interface Watched {
  readonly collector: Collector;
  readonly whodunit: Whodunit;
}

/** Both, for the tests of a file or of a `describe`: they are there once a test runs, and stopped after the last. `env` is the service's. */
export function watched(env: NodeJS.ProcessEnv = {}, loaderEnv: NodeJS.ProcessEnv = {}): Watched {
  const both: { collector?: Collector; whodunit?: Whodunit } = {};
  beforeAll(async () => {
    both.collector = await startCollector();
    both.whodunit = await startWhodunit({ ...exportTo(both.collector, 'grpc'), ...env }, loaderEnv);
  });
  afterAll(async () => {
    await both.whodunit?.stop(); // undefined: it did not even start
    await both.collector?.stop();
  });
  return both as Watched;
}
