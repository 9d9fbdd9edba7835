// SPDX-License-Identifier: Apache-2.0

package unwind

import (
	"maps"

	"golang.org/x/arch/x86/x86asm"
)

// preserved are the registers that a function gives back as they were, with their DWARF numbers.
var preserved = map[x86asm.Reg]uint64{x86asm.RBX: 3, x86asm.RBP: 6, x86asm.R12: 12, x86asm.R13: 13, x86asm.R14: 14, x86asm.R15: 15}

// frameState is what a function of x86-64 has done to its stack, before an instruction. Distances are bytes below the stack pointer that the function
// began with.
type frameState struct {
	depth      int64 // of the stack pointer
	depthKnown bool
	base       int64 // of the frame pointer
	baseKnown  bool
	saved      map[uint64]int64 // where preserved registers lie, by column
	// Where the return address lies, unless it is in a register: V8's code puts arguments above it.
	home       int64
	inRegister x86asm.Reg
}

func (s *frameState) clone() frameState {
	clone := *s
	clone.saved = maps.Clone(s.saved)
	return clone
}

// agrees reports whether both states lead to the same caller.
func (s *frameState) agrees(other *frameState) bool {
	if s.home != other.home || s.inRegister != other.inRegister {
		return false
	}
	if s.depthKnown && other.depthKnown {
		return s.depth == other.depth
	}
	return s.baseKnown && other.baseKnown && s.base == other.base
}

// after changes the state as the instruction does. False: no instruction follows that is known to run.
func (s *frameState) after(i *x86asm.Inst) bool {
	switch i.Op {
	case x86asm.RET, x86asm.LRET, x86asm.IRETQ, x86asm.HLT, x86asm.UD2, x86asm.UD1, x86asm.INT:
		return false
	case x86asm.PUSH:
		s.push(i)
		return true
	case x86asm.POP:
		s.pop(i)
		return true
	case x86asm.PUSHFQ:
		s.depth += wordBytes
		return true
	case x86asm.POPFQ:
		s.depth -= wordBytes
		return true
	case x86asm.LEAVE:
		s.depth, s.depthKnown, s.baseKnown = s.base-wordBytes, s.baseKnown, false
		return true
	case x86asm.CMP, x86asm.TEST, x86asm.CALL:
		return true
	}
	switch i.Args[0] {
	case x86asm.RSP, x86asm.ESP:
		s.setDepth(i)
	case x86asm.RBP, x86asm.EBP:
		s.base, s.baseKnown = s.depth, i.Op == x86asm.MOV && i.Args[1] == x86asm.RSP && s.depthKnown
	}
	return true
}

func (s *frameState) push(i *x86asm.Inst) {
	s.depth += wordBytes
	register, _ := i.Args[0].(x86asm.Reg)
	if register != 0 && register == s.inRegister {
		s.home, s.inRegister = s.depth, 0
		return
	}
	column, known := preserved[register]
	if _, already := s.saved[column]; !known || already || !s.depthKnown {
		return
	}
	if s.saved == nil {
		s.saved = map[uint64]int64{}
	}
	s.saved[column] = s.depth
}

func (s *frameState) pop(i *x86asm.Inst) {
	s.depth -= wordBytes
	register, _ := i.Args[0].(x86asm.Reg)
	if s.depthKnown && s.depth+wordBytes == s.home && s.inRegister == 0 {
		s.inRegister = register
		return
	}
	if register == x86asm.RSP {
		s.depthKnown = false
	}
	if register == x86asm.RBP {
		s.baseKnown = false
	}
	if column, known := preserved[register]; known && s.saved[column] == s.depth+wordBytes {
		delete(s.saved, column)
	}
}

// setDepth follows what an instruction does to the stack pointer.
func (s *frameState) setDepth(i *x86asm.Inst) {
	value, immediate := i.Args[1].(x86asm.Imm)
	memory, _ := i.Args[1].(x86asm.Mem)
	switch {
	case i.Op == x86asm.SUB && immediate:
		s.depth += int64(value)
	case i.Op == x86asm.ADD && immediate:
		s.depth -= int64(value)
	case i.Op == x86asm.LEA && memory.Base == x86asm.RSP && memory.Index == 0:
		s.depth -= memory.Disp
	case i.Op == x86asm.LEA && memory.Base == x86asm.RBP && memory.Index == 0:
		s.depth, s.depthKnown = s.base-memory.Disp, s.baseKnown
	case i.Op == x86asm.MOV && i.Args[1] == x86asm.RBP:
		s.depth, s.depthKnown = s.base, s.baseKnown
	default: // aligned, or room of a size that is computed
		s.depthKnown = false
	}
}
