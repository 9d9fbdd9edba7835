// SPDX-License-Identifier: Apache-2.0
// The wall clock of a virtual machine jumps forward and back, by hours and by a year, during terminations. Each must be delivered once, with
// the right uptime, and with a time of the clock before or after a jump.
import { until } from '../../scripts/stack/program.ts';
import { account, reportedBy, samePid, type TrueDeath } from './ledger.ts';
import { boot, emptyDisk, REAPER_IN_MACHINE, reached } from './machine.ts';
import { differences, type Scenario } from './scenario.ts';

/** Emulation is slow, and slower on a busy machine. */
const OVER_WITHIN_MS = 1_500_000;
/** The processes run far shorter, even under emulation. */
const UPTIME_S_MAX = 30;
/** The clocks are read some time before or after the termination. */
const CLOCK_TOLERANCE_NS = 5_000_000_000n;
const SECOND_NS = 1_000_000_000n;

export const clockJumps: Scenario = {
  key: 'g',
  name: 'the clock jumps (virtual machine)',
  apart: true,
  withinMs: () => 1_900_000,
  run: async () => {
    const disk = emptyDisk();
    const machine = await boot('jump', disk.path);
    try {
      await until('the end', OVER_WITHIN_MS, () => reached(machine, () => machine.end !== undefined), machine.console);
    } finally {
      await machine.cut();
      disk.remove();
    }
    const { deaths, records, clockSet } = machine;
    const drawn = account(
      deaths,
      records.flatMap((record) => reportedBy(record) ?? []),
      REAPER_IN_MACHINE,
      undefined,
      samePid,
    );
    const problems = differences(drawn, 0, 0, false);
    if (clockSet.length === 0) problems.push('the clock did not jump');
    const clocks = offsets(deaths, clockSet);
    const byPid = new Map(deaths.map((death) => [death.pid, death]));
    // Summaries, incidents and loops are of more than one process.
    const ofOne = records.filter((record) => reportedBy(record) !== undefined);
    for (const { attributes, resource, timeUnixNs } of ofOne) {
      const pid = Number(resource['process.pid']);
      const uptime = Number(attributes['whodunit.process.uptime']);
      if (!(uptime >= 0 && uptime < UPTIME_S_MAX)) problems.push(`pid ${pid} has an uptime of ${uptime} s`);
      const reapedNs = byPid.get(pid)?.reapedNs ?? 0n;
      const shown = clocks.some((offset) => absolute(timeUnixNs - reapedNs - offset) < CLOCK_TOLERANCE_NS);
      if (!shown) problems.push(`pid ${pid} has the time ${timeUnixNs} ns, which no clock had`);
    }
    return { ...drawn, lost: 0, others: 0, note: `by ${clockSet.join(' s, ')} s`, problems };
  },
};

/** The offsets between wall clock and boot clock: at the start, and after each jump. */
function offsets(deaths: readonly TrueDeath[], clockSet: readonly number[]): bigint[] {
  const [first] = deaths;
  if (first === undefined) return [];
  const all = [first.startBefore - first.reapedNs];
  for (const by of clockSet) all.push((all.at(-1) ?? 0n) + BigInt(by) * SECOND_NS);
  return all;
}

function absolute(value: bigint): bigint {
  return value < 0n ? -value : value;
}
