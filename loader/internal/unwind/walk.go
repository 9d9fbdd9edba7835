// SPDX-License-Identifier: Apache-2.0

package unwind

import (
	"errors"

	"whodunit/loader/internal/unwind/cfi"
)

// walker walks from the innermost frame to the outermost.
type walker struct {
	crash      *Crash
	convention *convention
	memory     memory
	files      *files
	framesMax  int
	followed   int // instructions
}

// place is a frame while it is walked.
type place struct {
	registers Registers
	pc        uint64
	// low is at or below the stack pointer, which the registers may not have.
	low    uint64
	module *Module
	loaded *loaded // nil: the module has no tables
	// address is pc as an address of the file. lookup is the address that tables are asked for: of the call, if pc is a return address.
	address, lookup uint64
	exact           bool // pc is the next instruction, not a return address
	innermost       bool
	known           facts

	foundBy  FoundBy
	guess    bool
	begin    uint64 // of the function, in the file; 0: not known
	function string
}

// caller is where a way leads.
type caller struct {
	registers Registers // the program counter among them
	low       uint64
	foundBy   FoundBy
	exact     bool
	guess     bool
	outermost bool // there is no caller
	switches  bool // to another stack
}

var (
	// errNone means that a way leads nowhere: the next one is tried.
	errNone = errors.New("this way leads to no caller")
	// errEnd means that a way knows the caller's place, but it was not copied: guesses would be wrong.
	errEnd = errors.New("the caller's frame was not copied")
)

// ways are tried in this order.
var ways = []func(*walker, *place) (caller, error){
	(*walker).nowhere, (*walker).signalFrame, (*walker).callFrameInformation, (*walker).goFrame, (*walker).entry, (*walker).barely,
	(*walker).instructions, (*walker).surelyFramePointer, (*walker).called, (*walker).framePointer, (*walker).scan,
}

// walk returns the frames, innermost first, and why there are no more.
func (w *walker) walk(registers Registers) ([]place, End) {
	pc, known := registers.Get(w.convention.pc)
	low, _ := registers.Get(w.convention.stackPointer)
	if !known {
		return nil, EndUnknown
	}
	next := caller{registers: registers, low: low, foundBy: FoundByPC, exact: true}
	var places []place
	for {
		p := w.place(pc, &next, len(places) == 0)
		var err error
		next, err = w.caller(&p)
		places = append(places, p)
		switch {
		case next.outermost:
			return places, EndOutermost
		case w.files.meter.exceeded:
			return places, EndLimit
		case errors.Is(err, errEnd):
			return places, EndNotCopied
		case err != nil:
			return places, EndUnknown
		case len(places) >= w.framesMax:
			return places, EndFrames
		}
		pc, _ = next.registers.Get(w.convention.pc)
	}
}

// place describes the frame that was found.
func (w *walker) place(pc uint64, found *caller, innermost bool) place {
	p := place{
		registers: found.registers, pc: pc, low: found.low, exact: found.exact, innermost: innermost, foundBy: found.foundBy, guess: found.guess,
		module: w.files.find(pc),
	}
	p.loaded = w.files.load(p.module)
	if p.loaded == nil {
		return p
	}
	address, ok := p.loaded.image.Address(pc - p.module.Start + p.module.Offset)
	if !ok {
		p.loaded = nil
		return p
	}
	p.address, p.lookup = address, address
	if !p.exact {
		p.lookup--
	}
	p.known = p.loaded.known(&p, w.convention.trampolines)
	p.begin = p.known.begin
	return p
}

// caller tries the ways, and returns where the first one leads that is plausible.
func (w *walker) caller(p *place) (caller, error) {
	for _, way := range ways {
		found, err := way(w, p)
		if errors.Is(err, errEnd) {
			return caller{}, err
		}
		if err != nil || w.files.meter.exceeded {
			continue
		}
		if found.outermost {
			return found, nil
		}
		pc, _ := found.registers.Get(w.convention.pc)
		pc &= w.convention.codeMask
		found.registers.Set(w.convention.pc, pc)
		if pc == 0 && found.foundBy == FoundByCFI { // overwritten, or the end of a stack that the program made itself
			return caller{}, errNone
		}
		if w.plausible(p, &found, pc) {
			found.guess = found.guess || p.guess
			return found, nil
		}
	}
	return caller{}, errNone
}

// plausible reports whether the caller is in code, and its frame above the callee's on the same stack.
func (w *walker) plausible(p *place, found *caller, pc uint64) bool {
	if w.files.find(pc) == nil {
		return false
	}
	if found.switches || !w.memory.together(p.low, found.low) {
		return found.low != p.low || pc != p.pc
	}
	// On arm64, a function that has no frame of its own has the stack pointer of its caller.
	return found.low > p.low || (w.convention.hasLink && found.low == p.low && p.exact)
}

// isReturn reports whether something returns to the address: it follows a call, or it is where signal handlers return to. If the instruction of the
// call says where it goes, direct is set. Code without a file cannot be checked: nothing returns there.
func (w *walker) isReturn(pc uint64) (returns bool, target uint64, direct bool) {
	module := w.files.find(pc)
	loaded := w.files.load(module)
	if loaded == nil {
		return false, 0, false
	}
	code, ok := loaded.code(module, pc, w.convention.callBytes)
	if !ok {
		return false, 0, false
	}
	follows, distance, direct := w.convention.called(code)
	if !follows && loaded.isTrampoline(module, pc, w.convention.trampolines) {
		return true, 0, false
	}
	return follows, pc + uint64(distance), direct
}

// beyond reports whether the address lies above the frame, where the rest of the stack would be.
func (w *walker) beyond(p *place, address uint64) bool {
	return address > p.low && address-p.low < stackBytesMax
}

// stackBytesMax is more than any stack has.
const stackBytesMax = 1 << 32

var _ cfi.Memory = memory(nil)
