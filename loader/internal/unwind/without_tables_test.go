// SPDX-License-Identifier: Apache-2.0

package unwind_test

import (
	"os/exec"
	"path/filepath"
	"runtime"
	"testing"

	"whodunit/loader/internal/unwind"
)

func TestFunctionsWithoutTablesAreFoundByTheirCode(t *testing.T) {
	if runtime.GOARCH != "amd64" {
		t.Skip("instructions of x86-64 only")
	}
	withoutTables := []string{"-O2", "-w", "-pthread", "-fno-asynchronous-unwind-tables", "-fno-unwind-tables", "-fno-stack-protector"}
	for _, variant := range []struct {
		name     string
		compiler string
		flags    []string
		sure     int // how many frames are no guesses
	}{
		{"frame pointer", "gcc", append(withoutTables, "-fno-omit-frame-pointer"), 7},
		{"omitted frame pointer", "gcc", append(withoutTables, "-fomit-frame-pointer"), 10},
		{"musl", "musl-gcc", []string{"-O2", "-w"}, 7},
	} {
		t.Run(variant.name, func(t *testing.T) {
			program := filepath.Join(t.TempDir(), "crashes")
			build(t, variant.compiler, append(variant.flags, "-o", program, "testdata/crashes.c")...)
			for _, test := range []struct {
				how    string
				wanted []string
			}{
				{"chain", chain},
				{"assert", []string{"abort", "asserts", "outer", "main"}},
				{"handler", []string{"in_handler", "handler", unwind.SignalHandlerCalled, "interrupted", "outer", "main"}},
				{"qsort", []string{"compare", "sorts", "outer", "main"}},
				{"recursion", []string{"recurse", "recurse", "recurse", "recurse"}},
			} {
				t.Run(test.how, func(t *testing.T) {
					_, stack := crash(t, exec.Command(program, test.how))
					if names := functions(t, stack.Frames, "", ""); !inOrder(names, test.wanted) {
						t.Errorf("functions %q, wanted %q%s", names, test.wanted, show(stack.Frames))
					}
					for i, frame := range stack.Frames[:min(variant.sure, len(stack.Frames))] {
						if test.how == "chain" && frame.Guess {
							t.Errorf("frame %d is a guess%s", i, show(stack.Frames))
						}
					}
				})
			}
		})
	}
}
