// SPDX-License-Identifier: Apache-2.0

// Package image reads what unwinding needs of an ELF file, in pieces: segments, build id, call frame information, Go's table of functions, and
// the names of functions. It never reads a file as a whole and never maps one, which would cost a SIGBUS if its owner cut it off. Files are
// hostile: every size has a limit, and what makes no sense is treated as missing. An Image keeps no file open: each method takes it.
package image

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"

	"whodunit/loader/internal/unwind/cfi"
)

const (
	segmentsMax    = 128
	notesBytesMax  = 64 << 10
	buildIDBytes   = 32 // the longest that is taken
	headerBytes    = 64
	programBytes   = 56
	sectionBytes   = 64
	sectionsMax    = 8192
	namesBytesMax  = 1 << 20
	nameBytes      = 32 // more than the longest name in wanted
	pageBytes      = 4096
	noteNameOffset = 12
)

// ErrNotELF means that the file is no 64-bit little-endian ELF file.
var ErrNotELF = errors.New("not a 64-bit little-endian ELF file")

// Image is what is known of one file. Not for concurrent use.
type Image struct {
	Machine elf.Machine
	BuildID string // in hex; empty if the file has none
	Entry   uint64

	dynamic  bool // ET_DYN: a shared library or a position-independent executable
	loads    []elf.Prog64
	frames   cfi.Table
	goTable  *goTable // nil if the file has none
	sections map[string]elf.Section64
}

// Read reads the headers of a file.
func Read(file io.ReaderAt) (*Image, error) {
	head, err := readAt(file, 0, headerBytes)
	if err != nil {
		return nil, fmt.Errorf("ELF header: %w", err)
	}
	if !bytes.HasPrefix(head, []byte{0x7f, 'E', 'L', 'F', byte(elf.ELFCLASS64), byte(elf.ELFDATA2LSB)}) {
		return nil, ErrNotELF
	}
	header := decode[elf.Header64](head)
	if header.Phentsize != programBytes || header.Phnum > segmentsMax {
		return nil, fmt.Errorf("program headers: %d of %d bytes; up to %d of %d bytes are read", header.Phnum, header.Phentsize, segmentsMax, programBytes)
	}
	image := &Image{Machine: elf.Machine(header.Machine), Entry: header.Entry, dynamic: elf.Type(header.Type) == elf.ET_DYN}
	index, err := image.readSegments(file, &header)
	if err != nil {
		return nil, fmt.Errorf("program headers: %w", err)
	}
	image.sections = readSections(file, &header)
	image.frames = cfi.ReadTable(image.source(file), index, image.section(".eh_frame"))
	image.goTable = image.readGoTable(file)
	return image, nil
}

// readSegments returns where .eh_frame_hdr is.
func (i *Image) readSegments(file io.ReaderAt, header *elf.Header64) (index cfi.Section, err error) {
	raw, err := readAt(file, header.Phoff, int(header.Phnum)*programBytes)
	if err != nil {
		return index, err
	}
	for ; len(raw) > 0; raw = raw[programBytes:] {
		segment := decode[elf.Prog64](raw)
		switch elf.ProgType(segment.Type) {
		case elf.PT_LOAD:
			i.loads = append(i.loads, segment)
		case elf.PT_GNU_EH_FRAME:
			index = cfi.Section{Address: segment.Vaddr, Bytes: segment.Filesz}
		case elf.PT_NOTE:
			if notes, err := readAt(file, segment.Off, int(min(segment.Filesz, notesBytesMax))); err == nil && i.BuildID == "" {
				i.BuildID = buildID(notes, segment.Align)
			}
		}
	}
	return index, nil
}

// buildID returns the build id in a segment of notes, in hex.
func buildID(notes []byte, align uint64) string {
	if align != 8 {
		align = 4
	}
	round := func(n uint64) uint64 { return (n + align - 1) &^ (align - 1) }
	for len(notes) >= noteNameOffset {
		nameBytes, bytes := uint64(binary.LittleEndian.Uint32(notes)), uint64(binary.LittleEndian.Uint32(notes[4:]))
		kind := binary.LittleEndian.Uint32(notes[8:])
		start := round(noteNameOffset + nameBytes)
		if start+bytes > uint64(len(notes)) {
			return ""
		}
		if kind == 3 && string(notes[noteNameOffset:start]) == "GNU\x00" { // NT_GNU_BUILD_ID
			return hex.EncodeToString(notes[start:][:min(bytes, buildIDBytes)])
		}
		notes = notes[min(round(start+bytes), uint64(len(notes))):]
	}
	return ""
}

// wanted are the sections that are kept.
var wanted = map[string]bool{
	".text": true, ".eh_frame": true, ".symtab": true, ".strtab": true, ".dynsym": true, ".dynstr": true, debugData: true,
	goTableSection: true, goTableSectionPIE: true, goModuleSection: true,
}

// readSections returns the wanted sections by name; none if their headers make no sense.
func readSections(file io.ReaderAt, header *elf.Header64) map[string]elf.Section64 {
	if header.Shentsize != sectionBytes || header.Shnum > sectionsMax || header.Shstrndx >= header.Shnum {
		return nil
	}
	raw, err := readAt(file, header.Shoff, int(header.Shnum)*sectionBytes)
	if err != nil {
		return nil
	}
	at := func(i uint32) elf.Section64 { return decode[elf.Section64](raw[i*sectionBytes:]) }
	texts := at(uint32(header.Shstrndx))
	names, err := readAt(file, texts.Off, int(min(texts.Size, namesBytesMax)))
	if err != nil {
		return nil
	}
	sections := map[string]elf.Section64{}
	for i := range uint32(header.Shnum) {
		section := at(i)
		if elf.SectionType(section.Type) == elf.SHT_NOBITS || elf.SectionFlag(section.Flags)&elf.SHF_COMPRESSED != 0 {
			continue
		}
		if uint64(section.Name) >= uint64(len(names)) {
			continue
		}
		name := names[section.Name:]
		name, _, _ = bytes.Cut(name[:min(nameBytes, len(name))], []byte{0})
		if wanted[string(name)] {
			sections[string(name)] = section
		}
	}
	return sections
}

func (i *Image) section(name string) cfi.Section {
	section := i.sections[name]
	return cfi.Section{Address: section.Addr, Bytes: section.Size}
}

// Address returns the address of the file that is mapped from this offset by an executable segment.
func (i *Image) Address(offset uint64) (address uint64, ok bool) {
	for _, load := range i.loads {
		if elf.ProgFlag(load.Flags)&elf.PF_X != 0 && offset >= load.Off&^(pageBytes-1) && offset < load.Off+load.Filesz {
			return offset - load.Off + load.Vaddr, true
		}
	}
	return 0, false
}

// Frame returns the call frame information that covers the address.
func (i *Image) Frame(file io.ReaderAt, address uint64) (cfi.Entry, error) {
	return i.frames.Find(i.source(file), address)
}

// source is the file as a cfi.Source.
type source struct {
	image *Image
	file  io.ReaderAt
}

func (i *Image) source(file io.ReaderAt) source { return source{i, file} }

// Bytes implements cfi.Source.
func (s source) Bytes(address uint64, n int) ([]byte, error) {
	for _, load := range s.image.loads {
		if address >= load.Vaddr && address-load.Vaddr < load.Filesz {
			return readAt(s.file, address-load.Vaddr+load.Off, int(min(uint64(n), load.Filesz-(address-load.Vaddr))))
		}
	}
	return nil, io.EOF
}

// Code returns n bytes that lie at the offset of the file.
func Code(file io.ReaderAt, offset uint64, n int) ([]byte, error) { return readAt(file, offset, n) }

// readAt reads exactly n bytes.
func readAt(file io.ReaderAt, offset uint64, n int) ([]byte, error) {
	if offset > 1<<62 {
		return nil, io.ErrUnexpectedEOF
	}
	raw := make([]byte, n)
	read, err := file.ReadAt(raw, int64(offset))
	if read == n {
		return raw, nil
	}
	if err == io.EOF {
		err = io.ErrUnexpectedEOF
	}
	return nil, err
}

// decode reads a structure; raw is long enough.
func decode[T any](raw []byte) (value T) {
	binary.Decode(raw, binary.LittleEndian, &value)
	return value
}

// Bytes is about how much memory the image holds besides its headers.
func (i *Image) Bytes() int { return i.frames.Bytes() }
