// SPDX-License-Identifier: Apache-2.0

package calibrate

import (
	"maps"
	"os"
	"strconv"
	"testing"

	"github.com/cilium/ebpf/btf"

	"whodunit/test/kernels/layout"
)

// startsInARow must find the same. WHODUNIT_TEST_STARTS: as many, where starts are slow.
func startsInARow() int {
	if wanted, err := strconv.Atoi(os.Getenv("WHODUNIT_TEST_STARTS")); err == nil {
		return wanted
	}
	return 50
}

// init becomes a child, which startChild starts as this program.
func init() {
	if len(os.Args) > 3 && os.Args[1] == Command {
		number, _ := strconv.Atoi(os.Args[3])
		executions := Unprepared
		if len(os.Args) > 5 {
			executions, _ = strconv.Atoi(os.Args[5])
		}
		panic(Run(number, executions))
	}
}

// It compares with the kernel's own types, which Find does not look at.
func TestEachFieldIsWhereTheKernelSaysAtEachStart(t *testing.T) {
	kernel, err := btf.LoadKernelSpec()
	if err != nil {
		t.Skipf("SKIPPED: %v", err)
	}
	var first Offsets
	for range startsInARow() {
		found, err := Find()
		if err != nil {
			t.Fatalf("%v; places: %v", err, found)
		}
		if missing := found.Missing(); len(missing) > 0 {
			t.Errorf("not found: %v", missing)
		}
		if first == nil {
			first = found.Offsets
			for name, at := range first {
				want, described, err := layout.OffsetIn(kernel, name)
				if err != nil || described && at != want {
					t.Errorf("%s was found at %d; it is at %d, %v", name, at, want, err)
				}
			}
		}
		if !maps.Equal(found.Offsets, first) {
			t.Fatalf("%v, and before %v", found.Offsets, first)
		}
	}
}
