// SPDX-License-Identifier: Apache-2.0

package probes

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"whodunit/loader/internal/record"
	"whodunit/loader/internal/record/recordtest"
	"whodunit/loader/internal/ring"
	"whodunit/loader/internal/wire"
)

// privileged skips, with a message, where the probes cannot be loaded; with CI=true that is a failure.
func privileged(t *testing.T) {
	t.Helper()
	err := Require()
	if err == nil {
		return
	}
	if os.Getenv("CI") == "true" {
		t.Fatalf("with CI=true the real probes must be tested: %v", err)
	}
	t.Skipf("SKIPPED, the real probes are not tested: %v", err)
}

func pinDirectory(t *testing.T) string {
	t.Helper()
	directory := filepath.Join(bpffsPath, fmt.Sprintf("whodunit-test-%d-%d", os.Getpid(), time.Now().UnixNano()))
	t.Cleanup(func() {
		if _, err := Unload(directory); err != nil {
			t.Error(err)
		}
		if _, err := os.Stat(directory); err == nil {
			t.Errorf("unload left %s behind", directory)
		}
	})
	return directory
}

// attached attaches probes for the duration of the test. Where there are cgroups of version 1, they see this process and those below it alone:
// what the rest of the machine does fills neither their ring nor their maps.
func attached(t *testing.T) (*Probes, *ring.Ring) {
	t.Helper()
	return attachedWith(t, RingBytesMin)
}

func attachedWith(t *testing.T, ringBytes int) (*Probes, *ring.Ring) {
	t.Helper()
	watched, err := alone.enter()
	if err != nil {
		t.Fatal(err)
	}
	return attachedFor(t, ringBytes, watched)
}

func attachedFor(t *testing.T, ringBytes int, watched Scope) (*Probes, *ring.Ring) {
	t.Helper()
	privileged(t)
	probes, err := Attach(Options{PinDirectory: pinDirectory(t), RingBytes: ringBytes, Scope: watched})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { probes.Close() })
	ring, err := probes.Ring()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ring.Close() })
	return probes, ring
}

// eachTermination reads the ring from a position on, without restarts and requests. The event is valid during the call of yield.
func eachTermination(t *testing.T, ring *ring.Ring, from uint64, symbols record.Symbolizer, yield func(*record.Event)) (end uint64) {
	t.Helper()
	return eachRecord(t, ring, from, symbols, func(event *record.Event) {
		if event.Predecessor == nil && event.Tool == nil && !event.RequestEnd {
			yield(event)
		}
	})
}

// eachRecord is eachTermination with restarts and requests.
func eachRecord(t *testing.T, ring *ring.Ring, from uint64, symbols record.Symbolizer, yield func(*record.Event)) (end uint64) {
	t.Helper()
	reader, decoder := ring.Reader(), record.NewDecoder(record.Machine{PageBytes: 4096, Symbols: symbols, EnvironmentKeys: recordtest.EnvironmentKeys(), ActorEnvironmentKeys: []string{"SUDO_USER", "SSH_CONNECTION"}})
	defer reader.Close()
	for {
		raw, next, ok, err := reader.Next(from)
		if err != nil {
			t.Fatal(err)
		}
		if !ok {
			return from
		}
		from = next
		if raw == nil {
			continue
		}
		event, err := decoder.Decode(raw)
		if err != nil {
			t.Fatal(err)
		}
		yield(event)
	}
}

// recordsOf reads the ring from a position on, and returns the terminations of that pid.
func recordsOf(t *testing.T, ring *ring.Ring, from uint64, pid int) (events []*record.Event) {
	t.Helper()
	eachTermination(t, ring, from, recordtest.Symbols{}, func(event *record.Event) {
		if event.Process.Pid != uint32(pid) {
			return
		}
		line, err := wire.AppendEvent(nil, event)
		if err != nil {
			t.Fatal(err)
		}
		kept := &record.Event{}
		if err := json.Unmarshal(line, kept); err != nil {
			t.Fatal(err)
		}
		events = append(events, kept)
	})
	return events
}

func exitWith(t *testing.T, code int) (pid int) {
	t.Helper()
	command := exec.Command("/bin/sh", "-c", fmt.Sprintf("exit %d", code))
	err := command.Run()
	var exit *exec.ExitError
	if code != 0 && (!errors.As(err, &exit) || exit.ExitCode() != code) {
		t.Fatalf("%v", err)
	}
	return command.Process.Pid
}
