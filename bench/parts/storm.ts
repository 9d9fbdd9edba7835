// SPDX-License-Identifier: Apache-2.0
// As many terminations as possible, of two kinds of processes: at the default settings, and with a record of each, also without the history.
import type { Figure } from '../figures.ts';
import type { Part } from './part.ts';
import { stormByDefault } from './storm-default.ts';
import { stormWithAndWithoutHistory } from './storm-history.ts';
import { STORM_KINDS } from './storm-kinds.ts';
import { stormOfRecords } from './storm-records.ts';

const MEASURED = [stormByDefault, stormOfRecords, stormWithAndWithoutHistory];

export const storm: Part = async (run) => {
  const figures: Figure[] = [];
  const steps = MEASURED.flatMap((measure) => STORM_KINDS.map((kind) => ({ measure, kind })));
  for (const [index, { measure, kind }] of steps.entries()) {
    const progress = (fraction: number, text: string) =>
      run.progress((index + fraction) / steps.length, `${kind.title}: ${text}`);
    figures.push(...(await measure(kind, { ...run, progress })));
  }
  return { figures };
};
