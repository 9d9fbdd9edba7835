// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/cilium/ebpf"
)

// otherBuild is the object as another build would have it: the same programs with another constant.
func otherBuild(t *testing.T) []byte {
	t.Helper()
	license := []byte("Dual BSD/GPL\x00")
	if bytes.Count(_BpfBytes, license) != 1 {
		t.Fatal("the object holds no constant that can be another one")
	}
	return bytes.Replace(_BpfBytes, license, []byte("Dual MIT/GPL\x00"), 1)
}

// Two builds take turns fifty times while processes die: each death must be in the ring once.
func TestAnotherBuildReplacesTheProbesWithoutAGapAndWithoutDoubles(t *testing.T) {
	privileged(t)
	const replacements, ringBytes = 50, 8 << 20
	directory := pinDirectory(t)
	builds := [][]byte{_BpfBytes, otherBuild(t)}
	probes, err := attachProbes(directory, ringBytes, builds[0], settings{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { probes.Close() }()
	killer, told := startKiller(t, 0), told{}
	collect := func() {
		ring, err := probes.Ring()
		if err != nil {
			t.Fatal(err)
		}
		defer ring.Close()
		ring.Ack(eachDeath(t, ring, ring.Acked(), symbolTable{}, func(event *Event) { told.add(event, killer) }))
	}
	for i := range replacements {
		collect()
		if err := probes.Close(); err != nil {
			t.Fatal(err)
		}
		if probes, err = attachProbes(directory, ringBytes, builds[(i+1)%2], settings{}); err != nil {
			t.Fatal(err)
		}
		if overlap, err := probes.overlaps(); probes.TookOver || !overlap {
			t.Fatalf("the probes of the other build were not replaced: %v", err)
		}
	}
	killer.stop(t)
	collect()
	counters, missed, err := probes.Counters()
	if err != nil || missed != 0 || counters.LostRingFull != 0 {
		t.Errorf("missed %d, lost %d, %v", missed, counters.LostRingFull, err)
	}
	deaths, absent, doubled := told.compare(killer)
	t.Logf("%d replacements during %d deaths: %d absent, %d doubled", replacements, deaths, absent, doubled)
	if absent > 0 || doubled > 0 || deaths < replacements {
		t.Errorf("%d deaths: %d absent, %d doubled", deaths, absent, doubled)
	}
	if others, err := probes.others(digestOf(builds[replacements%2], settings{})); err != nil || len(others) > 0 {
		t.Errorf("left behind: %v, %v", others, err)
	}
}

// A loader that is killed between attaching the new probes and removing the old leaves both: the next one finishes.
func TestAReplacementThatWasCutShortIsFinished(t *testing.T) {
	privileged(t)
	directory := pinDirectory(t)
	const ringBytes = 8 << 20 // that the machine's other deaths do not fill meanwhile
	old, err := attachProbes(directory, ringBytes, otherBuild(t), settings{})
	if err != nil {
		t.Fatal(err)
	}
	old.Close()
	fresh, err := attachProbes(directory, ringBytes, _BpfBytes, settings{})
	if err != nil {
		t.Fatal(err)
	}
	// What the kill would have left: only some of the new ones.
	if err := os.Remove(fresh.linkPath(bpfProgOnSignalDeliver, digestOf(_BpfBytes, settings{}))); err != nil {
		t.Fatal(err)
	}
	fresh.Close()
	again, err := attachProbes(directory, ringBytes, _BpfBytes, settings{})
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
	pid := dieWith(t, 3)
	if events := deathsOf(t, ring, ring.Acked(), pid); len(events) != 1 {
		t.Errorf("%d records of one death", len(events))
	}
}

func TestMapsOfAnotherShapeAreRefusedWithTheRemedy(t *testing.T) {
	privileged(t)
	directory := pinDirectory(t)
	probes, err := attachProbes(directory, ringBytesMin, _BpfBytes, settings{})
	if err != nil {
		t.Fatal(err)
	}
	at := probes.directory
	probes.Close()
	seen := filepath.Join(at, bpfMapSeen)
	if err := os.Remove(seen); err != nil {
		t.Fatal(err)
	}
	other, err := ebpf.NewMap(&ebpf.MapSpec{Type: ebpf.LRUHash, KeySize: 8, ValueSize: 4, MaxEntries: 16})
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	if err := other.Pin(seen); err != nil {
		t.Fatal(err)
	}
	_, err = attachProbes(directory, ringBytesMin, otherBuild(t), settings{})
	var usage *usageError
	if !errors.As(err, &usage) || !strings.Contains(err.Error(), "whodunit-loader unload") {
		t.Errorf("%v", err)
	}
}

func TestWhatIsRememberedOfAProcessThatIsGoneIsSwept(t *testing.T) {
	probes, _ := attached(t)
	kept := bpfProcessKey{StartBoottimeNs: 1, Pid: uint32(os.Getpid())}
	gone := bpfProcessKey{StartBoottimeNs: 1, Pid: uint32(dieWith(t, 0))}
	for _, key := range []bpfProcessKey{kept, gone} {
		if err := probes.memories.Put(key, make([]byte, probes.memories.ValueSize())); err != nil {
			t.Fatal(err)
		}
	}
	if swept, err := probes.Sweep(); err != nil || swept < 1 {
		t.Errorf("swept %d, %v", swept, err)
	}
	value := make([]byte, probes.memories.ValueSize())
	if err := probes.memories.Lookup(gone, &value); !errors.Is(err, ebpf.ErrKeyNotExist) {
		t.Errorf("what is remembered of the dead: %v", err)
	}
	if err := probes.memories.Lookup(kept, &value); err != nil {
		t.Errorf("what is remembered of the living: %v", err)
	}
}

func TestTheOverlapEndsSomeTimeAfterTheOldProbesAndLeavesTheCountsAlone(t *testing.T) {
	probes, _ := attached(t)
	if err := probes.markOverlap(true); err != nil {
		t.Fatal(err)
	}
	start := time.Now()
	if err := probes.EndOverlap(t.Context()); err != nil {
		t.Fatal(err)
	}
	if overlap, err := probes.overlaps(); overlap || err != nil || time.Since(start) < overlapLinger {
		t.Errorf("overlap %v after %v, %v", overlap, time.Since(start), err)
	}
	entries := probes.remembered.Iterate()
	var slot, count uint32
	for entries.Next(&slot, &count) {
		if count > 1000 {
			t.Errorf("%d processes are remembered in slot %d", count, slot)
		}
	}
	if err := entries.Err(); err != nil {
		t.Error(err)
	}
}
