// SPDX-License-Identifier: Apache-2.0
// How costs grow with sizes: a cost that must not depend on a size is compared with constant growth, a cost of handling each item with
// linear growth. Each growth-*.ts file measures one size.
import type { Growth } from '../figures.ts';
import { withHistory } from './growth-history.ts';
import { withProcesses } from './growth-processes.ts';
import { withQueue } from './growth-queue.ts';
import { withRules } from './growth-rules.ts';
import { withServices } from './growth-services.ts';
import type { Part, Run } from './part.ts';

const MEASURED: readonly ((run: Run) => Promise<readonly Growth[]>)[] = [
  withProcesses,
  withQueue,
  withHistory,
  withRules,
  withServices,
];

export const growth: Part = async (run) => {
  const all: Growth[] = [];
  for (const [index, measure] of MEASURED.entries()) {
    const progress: Run['progress'] = (fraction, text) => run.progress((index + fraction) / MEASURED.length, text);
    all.push(...(await measure({ ...run, progress })));
  }
  return { figures: [], growth: all };
};
