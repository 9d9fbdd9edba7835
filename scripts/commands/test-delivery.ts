// SPDX-License-Identifier: Apache-2.0
// `npm run test:delivery`: only the tests of images, compose files, manifests, units and packages, each run as a user would run it.
import { command, Failure } from '../base/command.ts';
import { isRoot } from '../base/privileges.ts';
import { makePackages } from '../build/packages.ts';
import { build, buildMortal } from '../build/programs.ts';
import { report } from '../suites/counts.ts';
import { prepareDelivery, testDelivery } from '../suites/delivery.ts';

const HELP = `npm run test:delivery -- [paths]

Builds the images and packages and tests them: all of test/delivery, or the test files at or below the paths. The first run also
builds tools and a Debian base (many minutes), which are kept in ~/.cache/whodunit. Needs root.`;

await command(async () => {
  const paths = process.argv.slice(2);
  if (paths.includes('--help')) {
    console.log(HELP);
    return 0;
  }
  if (!isRoot()) throw new Failure('A Docker daemon and the probes need root: sudo npm run test:delivery');
  await build();
  await buildMortal();
  await makePackages();
  return report(await testDelivery(await prepareDelivery(), paths.length > 0 ? paths : undefined));
});
