// SPDX-License-Identifier: Apache-2.0
// The wall clock of a virtual machine jumps forth and back, by hours and by a year, while processes die. Each must be delivered once,
// with a life as long as it was, and with a time that some clock has shown.
import { until } from '../../scripts/stack/program.ts';
import { account, reportedBy, type TrueDeath } from './ledger.ts';
import { boot, emptyDisk, heard, REAPER_THERE, samePid } from './machine.ts';
import { differences, type Scenario } from './scenario.ts';

/** Emulation is slow, and slower on a busy machine. */
const OVER_WITHIN_MS = 1_200_000;
/** The lives are far shorter, even where they are emulated. */
const UPTIME_S_MAX = 30;
/** A clock is read some time before or after the death. */
const CLOCK_TOLERANCE_NS = 5_000_000_000n;
const SECOND_NS = 1_000_000_000n;

export const clockJumps: Scenario = {
  key: 'g',
  name: 'the clock jumps (a virtual machine)',
  apart: true,
  withinMs: () => 1_600_000,
  run: async () => {
    const disk = emptyDisk();
    const machine = await boot('jump', disk.path);
    try {
      await until('the end', OVER_WITHIN_MS, () => heard(machine, () => machine.end !== undefined), machine.console);
    } finally {
      await machine.cut();
      disk.remove();
    }
    const { deaths, records, clockSet } = machine;
    const drawn = account(
      deaths,
      records.flatMap((record) => reportedBy(record) ?? []),
      REAPER_THERE,
      undefined,
      samePid,
    );
    const problems = differences(drawn, 0, 0, false);
    if (clockSet.length === 0) problems.push('the clock has not jumped');
    const clocks = offsets(deaths, clockSet);
    const byPid = new Map(deaths.map((death) => [death.pid, death]));
    for (const { attributes, resource, timeUnixNs } of records) {
      const pid = Number(resource['process.pid']);
      const uptime = Number(attributes['whodunit.process.uptime']);
      if (!(uptime >= 0 && uptime < UPTIME_S_MAX)) problems.push(`pid ${pid} is said to have lived for ${uptime} s`);
      const deadBy = byPid.get(pid)?.deadBy ?? 0n;
      const shown = clocks.some((offset) => absolute(timeUnixNs - deadBy - offset) < CLOCK_TOLERANCE_NS);
      if (!shown) problems.push(`pid ${pid} is said to have ended at ${timeUnixNs} ns, which no clock has shown`);
    }
    return { ...drawn, lost: 0, others: 0, note: `by ${clockSet.join(' s, ')} s`, problems };
  },
};

/** How far the wall clock was from the boot clock: at first, and after each jump. */
function offsets(deaths: readonly TrueDeath[], clockSet: readonly number[]): bigint[] {
  const [first] = deaths;
  if (first === undefined) return [];
  const all = [first.bornBefore - first.deadBy];
  for (const by of clockSet) all.push((all.at(-1) ?? 0n) + BigInt(by) * SECOND_NS);
  return all;
}

function absolute(value: bigint): bigint {
  return value < 0n ? -value : value;
}
