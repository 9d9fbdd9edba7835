// SPDX-License-Identifier: Apache-2.0
// A fleet of simulated hosts before the shipped configurations: gateway.yaml with a real Kafka, collector.yaml, a real Loki. Has a page of its
// own, docs/scale.md.
import { startGatewayStack } from '../../scripts/stack/gateway.ts';
import type { Figure } from '../figures.ts';
import type { Part, Run } from './part.ts';
import { gatewayFigures } from './scale-gateway.ts';
import { lokiFigures } from './scale-loki.ts';
import { metricsFigures } from './scale-metrics.ts';
import { needsFigures } from './scale-needs.ts';
import { wireFigures } from './scale-wire.ts';

export const scale: Part = async (run) => {
  const figures: Figure[] = [];
  run.progress(0, 'bytes on the wire');
  figures.push(...(await wireFigures()));
  const stack = await startGatewayStack();
  try {
    figures.push(...(await gatewayFigures(stack, within(run, 0.05, 0.6))));
    figures.push(...(await metricsFigures(stack, within(run, 0.6, 0.75))));
  } finally {
    await stack.stop();
  }
  figures.push(...(await lokiFigures(within(run, 0.75, 1))));
  return { figures: [...figures, ...needsFigures(figures)] };
};

/** The run with the progress of a share of it. */
function within(run: Run, from: number, to: number): Run {
  return { ...run, progress: (fraction, text) => run.progress(from + fraction * (to - from), text) };
}
