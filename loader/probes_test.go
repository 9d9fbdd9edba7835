// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cilium/ebpf/btf"
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
	return attachedWith(t, ringBytesMin)
}

func attachedWith(t *testing.T, ringBytes int) (*Probes, *Ring) {
	t.Helper()
	return attachedFor(t, ringBytes, wholeHost)
}

func attachedFor(t *testing.T, ringBytes int, watched scope) (*Probes, *Ring) {
	t.Helper()
	privileged(t)
	probes, err := attachProbes(pinDirectory(t), ringBytes, _BpfBytes, settings{watched: watched})
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

// eachDeath reads the ring from a position on. The event is valid during the call.
func eachDeath(t *testing.T, ring *Ring, from uint64, symbols symbolizer, yield func(*Event)) (end uint64) {
	t.Helper()
	reader, decoder := ring.Reader(), newDecoder(4096, symbols)
	defer reader.Close()
	for {
		record, next, ok, err := reader.Next(from)
		if err != nil {
			t.Fatal(err)
		}
		if !ok {
			return from
		}
		from = next
		if record == nil {
			continue
		}
		event, err := decoder.decode(record)
		if err != nil {
			t.Fatal(err)
		}
		if event.Dead != nil {
			continue // a restart
		}
		yield(event)
	}
}

// deathsOf reads the ring from a position on, and returns what was read of that pid.
func deathsOf(t *testing.T, ring *Ring, from uint64, pid int) (events []*Event) {
	t.Helper()
	eachDeath(t, ring, from, symbolTable{}, func(event *Event) {
		if event.Process.Pid != uint32(pid) {
			return
		}
		line, err := appendDeath(nil, event)
		if err != nil {
			t.Fatal(err)
		}
		kept := &Event{}
		if err := json.Unmarshal(line, kept); err != nil {
			t.Fatal(err)
		}
		events = append(events, kept)
	})
	return events
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
	first, err := attachProbes(directory, ringBytesMin, _BpfBytes, settings{})
	if err != nil {
		t.Fatal(err)
	}
	if first.TookOver {
		t.Error("took over what was not there")
	}
	if _, err := attachProbes(directory, ringBytesMin, _BpfBytes, settings{}); err == nil || !strings.Contains(err.Error(), "another whodunit-loader uses") {
		t.Errorf("a second loader on the same pins: %v", err)
	}
	first.Close()

	pid := dieWith(t, 3)

	second, err := attachProbes(directory, ringBytesMin, _BpfBytes, settings{})
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

// The kernel looks through the environment a page's worth at a time, eight bytes at once: so where a variable lies, and how long the one
// before it is, must make no difference.
func TestTheWantedVariablesAreFoundWhereverTheyLie(t *testing.T) {
	const pageBytes = 4096
	_, ring := attachedWith(t, 4<<20)
	long := "team=" + strings.Repeat("t", 2000)
	wanted := map[string]string{
		"OTEL_SERVICE_NAME":        "shop",
		"OTEL_RESOURCE_ATTRIBUTES": long[:1023-len("OTEL_RESOURCE_ATTRIBUTES=")],
		"TRACEPARENT":              "00-1",
		"TRACESTATE":               "",
	}
	lengths := []int{3 * pageBytes, 70_000}
	for around := range 4 {
		for length := max(0, around*pageBytes-2200); length < around*pageBytes+16; length += 7 {
			lengths = append(lengths, length)
		}
	}
	lengthOf := map[int]int{}
	for _, length := range lengths {
		command := exec.Command("/bin/sh", "-c", "exit 3")
		command.Env = []string{
			"A=" + strings.Repeat("x", pageBytes-2) + "OTEL_SERVICE_NAME=a" + strings.Repeat("x", length), "OTEL_SERVICE_NAME=shop", "B=", "NOT_OTEL_SERVICE_NAME=b", "OTEL_RESOURCE_ATTRIBUTES=" + long,
			"C=OTEL_SERVICE_NAME=c", "TRACEPARENT=00-1", "TRACESTATE=",
		}
		var exit *exec.ExitError
		if err := command.Run(); !errors.As(err, &exit) || exit.ExitCode() != 3 {
			t.Fatal(err)
		}
		lengthOf[command.Process.Pid] = length
	}
	told := 0
	eachDeath(t, ring, 0, symbolTable{}, func(event *Event) {
		length, ours := lengthOf[int(event.Process.Pid)]
		if !ours {
			return
		}
		told++
		if !maps.Equal(event.Process.Env, wanted) {
			t.Errorf("behind %d bytes: %v", length, event.Process.Env)
		}
	})
	if told != len(lengths) {
		t.Errorf("%d deaths of %d were told", told, len(lengths))
	}
}

// everyAddress gives each kernel address a name.
type everyAddress struct{}

func (everyAddress) names(out []string, addresses []uint64) []string {
	for range addresses {
		out = append(out, "function")
	}
	return out
}

// What a record of a death by SIGPIPE still has, from all to nothing: the steps in which records shrink.
func leftOf(event *Event) string {
	switch {
	case len(event.Signal.KernelStack) > 0 && event.Process.Args != nil && !event.Shrunk:
		return "all"
	case event.Process.Args != nil && event.Shrunk:
		return "no stack"
	case len(event.Process.Ancestors) > 0 && event.Shrunk:
		return "no arguments"
	case event.Process.Exe != nil && event.Process.Cgroup != nil && event.Shrunk:
		return "no ancestors"
	}
	return fmt.Sprintf("%+v", event)
}

func TestWhenTheRingIsLowRecordsShrinkStepByStepBeforeAnyIsLostAndLossIsCounted(t *testing.T) {
	probes, ring := attached(t)
	const deaths = 400
	for range deaths {
		if err := exec.Command("/bin/sh", "-c", "yes | true").Run(); err != nil { // yes dies of SIGPIPE, which the kernel sends
			t.Fatal(err)
		}
	}
	counters, missed, err := probes.Counters()
	if err != nil || missed != 0 {
		t.Fatalf("missed %d, %v", missed, err)
	}
	var steps []string
	found := 0
	eachDeath(t, ring, 0, everyAddress{}, func(event *Event) {
		if event.Process.Comm != "yes" || event.Process.ParentPid == 1 {
			return
		}
		found++
		if left := leftOf(event); len(steps) == 0 || steps[len(steps)-1] != left {
			steps = append(steps, left)
		}
	})
	if want := []string{"all", "no stack", "no arguments", "no ancestors"}; !slices.Equal(steps, want) {
		t.Errorf("records shrank in these steps: %q, want %q", steps, want)
	}
	if lost := deaths - found; lost <= 0 || counters.LostRingFull < uint64(lost) {
		t.Errorf("lost %d, counted as lost %d", lost, counters.LostRingFull)
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
	_, err := attachProbes(directory, ringBytesMin, _BpfBytes, settings{})
	var usage *usageError
	if !errors.As(err, &usage) || !strings.Contains(err.Error(), "unload") {
		t.Errorf("%v", err)
	}
}

func TestAPinDirectoryOutsideBpffsIsRefused(t *testing.T) {
	_, err := attachProbes(t.TempDir(), ringBytesMin, _BpfBytes, settings{})
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
	for _, hook := range hooksHere(btf.NewCache()) {
		if !strings.Contains(out.String(), hook.name) {
			t.Errorf("no row for %s:\n%s", hook.name, out.String())
		}
	}
}
