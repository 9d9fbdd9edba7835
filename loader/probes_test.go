// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// privileged skips, loudly, where the probes cannot be loaded; with CI=true that is a failure.
func privileged(t *testing.T) {
	t.Helper()
	err := requireKernel()
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
		if _, err := unload(directory); err != nil {
			t.Error(err)
		}
		if _, err := os.Stat(directory); err == nil {
			t.Errorf("unload left %s behind", directory)
		}
	})
	return directory
}

// attached gives probes of its own, and their ring, until the test ends.
func attached(t *testing.T) (*Probes, *Ring) {
	t.Helper()
	privileged(t)
	probes, err := attachProbes(pinDirectory(t), ringBytesMin)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(probes.Close)
	ring, err := probes.Ring()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ring.Close() })
	return probes, ring
}

// deathsOf reads the ring from a position on, and returns the deaths of that pid.
func deathsOf(t *testing.T, ring *Ring, from uint64, pid int) (events []*Event) {
	t.Helper()
	for {
		record, next, ok := ring.Next(from)
		if !ok {
			return events
		}
		event, err := decoder{pageBytes: 4096, symbols: symbolTable{}}.decode(record)
		if err != nil {
			t.Fatal(err)
		}
		if event.Process.Pid == uint32(pid) {
			events = append(events, event)
		}
		from = next
	}
}

func dieWith(t *testing.T, code int) (pid int) {
	t.Helper()
	command := exec.Command("/bin/sh", "-c", fmt.Sprintf("exit %d", code))
	err := command.Run()
	var exit *exec.ExitError
	if code != 0 && (!errors.As(err, &exit) || exit.ExitCode() != code) {
		t.Fatalf("%v", err)
	}
	return command.Process.Pid
}

func TestProbesGoOnWithoutALoaderAndTheNextLoaderReadsOn(t *testing.T) {
	privileged(t)
	directory := pinDirectory(t)
	first, err := attachProbes(directory, ringBytesMin)
	if err != nil {
		t.Fatal(err)
	}
	if first.TookOver {
		t.Error("took over what was not there")
	}
	if _, err := attachProbes(directory, ringBytesMin); err == nil || !strings.Contains(err.Error(), "another whodunit-loader uses") {
		t.Errorf("a second loader on the same pins: %v", err)
	}
	first.Close()

	pid := dieWith(t, 3)

	second, err := attachProbes(directory, ringBytesMin)
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
	events := deathsOf(t, ring, ring.Acked(), pid)
	if len(events) != 1 || events[0].StatusRaw != 3<<8 {
		t.Fatalf("%d records of the death without a loader: %+v", len(events), events)
	}
	if exe := events[0].Process.Exe; exe == nil || !strings.HasSuffix(*exe, "sh") {
		t.Errorf("executable %v", exe)
	}
	if got := strings.Join(events[0].Process.Args, " "); got != "/bin/sh -c exit 3" {
		t.Errorf("arguments %q", got)
	}
}

func TestNormalExitsAreCountedAndNotSent(t *testing.T) {
	probes, ring := attached(t)
	before, _, err := probes.Counters()
	if err != nil {
		t.Fatal(err)
	}
	var pids []int
	for range 20 {
		pids = append(pids, dieWith(t, 0))
	}
	after, _, err := probes.Counters()
	if err != nil || after.ExitsNormal-before.ExitsNormal < 20 {
		t.Errorf("%d normal exits counted, %v", after.ExitsNormal-before.ExitsNormal, err)
	}
	for _, pid := range pids {
		if events := deathsOf(t, ring, 0, pid); len(events) != 0 {
			t.Errorf("a normal exit was sent: %+v", events)
		}
	}
}

func TestWhenTheRingIsLowRecordsShrinkBeforeAnyIsLostAndLossIsCounted(t *testing.T) {
	probes, ring := attached(t)
	var pids []int
	for range 400 {
		pids = append(pids, dieWith(t, 1))
	}
	counters, missed, err := probes.Counters()
	if err != nil || missed != 0 {
		t.Fatalf("missed %d, %v", missed, err)
	}
	whole, shrunk, lost := 0, 0, 0
	for _, pid := range pids {
		switch events := deathsOf(t, ring, 0, pid); {
		case len(events) == 0:
			lost++
		case len(events) > 1:
			t.Errorf("%d records of one death", len(events))
		case events[0].Shrunk:
			shrunk++
			if events[0].Process.Args != nil || events[0].Process.Exe == nil {
				t.Errorf("shrunk: %+v", events[0].Process)
			}
		default:
			whole++
			if shrunk > 0 || lost > 0 {
				t.Error("a whole record after a shrunk or lost one")
			}
		}
	}
	if whole == 0 || shrunk == 0 || lost == 0 || counters.LostRingFull < uint64(lost) {
		t.Errorf("whole %d, shrunk %d, lost %d, counted as lost %d", whole, shrunk, lost, counters.LostRingFull)
	}
	ring.Ack(ring.Written())
	pid := dieWith(t, 1)
	if events := deathsOf(t, ring, ring.Acked(), pid); len(events) != 1 || events[0].Shrunk {
		t.Errorf("after an ack there is room again: %+v", events)
	}
}

func TestPinsOfAnotherVersionAreRefusedWithTheRemedy(t *testing.T) {
	privileged(t)
	directory := pinDirectory(t)
	if err := mountBpffs(directory); err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(filepath.Join(directory, "v0"), 0o700); err != nil {
		t.Fatal(err)
	}
	_, err := attachProbes(directory, ringBytesMin)
	var usage *usageError
	if !errors.As(err, &usage) || !strings.Contains(err.Error(), "unload") {
		t.Errorf("%v", err)
	}
}

func TestAPinDirectoryOutsideBpffsIsRefused(t *testing.T) {
	_, err := attachProbes(t.TempDir(), ringBytesMin)
	if err == nil || !strings.Contains(err.Error(), "not on a BPF file system") {
		t.Errorf("%v", err)
	}
}

// Without BTF: the whole program, in a mount namespace where nothing lies at /sys/kernel/btf.
func TestAKernelWithoutBTFIsRefusedWithTheRemedy(t *testing.T) {
	privileged(t)
	loader := filepath.Join(t.TempDir(), "whodunit-loader")
	build := exec.Command("go", "build", "-o", loader, ".")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	hidden := exec.Command("unshare", "--mount", "sh", "-c", "mount -t tmpfs none /sys/kernel/btf && exec "+loader+" run --socket "+filepath.Join(t.TempDir(), "s"))
	out, err := hidden.CombinedOutput()
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.ExitCode() != exitUnavailable || !strings.Contains(string(out), "CONFIG_DEBUG_INFO_BTF") {
		t.Errorf("%v\n%s", err, out)
	}
}

func TestUnloadOfNothingIsNoError(t *testing.T) {
	if removed, err := unload(filepath.Join(t.TempDir(), "none")); removed != 0 || err != nil {
		t.Errorf("%d, %v", removed, err)
	}
}

func TestCheckFindsNothingMissingHere(t *testing.T) {
	privileged(t)
	var out bytes.Buffer
	if err := check(io.Writer(&out), pinDirectory(t)); err != nil {
		t.Fatalf("%v\n%s", err, out.String())
	}
	for _, hook := range hooksHere() {
		if !strings.Contains(out.String(), hook.name) {
			t.Errorf("no row for %s:\n%s", hook.name, out.String())
		}
	}
}
