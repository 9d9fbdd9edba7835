// SPDX-License-Identifier: Apache-2.0
// `npm run test:fuzz`: the fuzzers by themselves. Last line: `N passed, N failed`.
import { command, Failure, readFlags } from '../base/command.ts';
import { report } from '../suites/counts.ts';
import { fuzz } from '../suites/fuzz.ts';

const HELP = `npm run test:fuzz -- [options]

Feeds random bytes to the code that reads the ring and the wire, in both languages.

  --seconds N   for each fuzzer (60)
  --help        this text

A Go fuzzer writes what it finds to testdata/fuzz of its package; go test reads it from then on.`;

await command(async () => {
  const { seconds, help } = readFlags({ seconds: { type: 'string', default: '60' }, help: { type: 'boolean' } });
  if (help) {
    console.log(HELP);
    return 0;
  }
  if (!/^[1-9]\d{0,5}$/.test(seconds))
    throw new Failure(`--seconds is ${seconds}; it must be a whole number from 1 to 999999. See --help.`);
  return report(await fuzz(Number(seconds)));
});
