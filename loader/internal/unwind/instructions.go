// SPDX-License-Identifier: Apache-2.0

package unwind

import (
	"maps"
	"strings"

	"golang.org/x/arch/x86/x86asm"

	"whodunit/loader/internal/unwind/image"
)

const (
	wordBytes = 8
	// instructionsMax of one function are followed, and of all functions of a stack: hostile code has no end.
	instructionsMax         = 8192
	instructionsMaxOfStacks = 256 << 10
	// calledMax functions are tried of a frame whose function is not known.
	calledMax = 16
	// codeBytes are read of a file at a time.
	codeBytes = 1024
	// instructionBytesMax is the longest instruction of x86.
	instructionBytesMax = 15
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

// instructions is the way by the instructions of a function of x86-64 without tables: all ways through it to the program counter are followed, and
// what each does to the stack pointer is added up. Where the function begins is said by its symbol; else by a call on the stack that goes to it, if its
// return address lies exactly where the instructions have it.
func (w *walker) instructions(p *place) (caller, error) {
	if w.convention.hasLink || p.loaded == nil || p.guess {
		return caller{}, errNone
	}
	if begin := w.begin(p); begin != 0 {
		if w.isPart(p) {
			return caller{}, errNone
		}
		return w.atDepth(p, begin, 0)
	}
	for at, n, tried := (p.low+7)&^7, 0, 0; n < scanWords && tried < calledMax && !w.files.meter.exceeded; at, n = at+wordBytes, n+1 {
		pc, copied := w.memory.Word(at)
		if !copied {
			continue
		}
		_, target, direct := w.isReturn(pc)
		if !direct || target > p.pc || p.pc-target > functionCodeMax || w.files.find(target) != p.module {
			continue
		}
		tried++
		if found, err := w.atDepth(p, target, at); err == nil {
			return found, nil
		}
	}
	return caller{}, errNone
}

// isPart reports whether the symbol is of a part of a function that the compiler moved away: it begins with the stack of the middle.
func (w *walker) isPart(p *place) bool {
	query := image.Query{Address: p.lookup}
	return strings.Contains(p.loaded.names([]image.Query{query})[query].Name, ".cold")
}

// atDepth returns the caller of the function that begins there. returnAt is where its return address must lie; 0: that is not known.
func (w *walker) atDepth(p *place, begin, returnAt uint64) (caller, error) {
	state, ok := w.follow(p, begin)
	if !ok {
		return caller{}, errNone
	}
	top := p.low + uint64(state.depth) // where the stack pointer was when the function began
	if !state.depthKnown {
		base, known := p.registers.Get(w.convention.framePointer)
		if !known || !state.baseKnown {
			return caller{}, errNone
		}
		top = base + uint64(state.base)
	}
	home := top - uint64(state.home)
	pc, copied := w.memory.Word(home)
	if !copied && w.beyond(p, home) {
		return caller{}, errEnd
	}
	returns, target, direct := w.isReturn(pc)
	if !returns || state.inRegister != 0 || (returnAt != 0 && returnAt != home) {
		return caller{}, errNone
	}
	found := caller{registers: p.registers, low: top + wordBytes, foundBy: FoundByInstructions}
	found.guess = direct && target != begin && w.files.find(target) == p.module // that function may have jumped here at its end
	for column, depth := range state.saved {
		if value, ok := w.memory.Word(top - uint64(depth)); ok {
			found.registers.Set(column, value)
		} else {
			found.registers.Forget(column)
		}
	}
	found.registers.Set(w.convention.stackPointer, found.low)
	found.registers.Set(w.convention.pc, pc)
	return found, nil
}

// step is an instruction that is still to be followed.
type step struct {
	at    uint64
	state frameState
}

// follow returns the state of the function at the place's program counter. It fails if no way leads there, or if two ways lead anywhere with different
// states: one of them is none, as what follows a call that does not return.
func (w *walker) follow(p *place, begin uint64) (frameState, bool) {
	code := codeOf{loaded: p.loaded, module: p.module}
	seen := map[uint64]frameState{}
	reached := func(at uint64, state *frameState) (again, agrees bool) {
		known, again := seen[at]
		if !again {
			seen[at] = state.clone()
		}
		return again, !again || known.agrees(state)
	}
	for open := []step{{begin, frameState{depthKnown: true}}}; len(open) > 0; {
		next := open[len(open)-1]
		open = open[:len(open)-1]
		for {
			if len(seen) == instructionsMax || w.followed == instructionsMaxOfStacks || w.files.meter.exceeded {
				return frameState{}, false
			}
			again, agrees := reached(next.at, &next.state)
			if !agrees {
				return frameState{}, false
			}
			if again {
				break
			}
			w.followed++
			instruction, err := x86asm.Decode(code.at(next.at), 64)
			if err != nil {
				break
			}
			target, jumps := targetOf(&instruction, next.at)
			next.at += uint64(instruction.Len)
			if !next.state.after(&instruction) {
				break
			}
			if jumps && target >= begin && target-begin < functionCodeMax {
				open = append(open, step{target, next.state.clone()})
			}
			if instruction.Op == x86asm.JMP {
				break
			}
		}
	}
	state, ok := seen[p.pc]
	return state, ok
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

// targetOf returns where a direct jump goes.
func targetOf(i *x86asm.Inst, at uint64) (target uint64, jumps bool) {
	relative, direct := i.Args[0].(x86asm.Rel)
	return at + uint64(i.Len) + uint64(int64(relative)), direct && i.Op != x86asm.CALL
}

// codeOf reads the code of a module in pieces.
type codeOf struct {
	loaded *loaded
	module *Module
	bytes  []byte
	first  uint64
}

// at returns the code from the address on; what is left of it at the end of the file.
func (c *codeOf) at(address uint64) []byte {
	if offset := address - c.first; offset < uint64(len(c.bytes)) && uint64(len(c.bytes))-offset >= instructionBytesMax {
		return c.bytes[offset:]
	}
	for n := codeBytes; n > 0; n /= 2 { // less, at the end of the mapping
		if address < c.module.Start || address+uint64(n) > c.module.End {
			continue
		}
		if code, ok := c.loaded.code(c.module, address+uint64(n), n); ok {
			c.bytes, c.first = code, address
			return code
		}
	}
	return nil
}
