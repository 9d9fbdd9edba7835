// SPDX-License-Identifier: Apache-2.0

package crash

import (
	"context"
	"encoding/json"
	"time"

	"whodunit/loader/internal/abi"
	"whodunit/loader/internal/record"
)

const (
	// sentMax crashes are with the helper at a time: the one that it unwinds, and the next one. The others wait here, where origins take turns.
	sentMax = 2
	// followersMax equal crashes have the stack of the one that is unwound.
	followersMax = 1024
	// answerTimeMax is how long a crash waits for the helper's answer. The helper ends itself long before (helper.crashTimeMax).
	answerTimeMax = 10 * time.Second
	lateEvery     = 500 * time.Millisecond
)

// request is a crash that was copied, until it has a stack or a reason for having none.
type request struct {
	origin    abi.Origin
	sequence  uint64
	entry     uint32
	copied    bool   // else there was no entry
	bytes     int    // of the copy
	number    uint32 // of the message; 0: not sent yet
	sent      time.Time
	followers []follower
}

// follower is an equal crash that came while the first one was not unwound yet. Its copy is not needed.
type follower struct {
	origin abi.Origin
	crash  *record.Crash
}

// dispatch looks at what the reader copied, until the context ends: a crash that is equal to another one has that one's stack, the others go to the
// helper.
func (c *Crashes) dispatch(ctx context.Context) {
	for {
		var late <-chan time.Time
		if c.isBusy() {
			late = time.After(lateEvery)
		}
		select {
		case <-ctx.Done():
			return
		case next := <-c.copied:
			c.dispatchOne(next)
		case <-late:
			c.giveUpLate()
		}
		c.sendNext()
	}
}

// isBusy reports whether crashes wait for the helper.
func (c *Crashes) isBusy() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.sent) > 0 || len(c.waiting.turns) > 0
}

func (c *Crashes) dispatchOne(next *request) {
	if !next.copied {
		c.end(next, record.NoStack(record.CrashBusy, 0, ""), 0)
		return
	}
	key := c.repeats.keyOf(c.arena.Slot(int(next.entry)), next.origin)
	c.mu.Lock()
	isRepeat := c.followsFirst(key, next)
	if !isRepeat {
		c.results.add(next.origin, next.sequence, nil, 0)
		c.waiting.add(next)
	}
	c.mu.Unlock()
	if isRepeat {
		c.release(next)
		c.found()
	}
}

// followsFirst reports whether the crash has, or will have, the stack of an equal one. If not, later ones have its stack. c.mu is held.
func (c *Crashes) followsFirst(key repeatKey, next *request) bool {
	first := c.repeats.find(key, next, time.Now())
	if first == nil {
		return false
	}
	described := Describe(c.arena.Slot(int(next.entry)))
	described.Sequence = next.sequence
	switch crash, known := c.results.get(first.sequence); {
	case crash != nil && crash.State == record.CrashUnwound:
		c.results.add(next.origin, next.sequence, withStackOf(described, crash), 0)
		return true
	case crash == nil && known && len(first.followers) < followersMax:
		first.followers = append(first.followers, follower{next.origin, described})
		return true
	}
	c.repeats.replace(key, next, time.Now())
	return false
}

// sendNext sends waiting crashes to the helper.
func (c *Crashes) sendNext() {
	c.mu.Lock()
	var failed []*request
	for len(c.sent) < sentMax {
		next := c.waiting.next()
		if next == nil {
			break
		}
		c.number++
		next.number, next.sent = c.number, time.Now()
		if err := c.helper.send(Message{Number: next.number, Entry: next.entry}); err != nil {
			c.log.Limitf("send", "could not send a crash to the helper: %v; its record has no stack", err)
			failed = append(failed, next)
			continue
		}
		c.sent = append(c.sent, next)
	}
	c.mu.Unlock()
	for _, next := range failed {
		c.end(next, record.NoStack(record.CrashFailed, 0, "the crash helper does not run"), 0)
	}
}

// receive reads the helper's answers until the context ends.
func (c *Crashes) receive(ctx context.Context) {
	for {
		answer, err := c.helper.receive()
		if err != nil {
			if ctx.Err() == nil {
				c.log.Warnf("the crash helper has ended: %v; records have no stacks until the loader is restarted", err)
			}
			return
		}
		c.answered(answer)
	}
}

// answered ends the request of the answer. The helper answers in order: those before have no answer, because it was restarted.
func (c *Crashes) answered(answer Message) {
	for {
		c.mu.Lock()
		if len(c.sent) == 0 || int32(c.sent[0].number-answer.Number) > 0 {
			c.mu.Unlock()
			break
		}
		next := c.sent[0]
		c.sent = c.sent[1:]
		c.mu.Unlock()
		if next.number == answer.Number {
			c.end(next, decodeReply(c.arena.Reply(int(next.entry)), answer.Bytes), min(int(answer.Bytes), ReplyBytesMax))
		} else {
			c.end(next, record.NoStack(record.CrashFailed, 0, "the crash helper was restarted"), 0)
		}
	}
	c.sendNext()
}

// giveUpLate ends the requests that the helper did not answer in time, and those whose records wait no longer.
func (c *Crashes) giveUpLate() {
	c.mu.Lock()
	var late, tooLate []*request
	for len(c.sent) > 0 && time.Since(c.sent[0].sent) > answerTimeMax {
		late = append(late, c.sent[0])
		c.sent = c.sent[1:]
	}
	tooLate = c.waiting.removeBefore(boottimeNs() - uint64(waitMax))
	c.mu.Unlock()
	for _, request := range late {
		c.end(request, record.NoStack(record.CrashTimeout, 0, ""), 0)
	}
	for _, request := range tooLate {
		c.end(request, record.NoStack(record.CrashBusy, 0, ""), 0)
	}
}

// end erases the copy of a crash, and keeps what became of it. bytes: of its stack.
func (c *Crashes) end(request *request, crash *record.Crash, bytes int) {
	if request.copied {
		c.release(request)
	}
	defer c.found()
	crash.Sequence = request.sequence
	c.mu.Lock()
	defer c.mu.Unlock()
	c.results.add(request.origin, request.sequence, crash, bytes)
	for _, follower := range request.followers {
		c.results.add(follower.origin, follower.crash.Sequence, withStackOf(follower.crash, crash), 0)
	}
	request.followers = nil
}

// release erases an entry and gives it back to the reader.
func (c *Crashes) release(request *request) {
	if err := c.arena.erase(int(request.entry)); err != nil {
		c.log.Limitf("erase", "could not erase the copy of a crash: %v", err)
		return // The entry is not used again.
	}
	c.released <- request // It has room for all entries.
}

// decodeReply decodes the helper's answer. The helper reads files of others and is not trusted: whatever it says is a text in a record.
func decodeReply(reply []byte, length uint32) *record.Crash {
	crash := record.NoStack(record.CrashFailed, 0, "")
	if length == 0 {
		return record.NoStack(record.CrashFailed, 0, "the process that unwound it failed, or hung")
	}
	if length > ReplyBytesMax {
		return record.NoStack(record.CrashFailed, 0, "the crash helper's answer is too long")
	}
	if err := json.Unmarshal(reply[:length], crash); err != nil || !crash.Valid() {
		return record.NoStack(record.CrashFailed, 0, "the crash helper's answer is not valid")
	}
	return crash
}
