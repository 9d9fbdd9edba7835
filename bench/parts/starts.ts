// SPDX-License-Identifier: Apache-2.0
// A start of the service, and its memory, beside the service of another commit (--against): the same Node.js and the same loader, in turns.
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { startCollector } from '../../scripts/stack/collector.ts';
import { SERVICE } from '../../scripts/stack/program.ts';
import { type Place, place, serviceReady, startLoader, startService } from '../../scripts/stack/whodunit.ts';
import { type Figure, figure } from '../figures.ts';
import { aloneBytes, cpuNs } from '../program.ts';
import { estimateRatio, quantile } from '../statistics.ts';
import { exportByDefault, inTurns, type Part } from './part.ts';

const ROUNDS = 15;
const ROUNDS_QUICK = 3;
/** After that, nothing of the start is left to do. */
const AT_REST_MS = 5_000;
const MB = 1e6;

interface Start {
  /** From the start of the program to the first /readyz that answers 200. */
  readonly readyMs: number;
  /** Processor time until then. */
  readonly processorMs: number;
  /** AT_REST_MS later, alone on a machine. */
  readonly memoryMB: number;
}

export const starts: Part = async ({ quick, progress, otherService }) => {
  if (otherService === null) return { figures: [] };
  const rounds = quick ? ROUNDS_QUICK : ROUNDS;
  const mine: Start[] = [];
  const theirs: Start[] = [];
  const conditions = [
    { main: SERVICE, state: 'mine', measured: mine },
    { main: otherService.path, state: 'theirs', measured: theirs },
  ];
  const collector = await startCollector();
  const at = await place();
  try {
    const loader = await startLoader(at);
    try {
      await inTurns(conditions, rounds, async ({ main, state, measured }, round) => {
        progress(round / rounds, `round ${round + 1} of ${rounds}`);
        const env = {
          ...exportByDefault(collector, 'http/protobuf'),
          WHODUNIT_STATE_DIR: join(at.directory.path, state),
        };
        measured.push(await started(at, main, env));
      });
    } finally {
      await loader.stop();
    }
  } finally {
    at.directory.remove();
    await collector.stop();
  }
  return {
    figures: [
      compare('ready', 'ready', 'ms', mine, theirs, otherService.name, ({ readyMs }) => readyMs),
      compare('cpu', 'processor time until ready', 'ms', mine, theirs, otherService.name, (one) => one.processorMs),
      compare('memory', 'memory alone on a machine', 'MB', mine, theirs, otherService.name, (one) => one.memoryMB),
    ],
  };
};

async function started(at: Place, main: string, env: NodeJS.ProcessEnv): Promise<Start> {
  const start = performance.now();
  const service = startService(at, env, [], undefined, main);
  try {
    await serviceReady(at, service);
    const [readyMs, processorMs] = [performance.now() - start, cpuNs(service.pid) / 1e6];
    await sleep(AT_REST_MS);
    return { readyMs, processorMs, memoryMB: aloneBytes(service.pid) / MB };
  } finally {
    await service.stop();
  }
}

function compare(
  id: string,
  title: string,
  unit: string,
  mine: readonly Start[],
  theirs: readonly Start[],
  name: string,
  value: (start: Start) => number,
): Figure {
  const [of, to] = [mine.map(value), theirs.map(value)];
  const [median, before] = [of, to].map((values) => quantile(values, 0.5).toFixed(1));
  return figure(
    `starts.before.${id}`,
    `service: ${title} / that of ${name}`,
    'ratio',
    estimateRatio(of, to),
    `medians: ${median} / ${before} ${unit}`,
  );
}
