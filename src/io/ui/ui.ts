// SPDX-License-Identifier: Apache-2.0
// `whodunit ui`: serves the page until Ctrl-C.
import { once } from 'node:events';
import type { UiSettings } from '../../config/read.ts';
import { openHistory } from '../history/reader.ts';
import { print } from '../output.ts';
import type { History } from './answers.ts';
import { watcherHealth } from './health.ts';
import { hasDesktop, type Opened, openBrowser } from './open.ts';
import { servePage } from './server.ts';

/** Returns the exit code. */
export async function ui({ stateDir, health, port, open }: UiSettings, stop: AbortSignal): Promise<number> {
  const history = opener(stateDir);
  const serving = await servePage({ history, health: () => watcherHealth(health) }, port);
  const more = process.stdin.isTTY ? ' Enter prints another one,' : '';
  await print(`${serving.link()}\n\nOpen this link; it works once.${more} Ctrl-C ends it.\n`);
  process.stdin.on('data', () => void print(`${serving.link()}\n`)).on('error', () => {});
  let opened: Opened | null = null;
  if (open && hasDesktop(process.env, process.getuid?.())) opened = openBrowser(serving.link(), process.env);
  if (!stop.aborted) await once(stop, 'abort');
  serving.close();
  opened?.remove();
  return 0;
}

/** Opens the history when it is asked for, and again after it could not be read: it may be written later. */
function opener(stateDir: string): () => History {
  let history: History | null = null;
  return () => {
    history ??= openHistory(stateDir);
    return history;
  };
}
