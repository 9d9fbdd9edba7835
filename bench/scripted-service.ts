// SPDX-License-Identifier: Apache-2.0
// The real service with scripted terminations from a fake loader, which sends lines as in docs/wire.md. For loads that real processes
// cannot generate in the time of a benchmark.
import { answers } from '../scripts/stack/collector.ts';
import { FakeLoader, goldenObject, line } from '../scripts/stack/fake-loader.ts';
import { until } from '../scripts/stack/program.ts';
import { place, startService } from '../scripts/stack/whodunit.ts';

const READY_WITHIN_MS = 15_000;
const ACKNOWLEDGED_WITHIN_MS = 60_000;
/** Lines per write. */
const BATCH = 256;

export interface ScriptedService {
  readonly pid: number;
  /** Sends `count` terminations of the services named by `serviceOf` (index → name), and waits until all are acknowledged. */
  readonly feed: (count: number, serviceOf: (index: number) => string) => Promise<void>;
  readonly stop: () => Promise<void>;
}

export async function startScriptedService(
  env: NodeJS.ProcessEnv,
  args: readonly string[] = [],
): Promise<ScriptedService> {
  const loader = await new FakeLoader().start();
  const at = await place();
  const service = startService({ ...at, socket: loader.path }, env, args);
  const stop = async () => {
    await service.stop();
    await loader.remove();
    at.directory.remove();
  };
  const death = goldenObject('death-exit-3');
  let sent = 0;
  const feed = async (count: number, serviceOf: (index: number) => string) => {
    const end = sent + count;
    while (sent < end) {
      const lines: string[] = [];
      for (; lines.length < BATCH && sent < end; sent += 1) {
        const seq = String(sent + 1);
        const process = {
          ...death.process,
          pid: sent + 1,
          start_boottime_ns: seq,
          env: { OTEL_SERVICE_NAME: serviceOf(sent) },
        };
        lines.push(line({ ...death, seq, process }));
      }
      loader.send(lines.join(''));
      await until(
        'the acknowledgement',
        ACKNOWLEDGED_WITHIN_MS,
        () => acknowledged(loader) >= sent - BATCH || undefined,
        service.output,
      );
    }
    await until(
      'the last acknowledgement',
      ACKNOWLEDGED_WITHIN_MS,
      () => acknowledged(loader) >= end || undefined,
      service.output,
    );
  };
  try {
    await until('readyz', READY_WITHIN_MS, () => answers(`http://${at.health}/readyz`), service.output);
  } catch (error) {
    await stop();
    throw error;
  }
  return { pid: service.pid, feed, stop };
}

/** Returns the highest acknowledged `seq`. */
function acknowledged(loader: FakeLoader): number {
  const last = loader.received.at(-1);
  return last === undefined ? 0 : Number(JSON.parse(last).seq);
}
