// SPDX-License-Identifier: Apache-2.0
// The version of the service. A test holds it equal to package.json, so that nothing has to be read at start.
export const VERSION = '0.1.0';
