// SPDX-License-Identifier: Apache-2.0

package crash

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"time"

	"whodunit/loader/internal/abi"
	"whodunit/loader/internal/host"
	"whodunit/loader/internal/ring"
)

const (
	// hurriedMax copies in a second are made at once; from then on the reader rests between them. Its thread runs before all others, and
	// processes that crash must not use up a processor by that.
	hurriedMax  = 2000
	rest        = 10 * time.Millisecond
	hurriedTime = time.Second
)

// reader is a thread that empties the slots. It runs before other threads when it wakes up (host.RunFirst): crashes come in bursts, on a loaded
// machine, and a slot that is not free is a stack that is lost.
type reader struct {
	begin          chan func()
	stop, stopping *os.File // a pipe: Go's own ways to wait are on other threads
}

// startReader starts the thread, which waits for run.
func startReader() (*reader, error) {
	stop, stopping, err := os.Pipe()
	if err != nil {
		return nil, fmt.Errorf("start the reader of crashes: %w", err)
	}
	r := &reader{make(chan func()), stop, stopping}
	ready := make(chan struct{}) // What gives precedence is not permitted later.
	go func() {
		runtime.LockOSThread() // and never unlocks it: the thread ends with the goroutine
		host.RunFirst()        // If it may not, it is like the other threads.
		close(ready)
		for do := range r.begin {
			do()
		}
	}()
	<-ready
	runtime.GOMAXPROCS(runtime.GOMAXPROCS(0) + 1) // Go's other goroutines do not keep the thread waiting
	return r, nil
}

// run calls take whenever there are crashes, until the context ends. take returns how many slots it emptied.
func (r *reader) run(ctx context.Context, wakeups *ring.Ring, take func() int) error {
	end := context.AfterFunc(ctx, func() { r.stopping.Write([]byte{0}) })
	defer end()
	ended := make(chan error)
	r.begin <- func() {
		taken, since := 0, time.Now()
		ended <- wakeups.WaitHere(r.stop, func() {
			if time.Since(since) > hurriedTime {
				taken, since = 0, time.Now()
			}
			if taken += take(); taken > hurriedMax {
				time.Sleep(rest)
			}
		})
	}
	return <-ended
}

func (r *reader) close() error {
	close(r.begin)
	return errors.Join(r.stop.Close(), r.stopping.Close())
}

// takeSlots empties all full slots, and returns how many there were.
func (c *Crashes) takeSlots() (taken int) {
	for found := true; found; {
		found = false
		for slot := range slotsCount {
			if !c.slots.isFull(slot) {
				continue
			}
			found = true
			taken++
			if err := c.takeSlot(slot); err != nil {
				c.log.Limitf("crash", "could not take over a crash: %v; its record has no stack", err)
				return taken
			}
		}
	}
	return taken
}

// takeSlot copies a slot for the dispatcher, and frees it.
func (c *Crashes) takeSlot(slot int) error {
	c.takeBack()
	claim := c.slots.directory.Claims[slot] // before another crash has it
	taken := &request{origin: claim.Origin, sequence: claim.Sequence}
	err := c.slots.take(slot, func(content *abi.CrashSlot, pages *abi.CrashPages) {
		taken.bytes = usedBytes(content)
		if pages != nil {
			taken.bytes += pagesBytes
		}
		if taken.entry, taken.copied = c.entries.take(taken.origin, taken.bytes); !taken.copied {
			return
		}
		copySlot(c.arena.Slot(int(taken.entry)), content)
		if pages != nil {
			copyPages(c.arena.Pages(int(taken.entry)), pages)
		}
	})
	if err != nil {
		return err
	}
	select {
	case c.copied <- taken:
	default: // Only crashes without a copy can be more than there is room for.
	}
	return nil
}

// takeBack makes the entries that were erased free ones.
func (c *Crashes) takeBack() {
	for {
		select {
		case back := <-c.released:
			c.entries.giveBack(back.entry, back.origin, back.bytes)
		default:
			return
		}
	}
}
