// SPDX-License-Identifier: Apache-2.0
// Runs before `npm pack`: builds the contents of the npm package.
import { command } from '../base/command.ts';
import { buildPrebuilt } from '../build/prebuilt.ts';

await command(async () => {
  await buildPrebuilt();
  return 0;
});
