// SPDX-License-Identifier: Apache-2.0
// Every typed error of the service, with its stable code. Operational errors have these types; a programmer error is an ordinary
// exception and stops the program. The caller decides what to do about an error: exit, retry or count.

/** Codes of `WireError`: why a line from the loader was not read. */
export type WireErrorCode =
  | 'WIRE_LINE_TOO_LONG'
  | 'WIRE_NOT_JSON'
  | 'WIRE_VERSION'
  | 'WIRE_TYPE'
  | 'WIRE_SCHEMA'
  | 'WIRE_HALF_LINE';

/**
 * A line that could not be read. It is a value and is never thrown: bad data does not stop the stream.
 * `lostTermination`: the line carried a termination, which is lost. `seq`: its ring position, if it could still be parsed.
 */
export interface WireError {
  readonly code: WireErrorCode;
  readonly message: string;
  /** The first characters of the line, for the log. */
  readonly sample: string;
  readonly lostTermination: boolean;
  readonly seq: bigint | null;
}

/** sysexits.h EX_CONFIG: the configuration is wrong, and a restart alone will not help. */
export const EXIT_CONFIG = 78;
/** sysexits.h EX_IOERR: stdout, the only place for the output, cannot be written. */
export const EXIT_OUTPUT = 74;
/** As grep's: a command that searches could not. */
export const EXIT_SEARCH_FAILED = 2;
export const EXIT_FAILURE = 1;

export type FatalErrorCode =
  | 'CONFIG_INVALID'
  | 'USAGE'
  | 'NO_SERVICE'
  | 'UI_PORT'
  | 'UP_FAILED'
  | 'NOT_ROOT'
  | 'ALREADY_RUNS'
  | 'HEALTH_ADDR_TAKEN'
  | 'HEALTH_ADDR_UNUSABLE'
  | 'METRICS_ADDR_TAKEN'
  | 'METRICS_ADDR_UNUSABLE'
  | 'OUTPUT_LOST'
  | 'STATE_DIR_TAKEN'
  | 'STATE_DIR_UNUSABLE'
  | 'QUEUE_VERSION'
  | 'HISTORY_UNREADABLE';

/** An error that stops the program. The message includes the remedy. Only main.ts turns it into an exit code. */
export class FatalError extends Error {
  readonly code: FatalErrorCode;
  readonly exitCode: number;

  constructor(code: FatalErrorCode, message: string, exitCode: number = EXIT_FAILURE) {
    super(message);
    this.name = 'FatalError';
    this.code = code;
    this.exitCode = exitCode;
  }
}

/** An invalid setting: names the key, the value, the allowed values and the remedy. */
export function configError(key: string, value: string, allowed: string, remedy: string): FatalError {
  return new FatalError('CONFIG_INVALID', `${key} is "${value}"; allowed: ${allowed}. ${remedy}`, EXIT_CONFIG);
}

export type DiskErrorCode = 'DISK_FULL' | 'DISK_READ_ONLY' | 'DISK_FAILED';

/** A transaction failed, and nothing of it was written. The caller keeps the data and tries again. */
export class DiskError extends Error {
  readonly code: DiskErrorCode;

  constructor(code: DiskErrorCode, message: string) {
    super(message);
    this.name = 'DiskError';
    this.code = code;
  }
}
