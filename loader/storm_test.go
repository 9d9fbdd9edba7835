// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// stormVariable makes the test binary a killer: "N", the number of children that it lets die, 0 for until its input ends.
const stormVariable = "WHODUNIT_TEST_STORM"

// stormCode is a code that nothing else exits with.
const stormCode = 71

func TestMain(m *testing.M) {
	if of := os.Getenv(stormVariable); of != "" {
		if err := storm(of); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

// storm forks children, kills every second one, and writes the pid of each that has died to its output. It is a process of its own, as
// its children inherit what it has open.
func storm(of string) error {
	var count int
	if _, err := fmt.Sscan(of, &count); err != nil {
		return err
	}
	runtime.LockOSThread()
	ended := make(chan struct{})
	if count == 0 {
		go func() { io.Copy(io.Discard, os.Stdin); close(ended) }()
	}
	out := bufio.NewWriter(os.Stdout)
	for i := 0; count == 0 || i < count; i++ {
		select {
		case <-ended:
			return out.Flush()
		default:
		}
		pid, err := die(i%2 == 0)
		if err != nil {
			return err
		}
		if err := binary.Write(out, binary.NativeEndian, uint32(pid)); err != nil {
			return err
		}
	}
	return out.Flush()
}

// die makes a child by fork(2) alone, as os/exec would make ten times fewer in the same time, and waits until it has exited with
// stormCode or, if it is to be killed, has got SIGKILL.
//
//go:norace
func die(killed bool) (pid int, err error) {
	child, _, errno := syscall.RawSyscall6(syscall.SYS_CLONE, uintptr(syscall.SIGCHLD), 0, 0, 0, 0, 0)
	if child == 0 {
		for {
			if killed {
				syscall.RawSyscall6(syscall.SYS_PPOLL, 0, 0, 0, 0, 0, 0)
			} else {
				syscall.RawSyscall(syscall.SYS_EXIT_GROUP, stormCode, 0, 0)
			}
		}
	}
	if errno != 0 {
		return 0, errno
	}
	if killed {
		if err := syscall.Kill(int(child), syscall.SIGKILL); err != nil {
			return 0, err
		}
	}
	var status syscall.WaitStatus
	for {
		_, err := syscall.Wait4(int(child), &status, 0, nil)
		if errors.Is(err, syscall.EINTR) {
			continue
		}
		if err == nil && (killed && status.Signal() != syscall.SIGKILL || !killed && status.ExitStatus() != stormCode) {
			err = fmt.Errorf("the child ended with %#x", uint32(status))
		}
		return int(child), err
	}
}

// killer is a storm that goes on, and its ledger: how many children with that pid have died. Pids are used again.
type killer struct {
	command *exec.Cmd
	input   io.Closer
	read    sync.WaitGroup
	died    map[uint32]int
	deaths  int
}

func startKiller(t *testing.T, count int) *killer {
	t.Helper()
	k := &killer{command: exec.Command(os.Args[0]), died: map[uint32]int{}}
	k.command.Env = append(os.Environ(), fmt.Sprintf("%s=%d", stormVariable, count))
	k.command.Stderr = os.Stderr
	input, err := k.command.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	k.input = input
	output, err := k.command.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := k.command.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { k.input.Close(); k.command.Process.Kill() })
	k.read.Go(func() {
		pids := bufio.NewReader(output)
		var pid uint32
		for binary.Read(pids, binary.NativeEndian, &pid) == nil {
			k.died[pid]++
			k.deaths++
		}
	})
	return k
}

// stop waits for the end, after which the ledger may be read.
func (k *killer) stop(t *testing.T) {
	t.Helper()
	k.input.Close()
	k.read.Wait()
	if err := k.command.Wait(); err != nil {
		t.Fatal(err)
	}
}

// told counts the deaths that were told of the killer's children.
type told map[uint32]int

func (told told) add(event *Event, killers ...*killer) {
	for _, k := range killers {
		if event.Process.ParentPid == uint32(k.command.Process.Pid) && (event.StatusRaw == stormCode<<8 || event.StatusRaw == 9) {
			told[event.Process.Pid]++
		}
	}
}

// compare says how many of the ledgers' deaths were not told, and how many were told once too often.
func (told told) compare(killers ...*killer) (deaths, absent, doubled int) {
	died := map[uint32]int{}
	for _, k := range killers {
		deaths += k.deaths
		for pid, n := range k.died {
			died[pid] += n
		}
	}
	for pid, n := range died {
		absent += max(0, n-told[pid])
	}
	for pid, n := range told {
		doubled += max(0, n-died[pid])
	}
	return deaths, absent, doubled
}

// Twenty thousand deaths, as fast as two killers make them, while the consumer does not read for two seconds: with the ring of the
// default size all arrive once, or each that does not is counted.
func TestAStormWhileTheConsumerPausesIsDeliveredOrCounted(t *testing.T) {
	const each, pauseAfter, pause = 10_000, 1_000, 2 * time.Second
	probes, ring := attachedWith(t, defaultRingBytes)
	s := serveRing(t, &testRing{Ring: ring}, probes.Counters)
	consumer := s.connect(t)
	consumer.claim()

	start := time.Now()
	killers := []*killer{startKiller(t, each), startKiller(t, each)}
	told, shrunk, got := told{}, 0, 0
	var heard atomic.Uint64 // the position past the last death that the consumer has heard of
	listening := make(chan error, 1)
	go func() {
		for {
			line, err := consumer.lines.ReadBytes('\n')
			if err != nil {
				listening <- nil // The test closes the connection when it has heard enough.
				return
			}
			if !bytes.HasPrefix(line, []byte(`{"v":1,"type":"death"`)) {
				continue
			}
			var event Event
			if err := json.Unmarshal(withoutHead(t, line), &event); err != nil {
				listening <- err
				return
			}
			told.add(&event, killers...)
			if event.Shrunk {
				shrunk++
			}
			if got++; got == pauseAfter {
				time.Sleep(pause)
			}
			if got%100 == 0 {
				consumer.say(`{"v":1,"type":"ack","seq":"%d"}`, event.Seq)
			}
			heard.Store(event.Seq)
		}
	}()
	consumer.conn.SetReadDeadline(time.Now().Add(5 * time.Minute))
	for _, k := range killers {
		k.stop(t)
	}
	took, end := time.Since(start), ring.Written()
	for heard.Load() < end && len(listening) == 0 {
		// The last before it may be an empty record, which nobody hears of.
		if _, err := die(false); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Millisecond)
	}
	consumer.conn.Close()
	if err := <-listening; err != nil {
		t.Fatal(err)
	}
	counters, missed, err := probes.Counters()
	if err != nil || missed != 0 {
		t.Errorf("missed %d, %v", missed, err)
	}
	deaths, absent, doubled := told.compare(killers...)
	t.Logf("%d deaths at %.0f a second, the consumer paused for %v: %d absent, %d doubled; lost %d, shrunk %d", deaths, float64(deaths)/took.Seconds(), pause, absent, doubled, counters.LostRingFull, shrunk)
	if deaths != 2*each || doubled > 0 || uint64(absent) > counters.LostRingFull {
		t.Errorf("%d deaths: %d absent, of which %d are counted; %d doubled", deaths, absent, counters.LostRingFull, doubled)
	}
}
