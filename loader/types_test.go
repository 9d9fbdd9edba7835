// SPDX-License-Identifier: Apache-2.0

package main

import (
	"os"
	"strings"
	"testing"

	"whodunit/loader/internal/calibrate"
	"whodunit/loader/internal/probes"
	"whodunit/loader/internal/victim"
)

// init becomes a child of the calibration, or a victim, which start this program.
func init() {
	if len(os.Args) > 1 && (os.Args[1] == calibrate.Command || os.Args[1] == victim.Command) {
		main()
		os.Exit(0)
	}
}

// It compares the start with types that were found, as on a kernel without BTF, and with one of them moved.
func TestAWrongOffsetIsCaughtByThreeTerminations(t *testing.T) {
	privileged(t)
	found, err := calibrate.Find()
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct{ field, want string }{
		{"", ""},
		{"signal_struct.group_exit_code", "wait status"},
		{"task_struct.start_boottime", "start time"},
		{"task_struct.tgid", ""},
		{"task_struct.group_leader", ""},
	} {
		t.Run("moved: "+test.field, func(t *testing.T) {
			offsets := calibrate.Offsets{}
			for name, at := range found.Offsets {
				if name == test.field {
					at += 8
				}
				offsets[name] = at
			}
			spec, err := offsets.Types()
			if err != nil {
				t.Fatal(err)
			}
			types, err := probes.CalibratedTypes(spec, nil)
			if err != nil {
				t.Fatal(err)
			}
			err = types.Verify()
			if caught := err != nil && strings.Contains(err.Error(), test.want); caught != (test.field != "") {
				t.Errorf("%v", err)
			}
		})
	}
}
