// SPDX-License-Identifier: Apache-2.0
// `npm run package`: makes the release packages in build/packages/.
import { command, Failure, readFlags } from '../base/command.ts';
import { makePackages } from '../build/packages.ts';
import { ARCHS } from '../build/prebuilt.ts';

const HELP = `npm run package -- [options]

Makes the .deb, .rpm and .tar.gz packages for x86-64 and arm64, and the npm package, in build/packages/, with what is inside
them (*.cdx.json) and SHA256SUMS. The same commit gives the same bytes; SOURCE_DATE_EPOCH replaces the date of the commit.

  --arch NAME  only for amd64 or arm64; the npm package has both
  --help       show this text`;

await command(async () => {
  const { help, arch } = readFlags({ help: { type: 'boolean' }, arch: { type: 'string' } });
  if (help) {
    console.log(HELP);
    return 0;
  }
  const archs = ARCHS.filter(({ go }) => arch === undefined || go === arch);
  if (archs.length === 0) throw new Failure(`--arch is ${arch}; it must be amd64 or arm64. See --help.`);
  await makePackages(archs);
  return 0;
});
