// SPDX-License-Identifier: Apache-2.0

package cfi

import (
	"debug/elf"
	"io"
	"testing"
)

// base is where the fuzzed bytes lie: first .eh_frame_hdr, then .eh_frame.
const base = 0x10000

// flat is a Source of bytes at base.
type flat []byte

func (f flat) Bytes(address uint64, n int) ([]byte, error) {
	if address < base || address-base >= uint64(len(f)) {
		return nil, io.EOF
	}
	rest := f[address-base:]
	return rest[:min(n, len(rest))], nil
}

// echo is a Memory with the address at each address.
type echo struct{}

func (echo) Word(address uint64) (uint64, bool) { return address, address%16 != 0 }

// seed returns the first entries of this program's call frame information, or of the C library's.
func seed(f *testing.F) {
	for _, path := range []string{"/lib/x86_64-linux-gnu/libc.so.6", "/lib/aarch64-linux-gnu/libc.so.6"} {
		file, err := elf.Open(path)
		if err != nil {
			continue
		}
		if section := file.Section(".eh_frame"); section != nil {
			data := make([]byte, 1024)
			if _, err := io.ReadFull(section.Open(), data); err == nil {
				f.Add(data, uint16(0), uint64(0x1000))
			}
		}
		file.Close()
	}
}

func FuzzCallFrameInformation(f *testing.F) {
	seed(f)
	// A table with one entry; then a CIE, and an FDE for [0x1000, 0x1100) with an expression for the CFA.
	f.Add([]byte("\x01\x1b\x03\x3b\x10\x00\x00\x00\x01\x00\x00\x00\x00\x10\x00\x00\x2c\x00\x00\x00"+
		"\x14\x00\x00\x00\x00\x00\x00\x00\x01zR\x00\x01\x78\x10\x01\x03\x0c\x07\x08\x90\x01\x00\x00"+
		"\x18\x00\x00\x00\x1c\x00\x00\x00\x00\x10\x00\x00\x00\x01\x00\x00\x00\x0f\x03\x77\x08\x06\x0a\x41\x0b\x00\x00\x00"), uint16(20), uint64(0x1010))
	f.Fuzz(func(t *testing.T, raw []byte, header uint16, pc uint64) {
		source := flat(raw)
		n := min(uint64(header), uint64(len(raw)))
		table := ReadTable(source, Section{base, n}, Section{base + n, uint64(len(raw)) - n})
		entry, err := table.Find(source, pc)
		if err != nil {
			return
		}
		if pc < entry.Begin || pc >= entry.End {
			t.Errorf("entry [%#x, %#x) for %#x", entry.Begin, entry.End, pc)
		}
		row, err := entry.Row(pc)
		if err != nil {
			return
		}
		var registers Registers
		for column := range uint64(Columns) {
			registers.Set(column, column<<8)
		}
		row.Step(&registers, 7, echo{})
	})
}
