// SPDX-License-Identifier: Apache-2.0
// Expectations that several cases share. A case adds its own attributes.
import type { Expectation } from './case.ts';

export const exit = (code: number): Expectation => ({ cause: 'exit', errorType: String(code) });
/** The process handled a signal of another process and then exited. */
export const exitAfterSignal = (code: number, signal: string, number: number): Expectation => ({
  ...exit(code),
  senderKind: 'process',
  handledSignal: number,
  attributes: { 'whodunit.signal.name': signal, 'whodunit.signal.disposition': 'handled' },
});
/** The process handled a signal of another process and then exited with code 0. */
export const gracefulStop = (signal: string, number: number): Expectation => ({
  ...exitAfterSignal(0, signal, number),
  cause: 'graceful_stop',
  errorType: undefined,
});
export const killed = (signal: string): Expectation => ({
  cause: 'killed',
  errorType: signal,
  senderKind: 'process',
  attributes: { 'whodunit.signal.name': signal, 'whodunit.signal.disposition': 'default' },
});
export const kernel = (cause: string, signal: string): Expectation => ({
  cause,
  errorType: signal,
  senderKind: 'kernel',
});
export const fault = (
  signal: string,
  code: string | RegExp,
  attributes: Expectation['attributes'] = {},
): Expectation => ({
  ...kernel('fault', signal),
  attributes: {
    'whodunit.signal.name': signal,
    'whodunit.signal.code': code,
    'whodunit.fault.instruction_pointer': /^0x[0-9a-f]+$/,
    'exception.type': signal,
    ...attributes,
  },
});
export const segfault = { 'whodunit.fault.address': '0xbeef', 'exception.message': 'SEGV_MAPERR at 0xbeef' };
export const abort: Expectation = {
  cause: 'abort',
  errorType: 'SIGABRT',
  senderKind: 'self',
  attributes: { 'whodunit.signal.code': 'SI_TKILL', 'exception.type': 'SIGABRT' },
};
export const selfSignal = (signal: string): Expectation => ({
  cause: 'self_signal',
  errorType: signal,
  senderKind: 'self',
});
/** The kernel does not show the sender, so the record must name none. */
export const unknown = (signal: string): Expectation => ({
  cause: 'unknown',
  errorType: signal,
  senderKind: 'unknown',
});
export const memoryLimitBytes = 32 * 1024 * 1024;
export const oomInCgroup: Expectation = {
  ...kernel('oom_kill', 'oom_kill'),
  attributes: { 'whodunit.oom.scope': 'cgroup', 'whodunit.oom.limit': memoryLimitBytes },
};
