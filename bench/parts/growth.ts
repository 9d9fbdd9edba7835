// SPDX-License-Identifier: Apache-2.0
// How costs grow with sizes. A cost that must not depend on a size is held to constant, one of handling each item to linear. One function for each thing that grows; each file beside this one measures one of them.
import type { Growth } from '../figures.ts';
import { withProcesses } from './growth-processes.ts';
import { withQueue } from './growth-queue.ts';
import { withRules } from './growth-rules.ts';
import { withServices } from './growth-services.ts';
import type { Part, Run } from './part.ts';

const MEASURED: readonly ((run: Run) => Promise<readonly Growth[]>)[] = [
  withProcesses,
  withQueue,
  withRules,
  withServices,
];

export const growth: Part = async ({ quick, progress }) => {
  const all: Growth[] = [];
  for (const [index, measure] of MEASURED.entries()) {
    all.push(
      ...(await measure({ quick, progress: (fraction, text) => progress((index + fraction) / MEASURED.length, text) })),
    );
  }
  return { figures: [], growth: all };
};
