// SPDX-License-Identifier: Apache-2.0
// Makes the packages in build/packages/: .deb, .rpm (packaging/nfpm.yaml lists their contents) and .tar.gz for both architectures, and the npm
// package; beside them what is inside (sbom.ts) and the checksums. The same commit gives the same bytes.
import { createHash } from 'node:crypto';
import { chmodSync, cpSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { run, step } from '../base/run.ts';
import { ROOT } from '../paths.ts';
import { goParts, type Part } from './contents.ts';
import { buildGoTool } from './go-tools.ts';
import { notices } from './notices.ts';
import { ARCHS, buildPrebuilt, NOTICES, PREBUILT } from './prebuilt.ts';
import { sbom } from './sbom.ts';
import { writeShellFiles } from './shell-files.ts';
import { settle, sourceDate } from './stage.ts';

export const PACKAGES = join(ROOT, 'build/packages');
const STAGED = join(PACKAGES, 'staged');
const SHA256SUMS = 'SHA256SUMS';
/** What the npm package has. */
const NPM = ['package.json', 'README.md', 'LICENSE', 'dist', 'prebuilt'];

interface Release {
  readonly version: string;
  /** Of Node.js. */
  readonly nodeVersion: string;
  readonly date: number;
  readonly npm: readonly Part[];
}

type Arch = (typeof ARCHS)[number];

const copy = (from: string, to: string): void => cpSync(join(ROOT, from), to, { recursive: true });

/** Fetches the Node.js of package.json for an architecture, from npm. Returns the directory with program and licence. */
async function fetchNode(arch: string, version: string): Promise<string> {
  const directory = join(STAGED, 'fetched');
  mkdirSync(directory, { recursive: true });
  const name = `node-linux-${arch}@${version}`;
  const remedy = 'It needs the npm registry once; see the output above.';
  await step(`fetching ${name}`, async () => {
    await run('npm', ['pack', name, '--pack-destination', directory, '--prefer-offline', '--silent'], { remedy });
    const [archive = ''] = readdirSync(directory);
    await run('tar', ['-xzf', join(directory, archive), '-C', directory, 'package/bin/node', 'package/LICENSE']);
  });
  return join(directory, 'package');
}

/** Lays out what packaging/nfpm.yaml names: programs, documents, files for shells, for systemd, and configuration. */
async function stage({ node, go }: Arch, { version, nodeVersion, date, npm }: Release): Promise<void> {
  const at = (name: string) => join(STAGED, name);
  const loader = join(PREBUILT, `linux-${node}`, 'whodunit-loader');
  const fetched = await fetchNode(node, nodeVersion);
  const nodePart = { name: 'Node.js', version: nodeVersion, directory: fetched };
  mkdirSync(at('programs'), { recursive: true });
  for (const name of ['package.json', 'dist']) copy(name, at(`programs/${name}`));
  cpSync(loader, at('programs/whodunit-loader'));
  renameSync(join(fetched, 'bin/node'), at('programs/node'));
  copy('packaging/whodunit.sh', at('programs/whodunit'));
  for (const name of ['whodunit', 'whodunit-loader', 'node']) chmodSync(at(`programs/${name}`), 0o755);
  for (const name of ['LICENSE', 'README.md']) copy(name, at(`documents/${name}`));
  writeFileSync(at(`documents/${NOTICES}`), notices([...npm, ...(await goParts(loader)), nodePart]));
  writeShellFiles(at('shell'), version);
  copy('examples/systemd', at('systemd'));
  copy('packaging/rules.yaml', at('rules.yaml'));
  rmSync(at('fetched'), { recursive: true });
  settle(STAGED, date);
  const inside = { version, date, npm, loaders: [loader], node: { arch: node, version: nodeVersion } };
  writeFileSync(join(PACKAGES, `whodunit-${version}-linux-${go}.cdx.json`), await sbom(inside));
}

async function makeSystemPackages({ go }: Arch, { version, date }: Release): Promise<void> {
  const nfpm = await buildGoTool('nfpm');
  const env = { PACKAGE_ARCH: go, PACKAGE_VERSION: version, PACKAGE_ROOT: STAGED, SOURCE_DATE_EPOCH: `${date}` };
  for (const packager of ['deb', 'rpm'])
    await step(`making the .${packager} for ${go}`, () =>
      run(nfpm, ['package', '--config', 'packaging/nfpm.yaml', '--packager', packager, '--target', PACKAGES], { env }),
    );
}

/** Makes one folder of what is staged, and the archive of it. */
async function makeArchive({ go }: Arch, { version, date }: Release): Promise<void> {
  const name = `whodunit-${version}-linux-${go}`;
  const folder = join(STAGED, name);
  renameSync(join(STAGED, 'programs'), folder);
  cpSync(join(STAGED, 'documents'), folder, { recursive: true });
  renameSync(join(STAGED, 'shell'), join(folder, 'shell'));
  settle(folder, date);
  const same = ['--sort=name', '--format=gnu', '--owner=0', '--group=0', '--numeric-owner'];
  const archive = join(PACKAGES, `${name}.tar.gz`);
  await step(`making the .tar.gz for ${go}`, () =>
    run('tar', ['--create', ...same, '--use-compress-program=gzip -n', '--file', archive, '-C', STAGED, name]),
  );
}

async function makeNpmPackage({ version, date, npm }: Release): Promise<void> {
  mkdirSync(STAGED);
  for (const name of NPM) copy(name, join(STAGED, name));
  settle(STAGED, date);
  await step('making the npm package', () =>
    run('npm', ['pack', STAGED, '--ignore-scripts', '--pack-destination', PACKAGES]),
  );
  const loaders = ARCHS.map(({ node }) => join(PREBUILT, `linux-${node}`, 'whodunit-loader'));
  const inside = { version, date, npm, loaders, node: null };
  writeFileSync(join(PACKAGES, `whodunit-${version}-npm.cdx.json`), await sbom(inside));
}

/** In the form of sha256sum(1). */
function checksums(): string {
  const lines = readdirSync(PACKAGES).map((name) => {
    const hash = createHash('sha256').update(readFileSync(join(PACKAGES, name)));
    return `${hash.digest('hex')}  ${name}\n`;
  });
  return lines.join('');
}

export async function makePackages(archs: readonly Arch[] = ARCHS): Promise<void> {
  const { version, devDependencies } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8'));
  const date = await sourceDate();
  const release = { version, nodeVersion: devDependencies.node, date, npm: await buildPrebuilt() };
  rmSync(PACKAGES, { recursive: true, force: true });
  for (const arch of archs) {
    mkdirSync(STAGED, { recursive: true });
    await stage(arch, release);
    await makeSystemPackages(arch, release);
    await makeArchive(arch, release);
    rmSync(STAGED, { recursive: true });
  }
  await makeNpmPackage(release);
  rmSync(STAGED, { recursive: true });
  writeFileSync(join(PACKAGES, SHA256SUMS), checksums());
}
