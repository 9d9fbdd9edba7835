// SPDX-License-Identifier: Apache-2.0

package image

import (
	"bytes"
	"encoding/binary"
	"io"
	"sort"

	"whodunit/loader/internal/unwind/cfi"
)

const (
	goTableSection    = ".gopclntab"
	goTableSectionPIE = ".data.rel.ro.gopclntab"
	goModuleSection   = ".go.module" // since Go 1.26
	// The layout of the table has not changed since Go 1.18; Go 1.20 changed the number (debug/gosym).
	goMagic118 = 0xfffffff0
	goMagic120 = 0xfffffff1

	goHeaderBytes     = 72
	goModuleBytes     = 24 * 8
	goModuleTextAt    = 22 * 8 // moduledata.text
	goFunctionsMax    = 16 << 20
	goFunctionBytes   = 20   // up to _func.pcsp
	goStackTableBytes = 4096 // of one function
)

// goTable is .gopclntab: the functions of a Go program, and how large the frame of each is at each instruction.
type goTable struct {
	table     cfi.Section // where it lies in the file: an offset
	count     int
	text      uint64 // what the functions' addresses are relative to
	names     uint64 // offset of the part in the table
	stacks    uint64
	functions uint64
	quantum   uint64 // of addresses: 1 on x86-64, 4 on arm64
}

// GoFunction is a function of a Go program.
type GoFunction struct {
	Begin, End uint64
	Name       string
	// Frame is how far the stack pointer is below the place that it has when the function begins; known is false if the table does not say.
	Frame uint64
	Known bool
}

// readGoTable returns nil if the file has no table that can be read.
func (i *Image) readGoTable(file io.ReaderAt) *goTable {
	section, ok := i.sections[goTableSection]
	if !ok {
		section, ok = i.sections[goTableSectionPIE]
	}
	if !ok {
		return nil
	}
	raw, err := readAt(file, section.Off, goHeaderBytes)
	if err != nil {
		return nil
	}
	word := func(n int) uint64 { return binary.LittleEndian.Uint64(raw[8+8*n:]) }
	magic, count := binary.LittleEndian.Uint32(raw), word(0)
	if (magic != goMagic118 && magic != goMagic120) || raw[7] != 8 || raw[6] == 0 || count > goFunctionsMax {
		return nil
	}
	text := i.goText(file, section.Addr, word(2))
	if text == 0 {
		return nil
	}
	return &goTable{
		table: cfi.Section{Address: section.Off, Bytes: section.Size}, count: int(count), text: text,
		names: word(3), stacks: word(6), functions: word(7), quantum: uint64(raw[6]),
	}
}

// goText returns the address of runtime.text; 0 if it is not known. Up to Go 1.25 the header of the table has it. Since Go 1.26 the module data has
// it, whose first word points to the table. Without either, it is the start of .text, unless C code lies before it: only C has .eh_frame.
func (i *Image) goText(file io.ReaderAt, table, inHeader uint64) uint64 {
	if inHeader != 0 {
		return inHeader
	}
	if module, ok := i.sections[goModuleSection]; ok {
		raw, err := readAt(file, module.Off, goModuleBytes)
		if err == nil && binary.LittleEndian.Uint64(raw) == table {
			return binary.LittleEndian.Uint64(raw[goModuleTextAt:])
		}
	}
	if _, mixed := i.sections[".eh_frame"]; mixed {
		return 0
	}
	return i.sections[".text"].Addr
}

// GoFunction returns the function of a Go program that covers the address.
func (i *Image) GoFunction(file io.ReaderAt, address uint64) (GoFunction, bool) {
	t := i.goTable
	if t == nil || address < t.text {
		return GoFunction{}, false
	}
	var failed error
	read := func(at uint64, n int) []byte {
		if failed == nil && (at > t.table.Bytes || uint64(n) > t.table.Bytes-at) {
			failed = io.ErrUnexpectedEOF
		}
		raw := make([]byte, n)
		if failed == nil {
			_, failed = file.ReadAt(raw, int64(t.table.Address+at))
		}
		return raw
	}
	entry := func(n int) uint64 {
		return t.text + uint64(binary.LittleEndian.Uint32(read(t.functions+uint64(n)*8, 4)))
	}
	n := sort.Search(t.count, func(n int) bool { return entry(n+1) > address })
	begin, end := entry(n), entry(n+1) // after the last function, there is an entry for its end
	if failed != nil || n == t.count || address < begin || address >= end {
		return GoFunction{}, false
	}
	at := uint64(binary.LittleEndian.Uint32(read(t.functions+uint64(n)*8+4, 4)))
	head := read(t.functions+at, goFunctionBytes)
	name := t.names + uint64(binary.LittleEndian.Uint32(head[4:]))
	text := read(name, int(min(nameBytesMax, t.table.Bytes-min(name, t.table.Bytes))))
	if failed != nil {
		return GoFunction{}, false
	}
	text, _, _ = bytes.Cut(text, []byte{0})
	function := GoFunction{Begin: begin, End: end, Name: string(text)}
	function.Frame, function.Known = t.frame(file, uint64(binary.LittleEndian.Uint32(head[16:])), begin, address)
	return function, function.Name != ""
}

// frame decodes the table of stack sizes that begins at the offset, up to the address (runtime.pcvalue()): pairs of a difference of the value
// (zigzag) and of the address.
func (t *goTable) frame(file io.ReaderAt, at, begin, address uint64) (uint64, bool) {
	if at == 0 || t.stacks > t.table.Bytes || at >= t.table.Bytes-t.stacks {
		return 0, false
	}
	raw, err := readAt(file, t.table.Address+t.stacks+at, int(min(goStackTableBytes, t.table.Bytes-t.stacks-at)))
	if err != nil {
		return 0, false
	}
	value, end := int64(-1), begin
	for first := true; len(raw) > 0; first = false {
		delta, n := binary.Uvarint(raw)
		if n <= 0 || (delta == 0 && !first) {
			return 0, false
		}
		distance, m := binary.Uvarint(raw[n:])
		if m <= 0 {
			return 0, false
		}
		raw = raw[n+m:]
		value += int64(delta>>1) ^ -int64(delta&1)
		end += distance * t.quantum
		if address < end {
			return uint64(value), value >= 0
		}
	}
	return 0, false
}
