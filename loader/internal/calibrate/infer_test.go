// SPDX-License-Identifier: Apache-2.0

package calibrate

import (
	"bytes"
	"compress/gzip"
	"encoding/gob"
	"encoding/json"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// recordTo names a file into which a recording of this kernel is written, and with .json what it shows.
const recordTo = "WHODUNIT_TEST_RECORD"

func TestRecord(t *testing.T) {
	path := os.Getenv(recordTo)
	if path == "" {
		t.Skip("only with " + recordTo)
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

func read(t *testing.T, path string) (recording Recording) {
	t.Helper()
	file, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	compressed, err := gzip.NewReader(file)
	if err == nil {
		err = gob.NewDecoder(compressed).Decode(&recording)
	}
	if err != nil {
		t.Fatal(err)
	}
	return recording
}

// The offsets are those of the BTF of the kernel: TestEachFieldIsWhereTheKernelSaysAtEachStart ran there, too. 7.1 was built without: three
// terminations agreed there.
func TestWhatARecordingShows(t *testing.T) {
	for _, kernel := range []string{"5.10-x86_64", "6.1-x86_64", "6.18-x86_64", "7.1-x86_64"} {
		t.Run(kernel, func(t *testing.T) {
			var want Offsets
			text, err := os.ReadFile(filepath.Join("testdata", kernel+".json"))
			if err == nil {
				err = json.Unmarshal(text, &want)
			}
			if err != nil {
				t.Fatal(err)
			}
			found := Infer(read(t, filepath.Join("testdata", kernel+".gob.gz")))
			if err := found.lacks(); err != nil {
				t.Error(err)
			}
			for name, at := range want {
				if got, ok := found.Offsets[name]; !ok || got != at {
					t.Errorf("%s is at %d (%v), not %d", name, got, found.Places[name], at)
				}
			}
			if len(found.Offsets) != len(want) {
				t.Errorf("%d fields were found, not %d", len(found.Offsets), len(want))
			}
		})
	}
}

// A field that was found must be right; one with two possible places must not be found.
func TestAFieldWithTwoPlacesIsNotFound(t *testing.T) {
	recording := read(t, "testdata/6.18-x86_64.gob.gz")
	const flags, unused = 44, 8
	for _, samples := range [][]Sample{recording.First, recording.Other, recording.Running, recording.Later} {
		for _, sample := range samples {
			window := sample.Windows["task_struct"]
			copy(window[unused:unused+4], window[flags:flags+4])
		}
	}
	found := Infer(recording)
	if at, ok := found.Offsets["task_struct.flags"]; ok {
		t.Errorf("found at %d", at)
	}
	if err := found.lacks(); err == nil || !strings.Contains(err.Error(), "task_struct.flags (2 places)") {
		t.Errorf("%v", err)
	}
}

// With randomised layouts (CONFIG_RANDSTRUCT), what follows each other elsewhere does not.
func TestRandomisedLayoutsGiveNoWrongField(t *testing.T) {
	for seed := range uint64(10) {
		recording := read(t, "testdata/6.18-x86_64.gob.gz")
		want := Infer(recording).Offsets
		moved := rand.New(rand.NewPCG(seed, 0)).Perm(len(recording.First[0].Windows["task_struct"]) / 8)
		for _, samples := range [][]Sample{recording.First, recording.Other, recording.Running, recording.Later} {
			for _, sample := range samples {
				shuffled := make([]byte, len(moved)*8)
				for from, to := range moved {
					copy(shuffled[to*8:], sample.Windows["task_struct"][from*8:from*8+8])
				}
				sample.Windows["task_struct"] = shuffled
			}
		}
		found := Infer(recording)
		for name, at := range found.Offsets {
			if structure, _, _ := strings.Cut(name, "."); structure != "task_struct" {
				continue
			}
			if right := moved[want[name]/8]*8 + want[name]%8; at != right {
				t.Errorf("seed %d: %s is at %d, not %d", seed, name, at, right)
			}
		}
		if err := found.lacks(); err == nil {
			t.Errorf("seed %d: nothing is missing, though pairs and texts are torn", seed)
		}
	}
}
