// SPDX-License-Identifier: Apache-2.0
// GET requests over the socket of Docker or Podman, with a limit on everything: the time until an answer begins, the time and the bytes of a
// whole one, the length of a line. No other method is ever used.
import { type IncomingMessage, request } from 'node:http';
import { StringDecoder } from 'node:string_decoder';

/** What an answer does not say, or not as it should. The message is a clause about the socket. */
export class AnswerError extends Error {
  /** HTTP's; null: there was no whole answer. */
  readonly status: number | null;

  constructor(message: string, status: number | null = null) {
    super(message);
    this.name = 'AnswerError';
    this.status = status;
  }
}

export interface Limits {
  /** Until the headers; of a whole answer, until its end. */
  readonly timeoutMs: number;
  readonly bytesMax: number;
}

/** Resolves with the answer once its headers are there. Rejects if it is not 200 OK. */
export function get(
  socketPath: string,
  path: string,
  timeoutMs: number,
  signal: AbortSignal,
): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    const asked = request({ socketPath, path, method: 'GET', agent: false, signal, headers: { host: 'docker' } });
    const timer = setTimeout(() => asked.destroy(tooSlow(path, timeoutMs)), timeoutMs);
    asked.once('response', (answer) => {
      clearTimeout(timer);
      if (answer.statusCode === 200) return resolve(answer);
      answer.on('error', () => {});
      answer.destroy();
      reject(new AnswerError(`answered GET ${plain(path)} with HTTP ${answer.statusCode}`, answer.statusCode));
    });
    asked.on('error', (error) => {
      clearTimeout(timer);
      reject(error);
    });
    asked.end();
  });
}

/** Resolves with the JSON of a whole answer. */
export async function getJson(
  socketPath: string,
  path: string,
  { timeoutMs, bytesMax }: Limits,
  signal: AbortSignal,
): Promise<unknown> {
  const deadline = performance.now() + timeoutMs;
  const answer = await get(socketPath, path, timeoutMs, signal);
  const timer = setTimeout(() => answer.destroy(tooSlow(path, timeoutMs)), deadline - performance.now());
  const chunks: Buffer[] = [];
  let bytes = 0;
  try {
    for await (const chunk of answer as AsyncIterable<Buffer>) {
      bytes += chunk.length;
      if (bytes > bytesMax) throw new AnswerError(`answered GET ${plain(path)} with more than ${bytesMax} bytes`);
      chunks.push(chunk);
    }
  } finally {
    clearTimeout(timer);
    answer.destroy();
  }
  return parse(Buffer.concat(chunks).toString(), path);
}

/** Yields the lines that have come, without those that are longer than `lineCharsMax`, of which it yields null. */
export async function* linesOf(answer: IncomingMessage, lineCharsMax: number): AsyncGenerator<(string | null)[]> {
  const decoder = new StringDecoder('utf8');
  let rest = '';
  let isTooLong = false;
  for await (const chunk of answer as AsyncIterable<Buffer>) {
    const parts = decoder.write(chunk).split('\n');
    const lines = parts.slice(0, -1).map((part, index) => {
      const line = index === 0 ? rest + part : part;
      return (index === 0 && isTooLong) || line.length > lineCharsMax ? null : line;
    });
    const last = parts.at(-1) ?? '';
    const isNew = parts.length > 1;
    isTooLong = (isTooLong && !isNew) || (isNew ? last : rest + last).length > lineCharsMax;
    rest = isTooLong ? '' : isNew ? last : rest + last;
    if (lines.length > 0) yield lines;
  }
}

function parse(text: string, path: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw new AnswerError(`answered GET ${plain(path)} with something that is not JSON`);
  }
}

function tooSlow(path: string, timeoutMs: number): AnswerError {
  return new AnswerError(`did not answer GET ${plain(path)} within ${timeoutMs} ms`);
}

/** Without the query. */
function plain(path: string): string {
  return path.split('?')[0] ?? path;
}
