// SPDX-License-Identifier: Apache-2.0

package unwind

import (
	"errors"
	"fmt"
	"runtime/debug"
	"slices"
	"sync/atomic"
	"time"
)

// Limits bound what one stack may cost.
type Limits struct {
	Time   time.Duration // until the last read of a file begins
	Bytes  int64         // read from files
	Reads  int           // of files
	Frames int
	Cache  int // bytes of the tables that are kept for the next stacks
}

const (
	// stuckMax stacks may hang in a read, for example of a file on a network that is gone, before no others are tried.
	stuckMax = 4
	// stackTraceBytes of a panic are kept.
	stackTraceBytes = 2048
)

var (
	// ErrStuck means that a file could not be read in time. Its goroutine ends when the read does.
	ErrStuck = errors.New("reading the files of the process takes too long")
	// ErrBusy means that too many stacks hang.
	ErrBusy = errors.New("too many stacks hang in reads of files")
)

// Unwinder unwinds stacks, and keeps tables of files between them. Safe for concurrent use.
type Unwinder struct {
	limits  Limits
	cache   cache
	running atomic.Int32
}

// New returns an Unwinder. It needs not be closed.
func New(limits Limits) *Unwinder {
	return &Unwinder{limits: limits, cache: cache{bytesMax: limits.Cache}}
}

// Unwind returns the stack of the crash, as far as it can be found. An error means that there is none: what is missing is otherwise said in the
// stack. The caller may overwrite the crash's memory after the return, even if the read of a file still hangs.
func (u *Unwinder) Unwind(crash *Crash) (Stack, error) {
	if u.running.Add(1) > stuckMax {
		u.running.Add(-1)
		return Stack{}, ErrBusy
	}
	type result struct {
		stack Stack
		err   error
	}
	done := make(chan result, 1)
	go func() {
		defer u.running.Add(-1)
		stack, err := u.recovered(crash)
		done <- result{stack, err}
	}()
	timeout := time.NewTimer(2 * u.limits.Time)
	defer timeout.Stop()
	select {
	case r := <-done:
		return r.stack, r.err
	case <-timeout.C:
		return Stack{}, fmt.Errorf("%w: more than %v", ErrStuck, 2*u.limits.Time)
	}
}

// recovered turns a panic into an error: a mistake here, or in a library, costs one stack.
func (u *Unwinder) recovered(crash *Crash) (stack Stack, err error) {
	defer func() {
		if panicked := recover(); panicked != nil {
			trace := debug.Stack()
			stack, err = Stack{}, fmt.Errorf("panic: %v\n%s", panicked, trace[:min(len(trace), stackTraceBytes)])
		}
	}()
	return u.unwind(crash)
}

func (u *Unwinder) unwind(crash *Crash) (Stack, error) {
	convention := conventions[crash.Architecture]
	if convention == nil {
		return Stack{}, errArchitecture(crash.Architecture)
	}
	files := &files{modules: crash.Modules, machine: convention.machine, cache: &u.cache, meter: meter{
		deadline: time.Now().Add(u.limits.Time), bytes: u.limits.Bytes, reads: u.limits.Reads,
	}}
	defer files.close()
	w := walker{crash: crash, convention: convention, memory: crash.Stack, files: files, framesMax: u.limits.Frames}
	var stack Stack
	main, end := w.walk(crash.Registers)
	stack.End = end
	var fault []place
	if (end != EndOutermost || main[len(main)-1].guess) && w.faultRemains(main) {
		fault, stack.FaultEnd = w.walk(*crash.Fault)
	}
	w.name(main, fault)
	stack.Frames, stack.Fault, stack.Problems = w.frames(main), w.frames(fault), files.problems
	stack.ExecutableHash = files.executableHash()
	if files.meter.exceeded {
		stack.End = EndLimit
	}
	return stack, nil
}

// faultRemains reports whether the frames at the handled fault are to be walked: there was one, the stack does not go through it, and it is not from a
// call that has returned, whose frames are overwritten.
func (w *walker) faultRemains(main []place) bool {
	if w.crash.Fault == nil {
		return false
	}
	pc, known := w.crash.Fault.Get(w.convention.pc)
	if !known || slices.ContainsFunc(main, func(p place) bool { return p.pc == pc }) {
		return false
	}
	then, _ := w.crash.Fault.Get(w.convention.stackPointer)
	now, _ := w.crash.Registers.Get(w.convention.stackPointer)
	return then >= now || !w.memory.together(then, now)
}
