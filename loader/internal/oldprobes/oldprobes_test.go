// SPDX-License-Identifier: Apache-2.0

package oldprobes

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"whodunit/loader/internal/probes"
	"whodunit/loader/internal/record"
	"whodunit/loader/internal/record/recordtest"
)

const (
	// within is long, because the machine may be busy.
	within = time.Minute
	// queueBytes is enough for what else terminates on this machine meanwhile.
	queueBytes = 32 << 20
)

// attached attaches the probes with a queue of this size, which run until detach. The queue stays pinned in the directory until the test ends.
func attached(t *testing.T, directory string, bytes int) (p *Probes, detach func()) {
	t.Helper()
	return attachedBy(t, directory, bytes, probes.KernelTypes())
}

func attachedBy(t *testing.T, directory string, bytes int, types probes.Types) (p *Probes, detach func()) {
	t.Helper()
	return attachedWith(t, Options{PinDirectory: directory, RingBytes: bytes, Types: types})
}

func attachedWith(t *testing.T, options Options) (p *Probes, detach func()) {
	t.Helper()
	p, err := Attach(options)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ran := make(chan error, 1)
	go func() { ran <- p.Run(ctx) }()
	detached := false
	detach = func() {
		if detached {
			return
		}
		detached = true
		cancel()
		if err := errors.Join(<-ran, p.Close()); err != nil {
			t.Error(err)
		}
	}
	t.Cleanup(detach)
	return p, detach
}

func pinDirectory(t *testing.T) string {
	directory := fmt.Sprintf("/sys/fs/bpf/whodunit-test-old-%d", os.Getpid())
	t.Cleanup(func() {
		if _, err := probes.Unload(directory); err != nil {
			t.Error(err)
		}
	})
	return directory
}

// awaited returns the record of a process, and where it ends. It waits for it.
func awaited(t *testing.T, p *Probes, from uint64, pid int) (*record.Event, uint64) {
	t.Helper()
	for deadline := time.Now().Add(within); time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		if event, end := found(t, p, from, pid); event != nil {
			return event, end
		}
	}
	t.Fatalf("no record of process %d", pid)
	return nil, 0
}

// found returns the record of a process in the ring, and where it ends; nil: there is none.
func found(t *testing.T, p *Probes, from uint64, pid int) (*record.Event, uint64) {
	t.Helper()
	for event, end := range records(t, p, from) {
		if event.Process.Pid == uint32(pid) {
			return event, end
		}
	}
	return nil, 0
}

// records returns what the ring has from a position on, with where each record ends.
func records(t *testing.T, p *Probes, from uint64) iter.Seq2[*record.Event, uint64] {
	return func(yield func(*record.Event, uint64) bool) {
		t.Helper()
		reader, decoder := p.Ring().Reader(), record.NewDecoder(record.Machine{PageBytes: uint64(os.Getpagesize()), Symbols: recordtest.Symbols{}})
		defer reader.Close()
		for at := from; ; {
			raw, next, ok, err := reader.Next(at)
			if err != nil {
				t.Fatal(err)
			}
			if !ok {
				return
			}
			event, err := decoder.Decode(append([]byte(nil), raw...))
			if err != nil {
				t.Fatal(err)
			}
			if !yield(event, next) {
				return
			}
			at = next
		}
	}
}

// exits runs a shell that exits with code 3, as this user, and returns its pid. Root's share of the queue is also that of other tests.
func exits(t *testing.T, uid uint32) int {
	t.Helper()
	command := exec.Command("/bin/sh", "-c", "exit 3")
	command.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uid, Gid: uid}}
	var exit *exec.ExitError
	if err := command.Run(); !errors.As(err, &exit) || exit.ExitCode() != 3 {
		t.Fatal(err)
	}
	return command.Process.Pid
}

// killedBySIGTERM kills a process of this user that executes cat, and returns its pid.
func killedBySIGTERM(t *testing.T, uid uint32) int {
	t.Helper()
	victim := exec.Command("/bin/cat", "-", "a b")
	victim.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uid, Gid: uid}}
	input, err := victim.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	output, err := victim.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := victim.Start(); err != nil {
		t.Fatal(err)
	}
	if _, err := input.Write([]byte("runs")); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(output, make([]byte, len("runs"))); err != nil {
		t.Fatal(err)
	}
	if err := victim.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	victim.Wait()
	return victim.Process.Pid
}

func TestATerminationHasItsStatusItsProgramAndItsSender(t *testing.T) {
	p, _ := attached(t, pinDirectory(t), queueBytes)
	event, _ := awaited(t, p, 0, killedBySIGTERM(t, 54336))
	path, err := filepath.EvalSymlinks("/bin/cat")
	if err != nil {
		t.Fatal(err)
	}
	process := event.Process
	if event.StatusRaw != uint32(syscall.SIGTERM) || process.Comm != "cat" || process.Exe == nil || *process.Exe != path || len(process.Args) != 3 || process.Args[2] != "a b" {
		t.Errorf("%#x, %+v", event.StatusRaw, process)
	}
	if event.Signal == nil || !event.Signal.Committed || event.Signal.Sender.Pid != uint32(os.Getpid()) {
		t.Errorf("%+v", event.Signal)
	}
}

func TestWhatIsNotAcknowledgedOutlivesTheLoader(t *testing.T) {
	directory := pinDirectory(t)
	const uid = 54329 // Root's processes, of other tests, too, leave room for those of others.
	p, detach := attached(t, directory, queueBytes)
	pid := exits(t, uid)
	_, end := awaited(t, p, 0, pid)
	detach()
	p, detach = attached(t, directory, queueBytes)
	_, again := awaited(t, p, p.Ring().Acked(), pid)
	if again <= end {
		t.Errorf("the record ends at %d, and at %d before: a position is given once", again, end)
	}
	p.Ring().Ack(p.Ring().Written())
	detach()
	p, _ = attached(t, directory, queueBytes)
	later := exits(t, uid)
	awaited(t, p, p.Ring().Acked(), later)
	if event, _ := found(t, p, p.Ring().Acked(), pid); event != nil {
		t.Error("an acknowledged record came again")
	}
}

func TestAUserLeavesRoomForOthersInTheQueue(t *testing.T) {
	p, _ := attached(t, pinDirectory(t), 1<<20)
	const one, other = 54330, 54331
	for range uint64(p.queue.tails.MaxEntries()) * p.queue.slotsOf {
		exits(t, one)
	}
	counted, err := p.Counters()
	if err != nil || counted.Lost.RingFull == 0 {
		t.Fatalf("%+v, %v: the queue did not fill up", counted, err)
	}
	awaited(t, p, 0, exits(t, other))
}

func TestSlotsAreAPowerOfTwoForEachProcessor(t *testing.T) {
	for _, test := range []struct {
		bytes, cpus int
		want        uint32
	}{{8 << 20, 2, 1024}, {8 << 20, 3, 512}, {8 << 20, 64, 32}, {64 << 10, 64, slotsMin}} {
		if got := slotsOf(test.bytes, test.cpus, 4096); got != test.want {
			t.Errorf("slotsOf(%d, %d) = %d, want %d", test.bytes, test.cpus, got, test.want)
		}
	}
}
