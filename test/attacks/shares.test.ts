// SPDX-License-Identifier: Apache-2.0
// A user fills what the service limits: the records of a minute, the services in the metrics, the disk queue. Another user's termination
// must be reported as if there were no flood, whatever names, cgroups and subordinate user ids the flood uses.
import { spawnSync } from 'node:child_process';
import { chownSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, describe, expect, it } from 'vitest';
import { type Cgroup, makeCgroup } from '../../scripts/stack/cgroup.ts';
import { isTermination } from '../../scripts/stack/otlp-file.ts';
import { ATTACKER, type Program, startProgram, until } from '../../scripts/stack/program.ts';
import { exportTo, startWhodunit, type Whodunit } from '../../scripts/stack/whodunit.ts';
import { watched } from '../support/watched.ts';
import { ALICE, awaitFirstLine, MALLORY, startAs } from './attacker.ts';
import { Backend, onlyTheTest, PREFIX } from './backend.ts';

const WITHIN_MS = 60_000;
const FULL_WITHIN_MS = 200_000;
/** Far more than what is put after the record of another user, which is among the oldest. */
const EVICTED_MIN = 150;
/** MALLORY, in the cgroup that makeCgroup() makes for this process. */
const WHO = `uid ${MALLORY} in whodunit-test-${process.pid}`;
const UNHARMED = { code: 0, signal: null };

const rules = onlyTheTest();
afterAll(rules.remove);

let marks = 0;
/** An argument by which a test finds the record of a process. */
const mark = (): string => {
  marks += 1;
  return `${PREFIX}shares-${process.pid}-${marks}`;
};

/** Lets processes of a user claim a name, in which # stands for their number. Resolves when all have ended. */
async function claim(uid: number, count: number, name: string, marked = mark()): Promise<void> {
  const program = startAs(uid, ATTACKER, ['claim', String(count), name, marked]);
  expect([await program.ended, program.output()]).toEqual([UNHARMED, 'ready\n']);
}

interface Status {
  readonly queue: { readonly evicted: number };
  readonly limits: readonly {
    limit: string;
    sentence: string;
    origins: readonly { origin: string; count: number }[];
  }[];
}
async function statusOf({ at }: Whodunit): Promise<Status> {
  return (await (await fetch(`http://${at.health}/status`)).json()) as Status;
}

const cgroups: Cgroup[] = [];
afterEach(async () => {
  for (const { directory, remove } of cgroups.splice(0)) {
    spawnSync('find', [directory, '-mindepth', '1', '-type', 'd', '-delete']);
    await remove();
  }
});
function cgroup(path: string): Cgroup {
  const made = makeCgroup(path);
  cgroups.push(made);
  return made;
}

describe('14 terminations of a user under the name of a service', () => {
  const both = watched({ ...rules.env, WHODUNIT_RECORDS_PER_MINUTE: '10' });
  const recorded = (marked: string): number =>
    both.collector.logs().filter((record) => {
      const args = record.resource['process.command_args'];
      return isTermination(record) && Array.isArray(args) && args.includes(marked);
    }).length;

  it.each<[string, (name: string, marked: string) => Promise<unknown>]>([
    ['of another user', (name, marked) => claim(ALICE, 1, name, marked)],
    [
      'of the same user with another executable',
      (name, marked) => other(['env', `OTEL_SERVICE_NAME=${name}`, 'bash', '-c', 'exit 3', marked]),
    ],
    [
      'of the same user in a unit',
      (name, marked) =>
        other(
          ['env', `OTEL_SERVICE_NAME=${name}`, 'sh', '-c', 'exit 3', marked],
          cgroup('system.slice/checkout.service'),
        ),
    ],
  ])('do not aggregate that of the service %s', async (whose, terminate) => {
    const name = `checkout ${whose}`;
    const flood = mark();
    await claim(MALLORY, 14, name, flood);
    const marked = mark();
    await terminate(name, marked);
    await until('the record', WITHIN_MS, () => recorded(marked) === 1 || undefined, both.whodunit.service.output);
    // From the fifth on, they are a loop.
    await until('the records of the flood', WITHIN_MS, () => recorded(flood) === 4 || undefined);
  });

  /** Runs a command as MALLORY that exits with code 3, in a cgroup. */
  async function other(command: readonly string[], unit?: Cgroup): Promise<void> {
    const user = ['setpriv', `--reuid=${MALLORY}`, `--regid=${MALLORY}`, '--clear-groups', '--', ...command];
    const [program = '', ...args] = unit?.enter(user) ?? user;
    expect(await startProgram(program, args).ended).toEqual({ code: 3, signal: null });
  }

  it('under 300 names leave the metrics of another service their series, and /status says so', async () => {
    await claim(MALLORY, 300, `invented-${process.pid}-#`);
    const name = `real-${process.pid}`;
    await claim(ALICE, 1, name);
    const point = await until(
      'the series',
      WITHIN_MS,
      () => both.collector.metrics().find(({ resource, value }) => resource['service.name'] === name && value === 1),
      both.whodunit.service.output,
    );
    expect(point.name).toBe('whodunit.process.terminations');
    const { limits } = await statusOf(both.whodunit);
    const services = limits.find(({ limit }) => limit === 'metric_services');
    expect(services?.sentence).toMatch(
      /^uid 54321\b.* had most of the services .* \d+ terminations were counted under the host/,
    );
    await until(
      'a log line',
      WITHIN_MS,
      () => both.whodunit.service.output().includes(`${services?.sentence}`) || undefined,
    );
    const displaced = await until('the metric', WITHIN_MS, () =>
      both.collector.metrics().find((one) => one.name === 'whodunit.origin.displaced'),
    );
    expect(displaced.attributes).toEqual({
      'whodunit.limit': 'metric_services',
      'whodunit.origin': services?.origins[0]?.origin,
    });
  });
});

describe('a full queue', () => {
  /** Runs a flood as MALLORY, each process in a cgroup of its own below a delegated one and with another subordinate user id. */
  async function flood(count: number, delegated: Cgroup): Promise<void> {
    const args = ['claim', String(count), `flood-${count}-#`, mark(), delegated.directory];
    const user = ['setpriv', `--reuid=${MALLORY}`, `--regid=${MALLORY}`, '--clear-groups', '--'];
    const [program = '', ...rest] = delegated.enter([
      ...user,
      'unshare',
      '--user',
      '--keep-caps',
      '--',
      ATTACKER,
      ...args,
    ]);
    const started = await awaitFirstLine(startProgram(program, rest));
    mapUsers(started);
    expect([await started.ended, started.output()]).toEqual([UNHARMED, 'ready\n']);
  }

  /** As newuidmap(1) does for a user with an entry in /etc/subuid. */
  function mapUsers({ pid }: Program): void {
    for (const map of ['uid_map', 'gid_map']) writeFileSync(`/proc/${pid}/${map}`, '0 2000000 65536\n');
  }

  it('drops records of a flood in 1,000 delegated cgroups and with as many subordinate users, and none of another user', async () => {
    const backend = await Backend.start();
    backend.answer = () => ({ http: 503 });
    const whodunit = await startWhodunit({
      ...exportTo(backend.endpoints, 'http/protobuf'),
      ...rules.env,
      WHODUNIT_QUEUE_BYTES: '4MiB',
    });
    try {
      const delegated = makeCgroup('delegated', 'v2');
      cgroups.push(delegated);
      for (const name of ['', 'cgroup.procs']) chownSync(join(delegated.directory, name), MALLORY, MALLORY);
      await flood(50, delegated);
      const marked = mark();
      await claim(ALICE, 1, 'checkout', marked);
      await flood(950, delegated);
      let status = await statusOf(whodunit);
      const full = async () => {
        status = await statusOf(whodunit);
        return status.queue.evicted >= EVICTED_MIN || undefined;
      };
      await until('a full queue', FULL_WITHIN_MS, full, () => JSON.stringify(status.queue));
      backend.answer = () => ({});
      await until('the record', WITHIN_MS, () => backend.has(marked) || undefined, whodunit.service.output);
      const { limits, queue } = await statusOf(whodunit);
      const exceeded = limits.find(({ limit }) => limit === 'queue_bytes');
      expect(exceeded?.origins).toEqual([{ origin: WHO, count: queue.evicted }]);
      const line = `${WHO} held most of the full disk queue`;
      await until('a log line', WITHIN_MS, () => whodunit.service.output().includes(line) || undefined);
    } finally {
      await whodunit.stop();
      backend.stop();
    }
  });
});
