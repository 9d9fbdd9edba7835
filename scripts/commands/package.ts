// SPDX-License-Identifier: Apache-2.0
// `npm run package`: the packages that are released, in build/packages/.
import { command, readFlags } from '../base/command.ts';
import { makePackages } from '../build/packages.ts';

const HELP = `npm run package

Makes .deb and .rpm for x86-64 and arm64, and the npm package, in build/packages/. Takes no options.`;

await command(async () => {
  if (readFlags({ help: { type: 'boolean' } }).help) console.log(HELP);
  else await makePackages();
  return 0;
});
