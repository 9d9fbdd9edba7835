// SPDX-License-Identifier: Apache-2.0
// Opens the page in the user's browser.
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

export interface Opened {
  /** Removes what was made for it. */
  readonly remove: () => void;
}

/** Whether there is a browser to open: a desktop, and not root's, since browsers of root have no sandbox. */
export function hasDesktop(env: NodeJS.ProcessEnv, uid: number | undefined): boolean {
  return uid !== 0 && Boolean(env.DISPLAY || env.WAYLAND_DISPLAY);
}

/**
 * The link is in a file that only this user can read: every user of the machine can read the arguments of a program. A program that is
 * missing or fails changes nothing, since the link was printed, too.
 */
export function openBrowser(link: string, env: NodeJS.ProcessEnv): Opened {
  const directory = mkdtempSync(join(env.XDG_RUNTIME_DIR ?? tmpdir(), 'whodunit-ui-'));
  const file = join(directory, 'open.html');
  writeFileSync(file, `<!doctype html><meta http-equiv="refresh" content="0; url=${link}"><a href="${link}">open</a>`, {
    mode: 0o600,
  });
  const browser = spawn('xdg-open', [file], { stdio: 'ignore', detached: true });
  browser.on('error', () => {});
  browser.unref();
  return { remove: () => rmSync(directory, { recursive: true, force: true }) };
}
