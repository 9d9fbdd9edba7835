// SPDX-License-Identifier: Apache-2.0

package unwind_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"whodunit/loader/internal/unwind"
)

// expect runs the command, and compares the functions.
func expect(t *testing.T, command *exec.Cmd, unstripped string, wanted []string) unwind.Stack {
	t.Helper()
	_, stack := crash(t, command)
	names := functions(t, stack.Frames, command.Path, unstripped)
	if !inOrder(names, wanted) {
		t.Errorf("functions %q, wanted %q", names, wanted)
	}
	if !stack.Complete() {
		t.Errorf("end %q", stack.End)
	}
	for _, problem := range stack.Problems {
		t.Error(problem)
	}
	if t.Failed() {
		t.Log(show(stack.Frames))
	}
	return stack
}

func TestAnExceptionOfAThreadHasTheFunctionThatThrew(t *testing.T) {
	program := filepath.Join(t.TempDir(), "throws")
	build(t, "g++", "-O2", "-w", "-pthread", "-o", program, "testdata/throws.cc")
	expect(t, exec.Command(program), "", []string{
		"abort", "__cxa_throw", "app::deepest(std::__cxx11::basic_string<char, std::char_traits<char>, std::allocator<char> > const&)",
		"void app::middle<long>(long)", "app::Worker::run(int)",
	})
}

func TestARustPanicHasTheFunctionThatPanicked(t *testing.T) {
	program := filepath.Join(t.TempDir(), "panics")
	build(t, "rustc", "-O", "-C", "panic=abort", "-o", program, "testdata/panics.rs")
	expect(t, exec.Command(program), "", []string{"abort", "core::panicking::panic_bounds_check", "panics::Table<i32>::get", "panics::outer", "panics::main", "main"})
}

func TestGoProgramsHaveTheirFunctionsInOrder(t *testing.T) {
	for _, variant := range []struct {
		name string
		args []string
		cgo  string
	}{
		{"stripped", nil, "0"},
		{"position-independent", []string{"-buildmode=pie"}, "0"},
		{"with C", nil, "1"},
		{"with C, position-independent", []string{"-buildmode=pie"}, "1"},
	} {
		t.Run(variant.name, func(t *testing.T) {
			program := filepath.Join(t.TempDir(), "gocrash")
			t.Setenv("CGO_ENABLED", variant.cgo)
			build(t, "go", append(append([]string{"build", "-ldflags=-s -w", "-o", program}, variant.args...), "./testdata/gocrash")...)
			run := func(args ...string) *exec.Cmd {
				command := exec.Command(program, args...)
				command.Env = append(os.Environ(), "GOTRACEBACK=crash")
				return command
			}
			t.Run("nil dereference", func(t *testing.T) {
				expect(t, run(), "", []string{"runtime.sigpanic", "main.dereference", "main.middle", "main.(*server).serve", "main.main.func1", "runtime.goexit"})
			})
			if variant.cgo == "1" {
				t.Run("crash in C", func(t *testing.T) {
					expect(t, run("c"), "", []string{unwind.SignalHandlerCalled, "runtime.asmcgocall", "main.callsC", "main.inC", "main.main", "runtime.goexit"})
				})
			}
		})
	}
}
