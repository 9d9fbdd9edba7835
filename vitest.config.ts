// SPDX-License-Identifier: Apache-2.0
// Three projects: `unit` needs nothing but Node; `story` and `deaths` need the real kernel (and a real collector), so they
// run one file at a time and are given the time that a kernel needs. `npm test` chooses among them.
import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    projects: [
      { test: { name: 'unit', include: ['test/core/**/*.test.ts', 'test/io/**/*.test.ts'], testTimeout: 15_000 } },
      {
        test: {
          name: 'story',
          include: ['test/story/**/*.test.ts'],
          fileParallelism: false,
          testTimeout: 180_000,
          hookTimeout: 300_000,
        },
      },
      {
        test: {
          name: 'deaths',
          include: ['test/deaths/**/*.test.ts'],
          fileParallelism: false,
          testTimeout: 180_000,
          hookTimeout: 300_000,
        },
      },
    ],
  },
});
