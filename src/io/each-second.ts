// SPDX-License-Identifier: Apache-2.0
// What the service looks at once a second while nothing happens. All of it is looked at in one turn of the event loop: an idle process that wakes
// up for each takes several times as much processor time.

const INTERVAL_MS = 1_000;

const looks: (() => void)[] = [];

/** Calls it once a second while the process runs. It must not throw, and it does not keep the process alive. */
export function eachSecond(look: () => void): void {
  looks.push(look);
  if (looks.length === 1) setInterval(lookAtAll, INTERVAL_MS).unref();
}

function lookAtAll(): void {
  for (const look of looks) look();
}
