// SPDX-License-Identifier: Apache-2.0

package image

import (
	"bytes"
	"debug/elf"
	"errors"
	"os/exec"
	"strings"
	"testing"

	"whodunit/loader/internal/unwind/image/imagetest"
)

const (
	global, weak, local = elf.STB_GLOBAL, elf.STB_WEAK, elf.STB_LOCAL
	function, plain     = elf.STT_FUNC, elf.STT_NOTYPE
)

// read returns the image of a file.
func read(t testing.TB, file imagetest.File) (*Image, *bytes.Reader) {
	t.Helper()
	contents := bytes.NewReader(file.Bytes())
	image, err := Read(contents)
	if err != nil {
		t.Fatal(err)
	}
	return image, contents
}

func withSymbols(symbols ...imagetest.Symbol) imagetest.File {
	table, texts := imagetest.Symbols(symbols...)
	return imagetest.File{Sections: map[string][]byte{".symtab": table, ".strtab": texts}}
}

func symbol(name string, value, size uint64, binding elf.SymBind, kind elf.SymType) imagetest.Symbol {
	return imagetest.Symbol{Name: name, Value: value, Size: size, Binding: binding, Type: kind}
}

func TestNames(t *testing.T) {
	for _, test := range []struct {
		name    string
		symbols []imagetest.Symbol
		query   Query
		wanted  string
	}{
		{"a symbol covers the address", []imagetest.Symbol{symbol("f", 0x100, 0x20, global, function)}, Query{Address: 0x11f}, "f"},
		{"the nearest symbol ends before the address", []imagetest.Symbol{symbol("f", 0x100, 0x20, global, function)}, Query{Address: 0x120}, ""},
		{"a symbol without a size is not trusted", []imagetest.Symbol{symbol("f", 0x100, 0, global, plain)}, Query{Address: 0x104}, ""},
		{"a symbol without a size, where call frame information says that a function begins", []imagetest.Symbol{symbol("f", 0x100, 0, global, plain)}, Query{0x104, 0x100}, "f"},
		{"the innermost of two", []imagetest.Symbol{symbol("whole", 0x100, 0x100, global, function), symbol("part", 0x140, 0x10, local, function)}, Query{Address: 0x148}, "part"},
		{"aliases: without underscores first", []imagetest.Symbol{symbol("_IO_puts", 0x100, 0x20, global, function), symbol("puts", 0x100, 0x20, weak, function)}, Query{Address: 0x101}, "puts"},
		{"aliases: global before local", []imagetest.Symbol{symbol("b", 0x100, 0x20, global, function), symbol("a", 0x100, 0x20, local, function)}, Query{Address: 0x101}, "b"},
		{"aliases: the shorter one", []imagetest.Symbol{symbol("gsignal", 0x100, 0x20, global, function), symbol("raise", 0x100, 0x20, global, function)}, Query{Address: 0x101}, "raise"},
		{"a variable", []imagetest.Symbol{symbol("v", 0x100, 0x20, global, elf.STT_OBJECT)}, Query{Address: 0x101}, ""},
		{"a mark of arm64", []imagetest.Symbol{symbol("$x", 0x100, 0x20, local, plain)}, Query{Address: 0x101}, ""},
		{"a size beyond the address space", []imagetest.Symbol{symbol("f", 0x100, ^uint64(0), global, function)}, Query{Address: 0x101}, "f"},
	} {
		t.Run(test.name, func(t *testing.T) {
			image, file := read(t, withSymbols(test.symbols...))
			found, err := image.Names(file, []Query{test.query})
			if err != nil {
				t.Fatal(err)
			}
			if found[test.query].Name != test.wanted {
				t.Errorf("name %q, wanted %q", found[test.query].Name, test.wanted)
			}
		})
	}
}

// compressed returns the bytes as xz -9 does, with the dictionary of the size.
func compressed(t testing.TB, contents []byte, dictionary string) []byte {
	t.Helper()
	command := exec.Command("xz", "--stdout", "--lzma2=dict="+dictionary)
	command.Stdin = bytes.NewReader(contents)
	output, err := command.Output()
	if errors.Is(err, exec.ErrNotFound) {
		t.Skip("no xz")
	}
	if err != nil {
		t.Fatal(err)
	}
	return output
}

func TestNamesOfMiniDebugInformation(t *testing.T) {
	mini := withSymbols(symbol("hidden", 0x100, 0x20, local, function)).Bytes()
	query := Query{Address: 0x110}
	for _, test := range []struct{ name, dictionary, failure string }{
		{"xz as packagers use it", "8MiB", ""},
		{"a dictionary that would take too much memory", "512MiB", "dictionary"},
	} {
		t.Run(test.name, func(t *testing.T) {
			image, file := read(t, imagetest.File{Sections: map[string][]byte{debugData: compressed(t, mini, test.dictionary)}})
			found, err := image.Names(file, []Query{query})
			if test.failure != "" {
				if err == nil || !strings.Contains(err.Error(), test.failure) {
					t.Fatalf("error %v", err)
				}
				return
			}
			if err != nil || found[query].Name != "hidden" {
				t.Errorf("%v, %v", found, err)
			}
		})
	}
	t.Run("more than the limit, decompressed", func(t *testing.T) {
		bomb := compressed(t, make([]byte, debugDataBytesMax+1), "1MiB")
		image, file := read(t, imagetest.File{Sections: map[string][]byte{debugData: bomb}})
		if _, err := image.Names(file, []Query{query}); !errors.Is(err, errTooLong) {
			t.Errorf("error %v", err)
		}
	})
}

func TestWhatIsNoImage(t *testing.T) {
	whole := imagetest.File{}.Bytes()
	i386 := bytes.Clone(whole)
	i386[elf.EI_CLASS] = byte(elf.ELFCLASS32)
	for _, test := range []struct {
		name     string
		contents []byte
	}{{"nothing", nil}, {"a script", []byte("#!/bin/sh\n" + strings.Repeat("#", 100))}, {"a program of i386", i386}, {"cut off in its program headers", whole[:100]}} {
		t.Run(test.name, func(t *testing.T) {
			if _, err := Read(bytes.NewReader(test.contents)); err == nil {
				t.Error("no error")
			}
		})
	}
}

func TestBuildID(t *testing.T) {
	image, _ := read(t, imagetest.File{BuildID: []byte{0xab, 0xcd, 0xef}})
	if image.BuildID != "abcdef" {
		t.Errorf("build id %q", image.BuildID)
	}
}
