// SPDX-License-Identifier: Apache-2.0

//go:build recording

package calibrate

import (
	"bytes"
	"compress/gzip"
	"encoding/gob"
	"encoding/json"
	"maps"
	"os"
	"slices"
	"testing"
)

// recordTo names a file into which a recording of this kernel is written, and with .json what it shows.
const recordTo = "WHODUNIT_TEST_RECORD"

// TestRecord makes what lies in testdata: WHODUNIT_TEST_RECORD=FILE go test -tags recording -run TestRecord ./loader/internal/calibrate
func TestRecord(t *testing.T) {
	path := os.Getenv(recordTo)
	if path == "" {
		t.Fatal(recordTo + " names no file")
	}
	recording, err := record()
	if err != nil {
		t.Fatal(err)
	}
	keepFound(recording)
	eraseTexts(recording)
	shown, err := json.MarshalIndent(Infer(recording).Offsets, "", "  ")
	if err == nil {
		err = os.WriteFile(path+".json", append(shown, '\n'), 0o644)
	}
	if err != nil {
		t.Fatal(err)
	}
	file, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	compressed, _ := gzip.NewWriterLevel(file, gzip.BestCompression)
	if err := gob.NewEncoder(compressed).Encode(recording); err != nil {
		t.Fatal(err)
	}
	if err := compressed.Close(); err != nil {
		t.Fatal(err)
	}
}

// keepFound keeps a few of the structures in which nothing is found, and all others: the whole has 10 MB.
func keepFound(recording Recording) {
	found := Infer(recording)
	needed := map[uint64]bool{}
	for _, name := range []string{"task_struct.signal", "task_struct.sighand", "task_struct.cred", "task_struct.mm"} {
		for _, at := range found.Places[name] {
			for _, sample := range recording.First {
				needed[wordAt(sample.Windows["task_struct"], at, 8)] = true
			}
		}
	}
	for _, sample := range recording.Running {
		for at := 0; at < signalBytesMax; at += 8 {
			needed[wordAt(sample.Windows["signal_struct"], at, 8)] = true
		}
	}
	ways := [][]string{append(slices.Clone(unifiedPath), "cgroup.kn", "kernfs_node.name"), append(slices.Clone(unifiedPath), "cgroup.kn", "kernfs_node.iattr")}
	for _, controller := range controllers() {
		ways = append(ways, []string{"task_struct.cgroups", "css_set." + controller, "cgroup_subsys_state.cgroup", "cgroup.kn", "kernfs_node.name"})
	}
	for _, way := range ways {
		for steps := range len(way) {
			for _, sample := range recording.First {
				address, _ := found.chain(recording, sample, way[:steps+1]...)
				needed[address] = true
			}
		}
	}
	const keptOneOf = 32
	maps.DeleteFunc(recording.Pointees, func(address uint64, _ []byte) bool { return !needed[address] && address>>6%keptOneOf != 0 })
}

// eraseTexts erases what may be texts of other programs, in memory that the kernel had used before.
func eraseTexts(recording Recording) {
	for _, window := range recording.Pointees {
		if bytes.HasPrefix(window, []byte(directoryPrefix)) {
			clear(window[bytes.IndexByte(window, 0):])
		} else {
			eraseTextsIn(window)
		}
	}
	for _, samples := range [][]Sample{recording.Running, recording.Later} {
		for _, sample := range samples {
			eraseTextsIn(sample.Windows["signal_struct"])
		}
	}
}

func eraseTextsIn(window []byte) {
	for at := 0; at+8 <= len(window); at += 8 {
		printable := 0
		for _, one := range window[at : at+8] {
			if ' ' <= one && one <= '~' {
				printable++
			}
		}
		if printable >= 5 {
			clear(window[at : at+8])
		}
	}
}
