// SPDX-License-Identifier: Apache-2.0
// The signals of a running service. Each has a handler from the start on, because the default action of all of them is to terminate the
// process; SIGUSR1 would open Node.js's debugger.
import type { Log } from './log.ts';

export interface Signals {
  /** Aborted by SIGTERM and SIGINT. */
  readonly stop: AbortController;
  /** Sets what SIGHUP does. An earlier SIGHUP does it at once. */
  readonly onHangup: (reload: () => void) => void;
}

export function catchSignals(log: Log): Signals {
  const stop = new AbortController();
  // Not once: a second one would terminate the process before it has shut down.
  for (const name of ['SIGTERM', 'SIGINT'] as const) process.on(name, () => stop.abort());
  for (const name of ['SIGUSR1', 'SIGUSR2'] as const)
    process.on(name, () => log.rateLimited(name, `${name} is ignored: it has no meaning here.`));
  let early = false;
  let hangUp = (): void => {
    early = true;
  };
  process.on('SIGHUP', () => hangUp());
  const onHangup = (reload: () => void): void => {
    hangUp = reload;
    if (early) reload();
  };
  return { stop, onHangup };
}
