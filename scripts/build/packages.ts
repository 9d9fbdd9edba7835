// SPDX-License-Identifier: Apache-2.0
// Makes the .deb and the .rpm of both processors in build/packages/ (packaging/nfpm.yaml says what is in them), and the npm package
// beside them.
import { cpSync, mkdirSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { run, step } from '../base/run.ts';
import { ROOT } from '../paths.ts';
import { buildGoTool } from './go-tools.ts';
import { ARCHS, buildPrebuilt, PREBUILT } from './prebuilt.ts';

export const PACKAGES = join(ROOT, 'build/packages');

/** What both processors share: the compiled service and the packages that it needs. */
async function stageService(to: string): Promise<void> {
  for (const file of ['package.json', 'package-lock.json']) cpSync(join(ROOT, file), join(to, file));
  const remedy = 'It needs the npm registry once; the output above says what was missing.';
  const quiet = ['--omit=dev', '--ignore-scripts', '--no-audit', '--no-fund', '--prefer-offline'];
  await step('installing what the service needs at run time', () => run('npm', ['ci', ...quiet], { cwd: to, remedy }));
  rmSync(join(to, 'package-lock.json'));
  cpSync(join(ROOT, 'dist'), join(to, 'dist'), { recursive: true });
}

/** The Node.js of package.json for a processor, from npm. */
async function stageNode(arch: string, version: string, to: string): Promise<void> {
  const directory = join(PACKAGES, `node-${arch}`);
  mkdirSync(directory, { recursive: true });
  const name = `node-linux-${arch}@${version}`;
  const remedy = 'It needs the npm registry once; the output above says what was missing.';
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
  await stageService(common);
  for (const { node, go } of ARCHS) {
    const root = join(PACKAGES, `root-${go}`);
    cpSync(common, root, { recursive: true });
    cpSync(join(PREBUILT, `linux-${node}`, 'whodunit-loader'), join(root, 'whodunit-loader'));
    await stageNode(node, devDependencies.node, join(root, 'node'));
    const env = { PACKAGE_ARCH: go, PACKAGE_VERSION: version, PACKAGE_ROOT: root };
    for (const packager of ['deb', 'rpm'])
      await step(`making the .${packager} for ${go}`, () =>
        run(nfpm, ['package', '--config', 'packaging/nfpm.yaml', '--packager', packager, '--target', PACKAGES], {
          env,
        }),
      );
    rmSync(root, { recursive: true });
  }
  rmSync(common, { recursive: true });
  await step('making the npm package', () => run('npm', ['pack', '--ignore-scripts', '--pack-destination', PACKAGES]));
}
