// SPDX-License-Identifier: Apache-2.0
// Where a record is in the history, and the cursor that a client keeps of it.

/** The number of its segment, and its position there. */
export interface Position {
  readonly number: number;
  readonly position: number;
}

export function cursorOf({ number, position }: Position): string {
  return `${number}:${position}`;
}

/** null: there is none, or it is not valid. */
export function positionOf(cursor: string | null): Position | null {
  const [, number, position] = /^(\d{1,10}):(-1|\d{1,10})$/.exec(cursor ?? '') ?? [];
  return number === undefined ? null : { number: Number(number), position: Number(position) };
}
