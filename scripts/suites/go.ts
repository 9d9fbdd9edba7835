// SPDX-License-Identifier: Apache-2.0
// Runs `go test` and counts what it reports.
import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { own } from '../base/owned.ts';
import { print } from '../base/screen.ts';
import { ROOT } from '../paths.ts';
import type { Counts } from './counts.ts';

/** The fields of a test2json event that are read. */
export interface TestEvent {
  readonly Action: string;
  readonly Package: string;
  readonly Test?: string;
  readonly Output?: string;
}

export async function goTests(): Promise<Counts> {
  const child = own(spawn('go', ['test', '-json', './...'], { cwd: ROOT, stdio: ['ignore', 'pipe', 'inherit'] }));
  const events: TestEvent[] = [];
  createInterface({ input: child.stdout }).on('line', (line) => {
    const event: TestEvent = JSON.parse(line);
    events.push(event);
    if (event.Output !== undefined && !/^(=== |\s*--- PASS|PASS$)/.test(event.Output)) print(event.Output.trimEnd());
  });
  const code = await new Promise<number | null>((resolve, reject) => {
    child.on('error', reject);
    child.on('close', resolve);
  });
  return countEvents(events, code);
}

/**
 * Counts tests without subtests. A package that fails without a failed test (it does not build, or it failed outside its tests) counts as
 * one failure.
 */
export function countEvents(events: readonly TestEvent[], exitCode: number | null): Counts {
  const results = new Map<string, { readonly action: string; readonly package: string }>();
  const failedPackages = new Set<string>();
  for (const { Action, Package, Test } of events) {
    if (!['pass', 'fail', 'skip'].includes(Action)) continue;
    if (Test !== undefined) results.set(`${Package}: ${Test}`, { action: Action, package: Package });
    else if (Action === 'fail') failedPackages.add(Package);
  }
  const names = [...results.keys()];
  const leaves = names.filter((name) => !names.some((other) => other.startsWith(`${name}/`)));
  const thatEnded = (action: string) => leaves.filter((name) => results.get(name)?.action === action);
  const failed = thatEnded('fail');
  for (const name of failed) failedPackages.delete(results.get(name)?.package ?? '');
  const failures = [...failed, ...[...failedPackages].map((name) => `${name} (failed outside its tests)`)];
  return {
    passed: thatEnded('pass').length,
    failed: failures.length === 0 && exitCode !== 0 ? [`go test (ended with ${exitCode})`] : failures,
    skipped: thatEnded('skip'),
  };
}
