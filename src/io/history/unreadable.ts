// SPDX-License-Identifier: Apache-2.0
// Why the history cannot be read, in one sentence with the remedy.
import { EXIT_SEARCH_FAILED, FatalError } from '../../core/errors.ts';
import { historyDirectory } from './segments.ts';

/** The error of a user who cannot read the history, with the remedy. */
export function unreadable(stateDirectory: string, { code = '', path, message }: NodeJS.ErrnoException): FatalError {
  const at = path ?? historyDirectory(stateDirectory);
  const why =
    code === 'ENOENT'
      ? `There is no history in ${stateDirectory}: start the service, with WHODUNIT_HISTORY not off, or set WHODUNIT_STATE_DIR to its directory.`
      : code === 'EACCES' || code === 'EPERM'
        ? `The history in ${stateDirectory} can be read by root and the group of the service: use sudo, or join that group (sudo usermod -aG whodunit "$USER", then log in again).`
        : `The history ${at} cannot be read (${code || message}): check the disk, and that it is a directory of the service.`;
  return new FatalError('HISTORY_UNREADABLE', why, EXIT_SEARCH_FAILED);
}
