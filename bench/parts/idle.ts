// SPDX-License-Identifier: Apache-2.0
// Cost of whodunit while no process terminates abnormally (processor time, memory), its sizes on disk, and the time from start to ready.
import { execFileSync } from 'node:child_process';
import { readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { answers, type Collector, startCollector } from '../../scripts/stack/collector.ts';
import { LOADER, ROOT, startProgram, until } from '../../scripts/stack/program.ts';
import { loaderArgs, place, startService, startWhodunit } from '../../scripts/stack/whodunit.ts';
import { type Figure, figure } from '../figures.ts';
import { cpuNs, pssBytes, startProbeCost, withHelpers } from '../program.ts';
import { estimate } from '../statistics.ts';
import { exportByDefault, loaderCounters, type Part } from './part.ts';

const SECONDS = 60;
const SECONDS_QUICK = 10;
const STARTS = 7;
const STARTS_QUICK = 3;
const READY_WITHIN_MS = 30_000;
const MB = 1e6;

export const idle: Part = async ({ quick, progress }) => {
  const collector = await startCollector();
  try {
    const starts: Start[] = [];
    const wanted = quick ? STARTS_QUICK : STARTS;
    for (let start = 0; start < wanted; start += 1) {
      progress((start / wanted) * 0.15, 'start to ready');
      starts.push(await startToReady(collector));
    }
    const started = [
      figure(
        'idle.start_to_ready',
        'loader and service started together, until /readyz',
        's',
        estimate(starts.map(({ seconds }) => seconds)),
      ),
      figure(
        'idle.loader_start_cpu',
        'processor time of the loader until then',
        's',
        estimate(starts.map(({ loaderCpuNs }) => loaderCpuNs / 1e9)),
        'most of it in the kernel, which verifies the probes',
      ),
    ];
    const whileRunning = await whileIdle(collector, quick ? SECONDS_QUICK : SECONDS, (fraction) =>
      progress(0.15 + fraction * 0.85, 'idle'),
    );
    return { figures: [...whileRunning, ...started, ...sizes()] };
  } finally {
    await collector.stop();
  }
};

interface Start {
  readonly seconds: number;
  readonly loaderCpuNs: number;
}

async function startToReady(collector: Collector): Promise<Start> {
  const at = await place();
  const start = performance.now();
  const loader = startProgram(LOADER, loaderArgs(at));
  const service = startService(at, exportByDefault(collector, 'http/protobuf'));
  try {
    await until(
      'readyz',
      READY_WITHIN_MS,
      () => answers(`http://${at.health}/readyz`),
      () => loader.output() + service.output(),
    );
    return { seconds: (performance.now() - start) / 1000, loaderCpuNs: cpuNs(loader.pid) };
  } finally {
    await service.stop();
    await loader.stop();
    at.directory.remove();
  }
}

async function whileIdle(
  collector: Collector,
  seconds: number,
  progress: (fraction: number) => void,
): Promise<Figure[]> {
  const whodunit = await startWhodunit({
    ...exportByDefault(collector, 'http/protobuf'),
    WHODUNIT_REPORT: 'default',
  });
  const { loader, service, at } = whodunit;
  try {
    await sleep(2_000);
    const deathsBefore = (await loaderCounters(at.socket)).deaths;
    const before = { loader: cpuNs(loader.pid), service: cpuNs(service.pid) };
    const start = performance.now();
    for (let second = 0; second < seconds; second += 1) {
      progress(second / seconds);
      await sleep(1_000);
    }
    const wallNs = (performance.now() - start) * 1e6;
    const percent = (pid: number, earlier: number) => ((cpuNs(pid) - earlier) / wallNs) * 100;
    const used = { loader: percent(loader.pid, before.loader), service: percent(service.pid, before.service) };
    const others = (await loaderCounters(at.socket)).deaths - deathsBefore;
    const cost = startProbeCost('costs');
    const { maps } = await cost.snapshot([loader.pid]);
    await cost.stop();
    const mapBytes = maps.reduce((sum, { memory_bytes }) => sum + memory_bytes, 0);
    const note = others > 0 ? `${others} other terminations in the meantime` : undefined;
    return [
      figure(
        'idle.cpu',
        `loader and service, share of one processor over ${seconds} s`,
        '%',
        used.loader + used.service,
        note,
      ),
      figure('idle.cpu_loader', 'of this, the loader', '%', used.loader),
      figure('idle.cpu_service', 'of this, the service', '%', used.service),
      figure(
        'idle.pss_loader',
        'memory of the loader with its helper (PSS)',
        'MB',
        pssBytes(...withHelpers(loader.pid)) / MB,
      ),
      figure('idle.pss_service', 'memory of the service (PSS)', 'MB', pssBytes(service.pid) / MB),
      figure('idle.maps', `kernel memory of ${maps.length} BPF maps`, 'MB', mapBytes / MB),
    ];
  } finally {
    await whodunit.stop();
  }
}

function sizes(): Figure[] {
  const [packed] = JSON.parse(execFileSync('npm', ['pack', '--dry-run', '--json'], { cwd: ROOT, encoding: 'utf8' }));
  return [
    figure('idle.loader_bytes', "the loader's binary", 'MB', statSync(LOADER).size / MB),
    figure('idle.package_bytes', 'the npm package, packed', 'MB', packed.size / MB),
    figure(
      'idle.service_bytes',
      'the bundle of the service on disk, with source maps',
      'MB',
      directoryBytes(join(ROOT, 'dist')) / MB,
    ),
  ];
}

function directoryBytes(path: string): number {
  return readdirSync(path, { withFileTypes: true, recursive: true })
    .filter((entry) => entry.isFile())
    .reduce((sum, entry) => sum + statSync(join(entry.parentPath, entry.name)).size, 0);
}
