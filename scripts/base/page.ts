// SPDX-License-Identifier: Apache-2.0
// The page of `whodunit ui`, as `npm run demo -- --ui` shows it.
import type { Children } from '../../src/io/up/children.ts';
import { NODE, SERVICE } from '../paths.ts';

const LINK = /http:\S+/;

/** Starts `whodunit ui`, and waits until it printed its link. `health`: of the service. */
export function showPage(children: Children, stateDir: string, health: string): Promise<void> {
  const page = children.start('the page', NODE, [SERVICE, 'ui', '--state-dir', stateDir], {
    stdio: ['ignore', 'pipe', 'inherit'],
    env: { ...process.env, WHODUNIT_HEALTH_ADDR: health },
  });
  const printed = new Promise<void>((resolve) => {
    page.child.stdout?.setEncoding('utf8').on('data', (text: string) => {
      process.stdout.write(text);
      if (LINK.test(text)) resolve();
    });
  });
  return Promise.race([printed, page.ended.then(() => {})]);
}
