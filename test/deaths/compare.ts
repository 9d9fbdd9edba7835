// SPDX-License-Identifier: Apache-2.0
// Compares a record, field by field, with the truth about a termination and with the expectation of its case. Pure. Returns every
// difference.
import { basename } from 'node:path';
import { type Attributes, isTermination, type LogRecord, type Value } from '../../scripts/stack/otlp-file.ts';
import { displayName } from '../../src/core/naming/program.ts';
import type { Expectation } from './cases/case.ts';
import type { Death, Program } from './truth.ts';

/**
 * How far two readings of the wall clock may be apart: whodunit samples the offset between boot time and wall time every few
 * seconds, and the clock may be adjusted in between.
 */
export const CLOCK_TOLERANCE_NS = 5_000_000n;

/** Whether the record is about this termination: same pid and, because pids are reused, same start time. */
export function isAbout(truth: Death, record: LogRecord, toleranceNs = CLOCK_TOLERANCE_NS): boolean {
  if (!isTermination(record) || record.resource['process.pid'] !== truth.pid) return false;
  return startDifference(truth, record, toleranceNs) === undefined;
}

/** The differences, each a sentence. None: the record is right. */
export function compare(
  truth: Death,
  expected: Expectation,
  record: LogRecord,
  toleranceNs = CLOCK_TOLERANCE_NS,
): string[] {
  const differences: string[] = [];
  const { attributes, resource } = record;
  const same = (where: Attributes, key: string, wanted: Value | undefined, authority: string) => {
    const actual = where[key];
    if (JSON.stringify(actual) !== JSON.stringify(wanted)) {
      differences.push(`${key}: the record says ${show(actual)}, ${authority} ${show(wanted)}`);
    }
  };

  // Process.
  same(resource, 'process.pid', truth.pid, 'its parent');
  same(resource, 'process.vpid', truth.vpid, 'NSpid');
  if (truth.parent_pid !== 0) same(resource, 'process.parent_pid', truth.parent_pid, 'its parent');
  same(resource, 'process.executable.path', truth.exe, 'its parent');
  same(resource, 'process.executable.name', basename(truth.exe), 'its parent');
  const args = truth.args.length === 0 ? undefined : truth.args;
  same(resource, 'process.command', args?.[0], 'its parent');
  same(resource, 'process.command_args', args, 'its parent');
  same(resource, 'process.args_count', args?.length, 'its parent');
  same(resource, 'process.user.id', truth.uid, '/proc');
  same(resource, 'process.real_user.id', truth.real_uid, '/proc');
  const cgroup = resource['process.linux.cgroup'];
  if (typeof cgroup !== 'string' || !truth.cgroups.includes(cgroup)) {
    differences.push(`process.linux.cgroup: the record says ${show(cgroup)}, it was in ${truth.cgroups.join(' and ')}`);
  }
  // The undertaker and its victims may themselves run in a container. The truth has only the containers that the undertaker made.
  if (truth.container_id !== '') same(resource, 'container.id', truth.container_id, 'Docker');

  // Status, as wait4 returned it.
  same(attributes, 'process.exit.code', truth.exit_code ?? undefined, 'wait4');
  same(attributes, 'whodunit.core_dumped', truth.signal === null ? undefined : truth.core_dumped, 'wait4');
  same(attributes, 'whodunit.signal.number', truth.signal ?? expected.handledSignal, 'wait4');

  // The kernel prints no sizes for a process that is killed because it shares the memory of an OOM victim. Other processes must have none.
  if (truth.oom !== null || expected.cause !== 'oom_kill')
    for (const size of ['total_vm', 'anon_rss', 'file_rss', 'shmem_rss', 'score_adj'] as const) {
      same(attributes, `whodunit.oom.${size}`, truth.oom?.[size], 'the kernel log');
    }

  // Times.
  for (const difference of [
    startDifference(truth, record, toleranceNs),
    exitDifference(truth, record, toleranceNs),
    uptimeDifference(truth, record),
  ]) {
    if (difference !== undefined) differences.push(difference);
  }

  // Classification.
  same(attributes, 'whodunit.cause', expected.cause, 'the case');
  const errorType = expected.errorType === null ? String(truth.exit_code) : expected.errorType;
  same(attributes, 'error.type', errorType, 'the case');
  same(attributes, 'whodunit.sender.kind', expected.senderKind, 'the case');
  const killer = expected.senderKind === 'process' ? truth.killer : null;
  if (expected.senderKind === 'process' && killer === null)
    differences.push('the case expects a sender, and no process was ordered to kill');
  same(attributes, 'whodunit.sender.pid', killer?.pid, 'the undertaker');
  same(attributes, 'whodunit.sender.executable.path', killer?.exe, 'the undertaker');
  same(
    attributes,
    'whodunit.sender.executable.name',
    killer === null ? undefined : basename(killer.exe),
    'the undertaker',
  );
  same(attributes, 'whodunit.sender.command_line', killer?.args.join(' '), 'the undertaker');
  same(attributes, 'whodunit.sender.user.id', killer?.uid, 'the undertaker');
  same(attributes, 'whodunit.sender.real_user.id', killer?.real_uid, 'the undertaker');
  same(attributes, 'whodunit.sender.ancestors', killer?.ancestors.map(displayed), 'the undertaker');
  // Root arranged the mounts of every case: of containers, units and sandboxes.
  for (const who of ['process', 'sender'] as const) {
    same(attributes, `whodunit.${who}.foreign_root`, undefined, 'the case');
    same(attributes, `whodunit.${who}.executable.state`, undefined, 'the case');
  }
  if (killer !== null && killer.container_id !== '')
    same(attributes, 'whodunit.sender.container.id', killer.container_id, 'Docker');
  for (const [where, all] of [
    [attributes, expected.attributes],
    [resource, expected.resource],
  ] as const) {
    for (const [key, wanted] of Object.entries(all ?? {})) {
      if (!(wanted instanceof RegExp)) same(where, key, wanted ?? undefined, 'the case');
      else if (!wanted.test(String(where[key])))
        differences.push(`${key}: the record says ${show(where[key])}, the case ${wanted}`);
    }
  }
  if (expected.body !== undefined && !expected.body.test(String(record.body)))
    differences.push(`body: the record says ${show(record.body)}, the case ${expected.body}`);
  return differences;
}

/** As the record names it: `MainThread` is `node main.ts`. */
function displayed({ pid, comm, exe, args }: Program): string {
  return `${displayName({ comm, exe: exe === '' ? null : exe, args })}(${pid})`;
}

function startDifference(truth: Death, record: LogRecord, toleranceNs: bigint): string | undefined {
  const text = record.resource['process.creation.time'];
  const start = unixNs(text);
  const earliest = BigInt(truth.start_unix_ns) - toleranceNs;
  const latest = BigInt(truth.start_unix_ns) + BigInt(truth.tick_ns) + toleranceNs;
  if (start !== undefined && start >= earliest && start <= latest) return undefined;
  return `process.creation.time: the record says ${show(text)}, /proc from ${iso(earliest)} to ${iso(latest)}`;
}

function exitDifference(truth: Death, record: LogRecord, toleranceNs: bigint): string | undefined {
  const text = record.attributes['process.exit.time'];
  const earliest = BigInt(truth.before_unix_ns) - toleranceNs;
  const latest = BigInt(truth.after_unix_ns) + toleranceNs;
  for (const [name, time] of [
    ['process.exit.time', unixNs(text)],
    ['Timestamp', record.timeUnixNs],
  ] as const) {
    if (time === undefined || time < earliest || time > latest) {
      return `${name}: the record says ${time === undefined ? show(text) : iso(time)}, it died from ${iso(earliest)} to ${iso(latest)}`;
    }
  }
  return undefined;
}

function uptimeDifference(truth: Death, record: LogRecord): string | undefined {
  const uptime = record.attributes['whodunit.process.uptime'];
  const longest = Number(BigInt(truth.after_unix_ns) - BigInt(truth.start_unix_ns)) / 1e9;
  const shortest = Number(BigInt(truth.before_unix_ns) - BigInt(truth.start_unix_ns) - BigInt(truth.tick_ns)) / 1e9;
  if (typeof uptime === 'number' && uptime > 0 && uptime <= longest && uptime >= shortest) return undefined;
  return `whodunit.process.uptime: the record says ${show(uptime)}, it lived from ${shortest} to ${longest} s`;
}

/** ISO 8601 with up to nine decimals, which Date would cut to three. */
function unixNs(text: Value | undefined): bigint | undefined {
  const match = /^(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?Z$/.exec(String(text));
  if (match === null) return undefined;
  return BigInt(Date.parse(`${match[1]}Z`)) * 1_000_000n + BigInt((match[2] ?? '').padEnd(9, '0'));
}

function iso(ns: bigint): string {
  return `${new Date(Number(ns / 1_000_000_000n) * 1000).toISOString().slice(0, 19)}.${String(ns % 1_000_000_000n).padStart(9, '0')}Z`;
}

function show(value: Value | undefined): string {
  return value === undefined ? 'nothing' : JSON.stringify(value);
}
