// SPDX-License-Identifier: Apache-2.0
// Reads manifests like an API server with strict validation (test/delivery/kubernetes/). No cluster runs.
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { ROOT } from '../../scripts/stack/program.ts';
import { prepared } from './bases.ts';

// biome-ignore lint/suspicious/noExplicitAny: it is Kubernetes' JSON; a test that reads it wrongly fails
export type Json = any;

export function run(program: string, args: readonly string[], input?: string) {
  const { status, stdout, stderr } = spawnSync(program, args, { encoding: 'utf8', input });
  return { status, stdout, output: `${stdout}${stderr}` };
}

/** The objects of the manifests. Throws if Kubernetes does not have a field. */
export function objects(yaml: string): Json[] {
  const { status, stdout, output } = run(prepared('WHODUNIT_TEST_MANIFESTS'), [], yaml);
  if (status !== 0) throw new Error(output);
  return stdout
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line));
}

/** The objects of a file of examples/kubernetes. */
export function example(name: string): Json[] {
  return objects(readFileSync(join(ROOT, 'examples/kubernetes', name), 'utf8'));
}

export function workloadOf(all: Json[]): Json {
  return all.find(({ kind }) => ['DaemonSet', 'Deployment'].includes(kind));
}

export function containersOf({ spec: { template } }: Json): Json[] {
  return [...template.spec.initContainers, ...template.spec.containers];
}
