// SPDX-License-Identifier: Apache-2.0

package crash

// The messages of the loader's side, for tests of the process.
var (
	Send    = (*Helper).send
	Receive = (*Helper).receive
)
