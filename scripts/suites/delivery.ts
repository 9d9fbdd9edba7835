// SPDX-License-Identifier: Apache-2.0
// The tests of the released artifacts (test/delivery): images, compose files, manifests, units and packages. The preparation takes many
// minutes the first time and seconds afterwards.
import { requirePackages } from '../base/debian.ts';
import { buildCollector } from '../build/collector.ts';
import { buildGoTool, GO_TOOLS } from '../build/go-tools.ts';
import { prepareImageBases } from '../build/image-bases.ts';
import { buildLoaderOf } from '../build/other-loader.ts';
import { packagesOf, RELEASED } from '../build/other-packages.ts';
import { buildAttackers } from '../build/programs.ts';
import { buildManifestParser } from '../build/test-programs.ts';
import type { Counts } from './counts.ts';
import { vitest } from './vitest.ts';

/** Podman is tested where it is installed. */
const PACKAGES_IN_CI = ['podman'];
const PACKAGES = ['docker.io', 'iptables', 'iproute2', 'util-linux', 'systemd', 'rpm'];

/** Builds and downloads what the tests need. Returns their environment. Requires the output of makePackages(). */
export async function prepareDelivery(): Promise<NodeJS.ProcessEnv> {
  const packages = process.env.CI === 'true' ? [...PACKAGES, ...PACKAGES_IN_CI] : PACKAGES;
  await requirePackages(packages, 'The test of images and packages');
  await buildAttackers();
  const tools: Record<string, string> = {};
  for (const name of GO_TOOLS) tools[name] = await buildGoTool(name);
  return {
    WHODUNIT_TEST_BASES: JSON.stringify(await prepareImageBases()),
    WHODUNIT_TEST_COLLECTOR: await buildCollector(),
    WHODUNIT_TEST_MANIFESTS: await buildManifestParser(),
    WHODUNIT_TEST_TOOLS: JSON.stringify(tools),
    WHODUNIT_TEST_RELEASED: await packagesOf(RELEASED),
    WHODUNIT_TEST_OLDEST_LOADER: await buildLoaderOf(),
  };
}

export function testDelivery(
  prepared: NodeJS.ProcessEnv,
  paths: readonly string[] = ['test/delivery'],
): Promise<Counts> {
  return vitest(paths, prepared);
}
