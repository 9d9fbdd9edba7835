// SPDX-License-Identifier: Apache-2.0
// One line of the table that `whodunit doctor` prints.

export interface Finding {
  readonly what: string;
  readonly level: 'ok' | 'note' | 'bad';
  readonly text: string;
}
