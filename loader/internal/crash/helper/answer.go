// SPDX-License-Identifier: Apache-2.0

package helper

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"whodunit/loader/internal/crash"
	"whodunit/loader/internal/record"
	"whodunit/loader/internal/unwind"
)

const (
	framesMax        = 128 // of one stack in an answer: the innermost ones, and the last outermostFrames
	outermostFrames  = 16
	functionBytesMax = 512
	problemBytesMax  = 256
	cycleMax         = 8 // functions of a recursion
)

// addStack adds the frames.
func addStack(described *record.Crash, stack *unwind.Stack) {
	described.Frames, described.End, described.Complete = framesOf(stack.Frames), string(stack.End), stack.Complete()
	described.HandledFrames, described.HandledEnd = framesOf(stack.Fault), string(stack.FaultEnd)
	described.ExecutableHTLHash = textOrNil(stack.ExecutableHash)
	for _, problem := range stack.Problems {
		described.Problems = append(described.Problems, cut(problem.Error(), problemBytesMax))
	}
}

func addFailure(described *record.Crash, err error) {
	described.State, described.End = record.CrashFailed, cut(err.Error(), problemBytesMax)
}

// framesOf returns the frames, without those in the middle of a long stack.
func framesOf(frames []unwind.Frame) []record.Frame {
	if len(frames) > framesMax {
		inner, outer := frames[:framesMax-outermostFrames-1], frames[len(frames)-outermostFrames:]
		left := frames[len(inner) : len(frames)-len(outer)]
		text := fmt.Sprintf("<%d frames left out>", len(left))
		if recurs(inner, left) {
			text = fmt.Sprintf("<%d frames of the recursion left out>", len(left))
		}
		frames = slices.Concat(inner, []unwind.Frame{{Function: text, FoundBy: "cut"}}, outer)
	}
	out := make([]record.Frame, len(frames))
	for i := range frames {
		frame := &frames[i]
		out[i] = record.Frame{
			PC: *record.Hexadecimal(frame.PC), Function: textOrNil(cut(frame.Function, functionBytesMax)), Offset: frame.Offset, Module: textOrNil(frame.Module),
			BuildID: textOrNil(frame.BuildID), FoundBy: string(frame.FoundBy), Guess: frame.Guess,
		}
		if frame.Address != 0 {
			out[i].Address = record.Hexadecimal(frame.Address)
		}
	}
	return out
}

// recurs reports whether the frames have no other functions than those before them, which are few: they go on with the same recursion.
func recurs(before, frames []unwind.Frame) bool {
	type function struct {
		module string
		begin  uint64
	}
	known := map[function]bool{}
	for _, frame := range before[len(before)-2*cycleMax:] {
		known[function{frame.Module, frame.Begin}] = true
	}
	return len(known) <= cycleMax && !slices.ContainsFunc(frames, func(frame unwind.Frame) bool {
		return frame.Begin == 0 || frame.Guess || !known[function{frame.Module, frame.Begin}]
	})
}

// encode writes the answer as JSON, with fewer frames if it is too long, and returns its length.
func encode(reply []byte, described *record.Crash) uint32 {
	for {
		text, err := json.Marshal(described)
		if err == nil && len(text) <= crash.ReplyBytesMax {
			return uint32(copy(reply, text))
		}
		if err != nil || len(described.Frames)+len(described.HandledFrames) == 0 {
			return 0
		}
		described.HandledFrames = described.HandledFrames[:len(described.HandledFrames)/2]
		described.Frames = described.Frames[:len(described.Frames)*3/4]
		described.End, described.Complete = "too long", false
	}
}

func textOrNil(text string) *string {
	if text == "" {
		return nil
	}
	text = strings.ToValidUTF8(text, "\ufffd")
	return &text
}

// cut limits a text.
func cut(text string, bytesMax int) string {
	if len(text) <= bytesMax {
		return text
	}
	return strings.ToValidUTF8(text[:bytesMax-3], "") + "…"
}
