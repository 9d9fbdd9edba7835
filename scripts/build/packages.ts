// SPDX-License-Identifier: Apache-2.0
// Makes the .deb and .rpm packages for both architectures (packaging/nfpm.yaml lists their contents) and the npm package, in
// build/packages/.
import { cpSync, mkdirSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { run, step } from '../base/run.ts';
import { ROOT } from '../paths.ts';
import { buildGoTool } from './go-tools.ts';
import { ARCHS, buildPrebuilt, PREBUILT } from './prebuilt.ts';
import { writeShellFiles } from './shell-files.ts';

export const PACKAGES = join(ROOT, 'build/packages');

/** Copies what both architectures share: the bundle, and the file that says that it consists of ES modules. */
function stageService(to: string): void {
  cpSync(join(ROOT, 'package.json'), join(to, 'package.json'));
  cpSync(join(ROOT, 'dist'), join(to, 'dist'), { recursive: true });
}

/** Copies the Node.js of package.json for an architecture, from npm. */
async function stageNode(arch: string, version: string, to: string): Promise<void> {
  const directory = join(PACKAGES, `node-${arch}`);
  mkdirSync(directory, { recursive: true });
  const name = `node-linux-${arch}@${version}`;
  const remedy = 'It needs the npm registry once; see the output above.';
  await step(`fetching ${name}`, async () => {
    await run('npm', ['pack', name, '--pack-destination', directory, '--prefer-offline', '--silent'], { remedy });
    await run('tar', ['-xzf', join(directory, readdirSync(directory)[0] ?? ''), '-C', directory, 'package/bin/node']);
  });
  cpSync(join(directory, 'package/bin/node'), to);
  rmSync(directory, { recursive: true });
}

export async function makePackages(): Promise<void> {
  const { version, devDependencies } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8'));
  const nfpm = await buildGoTool('nfpm');
  await buildPrebuilt();
  rmSync(PACKAGES, { recursive: true, force: true });
  const common = join(PACKAGES, 'service');
  mkdirSync(common, { recursive: true });
  stageService(common);
  const shell = join(PACKAGES, 'shell');
  writeShellFiles(shell, version);
  for (const { node, go } of ARCHS) {
    const root = join(PACKAGES, `root-${go}`);
    cpSync(common, root, { recursive: true });
    cpSync(join(PREBUILT, `linux-${node}`, 'whodunit-loader'), join(root, 'whodunit-loader'));
    await stageNode(node, devDependencies.node, join(root, 'node'));
    const env = { PACKAGE_ARCH: go, PACKAGE_VERSION: version, PACKAGE_ROOT: root, PACKAGE_SHELL: shell };
    for (const packager of ['deb', 'rpm'])
      await step(`making the .${packager} for ${go}`, () =>
        run(nfpm, ['package', '--config', 'packaging/nfpm.yaml', '--packager', packager, '--target', PACKAGES], {
          env,
        }),
      );
    rmSync(root, { recursive: true });
  }
  for (const staged of [common, shell]) rmSync(staged, { recursive: true });
  await step('making the npm package', () => run('npm', ['pack', '--ignore-scripts', '--pack-destination', PACKAGES]));
}
