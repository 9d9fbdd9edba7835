// SPDX-License-Identifier: Apache-2.0
// A cgroup of version 2 reaches its limit, in a virtual machine, since the memory controller of this machine may be in version 1. The record must
// say which limit it was, what else used the memory, and what memory.events and memory.pressure counted: read from the real files.
import { until } from '../../scripts/stack/program.ts';
import { account, reportedBy, samePid } from './ledger.ts';
import { boot, emptyDisk, type Machine, reached } from './machine.ts';
import { differences, type Scenario } from './scenario.ts';

/** Emulation is slow, and slower on a busy machine. */
const OVER_WITHIN_MS = 1_500_000;
const HOLDER_IN_MACHINE = '/init';
const MIB = 1024 * 1024;
/** As in vm/memory.go. */
const LIMIT = 64 * MIB;
const OWN_LIMIT = 128 * MIB;
const NEIGHBOUR_HAS = 24 * MIB;

export const outOfMemory: Scenario = {
  key: 'm',
  name: 'a cgroup runs out of memory (virtual machine)',
  apart: true,
  withinMs: () => 1_900_000,
  run: async () => {
    const disk = emptyDisk();
    const machine = await boot('memory', disk.path);
    try {
      await until('the end', OVER_WITHIN_MS, () => reached(machine, () => machine.end !== undefined), machine.console);
    } finally {
      await machine.cut();
      disk.remove();
    }
    const { deaths, records } = machine;
    const reported = records.flatMap((record) => reportedBy(record) ?? []);
    const drawn = account(deaths, reported, HOLDER_IN_MACHINE, undefined, samePid);
    const problems = [...differences(drawn, 0, 0, false), ...unexplained(machine)];
    return { ...drawn, lost: 0, others: 0, note: 'limit, consumers, events and pressure', problems };
  },
};

/** What the record of the kill does not say. */
function unexplained({ records, holder }: Machine): string[] {
  const record = records.find(({ attributes }) => attributes['whodunit.cause'] === 'oom_kill');
  if (record === undefined) return ['no record of an out-of-memory kill'];
  const { attributes, body } = record;
  const atLeast = (key: string, least: number): string[] => {
    const value = attributes[`whodunit.oom.${key}`];
    return typeof value === 'number' && value >= least ? [] : [`${key} is ${value}, not at least ${least}`];
  };
  const same = (key: string, wanted: number): string[] =>
    attributes[`whodunit.oom.${key}`] === wanted
      ? []
      : [`${key} is ${attributes[`whodunit.oom.${key}`]}, not ${wanted}`];
  const consumers = [attributes['whodunit.oom.consumers'] ?? []].flat().map(String);
  const [, size = '0'] = new RegExp(`^init \\(pid ${holder}\\): ([\\d.]+) MiB$`, 'm').exec(consumers.join('\n')) ?? [];
  const sentence = new RegExp(
    `^init \\(pid \\d+\\) was killed by the out-of-memory killer after .*: cgroup /shop reached its limit of 64 MiB.*; init \\(pid ${holder}\\) had [\\d.]+ MiB`,
  );
  return [
    ...(sentence.test(String(body)) ? [] : [`the sentence is: ${body}`]),
    ...(Number(size) * MIB >= NEIGHBOUR_HAS ? [] : [`the consumers are: ${consumers.join(', ')}`]),
    ...same('limit', LIMIT),
    ...same('own_limit', OWN_LIMIT),
    ...atLeast('cgroup.peak', LIMIT - MIB),
    ...atLeast('cgroup.usage', NEIGHBOUR_HAS),
    ...atLeast('cgroup.anon', NEIGHBOUR_HAS),
    ...atLeast('events.max', 1),
    ...atLeast('events.oom', 1),
    ...atLeast('events.oom_kill', 1),
    ...atLeast('pressure.some', 0),
    ...atLeast('pressure.full', 0),
  ];
}
