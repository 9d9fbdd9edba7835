// SPDX-License-Identifier: Apache-2.0

package probes

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"whodunit/loader/internal/exitcode"
)

func TestUnloadOfADirectoryThatDoesNotExistIsNoError(t *testing.T) {
	if removed, err := Unload(filepath.Join(t.TempDir(), "none")); removed != 0 || err != nil {
		t.Errorf("%d, %v", removed, err)
	}
}

// The names of the maps that releases pinned are those of their sources: this loader must remove them, too.
func TestOnlyNamesThatALoaderGivesArePins(t *testing.T) {
	directory := t.TempDir()
	pins := append(pinnedMaps(), "memories", "remembered", "last_words", "senders")
	for _, hook := range allHooks() {
		pins = append(pins, hook.program+"-"+digestOf([]byte(hook.name), Options{}))
	}
	others := []string{"Events", "events2", "their_map", "on_signal_generate", "on_signal_generate-0123456789ab0", "on_signal_generate-theirs", "x-0123456789ab"}
	for _, name := range append(slices.Clone(pins), others...) {
		if err := os.WriteFile(filepath.Join(directory, name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	entries, err := os.ReadDir(directory)
	if err != nil || len(entries) != len(pins)+len(others) {
		t.Fatalf("%d entries, %v", len(entries), err)
	}
	for _, entry := range entries {
		if got := isPin(entry); got != slices.Contains(pins, entry.Name()) {
			t.Errorf("isPin(%s) = %v", entry.Name(), got)
		}
	}
}

func TestAnotherProgramsDirectoryOnBpffsStays(t *testing.T) {
	privileged(t)
	directory := pinDirectory(t)
	for _, name := range []string{"", "theirs", "v6", filepath.Join("v6", "events")} {
		if err := os.Mkdir(filepath.Join(directory, name), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	defer os.RemoveAll(directory)
	removed, err := Unload(directory)
	if removed != 0 || exitcode.Of(err) != exitcode.Unavailable || !strings.Contains(err.Error(), `"theirs", "v6/events"`) {
		t.Errorf("%d, %v", removed, err)
	}
	if left := names(t, filepath.Join(directory, "v6")); !slices.Equal(left, []string{"events"}) {
		t.Errorf("left: %q", left)
	}
	if _, err := Attach(Options{PinDirectory: directory, RingBytes: RingBytesMin}); exitcode.Of(err) != exitcode.Unavailable || !strings.Contains(err.Error(), "another --pin-dir") {
		t.Errorf("%v", err)
	}
}

func TestAMessageListsOnlyTheFirstOfManyNames(t *testing.T) {
	if got := listed(slices.Repeat([]string{"a"}, namesShown+2)); !strings.HasSuffix(got, `"a", "a" and 2 more`) {
		t.Errorf("%s", got)
	}
}
