// SPDX-License-Identifier: Apache-2.0
// What the commands of the repository need of src/io/up/privileges.ts, and the flag of those that start themselves again with sudo.
export { againAsRoot, isRoot, serviceUser } from '../../src/io/up/privileges.ts';

/** Of a command that was started again with sudo: everything is already built, and end of input is the request to stop. */
export const BEHIND_SUDO = '--behind-sudo';
