// SPDX-License-Identifier: Apache-2.0

// Package cfi reads call frame information: .eh_frame and its index .eh_frame_hdr (LSB core specification, "Exception Frames"; DWARF 5,
// section 6.4). It computes where a function keeps its caller's registers at one instruction, and nothing else: which function, which file
// and which stack are the caller's business. Files are hostile: every length is checked, every loop ends.
package cfi

import "errors"

// Columns is the number of registers that are followed, by their DWARF numbers: on x86-64 rax to r15 and the return address (16), on arm64
// x0 to x30 and sp (31). Rules for others are read and dropped.
const Columns = 33

// Registers are the registers of one frame, by their DWARF numbers.
type Registers struct {
	Value [Columns]uint64
	known uint64 // a bit for each column
}

// Get returns the value of a register, and whether it is known.
func (r *Registers) Get(column uint64) (value uint64, known bool) {
	if column >= Columns || r.known>>column&1 == 0 {
		return 0, false
	}
	return r.Value[column], true
}

// Set makes the value known.
func (r *Registers) Set(column, value uint64) {
	r.Value[column] = value
	r.known |= 1 << column
}

// Forget makes the value unknown.
func (r *Registers) Forget(column uint64) { r.known &^= 1 << column }

// Memory is the copied memory of the process.
type Memory interface {
	// Word returns the eight bytes at the address, if they were copied.
	Word(address uint64) (uint64, bool)
}

// Source is the file, as it would be mapped.
type Source interface {
	// Bytes returns up to n bytes at an address of the file: fewer at the end of its segment, io.EOF outside of all.
	Bytes(address uint64, n int) ([]byte, error)
}

// ErrNotFound means that no entry covers the address.
var ErrNotFound = errors.New("no call frame information for this address")

// entryBytesMax bounds a CIE or an FDE. The longest of Debian's libraries has 7 KB.
const entryBytesMax = 64 << 10
