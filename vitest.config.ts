// SPDX-License-Identifier: Apache-2.0
// The test projects. `npm test` selects the paths to run.
// - `unit` needs only Node.js.
// - `story` and `deaths` need the real kernel and a real collector. They run one file at a time, with longer timeouts.
// - `attacks` runs attacks and faults for real, as another user where it needs one; it needs the same.
// - `crashes` crashes real programs, and compares their stacks; it needs the same.
// - `ui` shows the page of `whodunit ui` in a browser.
// - `chaos` kills the parts of whodunit.
// - `configs` needs a collector with more components, Kafka and Prometheus.
// - `delivery` runs the released artifacts in its own Docker daemon.
// - `kernels` compares the output of booted virtual machines.
// - `fuzz` runs for a given time.
import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    projects: [
      {
        test: {
          name: 'unit',
          include: ['test/*.test.ts', 'test/{core,config,io,bench,scripts}/**/*.test.ts'],
          testTimeout: 120_000,
        },
      },
      {
        test: {
          name: 'story',
          include: ['test/story/**/*.test.ts'],
          fileParallelism: false,
          testTimeout: 300_000,
          hookTimeout: 300_000,
        },
      },
      {
        test: {
          name: 'deaths',
          include: ['test/deaths/**/*.test.ts'],
          fileParallelism: false,
          testTimeout: 300_000,
          hookTimeout: 300_000,
        },
      },
      {
        test: {
          name: 'attacks',
          include: ['test/attacks/**/*.test.ts'],
          fileParallelism: false,
          testTimeout: 300_000,
          hookTimeout: 300_000,
        },
      },
      {
        test: {
          name: 'crashes',
          include: ['test/crashes/**/*.test.ts'],
          fileParallelism: false,
          testTimeout: 1_800_000,
          hookTimeout: 300_000,
        },
      },
      {
        test: {
          name: 'ui',
          include: ['test/ui/**/*.test.ts'],
          fileParallelism: false,
          testTimeout: 300_000,
          hookTimeout: 300_000,
        },
      },
      { test: { name: 'fuzz', include: ['test/fuzz/**/*.test.ts'] } },
      { test: { name: 'chaos', include: ['test/chaos/**/*.test.ts'], fileParallelism: false } },
      {
        test: {
          name: 'delivery',
          include: ['test/delivery/**/*.test.ts'],
          fileParallelism: false,
          testTimeout: 600_000,
          hookTimeout: 1_200_000,
        },
      },
      {
        test: {
          name: 'configs',
          include: ['test/configs/**/*.test.ts'],
          fileParallelism: false,
          testTimeout: 300_000,
          hookTimeout: 300_000,
        },
      },
      { test: { name: 'kernels', include: ['test/kernels/**/*.test.ts'] } },
    ],
  },
});
