// SPDX-License-Identifier: Apache-2.0

package unwind

import (
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
