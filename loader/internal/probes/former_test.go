// SPDX-License-Identifier: Apache-2.0

package probes

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"whodunit/loader/internal/abi"
	"whodunit/loader/internal/exitcode"
	"whodunit/loader/internal/ring"
)

const olderABI = abi.OldestABI

var currentABI = abiDirectory(uint32(abi.EventAbiEVENT_ABI))

// pinAsOlder attaches the probes, lets a process exit with 3, and makes the pins look like those of the older ABI.
func pinAsOlder(t *testing.T, pinDirectory string) (older string, exited int) {
	t.Helper()
	probes, err := Attach(Options{PinDirectory: pinDirectory, RingBytes: 4 << 20})
	if err != nil {
		t.Fatal(err)
	}
	exited = exitWith(t, 3)
	current := probes.directory
	probes.Close()
	older = filepath.Join(pinDirectory, abiDirectory(olderABI))
	move(t, current, older)
	for _, name := range pinnedMaps() {
		if former := formerName(olderABI, name); former != name {
			move(t, filepath.Join(older, name), filepath.Join(older, former))
		}
	}
	return older, exited
}

func move(t *testing.T, from, to string) {
	t.Helper()
	if err := os.Rename(from, to); err != nil {
		t.Fatal(err)
	}
}

func names(t *testing.T, directory string) (all []string) {
	t.Helper()
	entries, err := os.ReadDir(directory)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	for _, entry := range entries {
		all = append(all, entry.Name())
	}
	return all
}

// exitedOnce fails the test unless the ring has exactly one record of the process, with exit code 3.
func exitedOnce(t *testing.T, ring *ring.Ring, pid int) {
	t.Helper()
	if events := recordsOf(t, ring, ring.Acked(), pid); len(events) != 1 || events[0].StatusRaw != 3<<8 {
		t.Errorf("%d records of pid %d: %+v", len(events), pid, events)
	}
}

// moveSome leaves the pins as a loader does that is killed while it takes over the maps.
func moveSome(t *testing.T, pinDirectory, older string) {
	t.Helper()
	current := filepath.Join(pinDirectory, currentABI)
	if err := os.Mkdir(current, 0o700); err != nil {
		t.Fatal(err)
	}
	for _, name := range pinnedMaps()[:4] {
		move(t, filepath.Join(older, formerName(olderABI, name)), filepath.Join(current, name))
	}
}

// attachBeside leaves the pins as a loader does that is killed before it removes the older links.
func attachBeside(t *testing.T, pinDirectory, older string) {
	t.Helper()
	kept := pinDirectory + "-links" // The links stay pinned here, so the older programs stay attached.
	if err := os.Mkdir(kept, 0o700); err != nil {
		t.Fatal(err)
	}
	links := slices.DeleteFunc(names(t, older), func(name string) bool { return !strings.Contains(name, "-") })
	for _, link := range links {
		move(t, filepath.Join(older, link), filepath.Join(kept, link))
	}
	probes, err := Attach(Options{PinDirectory: pinDirectory, RingBytes: RingBytesMin})
	if err != nil {
		t.Fatal(err)
	}
	if err := probes.markOverlap(true); err != nil {
		t.Fatal(err)
	}
	probes.Close()
	move(t, kept, older)
}

func TestTheMapsOfAnOlderABIAreKept(t *testing.T) {
	privileged(t)
	for _, test := range []struct {
		name   string
		before func(t *testing.T, pinDirectory, older string) // changes the pins as an earlier attempt would
	}{
		{"as the older loader left them", func(*testing.T, string, string) {}},
		{"after an earlier attempt that moved some", moveSome},
		{"after an earlier attempt that attached the new probes", attachBeside},
		{"without a map that has another name in this ABI", func(t *testing.T, _, older string) {
			move(t, filepath.Join(older, bpfMapSenderDescriptions), filepath.Join(older, "senders"))
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			directory := pinDirectory(t)
			older, before := pinAsOlder(t, directory)
			test.before(t, directory, older)
			probes, err := Attach(Options{PinDirectory: directory, RingBytes: RingBytesMin})
			if err != nil {
				t.Fatal(err)
			}
			defer probes.Close()
			ring, err := probes.Ring()
			if err != nil {
				t.Fatal(err)
			}
			defer ring.Close()
			exitedOnce(t, ring, before)
			exitedOnce(t, ring, exitWith(t, 3))
			if left := names(t, directory); !slices.Equal(left, []string{currentABI}) {
				t.Errorf("pinned: %q", left)
			}
			if !slices.Equal(probes.Replaced, []uint32{olderABI}) || ring.Size() != 4<<20 {
				t.Errorf("replaced %v, the ring has %d bytes", probes.Replaced, ring.Size())
			}
		})
	}
}

func TestAFailedLoadLeavesThePinsOfTheOlderABIUnchanged(t *testing.T) {
	privileged(t)
	directory := pinDirectory(t)
	older, _ := pinAsOlder(t, directory)
	pinMapOfAnotherLayout(t, filepath.Join(older, bpfMapSeen))
	before := names(t, older)
	_, err := Attach(Options{PinDirectory: directory, RingBytes: RingBytesMin})
	if exitcode.Of(err) != exitcode.Unavailable || !strings.Contains(err.Error(), "whodunit-loader unload") {
		t.Errorf("%v", err)
	}
	if after := names(t, older); !slices.Equal(before, after) || !slices.Equal(names(t, directory), []string{filepath.Base(older)}) {
		t.Errorf("before: %q, after: %q, all: %q", before, after, names(t, directory))
	}
}

func TestAttachFailsWhileALoaderOfAnOlderABIRuns(t *testing.T) {
	privileged(t)
	directory := pinDirectory(t)
	older, _ := pinAsOlder(t, directory)
	lock, err := lockDirectory(older)
	if err != nil {
		t.Fatal(err)
	}
	defer lock.Close()
	if _, err := Attach(Options{PinDirectory: directory, RingBytes: RingBytesMin}); err == nil || !strings.Contains(err.Error(), "another whodunit-loader uses") {
		t.Errorf("%v", err)
	}
}

func TestPinsOfAnUnknownABIAreRejectedWithWhatTheirRemovalLoses(t *testing.T) {
	privileged(t)
	for _, name := range []string{abiDirectory(olderABI - 1), abiDirectory(uint32(abi.EventAbiEVENT_ABI) + 1), "v04"} {
		t.Run(name, func(t *testing.T) {
			directory := pinDirectory(t)
			older, _ := pinAsOlder(t, directory)
			move(t, older, filepath.Join(directory, name))
			_, err := Attach(Options{PinDirectory: directory, RingBytes: RingBytesMin})
			if exitcode.Of(err) != exitcode.Unavailable || !strings.Contains(err.Error(), "unload") || !strings.Contains(err.Error(), "loses what the service has not acknowledged (records: ") {
				t.Errorf("%v", err)
			}
		})
	}
}
