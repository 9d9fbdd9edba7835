// SPDX-License-Identifier: Apache-2.0
// The same work with other tools, as Debian packages them: libbpf-tools' exitsnoop with sigsnoop, bpftrace, forkstat. Each writes to
// /dev/null. Every round runs all conditions in turn; each measures wall times first, then the kernel's timing (bpf_stats).
import { readdirSync, readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Program, startProgram, until } from '../../scripts/stack/program.ts';
import { WITH_TRACEFS } from '../../scripts/stack/tracefs.ts';
import { EXIT_HOOK, SIGNAL_HOOK } from '../events.ts';
import { type Figure, figure } from '../figures.ts';
import { atHook, between, type Chosen, load, startProbeCost } from '../program.ts';
import { estimate, estimateRatio, median } from '../statistics.ts';
import { type Part, settle, startQuietWhodunit } from './part.ts';
import { lapsOf, WORK } from './workload.ts';

const ROUNDS = 7;
const ROUNDS_QUICK = 1;
const READY_WITHIN_MS = 20_000;
/** From the first loaded program until all are attached. forkstat has no ready state to wait for. */
const ATTACHED_AFTER_MS = 1_000;
const EXITS = 5_000;

const BPFTRACE = `tracepoint:sched:sched_process_exit { printf("%d %s\\n", pid, comm); }
tracepoint:signal:signal_generate { @[args->sig] = count(); }`;

interface Watcher {
  readonly pids: readonly number[];
  readonly stop: () => Promise<unknown>;
}

interface Condition {
  readonly id: string;
  readonly title: string;
  readonly start: () => Promise<Watcher>;
  /** Its BPF programs for exits and signals. undefined: it has none. */
  readonly exitProgram?: Chosen;
  readonly signalProgram?: Chosen;
}

const named =
  (prefix: string): Chosen =>
  ({ name }) =>
    name.startsWith(prefix);

const CONDITIONS: readonly Condition[] = [
  { id: 'none', title: 'no tool', start: async () => ({ pids: [], stop: async () => {} }) },
  {
    id: 'whodunit',
    title: 'whodunit',
    start: async () => {
      const whodunit = await startQuietWhodunit();
      return { pids: [whodunit.loader.pid], stop: whodunit.stop };
    },
    exitProgram: atHook(EXIT_HOOK),
    signalProgram: atHook(SIGNAL_HOOK),
  },
  {
    id: 'snoop',
    title: 'exitsnoop and sigsnoop',
    start: () => startPeers([['exitsnoop'], ['sigsnoop']], { bpf: true }),
    exitProgram: named('sched_process_e'),
    signalProgram: named('sig_trace'),
  },
  {
    id: 'bpftrace',
    title: 'bpftrace',
    start: () => startPeers([['bpftrace', '-e', BPFTRACE]], { bpf: true }),
    exitProgram: named('sched_process_e'),
    signalProgram: named('signal_generate'),
  },
  {
    id: 'forkstat',
    title: 'forkstat',
    start: () => startPeers([['forkstat', '-e', 'fork,exec,exit']], { bpf: false }),
  },
];

/** The work that these tools affect: processes and signals. The part `workload` also measures threads and Go. */
const COMPARED = WORK.filter(({ id }) => ['exit', 'exec', 'signals'].includes(id));

type Samples = Map<string, number[]>;

export const peers: Part = async ({ quick, progress }) => {
  const rounds = quick ? ROUNDS_QUICK : ROUNDS;
  const samples: Samples = new Map();
  for (let round = 0; round < rounds; round += 1) {
    for (const [index, condition] of CONDITIONS.entries()) {
      progress((round + index / CONDITIONS.length) / rounds, `with ${condition.title}`);
      const watcher = await condition.start();
      try {
        await settle();
        for (const [id, ns] of await lapsOf(COMPARED)) add(samples, `${condition.id}.${id}`, ns);
        await costs(condition, watcher, samples);
      } finally {
        await watcher.stop();
      }
    }
  }
  return { figures: CONDITIONS.flatMap((condition) => figuresOf(condition, samples)).concat(share(samples)) };
};

async function costs(
  { id, title, exitProgram, signalProgram }: Condition,
  { pids }: Watcher,
  samples: Samples,
): Promise<void> {
  if (exitProgram === undefined || signalProgram === undefined) return;
  const cost = startProbeCost('costs');
  try {
    const before = await cost.snapshot(pids);
    const { count } = await load(['exit', 0, EXITS]);
    const after = await cost.snapshot(pids);
    for (const [what, chosen] of [
      ['exit_ns', exitProgram],
      ['signal_ns', signalProgram],
    ] as const) {
      const { runs, ns } = between(before, after, chosen);
      if (runs < count) throw new Error(`${title}: ${count} processes exited, but its program ran ${runs} times`);
      add(samples, `${id}.${what}`, ns / runs);
    }
  } finally {
    await cost.stop();
  }
}

function figuresOf({ id, title }: Condition, samples: Samples): Figure[] {
  const of = (key: string) => samples.get(`${id}.${key}`) ?? [];
  const wallTimes = COMPARED.map((work) => {
    const alone = samples.get(`none.${work.id}`) ?? [];
    return id === 'none'
      ? figure(`peers.none.${work.id}`, `no tool: ${work.title}`, 'µs', median(alone) / 1000)
      : figure(
          `peers.${id}.${work.id}`,
          `${title}: ${work.title}, wall time with / without`,
          'ratio',
          estimateRatio(of(work.id), alone),
        );
  });
  if (of('exit_ns').length === 0) return wallTimes;
  return [
    figure(`peers.${id}.exit_ns`, `${title}: each exit, in the kernel`, 'ns', estimate(of('exit_ns'))),
    figure(`peers.${id}.signal_ns`, `${title}: each SIGCHLD, in the kernel`, 'ns', estimate(of('signal_ns'))),
    ...wallTimes,
  ];
}

function share(samples: Samples): Figure {
  return figure(
    'peers.exit_share',
    "each exit in the kernel: whodunit's cost / exitsnoop's",
    'ratio',
    estimateRatio(samples.get('whodunit.exit_ns') ?? [], samples.get('snoop.exit_ns') ?? []),
  );
}

function add(samples: Samples, key: string, value: number): void {
  samples.set(key, [...(samples.get(key) ?? []), value]);
}

/** Starts the commands and waits until they are attached. `bpf`: first waits until each has loaded its BPF programs. */
async function startPeers(commands: readonly (readonly string[])[], { bpf }: { bpf: boolean }): Promise<Watcher> {
  const programs: Program[] = [];
  const stop = async () => {
    for (const program of programs) await program.stop();
  };
  try {
    for (const command of commands) {
      const [program = '', ...args] = [...WITH_TRACEFS, ...command];
      programs.push(startProgram(program, args, { stdio: ['ignore', 'ignore', 'pipe'] }));
    }
    for (const { pid, alive, output } of bpf ? programs : [])
      await until('BPF programs of a peer', READY_WITHIN_MS, () => {
        if (!alive()) throw new Error(`a peer has ended: ${output()}`);
        return holdsPrograms(pid) || undefined;
      });
    await sleep(ATTACHED_AFTER_MS);
    return { pids: programs.map(({ pid }) => pid), stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

function holdsPrograms(pid: number): boolean {
  const directory = `/proc/${pid}/fdinfo`;
  return readdirSync(directory).some((fd) => {
    try {
      return /^prog_id:/m.test(readFileSync(`${directory}/${fd}`, 'utf8'));
    } catch {
      return false; // closed in the meantime
    }
  });
}
