// SPDX-License-Identifier: Apache-2.0
// `npm run package`: makes the release packages in build/packages/.
import { command, readFlags } from '../base/command.ts';
import { makePackages } from '../build/packages.ts';

const HELP = `npm run package

Makes the .deb and .rpm packages for x86-64 and arm64, and the npm package, in build/packages/. Has no options.`;

await command(async () => {
  if (readFlags({ help: { type: 'boolean' } }).help) console.log(HELP);
  else await makePackages();
  return 0;
});
