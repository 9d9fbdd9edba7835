// `npm run test:fuzz`: the fuzzers by themselves. Last line: `N passed, N failed`.
//
// SPDX-License-Identifier: Apache-2.0

import { fuzz } from './fuzz.mjs';
import { command, Failure, install, readFlags } from './steps.mjs';

const HELP = `npm run test:fuzz -- [options]

Feeds bytes that nobody meant to what reads the ring and the wire, in both languages.

  --seconds N   for each fuzzer (60)
  --help        this text

A Go fuzzer writes what it finds to testdata/fuzz of its package, where go test reads it from then on.`;

const OPTIONS = { seconds: { type: 'string', default: '60' }, help: { type: 'boolean' } };

await command(async () => {
  const { seconds, help } = readFlags(OPTIONS);
  if (help) {
    console.log(HELP);
    return 0;
  }
  if (!/^[1-9]\d{0,5}$/.test(seconds))
    throw new Failure(`--seconds is ${seconds}; it must be a whole number. See --help.`);
  await install();
  const { passed, failed } = await fuzz(Number(seconds));
  console.log(`${passed} passed, ${failed} failed`);
  return failed === 0 ? 0 : 1;
});
