// SPDX-License-Identifier: Apache-2.0
// Describes the machine, its kernel, the commit and the versions, and measures the load from other programs.
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { availableParallelism, cpus, release, totalmem } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import { LOADER, ROOT } from '../scripts/stack/program.ts';
import type { Machine } from './figures.ts';

const PEERS = ['libbpf-tools', 'bpftrace', 'forkstat'];
const SAMPLE_MS = 1_000;

export function thisMachine(): Machine {
  const distribution = /^PRETTY_NAME="(.*)"$/m.exec(readFileSync('/etc/os-release', 'utf8'))?.[1] ?? 'unknown';
  const versions: Record<string, string> = {
    whodunit: outputOf(LOADER, ['--version']).replace(/^\S+ /, ''),
    'Node.js': process.version,
    Go: outputOf('go', ['env', 'GOVERSION']),
  };
  for (const name of PEERS) versions[name] = outputOf('dpkg-query', ['--show', '--showformat=$' + '{Version}', name]);
  return {
    processor: cpus()[0]?.model.trim() ?? 'unknown',
    processors: availableParallelism(),
    memoryMB: Math.round(totalmem() / 1e6),
    kernel: release(),
    distribution,
    versions,
  };
}

/** The commit, with `-dirty` if anything but the results of a benchmark differs from it. */
export function thisCommit(): string {
  const results = [':!bench/results', ':!docs/performance.md', ':!docs/scale.md'];
  const changed = outputOf('git', ['status', '--porcelain', '--untracked-files=no', '--', '.', ...results]);
  return `${outputOf('git', ['describe', '--always'])}${changed === '' ? '' : '-dirty'}`;
}

function outputOf(program: string, args: readonly string[]): string {
  const { status, stdout } = spawnSync(program, args, { cwd: ROOT, encoding: 'utf8' });
  return status === 0 ? stdout.trim() : 'unknown';
}

export interface ProcessorTimes {
  readonly total: number;
  readonly idle: number;
  readonly steal: number;
}

/** Returns the times since boot, in ticks. */
export function processorTimes(): ProcessorTimes {
  const line = readFileSync('/proc/stat', 'utf8').split('\n')[0] ?? '';
  const [, ...numbers] = line.split(/\s+/).map(Number);
  const [user = 0, nice = 0, system = 0, idle = 0, iowait = 0, irq = 0, softirq = 0, steal = 0] = numbers; // proc_stat(5)
  return { total: user + nice + system + idle + iowait + irq + softirq + steal, idle: idle + iowait, steal };
}

export function shares(before: ProcessorTimes, after: ProcessorTimes): { busyPercent: number; stealPercent: number } {
  const total = Math.max(1, after.total - before.total);
  const idle = after.idle - before.idle;
  return { busyPercent: (1 - idle / total) * 100, stealPercent: ((after.steal - before.steal) / total) * 100 };
}

/** Measures the load of the processors while this process sleeps. */
export async function backgroundPercent(): Promise<number> {
  const before = processorTimes();
  await sleep(SAMPLE_MS);
  return shares(before, processorTimes()).busyPercent;
}
