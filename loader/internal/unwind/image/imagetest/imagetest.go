// SPDX-License-Identifier: Apache-2.0

// Package imagetest writes small ELF files for tests.
package imagetest

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"maps"
	"slices"
)

// Base is where the file is mapped: one segment, with all of the file.
const Base = 0x10000

const (
	headerBytes  = 64
	programBytes = 56
	sectionBytes = 64
)

// File is what an ELF file has. Sections lie in the order of their names, each at a multiple of 16.
type File struct {
	Machine  elf.Machine // x86-64 if it is 0
	BuildID  []byte
	Sections map[string][]byte
}

// Bytes returns the file.
func (f File) Bytes() []byte {
	machine := f.Machine
	if machine == 0 {
		machine = elf.EM_X86_64
	}
	note := f.note()
	var body bytes.Buffer
	body.Write(make([]byte, headerBytes+3*programBytes))
	noteAt := uint64(body.Len())
	body.Write(note)
	names := slices.Sorted(maps.Keys(f.Sections))
	table := []elf.Section64{{}}
	texts := []byte{0}
	index := elf.Prog64{}
	for _, name := range names {
		body.Write(make([]byte, -body.Len()&15))
		contents := f.Sections[name]
		at := uint64(body.Len())
		table = append(table, elf.Section64{Name: uint32(len(texts)), Type: uint32(elf.SHT_PROGBITS), Addr: Base + at, Off: at, Size: uint64(len(contents))})
		texts = append(append(texts, name...), 0)
		if name == ".eh_frame_hdr" {
			index = elf.Prog64{Type: uint32(elf.PT_GNU_EH_FRAME), Off: at, Vaddr: Base + at, Filesz: uint64(len(contents))}
		}
		body.Write(contents)
	}
	table = append(table, elf.Section64{Type: uint32(elf.SHT_STRTAB), Off: uint64(body.Len()), Size: uint64(len(texts))})
	body.Write(texts)
	sectionsAt := uint64(body.Len())
	binary.Write(&body, binary.LittleEndian, table)

	var head bytes.Buffer
	binary.Write(&head, binary.LittleEndian, elf.Header64{
		Ident: [16]byte{0x7f, 'E', 'L', 'F', byte(elf.ELFCLASS64), byte(elf.ELFDATA2LSB), 1}, Type: uint16(elf.ET_DYN), Machine: uint16(machine), Version: 1,
		Phoff: headerBytes, Shoff: sectionsAt, Ehsize: headerBytes, Phentsize: programBytes, Phnum: 3, Shentsize: sectionBytes,
		Shnum: uint16(len(table)), Shstrndx: uint16(len(table) - 1),
	})
	binary.Write(&head, binary.LittleEndian, []elf.Prog64{
		{Type: uint32(elf.PT_LOAD), Flags: uint32(elf.PF_X | elf.PF_R), Vaddr: Base, Filesz: uint64(body.Len()), Memsz: uint64(body.Len())},
		{Type: uint32(elf.PT_NOTE), Off: noteAt, Filesz: uint64(len(note)), Align: 4},
		index,
	})
	return append(head.Bytes(), body.Bytes()[head.Len():]...)
}

func (f File) note() []byte {
	var note bytes.Buffer
	binary.Write(&note, binary.LittleEndian, []uint32{4, uint32(len(f.BuildID)), 3})
	note.WriteString("GNU\x00")
	note.Write(f.BuildID)
	return note.Bytes()
}

// Symbol is one of a symbol table.
type Symbol struct {
	Name        string
	Value, Size uint64
	Binding     elf.SymBind
	Type        elf.SymType
}

// Symbols returns a symbol table, and its texts.
func Symbols(symbols ...Symbol) (table, texts []byte) {
	var raw bytes.Buffer
	texts = []byte{0}
	for _, s := range symbols {
		binary.Write(&raw, binary.LittleEndian, elf.Sym64{Name: uint32(len(texts)), Info: elf.ST_INFO(s.Binding, s.Type), Shndx: 1, Value: s.Value, Size: s.Size})
		texts = append(append(texts, s.Name...), 0)
	}
	return raw.Bytes(), texts
}
