// SPDX-License-Identifier: Apache-2.0

package probes

import (
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"whodunit/loader/internal/abi"
	"whodunit/loader/internal/record"
)

// shell returns a script that runs as the only child of the test.
func shell(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "tidy.sh")
	if err := os.WriteFile(path, []byte("#!/bin/bash\n"+text), 0o755); err != nil {
		t.Fatal(err)
	}
	return path
}

// outputOf runs a script, and returns what it printed: pids.
func outputOf(t *testing.T, script string, args ...string) string {
	t.Helper()
	out, err := exec.Command(script, args...).Output()
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(out))
}

func recordOf(t *testing.T, reading func() []*record.Event) *record.Event {
	t.Helper()
	events := reading()
	if len(events) != 1 {
		t.Fatalf("%d records", len(events))
	}
	return events[0]
}

func wantProgram(t *testing.T, ancestor *record.Ancestor, exe string, args ...string) {
	t.Helper()
	if ancestor.Exe == nil || !strings.HasSuffix(*ancestor.Exe, exe) || strings.Join(ancestor.Args, " ") != strings.Join(args, " ") ||
		ancestor.UID == nil || *ancestor.UID != uint32(os.Getuid()) || ancestor.StartBoottimeNs == 0 {
		t.Errorf("%+v (exe %v), want %s %v", ancestor, ancestor.Exe, exe, args)
	}
}

func TestAncestorsOfVictimAndSenderHaveTheirArguments(t *testing.T) {
	_, ring := attachedWith(t, 4<<20)
	// The script is the parent of a subshell that never executes; victim and sender are its children.
	script := shell(t, "( sleep 60 & echo $!; /bin/kill -9 $!; wait $! ) 2>/dev/null\ntrue\n")
	pid, err := strconv.Atoi(outputOf(t, script, "--now"))
	if err != nil {
		t.Fatal(err)
	}
	event := recordOf(t, func() []*record.Event { return recordsOf(t, ring, 0, pid) })
	for name, ancestors := range map[string][]record.Ancestor{"victim": event.Process.Ancestors, "sender": event.Signal.Sender.Ancestors} {
		t.Run(name, func(t *testing.T) {
			if len(ancestors) < 3 {
				t.Fatalf("%+v", ancestors)
			}
			// The subshell, then the script.
			wantProgram(t, &ancestors[0], "/bash", "/bin/bash", script, "--now")
			wantProgram(t, &ancestors[1], "/bash", "/bin/bash", script, "--now")
			if ancestors[0].Pid == ancestors[1].Pid {
				t.Errorf("%+v", ancestors)
			}
		})
	}
}

// The probe uses the list of the last process on the processor again, if the ancestors are the same: hence one processor.
func TestAncestorsAreThoseAtTheTimeOfTheTermination(t *testing.T) {
	tests := []struct {
		name, text string
		want       []string // the last argument of the parent of each process, if that is the script
	}{
		{
			"the parent executes another program",
			`/bin/bash -c 'echo $$; exit 3'; /bin/bash -c 'echo $$; exit 3'; [ $1 = first ] && exec "$0" second; true`,
			[]string{"first", "first", "second", "second"},
		},
		{
			"the parent ends, and another process becomes the parent",
			`( parent=$BASHPID; /bin/bash -c 'echo $$; exit 3'
			/bin/bash -c 'echo $$; while kill -0 $0 2>/dev/null; do sleep 0.02; done; exit 3' $parent & )`,
			[]string{"first", ""},
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			probes, ring := attachedWith(t, 4<<20)
			if _, err := probes.AddRunning(); err != nil {
				t.Fatal(err)
			}
			script := shell(t, test.text+"\n")
			pids := strings.Fields(outputOf(t, "taskset", "--cpu-list", "0", script, "first"))
			if len(pids) != len(test.want) {
				t.Fatalf("%d processes", len(pids))
			}
			for i, text := range pids {
				pid, err := strconv.Atoi(text)
				if err != nil {
					t.Fatal(err)
				}
				parent := &recordOf(t, func() []*record.Event { return recordsOf(t, ring, 0, pid) }).Process.Ancestors[0]
				if test.want[i] != "" {
					wantProgram(t, parent, "/bash", "/bin/bash", script, test.want[i])
				} else if slices.Contains(parent.Args, script) {
					t.Errorf("%+v is that of the last parent", parent)
				}
			}
		})
	}
}

func TestTheEntryOfAProgramGoesAtItsExit(t *testing.T) {
	probes, _ := attachedWith(t, 4<<20)
	held := func(pid int) (found bool) {
		err := probes.eachProgram(func(program *abi.Program) { found = found || program.Key.Pid == uint32(pid) })
		if err != nil {
			t.Fatal(err)
		}
		return found
	}
	command := exec.Command("/bin/sleep", "60")
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	// More than once: a walk through a hash may miss entries while others are deleted.
	waitFor(t, func() bool { return held(command.Process.Pid) })
	_ = command.Process.Kill()
	_ = command.Wait()
	if held(command.Process.Pid) {
		t.Error("a program that ended is there")
	}
	memory, err := mapMemory(probes.pendingCounts)
	if err != nil {
		t.Fatal(err)
	}
	if *slotOf(valuesOf[pendingCount](memory), uint32(command.Process.Pid))&programBit(uint32(command.Process.Pid)) != 0 {
		t.Error("its bit is set")
	}
}

func TestAProgramThatRanBeforeTheProbesIsFound(t *testing.T) {
	privileged(t)
	script := shell(t, "read line\n/bin/sleep 60 & echo $!; /bin/kill -9 $!; wait $! 2>/dev/null\ntrue\n")
	command := exec.Command(script, "--early")
	input, err := command.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	var output strings.Builder
	command.Stdout = &output
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	probes, ring := attachedWith(t, 4<<20)
	added, err := probes.AddRunning()
	if err != nil || added == 0 {
		t.Fatalf("%d added, %v", added, err)
	}
	if again, err := probes.AddRunning(); err != nil || again >= added {
		t.Errorf("%d added again, %v", again, err)
	}
	if _, err := input.Write([]byte("\n")); err != nil {
		t.Fatal(err)
	}
	if err := command.Wait(); err != nil {
		t.Fatal(err)
	}
	pid, err := strconv.Atoi(strings.TrimSpace(output.String()))
	if err != nil {
		t.Fatal(err)
	}
	event := recordOf(t, func() []*record.Event { return recordsOf(t, ring, 0, pid) })
	wantProgram(t, &event.Process.Ancestors[0], "/bash", "/bin/bash", script, "--early")
	wantProgram(t, &event.Signal.Sender.Ancestors[0], "/bash", "/bin/bash", script, "--early")
	err = probes.eachProgram(func(program *abi.Program) {
		if program.Key.Pid == uint32(command.Process.Pid) {
			t.Error("its entry is left after its end")
		}
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestTheEnvironmentOfASenderSaysWhoCameFromWhere(t *testing.T) {
	_, ring := attachedWith(t, 4<<20)
	script := shell(t, "/bin/sleep 60 & echo $!; SUDO_USER=alice SSH_CONNECTION='198.51.100.7 52144 192.0.2.1 22' SECRET=x /bin/kill -9 $!; wait $! 2>/dev/null\ntrue\n")
	pid, err := strconv.Atoi(outputOf(t, script))
	if err != nil {
		t.Fatal(err)
	}
	event := recordOf(t, func() []*record.Event { return recordsOf(t, ring, 0, pid) })
	want := map[string]string{"SUDO_USER": "alice", "SSH_CONNECTION": "198.51.100.7 52144 192.0.2.1 22"}
	if !maps.Equal(event.Signal.Sender.Env, want) || len(event.Process.Env) != 0 {
		t.Errorf("sender %v, victim %v", event.Signal.Sender.Env, event.Process.Env)
	}
}
