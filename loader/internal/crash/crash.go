// SPDX-License-Identifier: Apache-2.0

// Package crash takes over what the probes copied of crashed processes, and has the helper (package crash/helper) unwind it. At each wake-up it
// copies, zeroes and frees the full slots at once, since losses come from slots that are held; the copies wait in memory that is shared with the
// helper, and are erased after its answer. No byte of them goes to the socket, the disk or the log (docs/decisions/0075).
package crash

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"whodunit/loader/internal/log"
	"whodunit/loader/internal/probes"
	"whodunit/loader/internal/record"
	"whodunit/loader/internal/ring"
)

// waitMax is how long a record waits for its stack, from the crash on.
const waitMax = 2 * time.Second

// Crashes has the stacks of crashes, by the sequence that their records carry. Safe for concurrent use.
//
// The reader (reader.go) only copies: it must be fast. The dispatcher (dispatch.go) looks for equal crashes and sends the others to the helper. A
// third goroutine receives the answers.
type Crashes struct {
	slots   *Slots
	wakeups *ring.Ring
	arena   *Arena
	helper  *Helper
	log     *log.Logger
	startNs uint64 // copies before were another loader's
	reader  *reader
	found   func() // called after stacks were found

	// Between the reader and the others: it takes no lock, since a thread that holds one may wait for a processor.
	copied, released chan *request
	entries          entries // the reader's

	mu      sync.Mutex
	results results
	repeats repeats
	waiting queue
	sent    []*request // and not answered, in order
	number  uint32
}

// Open takes over the maps, and erases what an earlier loader left in them. The caller closes it after Run has returned, and before the maps and the
// helper. It makes all system calls that serving may not make.
func Open(maps *probes.Crashes, arena *Arena, helper *Helper, logger *log.Logger) (*Crashes, error) {
	startNs := boottimeNs()
	slots, err := openSlots(maps.Slots, maps.Directory, maps.FreeSlots, pageSets{maps.Pages, maps.FreePageSets})
	if err != nil {
		return nil, err
	}
	fd := maps.Wakeups.FD()
	wakeups, err := ring.Open(fd, fd, uint64(maps.Wakeups.MaxEntries()), &slots.directory.LoaderWaits)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("wait for crashes: %w", err), slots.close())
	}
	c := newCrashes(slots, arena, helper, logger, startNs)
	c.wakeups = wakeups
	if c.reader, err = startReader(); err != nil {
		return nil, errors.Join(err, wakeups.Close(), slots.close())
	}
	return c, nil
}

func newCrashes(slots *Slots, arena *Arena, helper *Helper, logger *log.Logger, startNs uint64) *Crashes {
	return &Crashes{
		slots: slots, arena: arena, helper: helper, log: logger, startNs: startNs, found: func() {},
		copied: make(chan *request, entriesMax+slotsCount), released: make(chan *request, entriesMax),
		entries: newEntries(), repeats: newRepeats(),
	}
}

// Run takes over crashes until the context ends. found is called after stacks were found.
func (c *Crashes) Run(ctx context.Context, found func()) error {
	c.found = found
	var running sync.WaitGroup
	running.Go(func() { c.receive(ctx) })
	running.Go(func() { c.dispatch(ctx) })
	err := c.reader.run(ctx, c.wakeups, c.takeSlots)
	c.helper.stopReceiving()
	running.Wait()
	return err
}

// Of returns what is known of the crash. wait is 0, or how long its stack may still take; crash is nil then.
func (c *Crashes) Of(reference record.CrashReference) (crash *record.Crash, wait time.Duration) {
	if reference.Sequence == 0 {
		return record.NoStack(record.CrashNoSlot, 0, ""), 0
	}
	if reference.Sequence < c.startNs {
		return record.NoStack(record.CrashLost, reference.Sequence, ""), 0
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	crash, known := c.results.get(reference.Sequence)
	if crash != nil {
		c.results.markRead(reference.Sequence)
		return crash, 0
	}
	wait = waitMax - time.Duration(boottimeNs()-reference.Sequence)
	switch {
	case wait > 0:
		return nil, wait
	case known:
		return record.NoStack(record.CrashTimeout, reference.Sequence, ""), 0
	}
	return record.NoStack(record.CrashLost, reference.Sequence, ""), 0
}

// Counts returns how many crashes were copied since the probes were first attached, and how many were not, for lack of a slot.
func (c *Crashes) Counts() (captured, noSlot uint64) {
	return atomic.LoadUint64(&c.slots.directory.Captured), atomic.LoadUint64(&c.slots.directory.NoSlot)
}

// Close unmaps what Open mapped.
func (c *Crashes) Close() error {
	return errors.Join(c.reader.close(), c.wakeups.Close(), c.slots.close())
}

func boottimeNs() uint64 {
	var now unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &now); err != nil {
		panic(err) // It fails only for an unknown clock.
	}
	return uint64(now.Nano())
}
