// SPDX-License-Identifier: Apache-2.0

package server

import (
	"context"
	"errors"
	"fmt"
	"net"
	"time"

	"whodunit/loader/internal/host"
	"whodunit/loader/internal/wire"
)

// sentState is the last state that the client was sent.
type sentState struct {
	role     string      // of the last hello; "": none
	statusNo uint64      // of the last status
	repeats  sentRepeats // to the consumer
}

// greet sends hello and the status.
func (s *session) greet(ctx context.Context, sent *sentState) error {
	role := s.role()
	lines, err := s.appendState(nil, sent, role)
	if err != nil {
		return err
	}
	return s.send(ctx, lines, role)
}

// write sends events as they arrive, and hello and the status when they change. It returns the reason why it ended; never nil.
func (s *session) write(ctx context.Context, sent *sentState) error {
	stop := context.AfterFunc(ctx, func() { s.conn.SetWriteDeadline(time.Now().Add(goodbyeTimeout)) })
	defer stop()
	var batch []byte // of lines; its memory is reused
	for {
		role := s.role()
		lines, err := s.appendState(batch[:0], sent, role)
		if err != nil {
			return err
		}
		lines, more, err := s.readRing(lines, role)
		if err != nil {
			return err
		}
		batch = lines
		if err := s.send(ctx, batch, role); err != nil {
			if ctx.Err() != nil {
				return context.Cause(ctx)
			}
			return err
		}
		if more {
			continue
		}
		if err := s.sleep(ctx); err != nil {
			return err
		}
	}
}

// sleep waits until the session is woken, or for busyRetry while a record is at the cursor: one that was busy when it was read may have been
// committed before the reader asked for a wake-up, and then no probe sends one.
func (s *session) sleep(ctx context.Context) error {
	var retry <-chan time.Time
	if s.unread() {
		retry = time.After(busyRetry)
	}
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-s.woken:
	case <-retry:
	}
	return nil
}

func (s *session) unread() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.cursor < s.server.config.Ring.Written()
}

// appendState appends a hello if the role has changed, the status if that has, and for the consumer the totals that have.
func (s *session) appendState(batch []byte, sent *sentState, role string) ([]byte, error) {
	if role != sent.role {
		line, err := wire.EncodeLine("hello", s.server.helloFor(role))
		if err != nil {
			return nil, err
		}
		s.server.refresh()
		batch, *sent = append(batch, line...), sentState{role: role}
	}
	if status, no := s.server.currentStatus(); no != sent.statusNo {
		line, err := wire.EncodeLine("status", status)
		if err != nil {
			return nil, err
		}
		batch, sent.statusNo = append(batch, line...), no
	}
	if role != wire.RoleConsumer {
		return batch, nil
	}
	return s.appendRepeats(batch, &sent.repeats)
}

func (s *session) send(ctx context.Context, batch []byte, role string) error {
	if len(batch) == 0 {
		return nil
	}
	deadline := time.Time{}
	if role == wire.RoleWatcher {
		deadline = time.Now().Add(watcherWriteTimeout)
	}
	s.conn.SetWriteDeadline(deadline)
	if ctx.Err() != nil { // AfterFunc set a deadline, which the line above may have replaced.
		return ctx.Err()
	}
	_, err := s.conn.Write(batch)
	if role == wire.RoleWatcher && isTimeout(err) {
		return &wire.Error{Code: wire.CodeTooSlow, Message: fmt.Sprintf("the watcher read nothing for %v", watcherWriteTimeout)}
	}
	return err
}

func isTimeout(err error) bool {
	var netError net.Error
	return errors.As(err, &netError) && netError.Timeout()
}

// readRing appends the lines of the records from the cursor on. more: the batch is full, or the role has changed. In the second case it reads
// nothing: the cursor has moved, and the consumer's hello comes first.
func (s *session) readRing(batch []byte, role string) (_ []byte, more bool, _ error) {
	ring := s.server.config.Ring
	offset := host.ClockOffsetNs()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.roleLocked() != role {
		return batch, true, nil
	}
	for {
		if len(batch) >= batchBytes {
			return batch, true, nil
		}
		if ring.Overtaken(s.cursor) {
			return nil, false, &wire.Error{Code: wire.CodeTooSlow, Message: "records were overwritten before this watcher read them"}
		}
		raw, next, ok, err := s.reader.Next(s.cursor)
		if !ok {
			return batch, false, err
		}
		written := false
		if raw != nil {
			longer, wait, err := s.appendLine(batch, raw, next, offset)
			if ring.Overtaken(s.cursor) {
				continue // The record was overwritten while it was read.
			}
			if wait > 0 { // for its stack; the records after it wait, too
				time.AfterFunc(wait, s.wake)
				return batch, false, nil
			}
			switch {
			case err == nil:
				batch, written = longer, true
			case s.consumer:
				s.server.countUndecodable(next, err)
			}
		}
		s.cursor = next
		if s.consumer {
			s.passed(next, written)
		}
	}
}

// passed is called when the consumer's cursor has passed a record. written: its line is in the batch. No client can acknowledge a record
// without a line: it is acknowledged with the record before it, or at once if no record is waiting for its ack.
func (s *session) passed(next uint64, written bool) {
	s.server.readSeq.Store(next)
	switch last := len(s.delivered) - 1; {
	case written:
		s.delivered = append(s.delivered, delivered{seq: next, end: next})
	case last >= 0:
		s.delivered[last].end = next
	default:
		s.server.config.Ring.Ack(next)
	}
}

// appendLine appends the line of a record. clockOffsetNs is the present one, for a record that no loader's clock stamped. wait is how long its
// stack may still take: nothing was appended then.
func (s *session) appendLine(batch, raw []byte, seq uint64, clockOffsetNs int64) (_ []byte, wait time.Duration, _ error) {
	event, err := s.decoder.Decode(raw)
	if err != nil {
		return nil, 0, err
	}
	if event.CrashReference != nil && s.server.config.Crashes != nil {
		if event.Crash, wait = s.server.config.Crashes.Of(*event.CrashReference); wait > 0 {
			return batch, wait, nil
		}
	}
	event.Seq = seq
	if event.ClockOffsetNs == 0 {
		event.ClockOffsetNs = clockOffsetNs
	}
	if as := s.countedAs(event.Repeat); as != "" {
		return wire.AppendEqual(batch, event, as), 0, nil
	}
	longer, err := wire.AppendEvent(batch, event)
	return longer, 0, err
}
