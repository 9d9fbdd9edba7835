// SPDX-License-Identifier: Apache-2.0
// The power fails: a machine whose collector is not there is killed with kill -9 of QEMU while processes die. It boots again, years
// back by its clock, with a collector, and must deliver everything that its service had acknowledged. What was only in the ring is
// gone with the machine's memory: it cannot have been counted, and it is not in the ledger but in the note.
import { setTimeout as sleep } from 'node:timers/promises';
import { until } from '../../scripts/stack/program.ts';
import { chance } from './chance.ts';
import { account, reportedBy, type TrueDeath } from './ledger.ts';
import { boot, emptyDisk, heard, REAPER_THERE, samePid } from './machine.ts';
import { differences, type Scenario } from './scenario.ts';

/** Emulation is slow, and slower on a busy machine. */
const READY_WITHIN_MS = 400_000;
const SAFE_WITHIN_MS = 400_000;
const DRAINED_WITHIN_MS = 800_000;
/** The power fails when so many are safe, up to this much later. */
const SHORT_DEATHS = 60;
const FULL_DEATHS = 1_500;
const LATER_MS = 2_000;
const LONG_AGO = '2020-02-02T02:02:02';
/** The reaper's workers: at most so many have terminated whose line was not yet written. */
const UNTOLD_MAX = 2;

export const powerLoss: Scenario = {
  key: 'f',
  name: 'the power fails (a virtual machine)',
  apart: true,
  withinMs: () => 1_700_000,
  run: async ({ full, seed }) => {
    const random = chance(seed);
    const disk = emptyDisk();
    const first = await boot('fill', disk.path);
    const isSafe = ({ deadBy }: TrueDeath) => deadBy <= first.safe;
    try {
      await until('a first death', READY_WITHIN_MS, () => heard(first, () => first.deaths.length > 0), first.console);
      const enough = () => first.deaths.filter(isSafe).length >= (full ? FULL_DEATHS : SHORT_DEATHS);
      await until('enough safe deaths', SAFE_WITHIN_MS, () => heard(first, enough), first.console);
      await sleep(LATER_MS * random());
    } finally {
      await first.cut();
    }
    const second = await boot('drain', disk.path, LONG_AGO);
    try {
      await until('the end', DRAINED_WITHIN_MS, () => heard(second, () => second.end !== undefined), second.console);
    } finally {
      await second.cut();
      disk.remove();
    }
    const records = second.records.flatMap((record) => reportedBy(record) ?? []);
    const pids = new Set(records.map(({ pid }) => pid));
    const ledger = first.deaths.filter((death) => isSafe(death) || pids.has(death.pid));
    const drawn = account(ledger, records, REAPER_THERE, undefined, samePid);
    const drawnFairly = { ...drawn, wrong: Math.max(drawn.wrong - UNTOLD_MAX, 0) };
    const problems = differences(drawnFairly, 0, 0, false);
    const note = `${first.deaths.length - ledger.length} more were in the ring when the power failed`;
    return { ...drawnFairly, lost: 0, others: 0, note, problems };
  },
};
