// SPDX-License-Identifier: Apache-2.0

// Package crash takes over what the probes copied of crashed processes, and has the helper (package crash/helper) unwind it. At each wake-up it
// copies, zeroes and frees the full slots at once, since losses come from slots that are held; the copies wait in memory that is shared with the
// helper, and are erased after its answer. No byte of them goes to the socket, the disk or the log (docs/decisions/0075).
package crash

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"whodunit/loader/internal/abi"
	"whodunit/loader/internal/log"
	"whodunit/loader/internal/probes"
	"whodunit/loader/internal/record"
	"whodunit/loader/internal/ring"
)

const (
	// waitMax is how long a record waits for its stack, from the crash on.
	waitMax = 2 * time.Second
	// entryTimeMax is how long an entry waits for the helper's answer. The helper ends itself long before (helper.crashTimeMax).
	entryTimeMax = 10 * time.Second
)

// Crashes has the stacks of crashes, by the sequence that their records carry. Safe for concurrent use.
type Crashes struct {
	slots   *Slots
	wakeups *ring.Ring
	arena   *Arena
	helper  *Helper
	log     *log.Logger
	startNs uint64 // copies before were another loader's
	found   func() // called after a stack was found

	mu       sync.Mutex
	results  results
	repeats  repeats
	free     []uint32  // entries of the arena
	requests []request // sent and not answered, in order
	number   uint32
}

// request is a crash that the helper was sent.
type request struct {
	number, entry uint32
	sequence      uint64
	sent          time.Time
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
	c := &Crashes{slots: slots, wakeups: wakeups, arena: arena, helper: helper, log: logger, startNs: startNs, found: func() {}}
	for entry := range uint32(entriesMax) {
		c.free = append(c.free, entry)
	}
	return c, nil
}

// Run takes over crashes until the context ends. found is called after each stack that was found.
func (c *Crashes) Run(ctx context.Context, found func()) error {
	c.found = found
	var answering sync.WaitGroup
	answering.Go(func() { c.receive(ctx) })
	err := c.wakeups.Wait(ctx, c.takeSlots)
	c.helper.stopReceiving()
	answering.Wait()
	return err
}

// takeSlots empties all full slots, and sends the copies to the helper.
func (c *Crashes) takeSlots() {
	c.wakeups.Ack(c.wakeups.Written())
	c.mu.Lock()
	defer c.mu.Unlock()
	c.giveUpLate()
	for _, slot := range c.slots.full() {
		if err := c.takeSlot(slot); err != nil {
			c.log.Limitf("crash", "could not take over a crash: %v; its record has no stack", err)
		}
	}
}

func (c *Crashes) takeSlot(slot int) error {
	claim := c.slots.directory.Claims[slot] // before another crash has it
	sequence := claim.Sequence
	if len(c.free) == 0 {
		c.results.add(sequence, record.NoStack(record.CrashBusy, sequence, ""))
		return c.slots.take(slot, nil)
	}
	entry := c.free[len(c.free)-1]
	err := c.slots.take(slot, func(copied *abi.CrashSlot, pages *abi.CrashPages) {
		copySlot(c.arena.Slot(int(entry)), copied)
		if pages != nil {
			copyPages(c.arena.Pages(int(entry)), pages)
		}
	})
	if err != nil {
		return err
	}
	if first := c.findFirst(claim.Origin, int(entry)); first != nil {
		c.results.add(sequence, repeated(c.arena.Slot(int(entry)), sequence, first))
		return c.arena.erase(int(entry))
	}
	c.number++
	if err := c.helper.send(Message{Number: c.number, Entry: entry}); err != nil {
		c.results.add(sequence, record.NoStack(record.CrashFailed, sequence, "the crash helper does not run"))
		return errors.Join(err, c.arena.erase(int(entry)))
	}
	c.free = c.free[:len(c.free)-1]
	c.requests = append(c.requests, request{c.number, entry, sequence, time.Now()})
	c.results.add(sequence, nil)
	return nil
}

// findFirst returns an equal crash that was unwound shortly before; nil: there is none.
func (c *Crashes) findFirst(origin abi.Origin, entry int) *record.Crash {
	sequence, found := c.repeats.find(c.arena.Slot(entry), origin, time.Now())
	if !found {
		return nil
	}
	first, _ := c.results.get(sequence)
	if first == nil || first.State != record.CrashUnwound {
		return nil
	}
	return first
}

// receive reads the helper's answers until the context ends.
func (c *Crashes) receive(ctx context.Context) {
	for {
		answer, err := c.helper.receive()
		if err != nil {
			if ctx.Err() == nil {
				c.log.Printf("the crash helper has ended: %v; records have no stacks until the loader is restarted", err)
			}
			return
		}
		c.answered(answer)
		c.found()
	}
}

// answered ends the request of the answer. The helper answers in order: those before have no answer, because it was restarted.
func (c *Crashes) answered(answer Message) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for len(c.requests) > 0 {
		next := c.requests[0]
		if int32(next.number-answer.Number) > 0 {
			return
		}
		c.requests = c.requests[1:]
		crash := record.NoStack(record.CrashFailed, 0, "the crash helper was restarted")
		if next.number == answer.Number {
			crash = decodeReply(c.arena.Reply(int(next.entry)), answer.Bytes)
		}
		crash.Sequence = next.sequence
		c.endRequest(next, crash)
	}
}

// giveUpLate ends the requests that the helper did not answer in time.
func (c *Crashes) giveUpLate() {
	for len(c.requests) > 0 && time.Since(c.requests[0].sent) > entryTimeMax {
		late := c.requests[0]
		c.requests = c.requests[1:]
		c.endRequest(late, record.NoStack(record.CrashTimeout, late.sequence, ""))
	}
}

func (c *Crashes) endRequest(request request, crash *record.Crash) {
	if err := c.arena.erase(int(request.entry)); err != nil {
		c.log.Limitf("erase", "could not erase the copy of a crash: %v", err)
		return // The entry is not used again.
	}
	c.free = append(c.free, request.entry)
	c.results.add(request.sequence, crash)
}

// decodeReply decodes the helper's answer. The helper reads files of others and is not trusted: whatever it says is a text in a record.
func decodeReply(reply []byte, length uint32) *record.Crash {
	crash := record.NoStack(record.CrashFailed, 0, "")
	if length > ReplyBytesMax {
		return record.NoStack(record.CrashFailed, 0, "the crash helper's answer is too long")
	}
	if err := json.Unmarshal(reply[:length], crash); err != nil || !crash.Valid() {
		return record.NoStack(record.CrashFailed, 0, "the crash helper's answer is not valid")
	}
	return crash
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
func (c *Crashes) Close() error { return errors.Join(c.wakeups.Close(), c.slots.close()) }

func boottimeNs() uint64 {
	var now unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &now); err != nil {
		panic(err) // It fails only for an unknown clock.
	}
	return uint64(now.Nano())
}
