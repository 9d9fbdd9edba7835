// SPDX-License-Identifier: Apache-2.0
// Runs cases under a complete whodunit with a real collector, and checks each against the file of the collector. The caller (the test, the
// score) decides what to do with the findings.
import { setTimeout as sleep } from 'node:timers/promises';
import { startCollector } from '../../scripts/stack/collector.ts';
import type { LogRecord } from '../../scripts/stack/otlp-file.ts';
import { MORTAL, until } from '../../scripts/stack/program.ts';
import { exportTo, loaderStatus, startWhodunit, type Whodunit } from '../../scripts/stack/whodunit.ts';
import type { Case } from './cases/case.ts';
import { checkCase, type Finding, invented } from './check.ts';
import { isAbout } from './compare.ts';
import { isRunning } from './living.ts';
import { type Death, runUndertaker } from './truth.ts';

/** Long, because the machine may be busy. Records that arrive earlier end the wait. */
const RECORD_WITHIN_MS = 60_000;
/** How long to wait for a duplicate record or for a record without a termination. */
const NO_RECORD_WITHIN_MS = 1_000;

/** Findings that are only complete after the last case. */
export interface Review {
  readonly doubled: readonly Death[];
  /** Records of an exit with code 0, of a running process, or of no known termination, and records with the uid of another one. */
  readonly invented: readonly LogRecord[];
  /** The sum of the loss counters of the loader (docs/wire.md): `ring_full`, `memory_full`, `missed`, `undecodable`. */
  readonly lost: number;
}

export interface CaseRunner {
  readonly whodunit: Whodunit;
  /** Runs a case and waits for its records. Rejects if the undertaker cannot run the case. */
  readonly run: (one: Case) => Promise<readonly Finding[]>;
  readonly review: () => Promise<Review>;
  /** Stops everything. Returns what did not stop cleanly. */
  readonly close: () => Promise<readonly string[]>;
}

/** `loaderEnv`, `loaderBinary`: of the loader, if it is not the one that was built. */
export async function startCaseRunner(loaderEnv: NodeJS.ProcessEnv = {}, loaderBinary?: string): Promise<CaseRunner> {
  const collector = await startCollector();
  const whodunit = await startWhodunit(exportTo(collector, 'grpc'), loaderEnv, loaderBinary).catch(
    async (error: unknown) => {
      await collector.stop();
      throw error;
    },
  );
  const checked: Finding[] = [];
  const discarded: Death[] = [];
  const failed: string[] = [];

  const run = async (one: Case): Promise<readonly Finding[]> => {
    const { deaths: truths, discarded: others } = await runUndertaker(one.id).catch((error: unknown) => {
      failed.push(one.id);
      throw error;
    });
    discarded.push(...others);
    const awaited = truths.slice(0, one.deaths.length);
    const came = () => awaited.every((truth) => collector.logs().some((record) => isAbout(truth, record)));
    // checkCase reports the missing records.
    await until('the records', RECORD_WITHIN_MS, () => came() || undefined).catch(() => {});
    const findings = checkCase(one, truths, collector.logs());
    checked.push(...findings);
    return findings;
  };

  const review = async (): Promise<Review> => {
    await sleep(NO_RECORD_WITHIN_MS);
    const records = collector.logs();
    const of = ({ truth }: Finding) => records.filter((record) => isAbout(truth, record));
    const uids = new Set<unknown>();
    const again = records.filter(({ attributes }) => {
      const known = uids.has(attributes['log.record.uid']);
      uids.add(attributes['log.record.uid']);
      return known;
    });
    const truths = [...checked.map(({ truth }) => truth), ...discarded];
    const isMortal = ({ resource }: LogRecord) => resource['process.executable.path'] === MORTAL;
    const unwanted = checked.filter(({ expected }) => expected === undefined).flatMap(of);
    const unseen = invented(records, truths, failed, isMortal);
    const { lost } = await loaderStatus(whodunit.at.socket);
    return {
      doubled: checked.filter((finding) => of(finding).length > 1).map(({ truth }) => truth),
      invented: [...new Set([...unwanted, ...again, ...records.filter(isRunning), ...unseen])],
      lost: Object.values(lost).reduce((sum, count) => sum + Number(count), 0),
    };
  };

  const close = async (): Promise<readonly string[]> => {
    const { service, loader, pinsLeft } = await whodunit.stop();
    await collector.stop();
    const complaints: string[] = [];
    for (const [name, { code, signal }] of Object.entries({ service, loader }))
      if (code !== 0) complaints.push(`the ${name} ended with ${signal ?? `code ${code}`}`);
    if (pinsLeft) complaints.push(`pins were left in ${whodunit.at.pinDir}`);
    return complaints;
  };

  return { whodunit, run, review, close };
}
