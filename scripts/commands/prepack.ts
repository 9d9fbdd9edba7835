// SPDX-License-Identifier: Apache-2.0
// Runs before `npm pack`: builds what the npm package has in it.
import { command } from '../base/command.ts';
import { buildPrebuilt } from '../build/prebuilt.ts';

await command(async () => {
  await buildPrebuilt();
  return 0;
});
