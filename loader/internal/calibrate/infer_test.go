// SPDX-License-Identifier: Apache-2.0

package calibrate

import (
	"compress/gzip"
	"encoding/gob"
	"encoding/json"
	"errors"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/cilium/ebpf/btf"
)

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

func TestWhatIsMissingIsLookedForAgain(t *testing.T) {
	const failed, busy, right = 0, 1, 2
	for _, of := range []struct{ recordings, took []int }{
		{[]int{right}, []int{right}},
		{[]int{failed, right}, []int{failed, right}},
		{[]int{busy, failed, right}, []int{busy, failed, right}},
		{[]int{busy, busy, right}, []int{busy, busy}},
		{[]int{failed, failed, failed, failed, right}, []int{failed, failed, failed, failed}},
	} {
		var took []int
		_, err := find(func() (Recording, error) {
			kind := of.recordings[len(took)]
			took = append(took, kind)
			recording := read(t, "testdata/6.18-x86_64.gob.gz")
			switch kind {
			case failed:
				return Recording{}, errors.New("too busy")
			case busy: // a signal was pending when the memory was read, and no longer when proc(5) was
				recording.First[1].Values["task_struct.pending"] ^= 1
			}
			return recording, nil
		})
		if !slices.Equal(took, of.took) || (err == nil) != (took[len(took)-1] == right) {
			t.Errorf("%v: took %v, %v", of.recordings, took, err)
		}
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

// before55 changes a recording of 5.10 to what kernels before 5.5 have: cgroups have numbers of those above them, a generation follows the inode of
// a directory, and self_exec_id is followed by another field.
func before55(recording Recording, found Offsets) {
	search := &Search{Offsets: found}
	for _, sample := range search.seen(recording, windowBytes, unifiedPath...) {
		cgroup := recording.Pointees[sample.Address]
		for i := range levelsMax {
			copy(cgroup[found["cgroup.ancestor_ids"]+4*i:], []byte{byte(i), 0, 0, 0})
		}
		node := recording.Pointees[wordAt(cgroup, found["cgroup.kn"], 8)]
		node[found["kernfs_node.id"]+4] = 1
	}
	for _, samples := range [][]Sample{recording.First, recording.Other, recording.Running, recording.Later} {
		for _, sample := range samples {
			sample.Windows["task_struct"][found["task_struct.self_exec_id"]+4] = 1
		}
	}
}

func TestCgroupsAndExecutionsAreFoundOnKernelsBefore55(t *testing.T) {
	recording := read(t, "testdata/5.10-x86_64.gob.gz")
	want := Infer(recording).Offsets
	before55(recording, want)
	found := Infer(recording)
	if missing := found.Missing(); len(missing) > 0 {
		t.Errorf("missing: %v, %v", missing, found.Places)
	}
	want[narrowExecID] = want["task_struct.self_exec_id"]
	delete(want, "task_struct.self_exec_id")
	delete(want, "cgroup.ancestor_ids")
	if !maps.Equal(found.Offsets, want) {
		t.Errorf("%v, not %v", found.Offsets, want)
	}
	types, err := found.Offsets.Types()
	var task *btf.Struct
	if err == nil {
		err = types.TypeByName("task_struct", &task)
	}
	if err != nil {
		t.Fatal(err)
	}
	for _, member := range task.Members {
		if size, err := btf.Sizeof(member.Type); member.Name == "self_exec_id" && (err != nil || size != 4) {
			t.Errorf("self_exec_id has %d bytes, %v", size, err)
		}
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
