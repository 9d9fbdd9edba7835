// SPDX-License-Identifier: Apache-2.0
// A command that asked for terminations is one act, however long it takes: `docker compose down` stops one container after the other. The first
// termination of each service or container shares the incident, with a record of its own. Bounded by origin.
import { keyOf } from '../requests/key.ts';
import { FairMap, type OriginKey } from '../shares.ts';
import type { Process } from './act.ts';
import { INCIDENTS_MAX, type Match } from './incidents.ts';

export class Commands {
  /** The ids of their incidents. */
  readonly #incidents = new FairMap<string>(INCIDENTS_MAX);

  /** The incident of the command. null: none is known. */
  find(command: Process): Match | null {
    const id = this.#incidents.get(keyOf(command));
    return id === undefined ? null : { id, act: 'signal', isFirstOfScope: true };
  }

  /** Remembers the incident of a termination that the command asked for. */
  add(command: Process, id: string, origin: OriginKey): void {
    this.#incidents.set(keyOf(command), origin, id);
  }
}
