// SPDX-License-Identifier: Apache-2.0

package unwind

import (
	"errors"
	"slices"
	"strings"

	"whodunit/loader/internal/unwind/cfi"
)

// nowhere is the way back from a jump to an address without code: the call that led there is finished, the function has not begun.
func (w *walker) nowhere(p *place) (caller, error) {
	if !p.innermost || p.module != nil {
		return caller{}, errNone
	}
	return w.notBegun(p)
}

// notBegun returns the caller of a function that has done nothing yet, or has undone all of it.
func (w *walker) notBegun(p *place) (caller, error) {
	found := caller{registers: p.registers, low: p.low, foundBy: FoundByReturnAddress}
	var pc uint64
	var known bool
	if w.convention.hasLink {
		pc, known = p.registers.Get(w.convention.link)
	} else if pc, known = w.memory.Word(p.low); known {
		found.low += 8
		found.registers.Set(w.convention.stackPointer, found.low)
	}
	pc &= w.convention.codeMask
	if follows, _, _ := w.isReturn(pc); !known || !follows {
		return caller{}, errNone
	}
	found.registers.Set(w.convention.pc, pc)
	return found, nil
}

// signalFrame leads from where signal handlers return to, to what the signal interrupted.
func (w *walker) signalFrame(p *place) (caller, error) {
	if !p.known.trampoline {
		return caller{}, errNone
	}
	found := caller{foundBy: FoundBySignal, exact: true, switches: true}
	for i, column := range w.convention.signal.columns {
		value, ok := w.memory.Word(p.low + w.convention.signal.at + uint64(i)*wordBytes)
		if !ok {
			return caller{}, errEnd
		}
		found.registers.Set(column, value)
	}
	found.low, _ = found.registers.Get(w.convention.stackPointer)
	p.function, p.begin = SignalHandlerCalled, 0
	return found, nil
}

// callFrameInformation is the way that .eh_frame says.
func (w *walker) callFrameInformation(p *place) (caller, error) {
	known := &p.known
	if p.loaded == nil || known.err != nil {
		return caller{}, errNone
	}
	registers, outermost, err := known.row.Step(&p.registers, w.convention.stackPointer, w.memory)
	low, _ := registers.Get(w.convention.stackPointer)
	if errors.Is(err, cfi.ErrNotCopied) && w.beyond(p, low) {
		return caller{}, errEnd
	}
	if err != nil {
		return caller{}, err
	}
	pc, _ := registers.Get(known.returnAddress)
	registers.Set(w.convention.pc, pc)
	return caller{registers: registers, low: low, foundBy: FoundByCFI, exact: known.signal, switches: known.signal, outermost: outermost}, nil
}

// outermostGo are the first functions of goroutines and of Go's threads.
var outermostGo = []string{"runtime.goexit", "runtime.rt0_go", "runtime.mstart", "runtime.morestack", "runtime.mcall"}

// switchingGo run a function on the thread's own stack. Their frame pointer leads back to the goroutine's.
var switchingGo = []string{"runtime.systemstack", "runtime.asmcgocall"}

// injectedGo are called by no instruction: the signal handler makes it seem so. What they return to was interrupted.
var injectedGo = []string{"runtime.sigpanic", "runtime.sigpanic0", "runtime.asyncPreempt"}

// goFrame is the way that Go's table of functions says.
func (w *walker) goFrame(p *place) (caller, error) {
	function := &p.known.function
	if !p.known.isGo {
		return caller{}, errNone
	}
	p.begin, p.function = function.Begin, function.Name
	name := strings.TrimSuffix(function.Name, ".abi0")
	found := caller{registers: p.registers, foundBy: FoundByGo, exact: slices.Contains(injectedGo, name)}
	if slices.Contains(outermostGo, name) {
		found.outermost = true
		return found, nil
	}
	if slices.Contains(switchingGo, name) {
		found.switches = true
		err := w.followFramePointer(p, &found)
		if base, _ := p.registers.Get(w.convention.framePointer); err != nil && !w.memory.has(base) {
			err = errEnd
		}
		return found, err
	}
	if !function.Known {
		return caller{}, errNone
	}
	pc, above, ok := w.goReturn(p, function.Frame)
	if !ok {
		if w.beyond(p, above) {
			return caller{}, errEnd
		}
		return caller{}, errNone
	}
	found.low = above
	if found.exact && w.convention.hasLink {
		// The handler pushed the link register of what was interrupted (sigctxt.preparePanic()): a leaf returns there.
		link, _ := w.memory.Word(above)
		found.registers.Set(w.convention.link, link)
		found.low += injectedBytes
	}
	found.registers.Set(w.convention.stackPointer, found.low)
	found.registers.Set(w.convention.pc, pc)
	w.restoreGoFramePointer(&found, above, function.Frame)
	return found, nil
}

// injectedBytes are what the signal handler pushes where calls do not: the link register, aligned to the stack.
const injectedBytes = 16

// goReturn returns the return address and the caller's stack pointer (runtime.(*unwinder).next).
func (w *walker) goReturn(p *place, frame uint64) (pc, above uint64, ok bool) {
	if !w.convention.hasLink {
		above = p.low + frame + 8
		pc, ok = w.memory.Word(above - 8)
		return pc, above, ok
	}
	above = p.low + frame
	if frame == 0 {
		pc, ok = p.registers.Get(w.convention.link)
		return pc, above, ok && p.exact
	}
	pc, ok = w.memory.Word(p.low)
	return pc, above, ok
}

// restoreGoFramePointer sets the caller's frame pointer, which lies below the return address on x86-64, below the frame on arm64.
func (w *walker) restoreGoFramePointer(found *caller, above, frame uint64) {
	at := above - 16
	if w.convention.hasLink {
		at = above - frame - 8
	}
	if value, ok := w.memory.Word(at); ok && frame > 8 {
		found.registers.Set(w.convention.framePointer, value)
	}
}

// barely is for innermost functions without tables, at their first instruction or their return.
func (w *walker) barely(p *place) (caller, error) {
	if !p.innermost || p.loaded == nil {
		return caller{}, errNone
	}
	begin := w.begin(p)
	if w.convention.hasLink {
		link, _ := p.registers.Get(w.convention.link)
		if _, target, direct := w.isReturn(link & w.convention.codeMask); !direct || target != begin {
			return caller{}, errNone
		}
		return w.notBegun(p)
	}
	if returns := len(w.crash.Code) > 0 && w.crash.Code[0] == retX86; begin != p.pc && !returns {
		return caller{}, errNone
	}
	return w.notBegun(p)
}
