// SPDX-License-Identifier: Apache-2.0
// The probes of kernels before 5.8, which end with the loader: in a unit of a real systemd, which keeps them while the loader is restarted, and
// without that. What terminates meanwhile has its record, or the gap has one.

import { spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { type Collector, startCollector } from '../../scripts/stack/collector.ts';
import { isTermination, type LogRecord } from '../../scripts/stack/otlp-file.ts';
import { LOADER, MORTAL, type Program, startProgram, until } from '../../scripts/stack/program.ts';
import { type Systemd, startSystemd } from '../../scripts/stack/systemd.ts';
import { exportTo, type Place, place, serviceReady, startCommand, startService } from '../../scripts/stack/whodunit.ts';

const WITHIN_MS = 60_000;
const UNIT = 'whodunit-loader.service';
const LOG = '/run/loader.log';
const SOCKET = '/run/events.sock'; // in systemd's mounts
/** Long enough for a record that should not be. */
const NO_RECORD_WITHIN_MS = 1_000;

let systemd: Systemd;
let collector: Collector;
let at: Place;
let service: Program;
beforeAll(async () => {
  systemd = await startSystemd();
  collector = await startCollector();
  const here = await place();
  at = { ...here, socket: `/proc/${systemd.pid}/root${SOCKET}` };
  startUnit('FileDescriptorStoreMax=16');
  service = startService(at, { ...exportTo(collector, 'grpc'), WHODUNIT_RECORDS_PER_MINUTE: 'off' });
  await serviceReady(at, service);
});
afterAll(async () => {
  await service?.stop(); // undefined: it did not start
  systemd?.call('systemctl', 'stop', UNIT);
  await systemd?.stop();
  await collector?.stop();
  spawnSync(LOADER, ['unload', '--pin-dir', at?.pinDir]);
  at?.directory.remove();
});

function startUnit(...settings: readonly string[]): void {
  systemd.start(UNIT, {
    Unit: ['DefaultDependencies=no', 'StartLimitIntervalSec=0'],
    Service: [
      'Type=notify',
      // As where there is no CAP_BPF (docs/privileges.md).
      'CapabilityBoundingSet=CAP_SYS_ADMIN CAP_SYSLOG',
      'Environment=WHODUNIT_PROBES=old',
      `ExecStart=${LOADER} run --socket ${SOCKET} --pin-dir ${at.pinDir}`,
      'Restart=always',
      'RestartSec=300ms',
      `StandardError=append:${LOG}`,
      ...settings,
    ],
  });
}

const systemctl = (...command: string[]) => systemd.call('systemctl', ...command, UNIT);
const gaps = (): LogRecord[] => collector.logs().filter(({ eventName }) => eventName === 'whodunit.events.gap');
const recordsOf = (pid: number): LogRecord[] =>
  collector.logs().filter((record) => isTermination(record) && record.resource['process.pid'] === pid);
const state = () => `${service.output()}${systemd.call('cat', LOG)}${JSON.stringify(gaps())}`;

async function status(): Promise<{
  loader: { gap: { from: string; to: string } | null };
  deaths: { duplicates: number; lost: object };
}> {
  return (await fetch(`http://${at.health}/status`)).json() as ReturnType<typeof status>;
}

const near = (ms = Number.NaN) => expect.closeTo(ms, -1);

/** Runs a program that exits with this code, and returns its pid. */
async function exits(code: number): Promise<number> {
  const { child, ended, pid } = startProgram(MORTAL, ['exit', String(code)]);
  expect((await ended).code).toBe(code);
  expect(child.pid).toBe(pid);
  return pid;
}

async function recorded(pid: number): Promise<LogRecord> {
  return until(`the record of process ${pid}`, WITHIN_MS, () => recordsOf(pid)[0], state);
}

/** The main process that systemd knows, when it is another one than `before`, and ready. */
async function restarted(before: string): Promise<void> {
  await until('the next loader', WITHIN_MS, () => {
    const [pid, active] = systemctl('show', '-P', 'MainPID', '-P', 'ActiveState').trim().split('\n');
    return (pid !== before && active === 'active') || undefined;
  });
}

it('systemd keeps the probes: each termination during restarts and crashes of the loader has one record, and there is no gap', async () => {
  const pids: number[] = [];
  let stopped = false;
  const dying = [1, 2, 3, 4].map(async () => {
    while (!stopped) pids.push(await exits(7));
  });
  const mainPid = () => systemctl('show', '-P', 'MainPID').trim();
  for (const act of [['restart'], ['kill', '--signal=KILL'], ['restart'], ['kill', '--signal=KILL']]) {
    const before = mainPid();
    await sleep(300);
    systemctl(...act);
    await restarted(before);
  }
  const running = pids.length;
  await until('terminations after the last restart', WITHIN_MS, () => pids.length > running + 20 || undefined);
  stopped = true;
  await Promise.all(dying);
  await recorded(pids.at(-1) ?? 0);
  await until(
    'all records',
    WITHIN_MS,
    () => pids.every((pid) => recordsOf(pid).length > 0) || undefined,
    () => `without a record: ${pids.filter((pid) => recordsOf(pid).length === 0)} of ${pids}\n${state()}`,
  );
  expect(pids.filter((pid) => recordsOf(pid).length !== 1)).toEqual([]);
  expect(gaps()).toEqual([]);
  expect(await status()).toMatchObject({ loader: { gap: null } });
  const { deaths } = await status();
  expect(deaths.lost).toEqual({ kernel: 0, loader: 0, queue: 0, export: 0 });
});

it('after a stop, or without FileDescriptorStoreMax=, the gap has one record, with the times between which nothing was watched', async () => {
  for (const settings of [['FileDescriptorStoreMax=16'], []]) {
    const known = gaps().length;
    startUnit(...settings);
    await recorded(await exits(8));
    const beforeMs = Date.now();
    systemctl('stop');
    const stoppedMs = Date.now();
    const missed = await exits(8);
    const startsMs = Date.now();
    systemctl('start');
    await recorded(await exits(9));
    const record = await until('the gap', WITHIN_MS, () => gaps()[known], state);
    const [start, end] = ['start', 'end'].map((name) =>
      Date.parse(String(record.attributes[`whodunit.gap.${name}_time`])),
    );
    expect(start).toBeGreaterThanOrEqual(beforeMs - 1_500); // it is written each second
    expect(start).toBeLessThanOrEqual(stoppedMs);
    expect(end).toBeGreaterThanOrEqual(startsMs);
    expect(record.body).toMatch(/^No probe was attached for [\d.]+ m?s, /);
    expect(record.resource).toMatchObject({ 'service.name': 'whodunit' });
    const { gap } = (await status()).loader; // with the clock's offset of another moment
    expect([gap?.from, gap?.to].map((time) => Date.parse(time ?? ''))).toEqual([near(start), near(end)]);
    expect(recordsOf(missed)).toEqual([]);
    const doctor = startCommand(at, ['doctor']);
    await once(doctor.child, 'close');
    expect(doctor.stdout()).toMatch(/^note +gap +until .*: No probe was attached for /m);
    await sleep(NO_RECORD_WITHIN_MS);
    expect(gaps()).toHaveLength(known + 1);
  }
});
