// SPDX-License-Identifier: Apache-2.0
// The records of a small shop's bad day, made as the service makes them, with times before now: what the page is tested with, and what
// the screenshots show.
import type { ReadableLogRecord } from '@opentelemetry/sdk-logs';
import { conclude } from '../../src/core/conclude.ts';
import { buildLoop } from '../../src/core/telemetry/loop.ts';
import { hrTime } from '../../src/core/time.ts';
import type { Death, Victim } from '../../src/core/wire/event.ts';
import { circumstances } from '../support/circumstances.ts';
import {
  actor,
  END,
  exitedWith,
  fault,
  itself,
  kernelSignal,
  killedBy,
  oom,
  signal,
  victim,
} from '../support/deadly.ts';

const MINUTE_MS = 60_000;
/** Since the machine was started. */
const UP_MS = 40 * 86_400_000;
const RAN_LONGER_MS = 7 * MINUTE_MS;

/** One state for all records, so that repeated terminations are counted. */
export class Day {
  readonly #state = circumstances();
  readonly #nowMs: number;
  #count = 0;

  constructor(nowMs = Date.now()) {
    this.#nowMs = nowMs;
  }

  /** The record of a termination so many minutes ago. Each process ran for longer than the one before. */
  record(
    minutesAgo: number,
    death: Death,
    more: Readonly<Record<string, unknown>> = {},
    ranMs = this.#count * RAN_LONGER_MS,
  ): ReadableLogRecord {
    this.#count += 1;
    const endedNs = BigInt(Math.round(this.#nowMs - minutesAgo * MINUTE_MS)) * 1_000_000n;
    const bootNs = BigInt(this.#nowMs - UP_MS) * 1_000_000n;
    const laterNs = endedNs - bootNs - END;
    const later = <T extends { readonly time_ns: bigint }>(at: T | null): T | null =>
      at && { ...at, time_ns: at.time_ns + laterNs };
    const startNs = death.process.start_boottime_ns + laterNs - BigInt(ranMs) * 1_000_000n;
    const placed: Death = {
      ...death,
      time_ns: END + laterNs,
      clock_offset_ns: bootNs,
      process: { ...death.process, start_boottime_ns: startNs },
      signal: later(death.signal),
      fault: later(death.fault),
      oom: later(death.oom),
    };
    const conclusion = conclude(placed, { ...this.#state, observedNs: endedNs, nowMs: Number(endedNs / 1_000_000n) });
    if (conclusion.kind !== 'new' || conclusion.record === null) throw new Error('no record');
    const { record } = conclusion;
    return { ...record, attributes: { ...record.attributes, ...more } as ReadableLogRecord['attributes'] };
  }

  /** What is to be said of loops by now. */
  loops(): ReadableLogRecord[] {
    const { restartLoops, host } = this.#state;
    return restartLoops.due(this.#nowMs).map((news) => buildLoop(news, host, BigInt(this.#nowMs) * 1_000_000n));
  }
}

function service(name: string, changes: Partial<Victim> = {}): Victim {
  const { pid = 4242 } = changes;
  return victim({
    vpid: pid,
    tid: pid,
    comm: name,
    thread_comm: name,
    exe: `/usr/bin/${name}`,
    args: [`/usr/bin/${name}`, '--config', `/etc/${name}.yaml`],
    uid: 0,
    gid: 0,
    cgroup: `/system.slice/${name}.service`,
    ancestors: [{ pid: 1, comm: 'systemd' }],
    ...changes,
  });
}

const SYSTEMD = {
  pid: 1,
  tid: 1,
  comm: 'systemd',
  uid: 0,
  exe: '/usr/lib/systemd/systemd',
  args: ['/sbin/init'],
  cgroup: '/init.scope',
  ancestors: [],
};
const sentBy = (signo: number, changes: Partial<Parameters<typeof actor>[0]>, pid: number, uid: number) =>
  signal(signo, { sender: actor({ pid, tid: pid, uid, ...changes }), siginfo_pid: pid, siginfo_uid: uid });

const STACK = [
  '#0 cart_total+0x1f (checkout)',
  '#1 apply_discount+0x44 (checkout)',
  '#2 handle_request+0x2c1 (checkout)',
  '#3 worker_loop+0x88 (checkout)',
  '#4 start_thread+0x304 (libc.so.6)',
  '#5 clone3+0x2c (libc.so.6)',
].join('\n');

const CRASH = {
  'exception.stacktrace': STACK,
  'whodunit.crash.place': 'cart_total+0x1f (checkout)',
  'whodunit.crash.explanation': 'null dereference (write of p + 0x18)',
  'whodunit.crash.fingerprint': '5b41362bc82b7f3d',
};

/** Oldest first. */
export function story(nowMs = Date.now()): ReadableLogRecord[] {
  const items: [minutesAgo: number, death: Death, more?: Readonly<Record<string, unknown>>, ranMs?: number][] = [];
  const add = (...item: (typeof items)[number]) => items.push(item);
  for (let at = 340; at > 20; at -= 19) add(at, exitedWith(1, { process: service('mailer', { pid: 7000 + at }) }));
  for (let at = 300; at > 30; at -= 27)
    add(at, killedBy(9, { process: service('worker', { pid: 3000 + at }), signal: sentBy(9, {}, 812, 1000) }));
  add(180, requested(), requester());
  for (const [index, name] of ['cart', 'search', 'prices', 'images'].entries())
    add(150 - index / 60, killedBy(15, dockerStop(name, 9100 + index)), { 'whodunit.incident.id': INCIDENT });
  add(95, outOfMemory());
  add(
    60,
    killedBy(6, {
      process: service('search'),
      signal: signal(6, { sender: itself({ comm: 'search' }), siginfo_pid: 4242 }),
    }),
  );
  for (let at = 9; at >= 1; at -= 1) add(at, crashed(5200 + at), CRASH, 47_000 + at);
  add(0.4, killedBy(9, { process: service('nginx', { pid: 4242 }), signal: sentBy(9, {}, 812, 1000) }));
  const day = new Day(nowMs);
  const records = items.sort(([a], [b]) => b - a).map((item) => day.record(...item));
  return [...records, ...day.loops()].sort((a, b) => ms(a) - ms(b));
}

function ms({ hrTime: [seconds, nanoseconds] }: ReadableLogRecord): number {
  return seconds * 1_000 + nanoseconds / 1_000_000;
}

export const INCIDENT = '0d9bfa3b-4a04-5c10-a4e5-6a3f0a1b2c3d';

function crashed(pid: number): Death {
  return killedBy(11, {
    process: service('checkout', { pid }),
    signal: null,
    fault: fault(11, 1, { address: '0x18', tid: pid }),
  });
}

function outOfMemory(): Death {
  return killedBy(9, {
    process: service('payments', { pid: 6100, ancestors: [{ pid: 1, comm: 'systemd' }] }),
    signal: kernelSignal(9, ['__oom_kill_process', 'mem_cgroup_out_of_memory']),
    oom: oom({
      anon_rss: 498_073_600n,
      file_rss: 18_874_368n,
      cgroup: '/system.slice/payments.service',
      limit: 536_870_912n,
    }),
    oom_victim: true,
  });
}

function dockerStop(name: string, pid: number): Partial<Death> {
  const id = 'a1b2c3d4e5f60718293a4b5c6d7e8f90a1b2c3d4e5f60718293a4b5c6d7e8f90';
  return {
    process: service(name, { pid, cgroup: `/system.slice/docker-${pid}${id.slice(4)}.scope` }),
    signal: sentBy(15, { comm: 'dockerd', exe: '/usr/bin/dockerd', args: ['dockerd'], uid: 0 }, 640, 0),
  };
}

function requested(): Death {
  return killedBy(15, { process: service('postgres', { pid: 2200 }), signal: sentBy(15, SYSTEMD, 1, 0) });
}

function requester(): Readonly<Record<string, unknown>> {
  return {
    'whodunit.requester.pid': 8123,
    'whodunit.requester.name': 'systemctl',
    'whodunit.requester.user.name': 'alice',
    'whodunit.requester.command_line': 'systemctl stop postgres',
  };
}

/** Oldest first. Names that try to be markup, commands to a terminal, or another text. */
export const HOSTILE = {
  markup: '<script>document.title="taken"</script><img src=x onerror="document.title=1">',
  lines: 'first\nsecond\r\nthird',
  terminal: '\u001b[2J\u001b[31mred\u0007',
  long: `long-${'x'.repeat(4096)}`,
  rightToLeft: 'safe\u202egnp.exe\u2066',
  glob: '*',
} as const;

export function hostileRecords(): ReadableLogRecord[] {
  const day = new Day();
  return Object.values(HOSTILE).map((name, index, { length }) => {
    const record = day.record(
      length - index,
      killedBy(9, {
        process: service('victim', { pid: 100 + index, comm: name.slice(0, 15), args: [name, name] }),
        signal: sentBy(9, { comm: name.slice(0, 15), args: [name] }, 812, 1000),
      }),
      { 'whodunit.sender.name': name, 'whodunit.evidence': [name], 'exception.stacktrace': name },
    );
    const attributes = { ...record.resource.attributes, 'whodunit.process.name': name, 'service.name': name };
    // What core/words would have made visible is raw here: the page must not depend on it.
    return { ...record, body: `${name} died`, resource: { ...record.resource, attributes } } as ReadableLogRecord;
  });
}

/** Many ordinary records, over a day. */
export function many(count: number): ReadableLogRecord[] {
  const nowMs = Date.now();
  const [sample] = story(nowMs);
  if (sample === undefined) throw new Error('the story has no record');
  const stepMs = 86_400_000 / count;
  return Array.from({ length: count }, (_, index) => {
    const ns = BigInt(Math.round(nowMs - (count - index) * stepMs)) * 1_000_000n;
    return {
      ...sample,
      hrTime: hrTime(ns),
      attributes: {
        ...sample.attributes,
        'log.record.uid': uuid(index),
        'whodunit.cause': ['exit', 'killed', 'fault', 'oom_kill'][index % 4] ?? 'exit',
      },
    } as ReadableLogRecord;
  });
}

function uuid(index: number): string {
  return `00000000-0000-5000-8000-${index.toString(16).padStart(12, '0')}`;
}
