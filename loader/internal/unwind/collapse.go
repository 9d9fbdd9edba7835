// SPDX-License-Identifier: Apache-2.0

package unwind

import (
	"fmt"
	"path"
)

const (
	// cycleMax is the longest cycle of functions that is collapsed: a calls b, b calls a.
	cycleMax = 8
	// cyclesMin: what repeats less often is shown.
	cyclesMin = 4
)

// Line is a frame, or a cycle of frames that repeats.
type Line struct {
	Number int     // of the first frame
	Frames []Frame // one, or those of one cycle
	Times  int     // how often it occurs; 1 for a frame that does not repeat
}

// Collapse joins recursion: a function that calls itself, or a cycle of functions.
func Collapse(frames []Frame) []Line {
	var lines []Line
	for i := 0; i < len(frames); {
		length, times := cycleAt(frames[i:])
		lines = append(lines, Line{Number: i, Frames: frames[i : i+length], Times: times})
		i += length * times
	}
	return lines
}

// cycleAt returns the shortest cycle that the frames begin with, and how often it occurs; a single frame if there is none.
func cycleAt(frames []Frame) (length, times int) {
	for length = 1; length <= cycleMax; length++ {
		same := 0
		for same+length < len(frames) && sameFunction(&frames[same], &frames[same+length]) {
			same++
		}
		if times = same/length + 1; times >= cyclesMin {
			return length, times
		}
	}
	return 1, 1
}

// sameFunction compares functions; places, where the function is not known.
func sameFunction(a, b *Frame) bool {
	if a.Module != b.Module || a.BuildID != b.BuildID || a.Function != b.Function {
		return false
	}
	if a.Begin == 0 && b.Begin == 0 {
		return a.PC == b.PC
	}
	return a.Begin == b.Begin
}

// String returns the line as debuggers show it.
func (l Line) String() string {
	text := fmt.Sprintf("#%d %s", l.Number, l.Frames[0])
	for i, frame := range l.Frames[1:] {
		text += fmt.Sprintf("\n#%d %s", l.Number+1+i, frame)
	}
	if l.Times > 1 {
		text += fmt.Sprintf("\n… %d frames of %s", l.Times*len(l.Frames), l.Frames[0].name())
	}
	return text
}

// String returns the frame as debuggers show it: function+0x1f (module), or module+0x1234 without a name.
func (f Frame) String() string {
	text := f.name()
	if f.Function != "" && f.Begin != 0 {
		text += fmt.Sprintf("+%#x", f.Offset)
	}
	if f.Function != "" && f.Module != "" {
		text += fmt.Sprintf(" (%s)", path.Base(f.Module))
	}
	if f.Function == "" && f.Module != "" {
		text += fmt.Sprintf("+%#x", f.Address)
	}
	if f.Guess {
		text += " [guess: " + string(f.FoundBy) + "]"
	}
	return text
}

// name returns the function, else the module, else the address.
func (f Frame) name() string {
	switch {
	case f.Function != "":
		return f.Function
	case f.Module != "":
		return path.Base(f.Module)
	}
	return fmt.Sprintf("%#x", f.PC)
}
