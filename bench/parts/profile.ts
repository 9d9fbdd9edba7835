// SPDX-License-Identifier: Apache-2.0
// Where loader and service spend their time while deaths come in at a steady rate: by V8's profiler and by perf. Profiling costs
// time itself, so that nothing else is measured here.
import { mkdirSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { startCollector } from '../../test/stack/collector.ts';
import { startProgram, temporaryDirectory } from '../../test/stack/program.ts';
import { startWhodunit } from '../../test/stack/whodunit.ts';
import { type Figure, figure } from '../figures.ts';
import { type Share, sharesOfCpuProfile, sharesOfPerfReport } from '../profile.ts';
import { load } from '../program.ts';
import { drained, exportByDefault, type Part, settle } from './part.ts';

const RATE = 2_000;
const SECONDS = 10;
const SECONDS_QUICK = 3;
const SHOWN = 12;
const SAMPLES_PER_SECOND = 999;

export const profile: Part = async ({ quick, progress }) => {
  const seconds = quick ? SECONDS_QUICK : SECONDS;
  const directory = temporaryDirectory();
  const profiles = join(directory.path, 'profiles');
  const samples = join(directory.path, 'perf.data');
  mkdirSync(profiles);
  const collector = await startCollector({ keep: 'count' });
  try {
    const whodunit = await startWhodunit({
      ...exportByDefault(collector, 'http/protobuf'),
      NODE_OPTIONS: `--cpu-prof --cpu-prof-dir=${profiles}`,
    });
    try {
      await settle();
      progress(0.1, `${RATE} deaths/s`);
      const record = [
        'record',
        '-q',
        '-F',
        String(SAMPLES_PER_SECOND),
        '-o',
        samples,
        '-p',
        String(whodunit.loader.pid),
      ];
      const perf = startProgram('perf', [...record, '--', 'sleep', String(seconds)]);
      await load(['storm', RATE, seconds, 1]);
      const { code } = await perf.ended;
      if (code !== 0) throw new Error(`perf record ended with ${code}: ${perf.output()}`);
      await drained(whodunit.at.socket);
    } finally {
      await whodunit.stop();
    }
    const report = startProgram('perf', ['report', '-i', samples, '--stdio', '--no-children', '--sort', 'symbol']);
    await report.ended;
    const ofLoader = sharesOfPerfReport(report.stdout());
    if (ofLoader.length === 0) throw new Error(`perf report shows nothing: ${report.output()}`);
    const [file = ''] = readdirSync(profiles);
    const ofService = sharesOfCpuProfile(JSON.parse(readFileSync(join(profiles, file), 'utf8')));
    return { figures: [...figures('service', ofService), ...figures('loader', ofLoader)] };
  } finally {
    await collector.stop();
    directory.remove();
  }
};

function figures(program: string, shares: readonly Share[]): Figure[] {
  return shares
    .slice(0, SHOWN)
    .map(({ name, percent }) => figure(`profile.${program}.${name}`, `the ${program}, in ${name}`, '%', percent));
}
