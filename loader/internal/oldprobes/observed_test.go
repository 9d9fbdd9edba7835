// SPDX-License-Identifier: Apache-2.0

package oldprobes

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"whodunit/loader/internal/calibrate"
	"whodunit/loader/internal/probes"
)

// No program runs: where the fields are does not matter, but that some are missing.
func TestTheProgramsLoadWithTypesThatWereFoundByObservation(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("SKIPPED: needs root")
	}
	recordings, err := filepath.Glob("../calibrate/testdata/*.json")
	if err != nil || len(recordings) == 0 {
		t.Fatalf("there are no recordings: %v", err)
	}
	for _, recording := range recordings {
		var offsets calibrate.Offsets
		text, err := os.ReadFile(recording)
		if err == nil {
			err = json.Unmarshal(text, &offsets)
		}
		if err != nil {
			t.Fatal(err)
		}
		spec, err := offsets.Types()
		if err != nil {
			t.Fatal(err)
		}
		types, err := probes.CalibratedTypes(spec, nil)
		if err != nil {
			t.Fatal(err)
		}
		for _, object := range []object{oldObject(), classicObject(nil)} {
			p, options := &Probes{object: object}, Options{RingBytes: queueBytes, Types: types}
			spec, err := p.specOf(options)
			if err != nil {
				t.Fatal(err)
			}
			collection, err := p.load(spec, options)
			if err != nil {
				t.Errorf("%s: %v", recording, err)
				continue
			}
			collection.Close()
		}
	}
}
