// SPDX-License-Identifier: Apache-2.0
// A host of a fleet: the real service under the name of that host, and a loader that sends it the terminations of the test, so that their
// times can be in the past.
import { createHash } from 'node:crypto';
import { FakeLoader, goldenObject, line } from './fake-loader.ts';
import { type Program, until } from './program.ts';
import { place, startService } from './whodunit.ts';

const CONNECTED_WITHIN_MS = 180_000;
const RAN_NS = 3_600_000_000_000n;
const MS_NS = 1_000_000n;

export interface Termination {
  /** A line of test/wire/. */
  readonly golden: string;
  readonly service: string;
  /** ms since 1970. */
  readonly endedMs: number;
  /** What the process declares, besides its name. */
  readonly declared?: string;
  /** Changes the line. */
  // biome-ignore lint/suspicious/noExplicitAny: a test changes any field of a line
  readonly change?: (death: any) => void;
}

export interface FleetHost {
  readonly program: Program;
  /** Reports a termination, and returns the pid. */
  readonly terminate: (termination: Termination) => number;
  /** Reports that a terminated process was started again. */
  readonly restart: (pid: number, termination: Termination) => void;
  readonly stop: () => Promise<void>;
}

export async function startHost(name: string, env: NodeJS.ProcessEnv): Promise<FleetHost> {
  const loader = await new FakeLoader().start();
  const at = { ...(await place()), socket: loader.path };
  const program = startService(at, {
    OTEL_RESOURCE_ATTRIBUTES: `host.name=${name},host.id=id-of-${name}`,
    OTEL_METRIC_EXPORT_INTERVAL: '500',
    OTEL_METRIC_EXPORT_TIMEOUT: '400',
    ...env,
  });
  const stop = async () => {
    await program.stop();
    await loader.remove();
    at.directory.remove();
  };
  const claimed = () => loader.received.length > 0 || undefined;
  await until(`the service of ${name}`, CONNECTED_WITHIN_MS, claimed, program.output);
  let pid = 1000;
  const identityOf = (number: number, { service, declared = '' }: Termination) => ({
    pid: number,
    otel_context: null,
    env: { OTEL_SERVICE_NAME: service, OTEL_RESOURCE_ATTRIBUTES: declared },
  });
  return {
    program,
    terminate: (termination) => {
      pid += 1;
      const death = goldenObject(termination.golden);
      const endedNs = BigInt(termination.endedMs) * MS_NS;
      Object.assign(death, { seq: String(pid), time_ns: String(endedNs), clock_offset_ns: '0' });
      Object.assign(death.process, identityOf(pid, termination), { start_boottime_ns: String(endedNs - RAN_NS) });
      // What a process declares is in its key: those of two services are never equal.
      if (death.repeat)
        death.repeat.key = createHash('sha512')
          .update(JSON.stringify(termination.service))
          .digest('hex')
          .padEnd(death.repeat.key.length, '0');
      termination.change?.(death);
      loader.send(line(death));
      return pid;
    },
    restart: (ended, termination) => {
      pid += 1;
      const restart = goldenObject('restart-of-exit-3');
      const endedNs = BigInt(termination.endedMs) * MS_NS;
      Object.assign(restart, { seq: String(pid), time_ns: String(endedNs + MS_NS), clock_offset_ns: '0' });
      Object.assign(restart.process, identityOf(pid, termination));
      restart.dead = { pid: ended, start_boottime_ns: String(endedNs - RAN_NS), time_ns: String(endedNs) };
      loader.send(line(restart));
    },
    stop,
  };
}
