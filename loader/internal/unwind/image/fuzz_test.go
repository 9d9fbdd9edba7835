// SPDX-License-Identifier: Apache-2.0

package image

import (
	"bytes"
	"testing"

	"whodunit/loader/internal/unwind/image/imagetest"
)

// goTableSeed is a table with one function, f, from 0x1000 to 0x1100.
var goTableSeed = append([]byte("\xf1\xff\xff\xff\x00\x00\x01\x08"+
	"\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x10\x00\x00\x00\x00\x00\x00"+
	"\x48\x00\x00\x00\x00\x00\x00\x00\x48\x00\x00\x00\x00\x00\x00\x00\x48\x00\x00\x00\x00\x00\x00\x00\x50\x00\x00\x00\x00\x00\x00\x00"+
	"\x58\x00\x00\x00\x00\x00\x00\x00"+ // functions at 0x58
	"f\x00\x00\x00\x00\x00\x00\x00"+ // names at 0x48
	"\x00\x12\x10\x20\xf0\x01\x00\x00"+ // stacks at 0x50
	"\x00\x00\x00\x00\x10\x00\x00\x00\x00\x01\x00\x00\x00\x00\x00\x00"+
	"\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x01\x00\x00\x00"), make([]byte, 300)...)

func FuzzImage(f *testing.F) {
	table, texts := imagetest.Symbols(symbol("f", 0x1000, 0x40, global, function))
	f.Add(imagetest.File{BuildID: []byte{1, 2}, Sections: map[string][]byte{
		".symtab": table, ".strtab": texts, goTableSection: goTableSeed, ".text": make([]byte, 64),
	}}.Bytes(), uint64(0x1010), uint64(0x1000))
	f.Add(imagetest.File{Sections: map[string][]byte{debugData: []byte("\xfd7zXZ\x00\x00\x04\xe6\xd6\xb4\x46\x00\x00\x00\x00\x1c\xdf\x44\x21\x1f\xb6\xf3\x7d\x01\x00\x00\x00\x00\x04\x59\x5a")}}.Bytes(), uint64(0), uint64(0))
	f.Fuzz(func(t *testing.T, contents []byte, address, begin uint64) {
		file := bytes.NewReader(contents)
		image, err := Read(file)
		if err != nil {
			return
		}
		image.Address(address)
		if entry, err := image.Frame(file, address); err == nil {
			entry.Row(address)
		}
		if function, ok := image.GoFunction(file, address); ok && (address < function.Begin || address >= function.End) {
			t.Errorf("function [%#x, %#x) for %#x", function.Begin, function.End, address)
		}
		found, _ := image.Names(file, []Query{{address, begin}, {address + 1, begin}})
		for query, symbol := range found {
			if symbol.Name == "" || symbol.Address > query.Address {
				t.Errorf("%+v for %+v", symbol, query)
			}
		}
	})
}

func TestTheGoSeedHasItsFunction(t *testing.T) {
	image, file := read(t, imagetest.File{Sections: map[string][]byte{goTableSection: goTableSeed}})
	got, ok := image.GoFunction(file, 0x1020)
	if want := (GoFunction{Begin: 0x1000, End: 0x1100, Name: "f", Frame: 24, Known: true}); !ok || got != want {
		t.Errorf("%+v, %v", got, ok)
	}
}
