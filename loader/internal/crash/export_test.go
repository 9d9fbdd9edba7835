// SPDX-License-Identifier: Apache-2.0

package crash

// The messages of the loader's side, for tests of the process.
var (
	Send    = (*Helper).send
	Receive = (*Helper).receive
)

// StartHelperOf is StartHelper for the loader at a path.
var StartHelperOf = startHelper

// PID returns the process number of a helper.
func PID(h *Helper) int { return h.process.Process.Pid }
