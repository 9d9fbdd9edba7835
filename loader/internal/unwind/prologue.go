// SPDX-License-Identifier: Apache-2.0

package unwind

import "encoding/binary"

const (
	// prologueBytesMax of a function's code are read.
	prologueBytesMax = 48
	wordBytes        = 8
)

// pushColumns are the DWARF numbers of the registers of push (0x50 to 0x57); with the prefix 0x41, they are 8 to 15.
var pushColumns = [8]uint64{0, 2, 1, 3, 7, 6, 4, 5}

// preserved are the registers that a function gives back as they were.
var preserved = map[uint64]bool{3: true, 6: true, 12: true, 13: true, 14: true, 15: true}

// prologue is the way by the instructions with which a function of x86-64 begins: pushes, and room for variables. It is for code without tables, such
// as Rust's main() and musl. The function may push more than it does here: then there is no return address where it is expected. What was interrupted
// may be in its epilogue: there, only a call of this very function is sure.
func (w *walker) prologue(p *place) (caller, error) {
	begin := w.begin(p)
	if begin == 0 || begin >= p.pc || w.convention.hasLink {
		return caller{}, errNone
	}
	n := int(min(prologueBytesMax, p.pc-begin))
	code, ok := p.loaded.code(p.module, begin+uint64(n), n)
	if !ok {
		return caller{}, errNone
	}
	pushed, room := pushes(code)
	found := caller{registers: p.registers, low: p.low + room, foundBy: FoundByPrologue}
	for i := len(pushed) - 1; i >= 0; i-- {
		if value, ok := w.memory.Word(found.low); ok && preserved[pushed[i]] {
			found.registers.Set(pushed[i], value)
		}
		found.low += wordBytes
	}
	pc, ok := w.memory.Word(found.low)
	follows, target, direct := w.isReturn(pc)
	if !ok || !follows || (direct && target != begin && w.files.find(target) == p.module) {
		return caller{}, errNone
	}
	found.low += wordBytes
	found.guess = p.exact && !(direct && target == begin)
	found.registers.Set(w.convention.stackPointer, found.low)
	found.registers.Set(w.convention.pc, pc)
	return found, nil
}

// pushes returns the columns of the registers that the code pushes, and how many bytes it reserves below them.
func pushes(code []byte) (columns []uint64, room uint64) {
	for len(code) >= 4 {
		switch {
		case string(code[:4]) == "\xf3\x0f\x1e\xfa": // endbr64
			code = code[4:]
		case code[0]&0xf8 == 0x50:
			columns, code = append(columns, pushColumns[code[0]&7]), code[1:]
		case code[0] == 0x41 && code[1]&0xf8 == 0x50:
			columns, code = append(columns, 8+uint64(code[1]&7)), code[2:]
		case string(code[:3]) == "\x48\x89\xe5": // mov %rsp, %rbp
			code = code[3:]
		case string(code[:3]) == "\x48\x83\xec": // sub $8 bits, %rsp
			return columns, uint64(code[3] & 0x7f)
		case string(code[:3]) == "\x48\x81\xec" && len(code) >= 7: // sub $32 bits, %rsp
			return columns, uint64(binary.LittleEndian.Uint32(code[3:]))
		default:
			return columns, 0
		}
	}
	return columns, 0
}
