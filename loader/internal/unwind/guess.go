// SPDX-License-Identifier: Apache-2.0

package unwind

import (
	"slices"

	"whodunit/loader/internal/unwind/image"
)

const (
	// scanWords of the stack are searched for a return address.
	scanWords = 1024
	// functionCodeMax is more than most functions have.
	functionCodeMax = 64 << 10
	// entryCodeMax is more than the code has with which a program starts. glibc's has 38 bytes.
	entryCodeMax = 64
)

// entry ends the stack where the program starts: that code has no caller. musl's has no call frame information that would say so.
func (w *walker) entry(p *place) (caller, error) {
	if p.loaded == nil || p.loaded.image.Entry == 0 || p.address-p.loaded.image.Entry > entryCodeMax {
		return caller{}, errNone
	}
	if w.begin(p) != 0 && p.begin != p.loaded.image.Entry {
		return caller{}, errNone
	}
	return caller{outermost: true}, nil
}

// surelyFramePointer is the way by the frame pointer, for functions without tables that are known to set it: by the instructions with which they begin,
// or because the call that the frame pointer leads to is one of this very function.
func (w *walker) surelyFramePointer(p *place) (caller, error) {
	found, err := w.framePointer(p)
	if err != nil || found.outermost {
		return found, err
	}
	pc, _ := found.registers.Get(w.convention.pc)
	_, target, direct := w.isReturn(pc)
	begin := w.begin(p)
	if begin == 0 || (!(direct && target == begin) && !w.keepsFramePointer(p, begin)) {
		return caller{}, errNone
	}
	found.guess = false
	return found, nil
}

// framePointer is the way by the frame pointer, whatever the function uses that register for: a guess.
func (w *walker) framePointer(p *place) (caller, error) {
	if base, known := p.registers.Get(w.convention.framePointer); known && base == 0 && !p.innermost && !p.guess && p.begin == 0 {
		return caller{outermost: true}, nil // the ABI's mark of the first function: musl has no call frame information
	}
	found := caller{registers: p.registers, foundBy: FoundByFramePointer, guess: true}
	return found, w.followFramePointer(p, &found)
}

// followFramePointer moves to the frame that the frame pointer points to: the caller's frame pointer, and above it the return address.
func (w *walker) followFramePointer(p *place, found *caller) error {
	base, known := p.registers.Get(w.convention.framePointer)
	if !known || base%8 != 0 || (base < p.low && w.memory.together(base, p.low)) {
		return errNone
	}
	previous, ok := w.memory.Word(base)
	pc, also := w.memory.Word(base + 8)
	pc &= w.convention.codeMask
	module := w.files.find(pc)
	if !ok || !also || module == nil {
		return errNone
	}
	if follows, _, _ := w.isReturn(pc); !follows && w.files.load(module) != nil {
		return errNone
	}
	found.low = base + 16
	found.registers.Set(w.convention.framePointer, previous)
	found.registers.Set(w.convention.pc, pc)
	found.registers.Set(w.convention.stackPointer, found.low)
	if w.convention.hasLink { // arm64 saves both at the bottom of the frame: where its top is remains unknown
		found.registers.Forget(w.convention.stackPointer)
	}
	return nil
}

// keepsFramePointer reports whether the function begins by setting its frame pointer, and has done so.
func (w *walker) keepsFramePointer(p *place, begin uint64) bool {
	return slices.ContainsFunc(w.convention.prologues, func(prologue string) bool {
		code, ok := p.loaded.code(p.module, begin+uint64(len(prologue)), len(prologue))
		return ok && string(code) == prologue && p.pc >= begin+uint64(len(prologue))
	})
}

// called takes the next return address of the stack after a call of this very function.
func (w *walker) called(p *place) (caller, error) {
	begin := w.begin(p)
	if begin == 0 {
		return caller{}, errNone
	}
	return w.scanFor(p, func(target uint64, direct bool) bool { return direct && target == begin })
}

// scan takes the next return address of the stack that may be the caller's.
func (w *walker) scan(p *place) (caller, error) {
	begin := w.begin(p)
	return w.scanFor(p, func(target uint64, direct bool) bool {
		if !direct || w.files.find(target) != p.module { // through a pointer, or through a stub of another file
			return true
		}
		return begin == 0 && target <= p.pc && p.pc-target < functionCodeMax
	})
}

// scanFor takes the first return address that fits. At a stack overflow, the first words were not copied: there are none.
func (w *walker) scanFor(p *place, fits func(target uint64, direct bool) bool) (caller, error) {
	for at, n := (p.low+7)&^7, 0; n < scanWords && !w.files.meter.exceeded; at, n = at+8, n+1 {
		value, copied := w.memory.Word(at)
		pc := value & w.convention.codeMask
		if follows, target, direct := w.isReturn(pc); !copied || !follows || !fits(target, direct) {
			continue
		}
		found := caller{registers: p.registers, low: at + 8, foundBy: FoundByScan, guess: true}
		found.registers.Forget(w.convention.framePointer)
		found.registers.Set(w.convention.stackPointer, found.low)
		found.registers.Set(w.convention.pc, pc)
		if w.convention.hasLink {
			found.registers.Forget(w.convention.stackPointer)
		}
		return found, nil
	}
	return caller{}, errNone
}

// begin returns where the place's function begins in the process; 0: not known. Without call frame information, its symbol says it.
func (w *walker) begin(p *place) uint64 {
	if p.loaded == nil {
		return 0
	}
	if p.begin == 0 {
		query := image.Query{Address: p.lookup}
		p.begin = p.loaded.names([]image.Query{query})[query].Address
	}
	if p.begin == 0 {
		return 0
	}
	return p.pc - p.address + p.begin
}
