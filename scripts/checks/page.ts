// SPDX-License-Identifier: Apache-2.0
// Limits the size of the page of `whodunit ui`: all of it, as it is sent.
import { Failure } from '../base/command.ts';
import { buildPage, pageFiles } from '../build/page.ts';

const PAGE_BYTES_MAX = 150_000;

export async function checkPage(): Promise<void> {
  await buildPage();
  const files = pageFiles();
  const bytes = files.reduce((sum, file) => sum + file.bytes, 0);
  if (bytes <= PAGE_BYTES_MAX) return;
  const list = files.map(({ name, bytes }) => `${name}: ${bytes} bytes`).join('\n');
  throw new Failure(
    `The page has ${bytes} bytes; ${PAGE_BYTES_MAX} are allowed: leave out what it does not need.`,
    list,
  );
}
