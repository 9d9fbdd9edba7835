// SPDX-License-Identifier: Apache-2.0

package unwind_test

import (
	"debug/elf"
	"fmt"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"whodunit/loader/internal/unwind"
	"whodunit/loader/internal/unwind/crashtest"
)

// limits are those of the helper, with more time for a busy machine.
var limits = unwind.Limits{Time: 10 * time.Second, Bytes: 512 << 20, Reads: 200_000, Frames: 2048, Cache: 8 << 20}

// build runs a compiler, and skips the test if it is missing.
func build(t *testing.T, compiler string, args ...string) {
	t.Helper()
	if _, err := exec.LookPath(compiler); err != nil {
		t.Skipf("no %s", compiler)
	}
	if output, err := exec.Command(compiler, args...).CombinedOutput(); err != nil {
		t.Fatalf("%s %v: %v\n%s", compiler, args, err, output)
	}
}

// crash runs the command until it crashes, and unwinds.
func crash(t *testing.T, command *exec.Cmd) (*crashtest.Crash, unwind.Stack) {
	t.Helper()
	crash, err := crashtest.Run(command)
	if err != nil {
		t.Fatalf("%v: %v", command.Args, err)
	}
	stack, err := unwind.New(limits).Unwind(&crash.Crash)
	if err != nil {
		t.Fatal(err)
	}
	return crash, stack
}

// functions returns the names of the frames. A function without a name is looked for in unstripped, if that is the module of the frame.
func functions(t *testing.T, frames []unwind.Frame, stripped, unstripped string) []string {
	t.Helper()
	var symbols []elf.Symbol
	if unstripped != "" {
		file, err := elf.Open(unstripped)
		if err != nil {
			t.Fatal(err)
		}
		defer file.Close()
		symbols, _ = file.Symbols()
	}
	var names []string
	for _, frame := range frames {
		name, address := frame.Function, frame.Address
		if frame.FoundBy != unwind.FoundByPC && frame.FoundBy != unwind.FoundBySignal {
			address-- // into the call
		}
		for _, symbol := range symbols {
			if name == "" && frame.Module == stripped && elf.ST_TYPE(symbol.Info) == elf.STT_FUNC && address-symbol.Value < symbol.Size {
				name, _, _ = strings.Cut(symbol.Name, ".cold")
			}
		}
		names = append(names, name)
	}
	return names
}

// inOrder reports whether the names have the wanted ones, in this order.
func inOrder(names, wanted []string) bool {
	for _, name := range names {
		if len(wanted) > 0 && name == wanted[0] {
			wanted = wanted[1:]
		}
	}
	return len(wanted) == 0
}

func show(frames []unwind.Frame) string {
	var lines strings.Builder
	for i, frame := range frames {
		fmt.Fprintf(&lines, "\n#%d %s+%#x (%s+%#x) by %s, guess %v", i, frame.Function, frame.Offset, frame.Module, frame.Address, frame.FoundBy, frame.Guess)
	}
	return lines.String()
}

var chain = []string{"leaf", "four", "three", "two", "one", "outer", "main"}

// cCrashes are the ways to crash of testdata/crashes.c.
var cCrashes = []struct {
	how        string
	wanted     []string
	incomplete bool // the stack may end before main
	guesses    bool // frames may be guesses
	x86        bool // other machines do not crash so, or their test does not see it
}{
	{how: "chain", wanted: chain},
	{how: "null call", wanted: []string{"jump_to", "outer", "main"}},
	{how: "wild call", wanted: []string{"jump_to", "outer", "main"}},
	{how: "data", wanted: []string{"jump_to", "executes_data", "outer", "main"}},
	{how: "assert", wanted: []string{"abort", "asserts", "outer", "main"}},
	{how: "abort", wanted: []string{"abort", "aborts", "outer", "main"}},
	{how: "double free", wanted: []string{"abort", "frees_twice", "outer", "main"}},
	{how: "qsort", wanted: []string{"compare", "sorts", "outer", "main"}},
	{how: "memcpy", wanted: []string{"copies", "outer", "main"}},
	{how: "division", wanted: []string{"divides", "outer", "main"}, x86: true},
	{how: "trap", wanted: []string{"traps", "outer", "main"}},
	{how: "vdso", wanted: []string{"asks_time", "outer", "main"}},
	{how: "made code", wanted: []string{"in_handler", "compiles", "outer", "main"}, incomplete: true, guesses: true, x86: true},
	{how: "thread", wanted: []string{"leaf", "four", "three", "two", "one", "thread"}},
	{how: "handler", wanted: []string{"in_handler", "handler", unwind.SignalHandlerCalled, "interrupted", "outer", "main"}},
	{how: "alternate stack", wanted: []string{"in_handler", "handler", unwind.SignalHandlerCalled, "interrupted", "outer", "main"}, x86: true},
	{how: "fault in handler", wanted: []string{"in_handler", "handler", unwind.SignalHandlerCalled, "faulting", "outer", "main"}, x86: true},
	{how: "recursion", wanted: []string{"recurse", "recurse", "recurse"}, incomplete: true},
	{how: "large", wanted: []string{"leaf", "large"}, incomplete: true},
	{how: "smash", wanted: nil, incomplete: true, guesses: true},
}

func TestCProgramsHaveTheirFunctionsInOrder(t *testing.T) {
	for _, variant := range []struct {
		name  string
		flags []string
	}{
		{"omitted frame pointer", []string{"-O2", "-fomit-frame-pointer"}},
		{"static", []string{"-O2", "-static"}},
		{"static position-independent", []string{"-O2", "-static-pie"}},
		{"frame pointer", []string{"-O1", "-fno-omit-frame-pointer"}},
	} {
		t.Run(variant.name, func(t *testing.T) {
			directory := t.TempDir()
			unstripped, stripped := filepath.Join(directory, "unstripped"), filepath.Join(directory, "stripped")
			build(t, "gcc", append(variant.flags, "-fno-stack-protector", "-w", "-pthread", "-o", unstripped, "testdata/crashes.c")...)
			build(t, "strip", "-o", stripped, unstripped)
			for _, program := range []string{unstripped, stripped} {
				for _, test := range cCrashes {
					t.Run(filepath.Base(program)+"/"+test.how, func(t *testing.T) {
						if test.x86 && runtime.GOARCH != "amd64" {
							t.Skip("x86-64 only")
						}
						_, stack := crash(t, exec.Command(program, test.how))
						names := functions(t, stack.Frames, program, unstripped)
						if !inOrder(names, test.wanted) {
							t.Errorf("functions %q, wanted %q%s", names, test.wanted, show(stack.Frames))
						}
						if stack.Complete() == test.incomplete {
							t.Errorf("end %q%s", stack.End, show(stack.Frames))
						}
						if guess := slices.ContainsFunc(stack.Frames, func(f unwind.Frame) bool { return f.Guess }); guess && !test.guesses {
							t.Errorf("a frame is a guess%s", show(stack.Frames))
						}
						for _, problem := range stack.Problems {
							t.Error(problem)
						}
					})
				}
			}
		})
	}
}
