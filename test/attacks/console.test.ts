// SPDX-License-Identifier: Apache-2.0
// stdout and stderr whose readers sleep, go away or never were. What is acknowledged must have been printed.
import { closeSync, mkdirSync, openSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, describe, expect, it } from 'vitest';
import { answers, type Collector, startCollector } from '../../scripts/stack/collector.ts';
import { MORTAL, NODE, type Program, REAPER, SERVICE, startProgram, until } from '../../scripts/stack/program.ts';
import { exportTo, type Place, place, startLoader, startService } from '../../scripts/stack/whodunit.ts';
import { startReaper } from '../chaos/reap.ts';
import { Pipe } from '../support/pipe.ts';

const WITHIN_MS = 120_000;
const POLL_MS = 100;
const SHUTDOWN_MS = 500;
/** The service keeps about 90 MiB when it is idle. */
const RSS_MAX = 250 * 1024 * 1024;

/** The other processes of this machine are not what is measured. */
const RULES = JSON.stringify({
  rules: [
    { name: 'the test', executable: [REAPER, MORTAL], action: 'report' },
    { name: 'others', action: 'ignore' },
  ],
});

/** The fields of /status that are used here. */
interface Status {
  readonly deaths: Readonly<Record<'received' | 'summaries' | 'reported' | 'filtered', number>>;
  readonly stdout: { readonly printed: number; readonly skipped: number; readonly error: string | null };
}

const cleanUp: (() => unknown)[] = [];
afterEach(async () => {
  for (const clean of cleanUp.splice(0).reverse()) await clean();
});

/** A loader whose pins and ring are removed after the test. */
async function loaded(): Promise<Place> {
  const at = await place();
  const loader = await startLoader(at);
  cleanUp.push(at.directory.remove, loader.stop);
  writeFileSync(rulesFile(at), RULES);
  return at;
}

const rulesFile = (at: Place): string => join(at.directory.path, 'rules.yaml');

interface Streams {
  readonly stdout?: number | 'pipe';
  readonly stderr?: number | 'pipe';
}

async function started(at: Place, env: NodeJS.ProcessEnv, { stdout = 'pipe', stderr = 'pipe' }: Streams = {}) {
  const settings = {
    OTEL_METRICS_EXPORTER: 'none',
    WHODUNIT_SHUTDOWN_TIMEOUT: String(SHUTDOWN_MS),
    WHODUNIT_CONFIG: rulesFile(at),
    ...env,
  };
  const service = startService(at, settings, ['--output', 'json'], ['pipe', stdout, stderr]);
  cleanUp.push(service.stop);
  await until('readyz', WITHIN_MS, () => answers(`http://${at.health}/readyz`), service.output);
  return service;
}

async function statusOf(at: Place): Promise<Status> {
  return (await (await fetch(`http://${at.health}/status`)).json()) as Status;
}

/** Whether a line may be the record of a child of the reaper: cheap, for thousands of lines again and again. */
function mayBeRecord(line: string): boolean {
  return line.startsWith('{') && line.includes(REAPER) && line.includes('whodunit.process.termination"');
}

/** The pids of the reaper's children among printed records. */
function pidsIn(lines: readonly string[]): number[] {
  return lines
    .filter(mayBeRecord)
    .map((line) => JSON.parse(line).resource.attributes)
    .filter((resource) => resource['process.executable.path'] === REAPER)
    .map((resource) => resource['process.pid']);
}

/** Waits until the lines have a record of each death, and reads the pipe all the time. Returns the pids in them. */
function allPrinted(deaths: readonly unknown[], lines: () => readonly string[]): Promise<number[]> {
  return until('all deaths', WITHIN_MS, () => {
    const all = lines();
    if (all.filter(mayBeRecord).length < deaths.length) return undefined;
    const pids = pidsIn(all);
    return pids.length >= deaths.length ? pids : undefined;
  });
}

/** Waits until the number is the same for a second. */
async function steady(what: string, number: () => Promise<number>): Promise<number> {
  let [last, since] = [-1, 0];
  return until(what, WITHIN_MS, async () => {
    const now = await number();
    if (now !== last) [last, since] = [now, performance.now()];
    await sleep(POLL_MS);
    return performance.now() - since > 1_000 ? now : undefined;
  });
}

const reportedBy = async (at: Place) => (await statusOf(at)).deaths.reported;

describe('without a collector', () => {
  it('a reader that sleeps during 5,000 deaths: what counts as reported was printed, the rest comes after a restart', async () => {
    const at = await loaded();
    const pipe = new Pipe();
    const service = await started(at, {}, { stdout: pipe.writeEnd });
    pipe.handedOver();
    const deaths = await startReaper({ count: 5_000 }).ended;
    const reported = await steady('the counter of reported deaths', () => reportedBy(at));
    expect(await service.stop(), service.output()).toEqual({ code: 0, signal: null });
    const first = pipe.lines();
    expect(first.length, `${reported} were reported`).toBe(reported);
    expect(service.output()).toContain('stay in the ring buffer');

    const next = new Pipe();
    await started(at, {}, { stdout: next.writeEnd });
    next.handedOver();
    const all = await allPrinted(deaths, () => [...first, ...next.lines()]);
    expect(all.toSorted((a, b) => a - b)).toEqual(deaths.map(({ pid }) => pid).toSorted((a, b) => a - b));
  });

  it('a reader that sleeps during 40,000 deaths: the service holds a few, and its memory stays bounded', async () => {
    const at = await loaded();
    const pipe = new Pipe();
    const service = await started(at, {}, { stdout: pipe.writeEnd });
    pipe.handedOver();
    await startReaper({ count: 40_000 }).ended;
    const reported = await steady('the counter of reported deaths', () => reportedBy(at));
    const { deaths } = await statusOf(at);
    const rss = Number(/VmRSS:\s+(\d+) kB/.exec(readFileSync(`/proc/${service.pid}/status`, 'utf8'))?.[1]) * 1024;
    const unprinted = deaths.received + deaths.summaries - deaths.filtered - deaths.reported;
    expect({ unprinted, rss: rss < RSS_MAX || rss }).toEqual({ unprinted: 0, rss: true });
    expect(reported).toBeLessThan(1_000);
    expect(await service.stop()).toEqual({ code: 0, signal: null });
    expect(pipe.lines().length).toBe(reported);
  });

  it('a reader that goes (`| head -1`): the service says so and ends, and the other records come after a restart', async () => {
    const at = await loaded();
    const pipe = new Pipe();
    const service = await started(at, {}, { stdout: pipe.writeEnd });
    pipe.handedOver();
    await startProgram(MORTAL, ['exit', '7']).ended;
    await until('a line', WITHIN_MS, () => pipe.lines()[0], service.output);
    const before = pipe.lines().length;
    pipe.close();
    const deaths = await startReaper({ count: 20 }).ended;
    expect(await service.ended, service.output()).toEqual({ code: 74, signal: null });
    expect(service.output()).toMatch(
      /stdout cannot be written: its reader is gone\. Records .* stay in the ring buffer/,
    );

    const next = new Pipe();
    await started(at, {}, { stdout: next.writeEnd });
    next.handedOver();
    const pids = await allPrinted(deaths, () => [...pipe.lines().slice(0, before), ...next.lines()]);
    expect(pids.length).toBe(deaths.length);
  });
});

describe('stdout', () => {
  it('on a disk that is full after a part of a record: that record is printed again after a restart', async () => {
    const at = await loaded();
    const disk = join(at.directory.path, 'disk');
    mkdirSync(disk);
    await startProgram('mount', ['-t', 'tmpfs', '-o', 'size=4k', 'none', disk]).ended;
    cleanUp.push(() => startProgram('umount', ['--lazy', disk]).ended);
    const file = join(disk, 'stdout');
    writeFileSync(file, ' '.repeat(3_500)); // 596 bytes are left, for a record of about 1,600
    const fd = openSync(file, 'a');
    const service = await started(at, {}, { stdout: fd });
    closeSync(fd);
    const [death] = await startReaper({ count: 1 }).ended;
    expect(await service.ended, service.output()).toEqual({ code: 74, signal: null });
    expect(readFileSync(file).length).toBe(4_096);
    expect(service.output()).toContain('stdout cannot be written: writing failed with ENOSPC.');

    const next = await started(at, {});
    const lines = () => next.stdout().split('\n').slice(0, -1);
    expect(await allPrinted([death], lines)).toEqual([death?.pid]);
  });

  it('that is closed or /dev/null: the service says that records are lost', async () => {
    const at = await loaded();
    const fd = openSync('/dev/null', 'w');
    const service = await started(at, {}, { stdout: fd });
    closeSync(fd);
    expect(service.output()).toContain('stdout is closed or /dev/null, and there is no collector: records are lost.');
  });

  it('whose reader sleeps, and SIGTERM twice: the service shuts down as after one', async () => {
    const at = await loaded();
    const pipe = new Pipe();
    const service = await started(at, {}, { stdout: pipe.writeEnd });
    pipe.handedOver();
    await startReaper({ count: 500 }).ended;
    const reported = await steady('the counter of reported deaths', () => reportedBy(at));
    service.child.kill('SIGTERM');
    await sleep(POLL_MS);
    service.child.kill('SIGTERM');
    expect(await service.ended, service.output()).toEqual({ code: 0, signal: null });
    expect(pipe.lines().length).toBe(reported);
  });
});

describe('with a collector', () => {
  const sent = (collector: Collector) =>
    collector.logs().filter(({ resource }) => resource['process.executable.path'] === REAPER).length;

  async function watched(stdout: Pipe): Promise<{ at: Place; collector: Collector; service: Program }> {
    const collector = await startCollector();
    cleanUp.push(collector.stop);
    const at = await loaded();
    const service = await started(
      at,
      { ...exportTo(collector, 'grpc'), OTEL_METRICS_EXPORTER: 'none' },
      {
        stdout: stdout.writeEnd,
      },
    );
    stdout.handedOver();
    return { at, collector, service };
  }

  it('a reader that sleeps: all deaths are sent, and those that are not printed are counted', async () => {
    const pipe = new Pipe();
    const { at, collector, service } = await watched(pipe);
    await startReaper({ count: 2_000 }).ended;
    await until('all records', WITHIN_MS, () => sent(collector) >= 2_000 || undefined, service.output);
    const { stdout } = await statusOf(at);
    expect(stdout.skipped).toBeGreaterThan(0);
    expect(service.output()).toContain('The reader of stdout is too slow');
    expect(await service.stop(), service.output()).toEqual({ code: 0, signal: null });
  });

  it('a reader that goes: the service says so, and goes on sending', async () => {
    const pipe = new Pipe();
    const { at, collector, service } = await watched(pipe);
    pipe.close();
    await startReaper({ count: 20 }).ended;
    await until('the message', WITHIN_MS, () => /stdout cannot be written/.test(service.output()) || undefined);
    await startReaper({ count: 20 }).ended;
    await until('all records', WITHIN_MS, () => sent(collector) >= 40 || undefined, service.output);
    expect((await statusOf(at)).stdout.error).toBe('stdout cannot be written: its reader is gone.');
    expect(service.alive()).toBe(true);
    expect(await service.stop()).toEqual({ code: 0, signal: null });
  });
});

describe('stderr', () => {
  const closed = (): number => {
    const pipe = new Pipe();
    pipe.close();
    return pipe.writeEnd;
  };

  it.each<[string, () => number]>([
    ['a pipe without a reader', closed],
    ['a full device', () => openSync('/dev/full', 'w')],
    ['a pipe whose reader never reads', () => new Pipe().writeEnd],
  ])('%s does not end the service', async (_, stderr) => {
    const at = await loaded();
    const fd = stderr();
    const service = await started(at, {}, { stderr: fd });
    closeSync(fd);
    for (let i = 0; i < 50; i += 1) {
      service.child.kill('SIGHUP'); // a line in the log
      service.child.kill('SIGUSR2');
    }
    const death = startProgram(MORTAL, ['exit', '7']);
    await death.ended;
    await until('the record', WITHIN_MS, () => service.stdout().includes(`"process.pid":${death.pid},`) || undefined);
    expect(await service.stop()).toEqual({ code: 0, signal: null });
  });
});

describe('a terminal whose output is stopped', () => {
  it('does not stop the service', async () => {
    const at = await loaded();
    const command = `exec ${NODE} ${SERVICE} run --output json`;
    const terminal = startProgram('script', ['-qfc', command, '/dev/null'], {
      env: {
        PATH: process.env.PATH,
        WHODUNIT_SOCKET: at.socket,
        WHODUNIT_HEALTH_ADDR: at.health,
        WHODUNIT_STATE_DIR: join(at.directory.path, 'state'),
        WHODUNIT_REPORT: 'all',
        WHODUNIT_CONFIG: rulesFile(at),
      },
    });
    cleanUp.push(terminal.stop);
    await until('readyz', WITHIN_MS, () => answers(`http://${at.health}/readyz`), terminal.output);
    terminal.child.kill('SIGSTOP');
    cleanUp.push(() => terminal.child.kill('SIGCONT'));
    const deaths = await startReaper({ count: 200 }).ended;
    await steady('the counter of reported deaths', () => reportedBy(at));
    expect(await reportedBy(at)).toBeLessThan(deaths.length);
    terminal.child.kill('SIGCONT');
    await allPrinted(deaths, () => terminal.stdout().split(/\r?\n/).slice(0, -1));
  });
});
