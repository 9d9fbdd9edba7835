// SPDX-License-Identifier: Apache-2.0

package unwind

// FoundBy says how a frame was found.
type FoundBy string

// The ways to find a frame, from the surest on.
const (
	FoundByPC            FoundBy = "pc"             // the program counter of the thread
	FoundBySignal        FoundBy = "signal frame"   // what the kernel saved when it called a signal handler
	FoundByCFI           FoundBy = "cfi"            // .eh_frame
	FoundByGo            FoundBy = "gopclntab"      // Go's table of functions
	FoundByReturnAddress FoundBy = "return address" // after a jump to nowhere, or in a function that has only begun: on top of the stack, or in the link register
	FoundByInstructions  FoundBy = "instructions"   // what the instructions of the function do to the stack
	FoundByFramePointer  FoundBy = "frame pointer"
	FoundByScan          FoundBy = "scan" // the next word of the stack that looks like a return address
)

// SignalHandlerCalled is the function of the frame between a signal handler and what it interrupted.
const SignalHandlerCalled = "<signal handler called>"

// Frame is one function that had not returned.
type Frame struct {
	PC      uint64 // in the process
	Module  string // path; empty if the address lies in no module, or in code without a file
	BuildID string // of the module, in hex; empty if it has none
	// Address is the program counter as an address of the module's file: what addr2line and debuginfod's clients take.
	Address uint64
	// Function is its name, demangled; empty if no table has it.
	Function string
	// Begin is where the function begins, as an address of the file; 0: not known.
	Begin uint64
	// Offset is Address - Begin; 0 without Begin.
	Offset  uint64
	FoundBy FoundBy
	// Guess: this frame may not exist. It was guessed, or it was found from one that was.
	Guess bool
}

// End says why a stack ends.
type End string

// Why a stack ends.
const (
	EndOutermost End = "outermost"      // the thread's first function: it is complete
	EndNotCopied End = "not copied"     // the rest of the stack was not copied
	EndUnknown   End = "unknown caller" // no table has the caller, and no guess is left
	EndFrames    End = "frames"         // Limits.Frames
	EndLimit     End = "limit"          // another of the Limits
)

// Stack is what was found.
type Stack struct {
	Frames []Frame // innermost first
	End    End
	// Fault are the frames at the last handled fault. It is empty if Frames is complete or goes through the place of the fault.
	Fault    []Frame
	FaultEnd End
	// ExecutableHash is image.HTLHash() of the file that was executed; empty if it is not known.
	ExecutableHash string
	// Problems say what could not be read, and why: at most problemsMax.
	Problems []error
}

// Complete reports whether the frames are all there are, up to the thread's first function. After a guess, frames may be missing.
func (s *Stack) Complete() bool {
	return s.End == EndOutermost && !s.Frames[len(s.Frames)-1].Guess
}

// Truncated reports whether a limit cut the frames or their names off.
func (s *Stack) Truncated() bool {
	return s.End == EndNotCopied || s.End == EndFrames || s.End == EndLimit
}

const problemsMax = 8
