// Lets the loader find the kernel's types several times, which must find the same.
//
// SPDX-License-Identifier: Apache-2.0
package main

import (
	"encoding/json"
	"os"
	"os/exec"
)

const (
	calibration = "/var/lib/whodunit-loader/calibration.json"
	// calibrations: each takes seconds under emulation.
	calibrations = 3
)

// calibrated is one call of `whodunit-loader calibrate`.
type calibrated struct {
	Output string          `json:"output"`
	Found  json.RawMessage `json:"found"` // the file; null: there is none
}

// calibrateRepeatedly leaves the file of the last call, which the loader uses then.
func calibrateRepeatedly() {
	for range calibrations {
		_ = os.Remove(calibration) // The first time, there is none.
		output, _ := exec.Command("/loader", "calibrate").CombinedOutput()
		result := calibrated{Output: string(output)}
		if found, err := os.ReadFile(calibration); err == nil && json.Valid(found) {
			result.Found = found
		}
		emitJSON("calibrated", result)
	}
}
