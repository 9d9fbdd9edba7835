// SPDX-License-Identifier: Apache-2.0

package probes

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"whodunit/loader/internal/exitcode"
)

func TestProbesRunWithoutALoaderAndTheNextLoaderReadsTheirRecords(t *testing.T) {
	privileged(t)
	directory := pinDirectory(t)
	first, err := Attach(Options{PinDirectory: directory, RingBytes: RingBytesMin})
	if err != nil {
		t.Fatal(err)
	}
	if first.TookOver {
		t.Error("took over probes that were not pinned")
	}
	if _, err := Attach(Options{PinDirectory: directory, RingBytes: RingBytesMin}); err == nil || !strings.Contains(err.Error(), "another whodunit-loader uses") {
		t.Errorf("a second loader on the same pins: %v", err)
	}
	first.Close()

	pid := exitWith(t, 3)

	second, err := Attach(Options{PinDirectory: directory, RingBytes: RingBytesMin})
	if err != nil {
		t.Fatal(err)
	}
	defer second.Close()
	if !second.TookOver {
		t.Error("did not take over the pinned probes")
	}
	ring, err := second.Ring()
	if err != nil {
		t.Fatal(err)
	}
	defer ring.Close()
	events := recordsOf(t, ring, ring.Acked(), pid)
	if len(events) != 1 || events[0].StatusRaw != 3<<8 {
		t.Fatalf("%d records of the termination while no loader ran: %+v", len(events), events)
	}
	if exe := events[0].Process.Exe; exe == nil || !strings.HasSuffix(*exe, "sh") {
		t.Errorf("executable %v", exe)
	}
	if got := strings.Join(events[0].Process.Args, " "); got != "/bin/sh -c exit 3" {
		t.Errorf("arguments %q", got)
	}
}

func TestNormalExitsAreCountedAndHaveNoRecord(t *testing.T) {
	probes, ring := attached(t)
	before, err := probes.Counters()
	if err != nil {
		t.Fatal(err)
	}
	var pids []int
	for range 20 {
		pids = append(pids, exitWith(t, 0))
	}
	after, err := probes.Counters()
	if err != nil || after.ExitsNormal-before.ExitsNormal < 20 {
		t.Errorf("%d normal exits counted, %v", after.ExitsNormal-before.ExitsNormal, err)
	}
	for _, pid := range pids {
		if events := recordsOf(t, ring, 0, pid); len(events) != 0 {
			t.Errorf("a normal exit has a record: %+v", events)
		}
	}
}

func TestPinsOfAnotherVersionAreRejectedWithTheRemedy(t *testing.T) {
	privileged(t)
	directory := pinDirectory(t)
	if err := mountBpffs(directory); err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(filepath.Join(directory, "v0"), 0o700); err != nil {
		t.Fatal(err)
	}
	_, err := Attach(Options{PinDirectory: directory, RingBytes: RingBytesMin})
	if exitcode.Of(err) != exitcode.Unavailable || !strings.Contains(err.Error(), "unload") {
		t.Errorf("%v", err)
	}
}

func TestAPinDirectoryOutsideBpffsIsRejected(t *testing.T) {
	_, err := Attach(Options{PinDirectory: t.TempDir(), RingBytes: RingBytesMin})
	if err == nil || !strings.Contains(err.Error(), "not on a BPF file system") {
		t.Errorf("%v", err)
	}
}

func TestEveryRequiredHookWorksOnThisKernel(t *testing.T) {
	privileged(t)
	trials := TryHooks(Types{})
	for _, trial := range trials {
		if trial.Required && trial.Failed != "" {
			t.Errorf("%+v", trial)
		}
	}
	spec, err := loadBpf()
	if err != nil {
		t.Fatal(err)
	}
	kernel, err := featuresHere(spec, Types{}.opened())
	want := len(hooksHere(kernel))
	if _, missing := StacksHere(Types{}); missing == nil {
		want++ // the calibration
	}
	if err != nil || len(trials) != want {
		t.Errorf("%d trials, not %d: %+v, %v", len(trials), want, trials, err)
	}
}

func TestNoRecordWaitsInADirectoryThatDoesNotExist(t *testing.T) {
	if waiting := Unacknowledged(filepath.Join(t.TempDir(), "none")); waiting != 0 {
		t.Errorf("%d", waiting)
	}
}
