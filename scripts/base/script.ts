// SPDX-License-Identifier: Apache-2.0
// Runs a script of the project until it exits or a stop is requested, for a command that builds first.
import { Children, stopRequested } from '../../src/io/up/children.ts';
import { NODE } from '../paths.ts';

/** Returns its exit code. */
export async function runScript(
  name: string,
  args: readonly string[],
  { endOfInput }: { readonly endOfInput: boolean },
): Promise<number> {
  const children = new Children();
  const script = children.start(name, NODE, args, { stdio: ['ignore', 'inherit', 'inherit'] });
  await Promise.race([script.ended, stopRequested({ endOfInput })]);
  const [end] = await children.stopAll();
  return end?.code ?? 1;
}
