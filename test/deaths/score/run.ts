// SPDX-License-Identifier: Apache-2.0
// One run of the score: every case runs once, under whodunit and, if requested, under the other tools.
import { type CaseRunner, type Review, startCaseRunner } from '../case-runner.ts';
import type { Case } from '../cases/case.ts';
import type { Finding } from '../check.ts';
import { type Observation, observationsOf } from './observed.ts';
import type { Peer } from './peers/peer.ts';
import { type Watch, watchWith } from './peers/watch.ts';
import { startStorm } from './storm.ts';
import { type Weighed, weigh } from './weigh.ts';

/** The name of whodunit among the tools. */
export const WHODUNIT = 'whodunit';

/** The result for one termination. */
export interface Scored {
  readonly one: Case;
  readonly finding: Finding;
  /** By tool name. */
  readonly weighed: ReadonlyMap<string, Weighed>;
}

export interface Run {
  readonly scored: readonly Scored[];
  /** Cases that the undertaker could not run, and why. */
  readonly failed: readonly { readonly one: Case; readonly why: string }[];
  /** Cases that are not possible on this machine. */
  readonly skipped: readonly Case[];
  readonly review: Review;
  /** What did not stop cleanly. */
  readonly complaints: readonly string[];
}

export interface RunOptions {
  readonly cases: readonly Case[];
  readonly peers: readonly Peer[];
  readonly storm: boolean;
  /** Called before each case. false ends the run. */
  readonly keepGoing: (one: Case, index: number) => boolean;
}

/** Rejects if whodunit or a tool cannot be started. A case that cannot run does not end the run. */
export async function run(options: RunOptions): Promise<Run> {
  const stage = await startStage(options);
  let results: Omit<Run, 'complaints'>;
  let complaints: readonly string[] = [];
  try {
    results = await runCases(stage, options);
  } finally {
    complaints = await stage.close();
  }
  return { ...results, complaints };
}

interface Stage {
  readonly runner: CaseRunner;
  readonly watch: Watch | null;
  /** Stops everything. Returns what did not stop cleanly. */
  readonly close: () => Promise<readonly string[]>;
}

async function startStage({ peers, storm }: RunOptions): Promise<Stage> {
  const closing: (() => Promise<readonly string[]>)[] = [];
  const close = async () => {
    const complaints: string[] = [];
    for (const closeOne of closing.splice(0).reverse()) complaints.push(...(await closeOne()));
    return complaints;
  };
  try {
    const runner = await startCaseRunner();
    closing.push(runner.close);
    const watch = peers.length > 0 ? await watchWith(peers) : null;
    if (watch !== null) closing.push(watch.stop);
    if (storm) closing.push(startStorm().stop);
    return { runner, watch, close };
  } catch (error) {
    await close();
    throw error;
  }
}

async function runCases(
  { runner, watch }: Stage,
  { cases, peers, keepGoing }: RunOptions,
): Promise<Omit<Run, 'complaints'>> {
  const scored: Scored[] = [];
  const failed: { one: Case; why: string }[] = [];
  for (const [index, one] of cases.entries()) {
    if (one.skip !== undefined) continue;
    if (!keepGoing(one, index)) break;
    await watch?.take(); // earlier observations are about other processes
    try {
      const findings = await runner.run(one);
      scored.push(...score(one, findings, peers, (await watch?.take()) ?? new Map()));
    } catch (error) {
      failed.push({ one, why: error instanceof Error ? error.message : String(error) });
    }
  }
  const skipped = cases.filter(({ skip }) => skip !== undefined);
  return { scored, failed, skipped, review: await runner.review() };
}

function score(
  one: Case,
  findings: readonly Finding[],
  peers: readonly Peer[],
  observed: ReadonlyMap<Peer, readonly Observation[]>,
): Scored[] {
  const truths = findings.map(({ truth }) => truth);
  return findings.map((finding, index) => {
    const ours = finding.records.flatMap(observationsOf);
    const weighed = new Map([[WHODUNIT, weigh([finding.truth], 0, finding.expected, ours, ['status', 'sender'])]]);
    for (const peer of peers)
      weighed.set(peer.name, weigh(truths, index, finding.expected, observed.get(peer) ?? [], peer.shows));
    return { one, finding, weighed };
  });
}
