// SPDX-License-Identifier: Apache-2.0
// `npm run test:fuzz`: only the fuzzers. Last line: `N passed, N failed`.
import { command, Failure, readFlags } from '../base/command.ts';
import { report } from '../suites/counts.ts';
import { fuzz } from '../suites/fuzz.ts';

const HELP = `npm run test:fuzz -- [options]

Feeds random bytes to the decoders of ring records and wire lines, in both languages.

  --seconds N   how long each fuzzer runs (default: 60)
  --help        show this text

A Go fuzzer writes a failing input to testdata/fuzz of its package; \`go test\` then runs it as a test case.`;

await command(async () => {
  const { seconds, help } = readFlags({ seconds: { type: 'string', default: '60' }, help: { type: 'boolean' } });
  if (help) {
    console.log(HELP);
    return 0;
  }
  if (!/^[1-9]\d{0,5}$/.test(seconds))
    throw new Failure(`--seconds is ${seconds}; it must be an integer from 1 to 999999. See --help.`);
  return report(await fuzz(Number(seconds)));
});
