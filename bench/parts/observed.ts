// SPDX-License-Identifier: Apache-2.0
// A start of the loader without the kernel's BTF, whose types it finds by observation and verifies, beside one with it, in turns. `calibrate` may have
// kept them before: then they are only verified.
import { join } from 'node:path';
import { run } from '../../scripts/base/run.ts';
import { loaderWithoutBtf } from '../../scripts/stack/hidden.ts';
import { LOADER } from '../../scripts/stack/program.ts';
import { place, startLoader } from '../../scripts/stack/whodunit.ts';
import { type Figure, figure } from '../figures.ts';
import { estimate, estimateRatio } from '../statistics.ts';
import { inTurns, type Part } from './part.ts';

const ROUNDS = 15;
const ROUNDS_QUICK = 3;

export const observed: Part = async ({ quick, progress }) => {
  const rounds = quick ? ROUNDS_QUICK : ROUNDS;
  const at = await place();
  try {
    const hidden = loaderWithoutBtf(at.directory.path);
    const kept = join(at.directory.path, 'calibration.json');
    await run(hidden, ['calibrate', '--calibration', kept]);
    const described = { loader: LOADER, calibration: 'none', seconds: [] as number[] };
    const found = { loader: hidden, calibration: join(at.directory.path, 'none'), seconds: [] as number[] };
    const verified = { loader: hidden, calibration: kept, seconds: [] as number[] };
    await inTurns([described, found, verified], rounds, async ({ loader, calibration, seconds }, round) => {
      progress(round / rounds, `round ${round + 1} of ${rounds}`);
      const start = performance.now();
      const started = await startLoader(at, { WHODUNIT_CALIBRATION: calibration }, loader);
      seconds.push((performance.now() - start) / 1000);
      await started.stop();
    });
    return { figures: figures(described.seconds, found.seconds, verified.seconds) };
  } finally {
    at.directory.remove();
  }
};

function figures(described: readonly number[], found: readonly number[], verified: readonly number[]): Figure[] {
  return [
    figure('observed.start.described', "start of the loader with the kernel's BTF", 's', estimate(described)),
    figure('observed.start.found', 'start of the loader that finds the types', 's', estimate(found)),
    figure(
      'observed.start',
      'start of the loader that finds the types / with BTF',
      'ratio',
      estimateRatio(found, described),
    ),
    figure(
      'observed.start.kept',
      'start of the loader with kept types / with BTF',
      'ratio',
      estimateRatio(verified, described),
    ),
  ];
}
