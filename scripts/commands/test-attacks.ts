// SPDX-License-Identifier: Apache-2.0
// `npm run test:attacks`: only the attacks.
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { command, Failure, readFlags } from '../base/command.ts';
import { isRoot } from '../base/privileges.ts';
import { build, buildMortal } from '../build/programs.ts';
import { ROOT } from '../paths.ts';
import { prepareAttacks, testAttacks } from '../suites/attacks.ts';
import { report } from '../suites/counts.ts';

const HELP = `npm run test:attacks -- [options]

Attacks a running whodunit as another user, and feeds it faults: a backend that fails or lies, a reader that never reads, a clock that
steps, broken files. docs/security.md lists each attack with what happens.

  --only NAME   run test/attacks/NAME.test.ts only
  --help        show this text

Needs root and BPF.`;

await command(async () => {
  const { only, help } = readFlags({ only: { type: 'string' }, help: { type: 'boolean', short: 'h' } });
  if (help) {
    console.log(HELP);
    return 0;
  }
  const paths = only === undefined ? undefined : [`test/attacks/${only}.test.ts`];
  if (paths && !existsSync(join(ROOT, ...paths)))
    throw new Failure(`There are no attacks ${only}; there are ${names()}.`);
  if (!isRoot()) throw new Failure('The loader needs root: sudo npm run test:attacks');
  await build();
  await buildMortal();
  return report(await testAttacks(await prepareAttacks(), paths));
});

function names(): string {
  const files = readdirSync(join(ROOT, 'test/attacks')).filter((file) => file.endsWith('.test.ts'));
  return files.map((file) => file.replace('.test.ts', '')).join(', ');
}
