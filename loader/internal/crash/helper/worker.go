// SPDX-License-Identifier: Apache-2.0

package helper

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"whodunit/loader/internal/crash"
	"whodunit/loader/internal/host"
	"whodunit/loader/internal/unwind"
)

const (
	// idleTimeMax without a crash ends the worker.
	idleTimeMax = 20 * time.Second
	// crashTimeMax for one crash ends the worker, and costs this stack.
	crashTimeMax = time.Second
	// exitStuck is the worker's status then.
	exitStuck = 3
)

// limits of one stack. Its record does not wait longer than 2 s.
var limits = unwind.Limits{Time: time.Second, Bytes: 256 << 20, Reads: 200_000, Frames: 2048, Cache: 16 << 20}

// Work answers requests until there was none for idleTimeMax, or the loader has ended.
func Work() error {
	signal.Ignore(syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP, syscall.SIGPIPE)
	if err := host.KeepOnlyReading(); err != nil {
		return err
	}
	if err := unix.SetNonblock(crash.RequestsFD, true); err != nil {
		return fmt.Errorf("read requests: %w", err)
	}
	requests, answers := os.NewFile(crash.RequestsFD, "requests"), os.NewFile(crash.AnswersFD, "answers")
	arena, err := crash.OpenArena(os.NewFile(crash.ArenaFD, "crashes"))
	if err != nil {
		return err
	}
	w := worker{arena: arena, unwinder: unwind.New(limits), opener: newOpener()}
	if err := host.FilterReading(); err != nil && !errors.Is(err, host.ErrNoFilters) {
		return err
	}
	for {
		requests.SetReadDeadline(time.Now().Add(idleTimeMax))
		var raw [crash.MessageBytes]byte
		if _, err := io.ReadFull(requests, raw[:]); errors.Is(err, os.ErrDeadlineExceeded) || errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return fmt.Errorf("read a request: %w", err)
		}
		var request crash.Message
		if _, err := binary.Decode(raw[:], binary.NativeEndian, &request); err != nil {
			return err
		}
		if err := w.serve(answers, request); err != nil {
			return err
		}
	}
}

type worker struct {
	arena    *crash.Arena
	unwinder *unwind.Unwinder
	opener   *opener
}

// serve answers a request. The supervisor sees by the arena's state that it is at work.
func (w *worker) serve(answers io.Writer, request crash.Message) error {
	state := w.arena.State()
	state.Number.Store(request.Number)
	state.Entry.Store(request.Entry)
	state.Steps.Add(1)
	stuck := time.AfterFunc(crashTimeMax, func() { os.Exit(exitStuck) })
	request.Bytes = w.answer(int(request.Entry))
	stuck.Stop()
	state.Steps.Add(1)
	return crash.Answer(answers, request)
}

// answer unwinds the crash in the entry, and writes the answer there. It returns the answer's length.
func (w *worker) answer(entry int) uint32 {
	slot := w.arena.Slot(entry)
	described := crash.Describe(slot)
	captured, err := crashOf(slot, w.arena.Pages(entry), w.opener)
	if err == nil {
		var stack unwind.Stack
		if stack, err = w.unwinder.Unwind(captured); err == nil {
			addStack(described, &stack)
		}
	}
	if err != nil {
		addFailure(described, err)
	}
	return encode(w.arena.Reply(entry), described)
}
