// SPDX-License-Identifier: Apache-2.0

package probes

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/cilium/ebpf/btf"

	observed "whodunit/loader/internal/calibrate"
)

// typesFoundOn returns what was found of the types of a kernel (testdata of calibrate).
func typesFoundOn(t *testing.T, kernel string) *btf.Spec {
	t.Helper()
	var offsets observed.Offsets
	text, err := os.ReadFile(filepath.Join("../calibrate/testdata", kernel+".json"))
	if err == nil {
		err = json.Unmarshal(text, &offsets)
	}
	if err != nil {
		t.Fatal(err)
	}
	types, err := offsets.Types()
	if err != nil {
		t.Fatal(err)
	}
	return types
}

// The compiler makes one read of the branches that choose between the names of a field: kernfs_node.parent, or __parent.
func TestAFieldThatExistsIsReadWhereItIs(t *testing.T) {
	for _, kernel := range []string{"5.10-x86_64", "6.1-x86_64", "6.18-x86_64", "7.1-x86_64"} {
		types := typesFoundOn(t, kernel)
		spec, err := loadBpf()
		if err == nil {
			err = readAbsentAsZero(spec, types)
		}
		original, failed := loadBpf()
		if err != nil || failed != nil {
			t.Fatal(err, failed)
		}
		for name, program := range original.Programs {
			for i, one := range program.Instructions {
				fixup, err := fixupOf(one, types)
				if err != nil {
					t.Fatal(err)
				}
				if !strings.HasPrefix(fixup, "byte_off=") || strings.HasSuffix(fixup, "=poison") {
					continue
				}
				uses, _ := usesOf(program.Instructions, i)
				if slices.ContainsFunc(uses, func(use int) bool {
					return spec.Programs[name].Instructions[use].OpCode != program.Instructions[use].OpCode
				}) {
					t.Errorf("%s: %s, instruction %d: %v is no longer added (%s)", kernel, name, i, one, btf.CORERelocationMetadata(&one))
				}
			}
		}
	}
}
