// The tests of what is delivered: images, compose files, manifests, units, packages (test/delivery). Here everything is prepared that
// they need; the first time that takes many minutes, and later seconds.
//
// SPDX-License-Identifier: Apache-2.0

import { join } from 'node:path';
import { collector } from './build-collector.mjs';
import { goTool, TOOLS } from './go-tools.mjs';
import { imageBases } from './image-bases.mjs';
import { makePackages } from './package.mjs';
import { requirePackages } from './packages.mjs';
import { ROOT, run, step } from './steps.mjs';
import { vitest } from './vitest.mjs';

const PACKAGES = ['docker.io', 'iptables', 'iproute2', 'util-linux', 'systemd', 'rpm'];

/** Runs the tests and gives how many passed, failed, were skipped. */
export async function testDelivery(paths = ['test/delivery']) {
  await requirePackages(PACKAGES, 'The test of images and packages');
  const tools = {};
  for (const name of Object.keys(TOOLS)) tools[name] = await goTool(name);
  await step('building the reader of Kubernetes manifests', () =>
    run('go', ['build', '-o', join(ROOT, 'build/manifests'), '.'], { cwd: join(ROOT, 'test/delivery/kubernetes') }),
  );
  await makePackages();
  const env = {
    WHODUNIT_TEST_BASES: JSON.stringify(await imageBases()),
    WHODUNIT_TEST_COLLECTOR: await collector(),
    WHODUNIT_TEST_TOOLS: JSON.stringify(tools),
  };
  return vitest(paths, env);
}
