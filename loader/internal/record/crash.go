// SPDX-License-Identifier: Apache-2.0

package record

import (
	"slices"
	"strconv"
	"strings"

	"whodunit/loader/internal/abi"
)

// Crash is what was copied of a crash beside its record, and found from that. Addresses are hexadecimal, with 0x.
type Crash struct {
	State              CrashState `json:"state"`
	Sequence           uint64     `json:"sequence,string"` // of the copy; 0: there was none
	Tid                uint32     `json:"tid"`
	Signo              uint32     `json:"signo"`
	InstructionPointer *string    `json:"instruction_pointer"`
	StackPointer       *string    `json:"stack_pointer"`
	Address            *string    `json:"address"` // of the fault; of an abort, its instruction
	Code               *string    `json:"code"`    // the bytes at the instruction, in hex
	Message            *string    `json:"message"` // what glibc kept as the reason of an abort: memory of the process
	Mapping            *Mapping   `json:"mapping"` // that holds Address
	NextMapping        *Mapping   `json:"next_mapping"`
	Frames             []Frame    `json:"frames"`         // innermost first
	End                string     `json:"end"`            // why Frames ends
	Complete           bool       `json:"complete"`       // Frames ends at the thread's first function
	HandledFrames      []Frame    `json:"handled_frames"` // at the last fault that the thread handled, if Frames does not pass it
	HandledEnd         string     `json:"handled_end"`
	Problems           []string   `json:"problems"`           // files that could not be read, and why
	ExecutableHTLHash  *string    `json:"executable_htlhash"` // of the file that was executed; nil: not known
}

const htlHashDigits = 32

// CrashState says what became of the copy of a crash.
type CrashState string

// The states of a crash. Only the first two have frames.
const (
	CrashUnwound  CrashState = "unwound"
	CrashRepeated CrashState = "repeated" // the frames are those of an equal crash, shortly before
	CrashNoSlot   CrashState = "no_slot"  // all slots, or the share of its origin, were in use
	CrashBusy     CrashState = "busy"     // more crashes than the helper takes
	CrashLost     CrashState = "lost"     // the loader that had the copy is gone, or has dropped the result
	CrashFailed   CrashState = "failed"   // the helper failed
	CrashTimeout  CrashState = "timeout"  // the helper took too long
)

// NoStack returns a crash without a stack. end: why, if the state does not say it.
func NoStack(state CrashState, sequence uint64, end string) *Crash {
	return &Crash{State: state, Sequence: sequence, End: end, Frames: []Frame{}, HandledFrames: []Frame{}, Problems: []string{}}
}

// Hexadecimal returns a number as the wire has it.
func Hexadecimal(number uint64) *string {
	text := "0x" + strconv.FormatUint(number, 16)
	return &text
}

// isHexadecimal reports whether the text is a number as the wire has it.
func isHexadecimal(text string) bool {
	digits, found := strings.CutPrefix(text, "0x")
	_, err := strconv.ParseUint(digits, 16, 64)
	return found && err == nil && !strings.Contains(digits, "_")
}

// isHTLHash reports whether the text is a hash as image.HTLHash returns it.
func isHTLHash(text string) bool {
	return len(text) == htlHashDigits && strings.Trim(text, "0123456789abcdef") == ""
}

// Valid reports whether the texts that readers take for numbers are, and the lists are there.
func (c *Crash) Valid() bool {
	numbers := []*string{c.InstructionPointer, c.StackPointer, c.Address}
	for _, mapping := range []*Mapping{c.Mapping, c.NextMapping} {
		if mapping != nil {
			numbers = append(numbers, &mapping.Start, &mapping.End)
		}
	}
	for _, frame := range slices.Concat(c.Frames, c.HandledFrames) {
		numbers = append(numbers, &frame.PC, frame.Address)
	}
	malformed := func(number *string) bool { return number != nil && !isHexadecimal(*number) }
	if c.ExecutableHTLHash != nil && !isHTLHash(*c.ExecutableHTLHash) {
		return false
	}
	return !slices.ContainsFunc(numbers, malformed) && c.Frames != nil && c.HandledFrames != nil && c.Problems != nil
}

// Frame is one function that had not returned.
type Frame struct {
	PC       string  `json:"pc"`
	Function *string `json:"function"` // demangled
	Offset   uint64  `json:"offset"`   // in Function
	Module   *string `json:"module"`
	Address  *string `json:"address"` // PC as an address of the module's file
	BuildID  *string `json:"build_id"`
	FoundBy  string  `json:"found_by"`
	Guess    bool    `json:"guess"`
}

// Mapping is a part of a process's address space.
type Mapping struct {
	Start     string  `json:"start"`
	End       string  `json:"end"`
	Access    string  `json:"access"`     // as in /proc/PID/maps: rwxp
	Path      *string `json:"path"`       // in its file system; nil: no file
	Offset    uint64  `json:"offset"`     // of Start, in the file
	FileBytes int64   `json:"file_bytes"` // the size of the file
	Deleted   bool    `json:"deleted"`    // the file has no name any more
	GrowsDown bool    `json:"grows_down"` // the stack of the first thread
}

// CrashReference is what the record of a crash says of its copy.
type CrashReference struct {
	Slot     uint32
	Sequence uint64 // 0: no slot was free
}

func (d *Decoder) crash(payload []byte) (*CrashReference, error) {
	raw, _, err := take[abi.CrashReference](payload)
	if err != nil || abi.CrashCapture(raw.Capture) == abi.CrashCaptureCAPTURE_NONE {
		return nil, err
	}
	d.reference = CrashReference{Slot: raw.Slot}
	if abi.CrashCapture(raw.Capture) == abi.CrashCaptureCAPTURE_SLOT {
		d.reference.Sequence = raw.Sequence
	}
	return &d.reference, nil
}
