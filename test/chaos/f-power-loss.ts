// SPDX-License-Identifier: Apache-2.0
// Power loss: QEMU is killed with kill -9 during terminations, without a collector. The machine boots again, with a clock years in the past
// and a collector, and must deliver everything that its service had acknowledged. Records that were only in the ring are lost with the
// memory of the machine and cannot be counted: they are in the note, not in the ledger. After the boot, `whodunit list` and `whodunit show` still
// name the sender of a kill before it.
import { setTimeout as sleep } from 'node:timers/promises';
import { until } from '../../scripts/stack/program.ts';
import { chance } from './chance.ts';
import { account, reportedBy, samePid, type TrueDeath } from './ledger.ts';
import { boot, emptyDisk, REAPER_IN_MACHINE, reached } from './machine.ts';
import { differences, type Scenario } from './scenario.ts';

/** Emulation is slow, and slower on a busy machine. */
const READY_WITHIN_MS = 700_000;
const SAFE_WITHIN_MS = 400_000;
const DRAINED_WITHIN_MS = 800_000;
/** The power fails when this many terminations are safe, up to LATER_MS later. */
const SHORT_DEATHS = 60;
const FULL_DEATHS = 1_500;
const LATER_MS = 2_000;
const LONG_AGO = '2020-02-02T02:02:02';
/** One for each worker of the reaper: terminations whose line was not written yet. */
const UNWRITTEN_MAX = 2;

export const powerLoss: Scenario = {
  key: 'f',
  name: 'the power fails (virtual machine)',
  apart: true,
  withinMs: () => 2_000_000,
  run: async ({ full, seed }) => {
    const random = chance(seed);
    const disk = emptyDisk();
    const first = await boot('fill', disk.path);
    const isSafe = ({ reapedNs }: TrueDeath) => reapedNs <= first.safe;
    try {
      await until(
        'the first termination',
        READY_WITHIN_MS,
        () => reached(first, () => first.deaths.length > 0),
        first.console,
      );
      const enough = () => first.deaths.filter(isSafe).length >= (full ? FULL_DEATHS : SHORT_DEATHS);
      await until('enough safe terminations', SAFE_WITHIN_MS, () => reached(first, enough), first.console);
      await sleep(LATER_MS * random());
    } finally {
      await first.cut();
    }
    const second = await boot('drain', disk.path, LONG_AGO);
    try {
      await until('the end', DRAINED_WITHIN_MS, () => reached(second, () => second.end !== undefined), second.console);
    } finally {
      await second.cut();
      disk.remove();
    }
    const records = second.records.flatMap((record) => reportedBy(record) ?? []);
    const pids = new Set(records.map(({ pid }) => pid));
    const ledger = first.deaths.filter((death) => isSafe(death) || pids.has(death.pid));
    const drawn = account(ledger, records, REAPER_IN_MACHINE, undefined, samePid);
    const corrected = { ...drawn, wrong: Math.max(drawn.wrong - UNWRITTEN_MAX, 0) };
    const problems = [...differences(corrected, 0, 0, false), ...unnamed(first.killed, second.shown)];
    const note = `${first.deaths.length - ledger.length} more were in the ring when the power failed`;
    return { ...corrected, lost: 0, others: 0, note, problems };
  },
};

/** What the history does not say after the boot of the process that was killed before, without the service and with it. */
function unnamed(pid: string | undefined, shown: { readonly before: string; readonly after: string }): string[] {
  if (pid === undefined) return ['no process was killed'];
  const headline = new RegExp(`node \\(pid ${pid}\\) was killed by SIGKILL, sent by init \\(pid \\d+`);
  const said = [new RegExp(`node +${pid} +killed SIGKILL +init `), headline, /evidence +sent with .* by init/];
  return Object.entries(shown).flatMap(([when, text]) =>
    said.filter((one) => !one.test(text)).map((one) => `${when} the service started, ${one} is not in: ${text}`),
  );
}
