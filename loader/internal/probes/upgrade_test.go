// SPDX-License-Identifier: Apache-2.0

package probes

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/cilium/ebpf"

	"whodunit/loader/internal/abi"
	"whodunit/loader/internal/exitcode"
	"whodunit/loader/internal/record"
	"whodunit/loader/internal/record/recordtest"
	"whodunit/loader/internal/stormtest"
)

// otherBuild returns the object of another build: the same programs with another constant.
func otherBuild(t *testing.T) []byte {
	t.Helper()
	license := []byte("Dual BSD/GPL\x00")
	if bytes.Count(_BpfBytes, license) != 1 {
		t.Fatal("the object does not have the constant that this test changes")
	}
	return bytes.Replace(_BpfBytes, license, []byte("Dual MIT/GPL\x00"), 1)
}

// Two builds replace each other fifty times during a storm: each termination must be in the ring exactly once.
func TestAnotherBuildReplacesTheProbesWithoutGapsAndDuplicates(t *testing.T) {
	privileged(t)
	const replacements, ringBytes = 50, 8 << 20
	directory := pinDirectory(t)
	builds := [][]byte{_BpfBytes, otherBuild(t)}
	probes, err := attach(builds[0], Options{PinDirectory: directory, RingBytes: ringBytes})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { probes.Close() }()
	storm, reported := stormtest.Start(t, 0), stormtest.Reported{}
	collect := func() {
		ring, err := probes.Ring()
		if err != nil {
			t.Fatal(err)
		}
		defer ring.Close()
		ring.Ack(eachTermination(t, ring, ring.Acked(), recordtest.Symbols{}, func(event *record.Event) { reported.Add(event, storm) }))
	}
	for i := range replacements {
		collect()
		if err := probes.Close(); err != nil {
			t.Fatal(err)
		}
		if probes, err = attach(builds[(i+1)%2], Options{PinDirectory: directory, RingBytes: ringBytes}); err != nil {
			t.Fatal(err)
		}
		if overlap, err := probes.overlaps(); probes.TookOver || !overlap {
			t.Fatalf("the probes of the other build were not replaced: %v", err)
		}
	}
	storm.Stop(t)
	collect()
	counters, err := probes.Counters()
	if err != nil || counters.Lost.Missed != 0 || counters.Lost.RingFull != 0 {
		t.Errorf("missed %d, lost %d, %v", counters.Lost.Missed, counters.Lost.RingFull, err)
	}
	terminated, absent, doubled := reported.Compare(storm)
	t.Logf("%d replacements during %d terminations: %d absent, %d doubled", replacements, terminated, absent, doubled)
	if absent > 0 || doubled > 0 || terminated < replacements {
		t.Errorf("%d terminations: %d absent, %d doubled", terminated, absent, doubled)
	}
	if others, err := probes.others(digestOf(builds[replacements%2], Options{})); err != nil || len(others) > 0 {
		t.Errorf("left behind: %v, %v", others, err)
	}
}

// A loader that is killed after it attached the new probes and before it removed the old ones leaves both. The next one finishes.
func TestAnInterruptedReplacementIsFinished(t *testing.T) {
	privileged(t)
	directory := pinDirectory(t)
	const ringBytes = 8 << 20 // large enough for the machine's other terminations during the test
	old, err := attach(otherBuild(t), Options{PinDirectory: directory, RingBytes: ringBytes})
	if err != nil {
		t.Fatal(err)
	}
	old.Close()
	fresh, err := attach(_BpfBytes, Options{PinDirectory: directory, RingBytes: ringBytes})
	if err != nil {
		t.Fatal(err)
	}
	// As after a kill: only some of the new ones are pinned.
	if err := os.Remove(fresh.linkPath(bpfProgOnSignalDeliver, digestOf(_BpfBytes, Options{}))); err != nil {
		t.Fatal(err)
	}
	fresh.Close()
	again, err := attach(_BpfBytes, Options{PinDirectory: directory, RingBytes: ringBytes})
	if err != nil {
		t.Fatal(err)
	}
	defer again.Close()
	for _, status := range again.Status {
		if !status.Attached && status.Note == nil {
			t.Errorf("%+v", status)
		}
	}
	ring, err := again.Ring()
	if err != nil {
		t.Fatal(err)
	}
	defer ring.Close()
	pid := exitWith(t, 3)
	if events := recordsOf(t, ring, ring.Acked(), pid); len(events) != 1 {
		t.Errorf("%d records of one termination", len(events))
	}
}

func TestPinnedMapsOfAnotherLayoutAreRejectedWithTheRemedy(t *testing.T) {
	privileged(t)
	directory := pinDirectory(t)
	probes, err := attach(_BpfBytes, Options{PinDirectory: directory, RingBytes: RingBytesMin})
	if err != nil {
		t.Fatal(err)
	}
	at := probes.directory
	probes.Close()
	pinMapOfAnotherLayout(t, filepath.Join(at, bpfMapSeen))
	_, err = attach(otherBuild(t), Options{PinDirectory: directory, RingBytes: RingBytesMin})
	if exitcode.Of(err) != exitcode.Unavailable || !strings.Contains(err.Error(), "whodunit-loader unload") {
		t.Errorf("%v", err)
	}
}

func TestThePendingFactsOfAProcessThatNoLongerExistsAreSwept(t *testing.T) {
	probes, _ := attached(t)
	kept := abi.ProcessKey{StartBoottimeNs: 1, Pid: uint32(os.Getpid())}
	gone := abi.ProcessKey{StartBoottimeNs: 1, Pid: uint32(exitWith(t, 0))}
	for _, key := range []abi.ProcessKey{kept, gone} {
		if err := probes.pendingFacts.Put(key, make([]byte, probes.pendingFacts.ValueSize())); err != nil {
			t.Fatal(err)
		}
	}
	if swept, err := probes.Sweep(); err != nil || swept < 1 {
		t.Errorf("swept %d, %v", swept, err)
	}
	value := make([]byte, probes.pendingFacts.ValueSize())
	if err := probes.pendingFacts.Lookup(gone, &value); !errors.Is(err, ebpf.ErrKeyNotExist) {
		t.Errorf("the pending facts of a process that no longer exists: %v", err)
	}
	if err := probes.pendingFacts.Lookup(kept, &value); err != nil {
		t.Errorf("the pending facts of a process that exists: %v", err)
	}
}

func TestTheOverlapEndsAfterItsLingerAndKeepsTheCounts(t *testing.T) {
	probes, _ := attached(t)
	if err := probes.markOverlap(true); err != nil {
		t.Fatal(err)
	}
	// Facts of an older ABI, which has counted them in the slot of the pid itself.
	former := abi.ProcessKey{StartBoottimeNs: 1, Pid: uint32(os.Getpid())}
	if err := probes.pendingFacts.Put(former, make([]byte, probes.pendingFacts.ValueSize())); err != nil {
		t.Fatal(err)
	}
	var last uint32
	if err := probes.pendingCounts.Lookup(probes.pendingCounts.MaxEntries()-1, &last); err != nil || last&uint32(abi.PendingCountsSlotOVERLAP) == 0 {
		t.Errorf("the last slot has %#x, %v", last, err)
	}
	start := time.Now()
	if err := probes.EndOverlap(t.Context()); err != nil {
		t.Fatal(err)
	}
	if overlap, err := probes.overlaps(); overlap || err != nil || time.Since(start) < overlapLinger {
		t.Errorf("overlap %v after %v, %v", overlap, time.Since(start), err)
	}
	slots := probes.pendingCounts.MaxEntries()
	var counted uint32
	if err := probes.pendingCounts.Lookup(former.Pid/uint32(abi.PendingCountsSlotPIDS_PER_SLOT)%slots, &counted); err != nil || counted&uint32(abi.PendingCountsSlotPENDING_COUNT) == 0 {
		t.Errorf("the facts of an older ABI are not counted: %d, %v", counted, err)
	}
	entries := probes.pendingCounts.Iterate()
	var slot, count uint32
	for entries.Next(&slot, &count) {
		if count &= uint32(abi.PendingCountsSlotPENDING_COUNT); count > 1000 {
			t.Errorf("slot %[2]d counts %[1]d processes", count, slot)
		}
	}
	if err := entries.Err(); err != nil {
		t.Error(err)
	}
}

// pinMapOfAnotherLayout replaces the pin by a map with other keys.
func pinMapOfAnotherLayout(t *testing.T, pin string) {
	t.Helper()
	other, err := ebpf.NewMap(&ebpf.MapSpec{Type: ebpf.LRUHash, KeySize: 8, ValueSize: 4, MaxEntries: 16})
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	if err := errors.Join(os.Remove(pin), other.Pin(pin)); err != nil {
		t.Fatal(err)
	}
}
