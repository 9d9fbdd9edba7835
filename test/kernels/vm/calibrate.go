// Lets the loader find the kernel's types several times, which must find the same, and compares them with the kernel's own, if it has these.
//
// SPDX-License-Identifier: Apache-2.0
package main

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"runtime/debug"
	"strconv"

	"github.com/cilium/ebpf/btf"

	"whodunit/test/kernels/layout"
)

const (
	calibration = "/var/lib/whodunit-loader/calibration.json"
	// verifiedTimes: the last ones are verified, too. Under emulation, it takes most of a start to load the probes that do that.
	verifiedTimes = 3
)

// calibrated is what was found once.
type calibrated struct {
	Output string          `json:"output"`
	Found  json.RawMessage `json:"found"` // null: nothing
}

// calibrateRepeatedly leaves the file of the last `whodunit-loader calibrate`, which the loader uses then. hidden: the kernel's own types; nil: it was
// built without.
func calibrateRepeatedly(hidden *btf.Spec) error {
	times, err := strconv.Atoi(os.Getenv("WHODUNIT_CALIBRATIONS"))
	if err != nil {
		return err
	}
	var last calibrated
	for i := range times {
		find := observe
		if i >= times-verifiedTimes {
			find = calibrate
		}
		last = find()
		emitJSON("calibrated", last)
	}
	if hidden == nil || last.Found == nil {
		return nil
	}
	defer debug.FreeOSMemory() // Some cases use up the memory.
	return describe(hidden, last.Found)
}

func observe() calibrated {
	output, err := exec.Command("/observe").Output()
	if err != nil || !json.Valid(output) {
		return calibrated{Output: fmt.Sprintf("%s: %v", output, err)}
	}
	return calibrated{Found: output}
}

func calibrate() calibrated {
	_ = os.Remove(calibration) // The first time, there is none.
	output, _ := exec.Command("/loader", "calibrate").CombinedOutput()
	result := calibrated{Output: string(output)}
	if found, err := os.ReadFile(calibration); err == nil && json.Valid(found) {
		result.Found = found
	}
	return result
}

// describe emits where the kernel's own types have the fields that were found.
func describe(kernel *btf.Spec, found []byte) error {
	var file struct {
		Offsets map[string]int `json:"offsets"`
	}
	if err := json.Unmarshal(found, &file); err != nil {
		return err
	}
	described := map[string]int{}
	for name := range file.Offsets {
		at, known, err := layout.OffsetIn(kernel, name)
		if err != nil {
			return err
		}
		if known {
			described[name] = at
		}
	}
	emitJSON("described", described)
	return nil
}
