// SPDX-License-Identifier: Apache-2.0
// The version of the service, so that package.json need not be read at start. A test compares the two.
export const VERSION = '0.1.0';
