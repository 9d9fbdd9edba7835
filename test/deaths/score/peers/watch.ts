// SPDX-License-Identifier: Apache-2.0
// Runs the other tools at the same time, parses their output, and waits until they have caught up. weigh.ts scores the result.
import { readFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { type Program, startProgram, until } from '../../../../scripts/stack/program.ts';
import { WITH_TRACEFS } from '../../../../scripts/stack/tracefs.ts';
import type { Observation } from '../observed.ts';
import type { Peer } from './peer.ts';

/** Some tools compile their programs first. */
const READY_WITHIN_MS = 60_000;
const CANARY_EVERY_MS = 500;
const CAUGHT_UP_WITHIN_MS = 5_000;

export interface Watch {
  /**
   * Returns what each tool reported since the last call. First waits until all have reported a new termination on each processor (their
   * buffers are per processor), or until a timeout.
   */
  readonly take: () => Promise<ReadonlyMap<Peer, readonly Observation[]>>;
  /** Stops the tools. Names those that had ended earlier. */
  readonly stop: () => Promise<readonly string[]>;
}

interface Watched {
  readonly peer: Peer;
  readonly program: Program;
  observed: Observation[];
}

/** Resolves when every tool reports terminations. */
export async function watchWith(peers: readonly Peer[]): Promise<Watch> {
  const processors = allowedProcessors(readFileSync('/proc/self/status', 'utf8'));
  const watched = peers.map(startPeer);
  const stop = async () => {
    const early = watched.filter(({ program }) => !program.alive());
    await Promise.all(watched.map(({ program }) => program.stop()));
    return early.map(({ peer }) => `${peer.name} ended before the run did`);
  };
  try {
    const canaries = new Set<number>();
    for (const one of watched)
      await until(
        `${one.peer.name} reports a termination`,
        READY_WITHIN_MS,
        async () => {
          if (!one.program.alive()) throw new Error(`${one.peer.name} has ended:\n${one.program.output()}`);
          canaries.add(await canary(processors[0] ?? 0));
          await new Promise((resolve) => setTimeout(resolve, CANARY_EVERY_MS));
          return [...canaries].some((pid) => hasReported(one, pid)) || undefined;
        },
        one.program.output,
      );
  } catch (error) {
    await stop();
    throw error;
  }
  const take = async () => {
    const pids = await Promise.all(processors.map(canary));
    const all = () => watched.every((one) => pids.every((pid) => hasReported(one, pid))) || undefined;
    await until('the canaries', CAUGHT_UP_WITHIN_MS, all).catch(() => {}); // a tool may miss a termination
    return new Map(watched.map((one) => [one.peer, one.observed.splice(0)]));
  };
  return { take, stop };
}

function startPeer(peer: Peer): Watched {
  const [program = '', ...args] = [...WITH_TRACEFS, ...peer.command];
  const watched: Watched = { peer, program: startProgram(program, args), observed: [] };
  if (watched.program.child.stdout !== null)
    createInterface({ input: watched.program.child.stdout }).on('line', (line) => {
      const observed = peer.parse(line);
      if (observed !== undefined) watched.observed.push(observed);
    });
  return watched;
}

/** The processors in Cpus_allowed_list of proc(5), such as 0-3,6. */
export function allowedProcessors(status: string): number[] {
  const list = /^Cpus_allowed_list:\s*(\S+)$/m.exec(status)?.[1] ?? '0';
  return list.split(',').flatMap((range) => {
    const [first = 0, last = first] = range.split('-').map(Number);
    return Array.from({ length: last - first + 1 }, (_, index) => first + index);
  });
}

/** A process that kills itself with kill(2), which every tool can report. */
async function canary(processor: number): Promise<number> {
  const program = startProgram('taskset', ['--cpu-list', String(processor), 'sh', '-c', 'kill -TERM $$']);
  await program.ended;
  return program.pid;
}

function hasReported({ peer, observed }: Watched, pid: number): boolean {
  const last = peer.shows.includes('status') ? 'end' : 'signal';
  return observed.some((one) => one.kind === last && one.pid === pid);
}
