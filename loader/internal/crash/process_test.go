// SPDX-License-Identifier: Apache-2.0

package crash_test

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"whodunit/loader/internal/crash"
	"whodunit/loader/internal/record"
)

// buildLoader builds the loader: this test program may be linked dynamically, which the helper's filter does not permit.
func buildLoader(t *testing.T) string {
	t.Helper()
	binary := filepath.Join(t.TempDir(), "whodunit-loader")
	build := exec.Command("go", "build", "-o", binary, "whodunit/loader")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if output, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, output)
	}
	return binary
}

// childOf returns the child of a process, once it has one.
func childOf(t *testing.T, parent int) int {
	t.Helper()
	for range 500 {
		tasks, _ := os.ReadDir(fmt.Sprintf("/proc/%d/task", parent))
		for _, task := range tasks {
			children, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%s/children", parent, task.Name()))
			if names := strings.Fields(string(children)); err == nil && len(names) > 0 {
				child, err := strconv.Atoi(names[0])
				if err != nil {
					t.Fatal(err)
				}
				return child
			}
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Fatalf("process %d has no child", parent)
	return 0
}

func TestTheHelperAnswersAndReplacesAWorkerThatIsKilled(t *testing.T) {
	arena, err := crash.NewArena()
	if err != nil {
		t.Fatal(err)
	}
	defer arena.Close()
	started, err := crash.StartHelperOf(buildLoader(t), arena)
	if err != nil {
		t.Fatal(err)
	}
	defer started.Close()
	supervisor := crash.PID(started)
	for number := range uint32(2) {
		slot := arena.Slot(int(number))
		slot.Crashed.Tid = 7 + number
		if runtime.GOARCH == "amd64" {
			slot.Crashed.Words[17] = 0x33 // its code segment: of 64 bits
		}
		if err := crash.Send(started, crash.Message{Number: number, Entry: number}); err != nil {
			t.Fatal(err)
		}
		answer, err := crash.Receive(started)
		if err != nil || answer.Number != number || answer.Entry != number {
			t.Fatalf("%+v, %v", answer, err)
		}
		var got record.Crash
		if err := json.Unmarshal(arena.Reply(int(number))[:answer.Bytes], &got); err != nil || got.State != record.CrashUnwound || got.Tid != 7+number {
			t.Errorf("%+v, %v", got, err)
		}
		worker := childOf(t, supervisor)
		for name, process := range map[string]int{"supervisor": supervisor, "worker": worker} {
			status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", process))
			if err != nil {
				t.Fatal(err)
			}
			for _, line := range []string{"Seccomp:\t2", "NoNewPrivs:\t1"} {
				if !strings.Contains(string(status), line) {
					t.Errorf("the %s has not %q", name, line)
				}
			}
		}
		if err := unix.Kill(worker, unix.SIGKILL); err != nil {
			t.Fatal(err)
		}
	}
}

func TestAWorkerThatHangsOrEndsCostsAtMostOneStack(t *testing.T) {
	arena, err := crash.NewArena()
	if err != nil {
		t.Fatal(err)
	}
	defer arena.Close()
	started, err := crash.StartHelperOf(buildLoader(t), arena)
	if err != nil {
		t.Fatal(err)
	}
	defer started.Close()
	supervisor := crash.PID(started)
	ask := func(number uint32) {
		if runtime.GOARCH == "amd64" {
			arena.Slot(int(number)).Crashed.Words[17] = 0x33
		}
		if err := crash.Send(started, crash.Message{Number: number, Entry: number}); err != nil {
			t.Fatal(err)
		}
	}
	wantAnswer := func(number uint32, stack bool) {
		t.Helper()
		answer, err := crash.Receive(started)
		if err != nil || answer.Number != number || answer.Entry != number || (answer.Bytes > 0) != stack {
			t.Fatalf("%+v, %v; want an answer to %d, with a stack: %v", answer, err, number, stack)
		}
	}
	ask(1)
	wantAnswer(1, true)
	// It has not read this request when it is stopped: the next worker does.
	signal := func(signo unix.Signal) {
		if err := unix.Kill(childOf(t, supervisor), signo); err != nil {
			t.Fatal(err)
		}
	}
	signal(unix.SIGSTOP)
	ask(2)
	wantAnswer(2, true)
	// As if it hung in this one.
	signal(unix.SIGSTOP)
	arena.State().Number.Store(3)
	arena.State().Entry.Store(3)
	arena.State().Steps.Add(1)
	wantAnswer(3, false)
	ask(4)
	wantAnswer(4, true)
	// As if it crashed in this one.
	arena.State().Number.Store(5)
	arena.State().Entry.Store(5)
	arena.State().Steps.Add(1)
	signal(unix.SIGKILL)
	wantAnswer(5, false)
	ask(6)
	wantAnswer(6, true)
}
