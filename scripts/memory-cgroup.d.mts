// SPDX-License-Identifier: Apache-2.0
// The types of memory-cgroup.mjs, for the tests in TypeScript.
export function limitedCgroup(name: string, limitBytes: number): { directory: string; remove: () => Promise<void> };
