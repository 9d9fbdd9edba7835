// SPDX-License-Identifier: Apache-2.0
// `npm run test:mutants`: mutation testing. Last line: `N passed, N failed`.
import { command, Failure, readFlags } from '../base/command.ts';
import { report } from '../suites/counts.ts';
import { mutatedFiles, testMutants } from '../suites/mutants/mutants.ts';

const HELP = `npm run test:mutants -- [options]

Changes src/core/verdict and src/core/delivery in every way that Stryker knows (a mutant: \`&&\` → \`||\`, a text → '', a block without
its statements), and runs the tests of that directory with each change. A mutant that no test notices is printed and counts as failed.
A mutant that no test can notice is listed with the reason in scripts/suites/mutants/equivalent.json.

  --only FILE   the mutants of one file only (origin.ts), or of one directory (delivery/)
  --help        show this text`;

await command(async () => {
  const { only, help } = readFlags({ only: { type: 'string' }, help: { type: 'boolean', short: 'h' } });
  if (help) {
    console.log(HELP);
    return 0;
  }
  const files = mutatedFiles();
  const chosen = only === undefined ? files : files.filter((file) => `/${file}`.includes(`/${only}`));
  if (chosen.length === 0) throw new Failure(`${only} is not mutated; these files are: ${files.join(', ')}.`);
  return report(await testMutants(chosen));
});
