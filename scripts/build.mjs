// `npm run build`: the loader in build/, the service in dist/.
//
// SPDX-License-Identifier: Apache-2.0

import { command, installAndBuild } from './steps.mjs';

await command(installAndBuild);
