// SPDX-License-Identifier: Apache-2.0
// The parser of YAML, as a part of the bundle of its own. A dynamic import of the package itself, which is CommonJS, would have no names there.
export { parseDocument } from 'yaml';
