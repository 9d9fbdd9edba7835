// `npm run test:delivery`: images, compose files, manifests, units and packages, each as its user has it; part of `npm test`.
//
// SPDX-License-Identifier: Apache-2.0

import { testDelivery } from './delivery.mjs';
import { isRoot } from './privileges.mjs';
import { buildMortal, command, Failure, installAndBuild } from './steps.mjs';

const HELP = `npm run test:delivery -- [paths]

Builds the images and packages, and runs what is delivered: all of test/delivery, or the test files at or below the paths.
The first time it builds tools and a Debian for that (many minutes), which stay in ~/.cache/whodunit. Needs root.`;

await command(async () => {
  const paths = process.argv.slice(2);
  if (paths.includes('--help')) {
    console.log(HELP);
    return 0;
  }
  if (!isRoot()) throw new Failure('A Docker daemon and the probes need root: sudo npm run test:delivery.');
  await installAndBuild();
  await buildMortal();
  const { passed, failed } = await testDelivery(paths.length > 0 ? paths : undefined);
  console.log(`${passed} passed, ${failed} failed`);
  return failed === 0 ? 0 : 1;
});
