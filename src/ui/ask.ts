// SPDX-License-Identifier: Apache-2.0
// Requests to the server of the page.
import type { ErrorAnswer } from '../core/page/answers.ts';

/** What the server answered, or why there is no answer: the page shows the sentence. */
export type Asked<T> = { readonly ok: true; readonly value: T } | { readonly ok: false; readonly error: string };

const GONE =
  '`whodunit ui` does not answer: it was stopped, or is suspended. Start it again and open the link that it prints.';
const CLOSED =
  'This browser has no access any more. Press Enter in the terminal of `whodunit ui` and open the link that it prints.';

export async function ask<T>(path: string, query: URLSearchParams, signal?: AbortSignal): Promise<Asked<T>> {
  let response: Response;
  try {
    response = await fetch(`api/${path}?${query}`, signal === undefined ? {} : { signal });
  } catch {
    return { ok: false, error: GONE };
  }
  if (response.status === 403) return { ok: false, error: CLOSED };
  try {
    const body: unknown = await response.json();
    return response.ok ? { ok: true, value: body as T } : { ok: false, error: (body as ErrorAnswer).error };
  } catch {
    return { ok: false, error: GONE };
  }
}
