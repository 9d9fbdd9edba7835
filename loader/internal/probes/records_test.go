// SPDX-License-Identifier: Apache-2.0

package probes

import (
	"errors"
	"fmt"
	"maps"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"whodunit/loader/internal/record"
	"whodunit/loader/internal/record/recordtest"
)

// The probes scan the environment in pages of 4 KiB, eight bytes at a time. The position of a variable, and the length of the one before it,
// must make no difference.
func TestTheWantedVariablesAreFoundAtAnyPosition(t *testing.T) {
	const pageBytes = 4096
	_, ring, unit := floodedRing(t, 4<<20)
	long := "team=" + strings.Repeat("t", 2000)
	wanted := map[string]string{
		"OTEL_SERVICE_NAME":        "shop",
		"OTEL_RESOURCE_ATTRIBUTES": long[:1023-len("OTEL_RESOURCE_ATTRIBUTES=")],
		"TRACEPARENT":              "00-1",
		"TRACESTATE":               "",
		"SSH_CONNECTION":           "192.0.2.7 50022 10.0.0.1 22",
	}
	lengths := []int{3 * pageBytes, 70_000}
	for around := range 4 {
		for length := max(0, around*pageBytes-2200); length < around*pageBytes+16; length += 7 {
			lengths = append(lengths, length)
		}
	}
	lengthOf := map[int]int{}
	for _, length := range lengths {
		command := exec.Command("/bin/sh", "-c", enter(unit)+"exit 3")
		command.Env = []string{
			"A=" + strings.Repeat("x", pageBytes-2) + "OTEL_SERVICE_NAME=a" + strings.Repeat("x", length), "OTEL_SERVICE_NAME=shop", "B=", "NOT_OTEL_SERVICE_NAME=b", "OTEL_RESOURCE_ATTRIBUTES=" + long,
			"C=OTEL_SERVICE_NAME=c", "TRACEPARENT=00-1", "TRACESTATE=", "SSH_CONNECTION=192.0.2.7 50022 10.0.0.1 22",
		}
		var exit *exec.ExitError
		if err := command.Run(); !errors.As(err, &exit) || exit.ExitCode() != 3 {
			t.Fatal(err)
		}
		lengthOf[command.Process.Pid] = length
	}
	reported := 0
	eachTermination(t, ring, 0, recordtest.Symbols{}, func(event *record.Event) {
		length, ours := lengthOf[int(event.Process.Pid)]
		if !ours {
			return
		}
		reported++
		if !maps.Equal(event.Process.Env, wanted) {
			t.Errorf("behind %d bytes: %v", length, event.Process.Env)
		}
	})
	if reported != len(lengths) {
		t.Errorf("%d terminations of %d were reported", reported, len(lengths))
	}
}

// A shell in a UTS namespace of its own is killed by one in another: each has the host name that was set there. Processes beside them have none.
func TestRecordsHaveTheHostNamesOfUTSNamespaces(t *testing.T) {
	_, ring, unit := floodedRing(t, 1<<20)
	long := strings.Repeat("n", 64)
	script := enter(unit) + fmt.Sprintf(`unshare --uts sh -c 'hostname %s; exec sleep 100' & victim=$!
		while ! grep -q sleep /proc/$victim/comm; do sleep 0.01; done
		unshare --uts sh -c "hostname ops-1; kill -9 $victim; exit 3"; wait $victim; exit 4`, long)
	var exit *exec.ExitError
	if err := exec.Command("/bin/sh", "-c", script).Run(); !errors.As(err, &exit) || exit.ExitCode() != 4 {
		t.Fatal(err)
	}
	found := map[uint32][2]string{}
	eachTermination(t, ring, 0, recordtest.Symbols{}, func(event *record.Event) {
		names := [2]string{nameOr(event.Process.UtsHostname), ""}
		if event.Signal != nil {
			names[1] = nameOr(event.Signal.Sender.UtsHostname)
		}
		if event.StatusRaw != 1<<8 { // of grep
			found[event.StatusRaw] = names
		}
	})
	want := map[uint32][2]string{9: {long, "ops-1"}, 3 << 8: {"ops-1", ""}, 4 << 8: {"the machine's", ""}}
	if !maps.Equal(found, want) {
		t.Errorf("%q, want %q", found, want)
	}
}

func nameOr(name *string) string {
	if name == nil {
		return "the machine's"
	}
	return strings.Clone(*name) // The event is valid until the next one.
}

// everyAddress gives each kernel address a name.
type everyAddress struct{}

func (everyAddress) Names(out []string, addresses []uint64) []string {
	for range addresses {
		out = append(out, "function")
	}
	return out
}

// leftOf returns the step of shrinking: what the record of a termination by SIGPIPE does not have any more.
func leftOf(event *record.Event) string {
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

func TestRecordsShrinkStepByStepBeforeTheRingIsFullAndLossIsCounted(t *testing.T) {
	probes, ring, unit := floodedRing(t, RingBytesMin)
	const terminations = 400
	for range terminations {
		if err := exec.Command("/bin/sh", "-c", enter(unit)+"yes | true").Run(); err != nil { // The kernel sends SIGPIPE to yes.
			t.Fatal(err)
		}
	}
	counters, err := probes.Counters()
	if err != nil || counters.Lost.Missed != 0 {
		t.Fatalf("missed %d, %v", counters.Lost.Missed, err)
	}
	var steps []string
	found := 0
	eachTermination(t, ring, 0, everyAddress{}, func(event *record.Event) {
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
	if lost := terminations - found; lost <= 0 || counters.Lost.RingFull < uint64(lost) {
		t.Errorf("lost %d, counted as lost %d", lost, counters.Lost.RingFull)
	}
	ring.Ack(ring.Written())
	wholeVictim(t, ring, unit, 0)
}
