// SPDX-License-Identifier: Apache-2.0

package host

import (
	"os"
	"slices"
	"strings"
	"testing"
)

func TestThisProcessIsAmongThoseOfProc(t *testing.T) {
	processes, err := ReadProcesses(256)
	if err != nil {
		t.Fatal(err)
	}
	at := slices.IndexFunc(processes, func(process Process) bool { return process.Pid == uint32(os.Getpid()) })
	if at < 0 {
		t.Fatalf("not among %d", len(processes))
	}
	process, executable := processes[at], ""
	if executable, err = os.Executable(); err != nil {
		t.Fatal(err)
	}
	if process.Parent != uint32(os.Getppid()) || process.UID != uint32(os.Geteuid()) || process.RealUID != uint32(os.Getuid()) || process.Forked || process.StartTicks == 0 {
		t.Errorf("%+v", process)
	}
	if process.Executable != executable || !strings.HasPrefix(string(process.Args), os.Args[0]) {
		t.Errorf("%+v, want %s %q", process, executable, os.Args)
	}
}

func TestANameWithParenthesesDoesNotMoveTheFields(t *testing.T) {
	var process Process
	stat := "42 (a) 1 (b) S 7 42 42 0 -1 4194368 0 0 0 0 0 0 0 0 20 0 1 0 12345 0"
	if err := process.parseStat([]byte(stat)); err != nil || process.Parent != 7 || process.StartTicks != 12345 || !process.Forked {
		t.Errorf("%+v, %v", process, err)
	}
	for _, broken := range []string{"", "42 (a)", "42 (a) S 7", "42 (a) S x 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1"} {
		if err := new(Process).parseStat([]byte(broken)); err == nil {
			t.Errorf("no error for %q", broken)
		}
	}
}
