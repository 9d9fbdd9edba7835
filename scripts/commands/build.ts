// SPDX-License-Identifier: Apache-2.0
// `npm run build`: builds the loader into build/ and the service into dist/.
import { command } from '../base/command.ts';
import { build } from '../build/programs.ts';

await command(async () => {
  await build();
  return 0;
});
