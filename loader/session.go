// SPDX-License-Identifier: Apache-2.0

// One client of the socket. It begins as a watcher, at the end of the ring; its first ack makes it the consumer, at the first
// record that nobody has acknowledged. A goroutine listens to what it says, another writes what it is to hear.
package main

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"sort"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

const (
	batchBytes          = 64 << 10        // lines are collected up to about this much for one write
	watcherWriteTimeout = 2 * time.Second // a watcher that does not read for so long is dropped
	goodbyeTimeout      = 100 * time.Millisecond
)

type session struct {
	server *Server
	conn   *net.UnixConn
	peer   unix.Ucred
	woken  chan struct{}

	mu        sync.Mutex
	consumer  bool // once it is, it stays
	cursor    uint64
	reader    *RingReader
	decoder   *decoder
	delivered []delivered // consumer: the records written and not acknowledged, in the ring's order
}

// delivered is a record that the client was told of.
type delivered struct {
	seq uint64 // the position past it
	end uint64 // the position past those behind it of which there was nothing to tell: nobody will acknowledge them
}

func newSession(server *Server, conn *net.UnixConn, peer unix.Ucred) *session {
	return &session{
		server: server, conn: conn, peer: peer, woken: make(chan struct{}, 1),
		cursor: server.ring.Written(), reader: server.ring.Reader(), decoder: newDecoder(server.pageBytes, server.symbols),
	}
}

func (s *session) wake() {
	select {
	case s.woken <- struct{}{}:
	default:
	}
}

// run returns why the session ended; never nil. It closes the connection, and nothing of the session goes on afterwards: an ack that
// came late would claim the role for nobody, or write into a ring that is closed.
func (s *session) run(ctx context.Context) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var listening sync.WaitGroup
	listening.Go(func() { cancel(s.listen(s.conn)) })
	err := s.write(ctx)
	var goodbye *WireError
	if errors.As(err, &goodbye) {
		if line, encodeErr := encodeLine("error", goodbye); encodeErr == nil {
			s.conn.SetWriteDeadline(time.Now().Add(goodbyeTimeout))
			s.conn.Write(line)
		}
	}
	s.conn.Close()
	listening.Wait()
	return errors.Join(err, s.reader.Close())
}

// listen takes acks until the client goes away or says something else; it never returns nil.
func (s *session) listen(client io.Reader) error {
	lines := bufio.NewScanner(client)
	lines.Buffer(make([]byte, clientLineBytesMax), clientLineBytesMax)
	for lines.Scan() {
		seq, err := decodeAck(lines.Bytes())
		if err != nil {
			return err
		}
		if err := s.ack(seq); err != nil {
			return err
		}
	}
	if errors.Is(lines.Err(), bufio.ErrTooLong) {
		return &WireError{"BAD_LINE", "the line is longer than a client may write"}
	}
	if lines.Err() != nil {
		return lines.Err()
	}
	return io.EOF
}

// ack claims the role, or moves the consumer position to the last delivered record that seq covers: never to a place between two.
func (s *session) ack(seq uint64) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.consumer {
		if err := s.server.claim(s); err != nil {
			return err
		}
		s.consumer, s.cursor, s.delivered = true, s.server.ring.Acked(), nil
		s.wake()
		return nil
	}
	covered := sort.Search(len(s.delivered), func(i int) bool { return s.delivered[i].seq > seq })
	if covered > 0 {
		s.server.ring.Ack(s.delivered[covered-1].end)
		s.delivered = append(s.delivered[:0], s.delivered[covered:]...)
	}
	return nil
}

// write says hello and the status, then deaths as they come and the status as it changes.
func (s *session) write(ctx context.Context) error {
	stop := context.AfterFunc(ctx, func() { s.conn.SetWriteDeadline(time.Now().Add(goodbyeTimeout)) })
	defer stop()
	var statusSent uint64
	var greetedAs string
	var batch []byte // of lines, its memory used again and again
	for {
		batch = batch[:0]
		role := s.role()
		if role != greetedAs {
			line, err := encodeLine("hello", s.server.helloFor(role))
			if err != nil {
				return err
			}
			s.server.refreshStatus()
			batch, greetedAs, statusSent = append(batch, line...), role, 0
		}
		if status, no := s.server.currentStatus(); no != statusSent {
			line, err := encodeLine("status", status)
			if err != nil {
				return err
			}
			batch, statusSent = append(batch, line...), no
		}
		lines, more, err := s.readRing(batch, role)
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
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-s.woken:
		}
	}
}

const (
	roleWatcher  = "watcher"
	roleConsumer = "consumer"
)

func (s *session) role() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.roleLocked()
}

func (s *session) roleLocked() string {
	if s.consumer {
		return roleConsumer
	}
	return roleWatcher
}

func (s *session) send(ctx context.Context, batch []byte, role string) error {
	if len(batch) == 0 {
		return nil
	}
	deadline := time.Time{}
	if role == roleWatcher {
		deadline = time.Now().Add(watcherWriteTimeout)
	}
	s.conn.SetWriteDeadline(deadline)
	if ctx.Err() != nil { // Its end set a deadline, which the line above may have undone.
		return ctx.Err()
	}
	_, err := s.conn.Write(batch)
	if role == roleWatcher && isTimeout(err) {
		return &WireError{"TOO_SLOW", "a watcher must read what it asked for"}
	}
	return err
}

func isTimeout(err error) bool {
	var netError net.Error
	return errors.As(err, &netError) && netError.Timeout()
}

// readRing appends the lines of the records from the cursor on; more says that it stopped for the batch's size. It reads nothing
// if the role is another one by now: the cursor is too, and the consumer's hello comes first.
func (s *session) readRing(batch []byte, role string) (_ []byte, more bool, _ error) {
	ring := s.server.ring
	offset := clockOffsetNs()
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
			return nil, false, &WireError{"TOO_SLOW", "records were overwritten before this watcher read them"}
		}
		record, next, ok, err := s.reader.Next(s.cursor)
		if !ok {
			return batch, false, err
		}
		told := false
		if record != nil {
			longer, err := s.appendLine(batch, record, next, offset)
			if ring.Overtaken(s.cursor) {
				continue // Overwritten while it was read.
			}
			switch {
			case err == nil:
				batch, told = longer, true
			case s.consumer:
				s.server.countUndecodable(next, err)
			}
		}
		s.cursor = next
		if s.consumer {
			s.passed(next, told)
		}
	}
}

// passed is what the consumer's cursor has passed: a record that it was told of, or one of which there is nothing to tell. That one is
// acknowledged with those before it, or at once where all of them are: else the ring would never be empty after it.
func (s *session) passed(next uint64, told bool) {
	s.server.readSeq.Store(next)
	switch last := len(s.delivered) - 1; {
	case told:
		s.delivered = append(s.delivered, delivered{seq: next, end: next})
	case last >= 0:
		s.delivered[last].end = next
	default:
		s.server.ring.Ack(next)
	}
}

func (s *session) appendLine(batch, record []byte, seq uint64, clockOffsetNs int64) ([]byte, error) {
	event, err := s.decoder.decode(record)
	if err != nil {
		return nil, err
	}
	event.Seq, event.ClockOffsetNs = seq, clockOffsetNs
	if event.Dead != nil {
		return appendRestart(batch, event)
	}
	return appendDeath(batch, event)
}
