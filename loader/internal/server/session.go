// SPDX-License-Identifier: Apache-2.0

package server

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"sort"
	"sync"
	"sync/atomic"
	"time"

	"whodunit/loader/internal/record"
	"whodunit/loader/internal/ring"
	"whodunit/loader/internal/wire"
)

const (
	batchBytes          = 64 << 10        // of lines are collected for one write; the last line may exceed it
	watcherWriteTimeout = 2 * time.Second // a watcher that reads nothing for this long is disconnected
	goodbyeTimeout      = 100 * time.Millisecond
	busyRetry           = 4 * time.Millisecond // a probe takes microseconds from reserving a record to committing it
)

// session is one client. It starts as a watcher, at the end of the ring. Its first ack makes it the consumer, at the first record that is
// not acknowledged. One goroutine reads its messages, another one writes its lines.
type session struct {
	server *Server
	conn   *net.UnixConn
	peer   peer
	woken  chan struct{}
	// readsEqual: the consumer reads `equal` lines.
	readsEqual atomic.Bool

	mu        sync.Mutex
	consumer  bool // once true, it stays true
	cursor    uint64
	reader    *ring.Reader
	decoder   *record.Decoder
	delivered []delivered // consumer: the records written and not acknowledged, in the ring's order
}

// delivered is a record whose line was written.
type delivered struct {
	seq uint64 // the position past it
	end uint64 // the position past the records after it that have no line, and that the client cannot acknowledge
}

func newSession(server *Server, conn *net.UnixConn, peer peer) *session {
	config := server.config
	return &session{
		server: server, conn: conn, peer: peer, woken: make(chan struct{}, 1),
		cursor: config.Ring.Written(), reader: config.Ring.Reader(), decoder: record.NewDecoder(config.Machine),
	}
}

// wake makes write read the ring, the status and the role again. It does not block.
func (s *session) wake() {
	select {
	case s.woken <- struct{}{}:
	default:
	}
}

// run serves the client, then closes the connection. It returns the reason why the session ended; never nil. Both goroutines have ended
// then: a late ack would claim the role for a client that has disconnected, or write into a closed ring.
func (s *session) run(ctx context.Context) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var sent sentState
	var listening sync.WaitGroup
	err := s.greet(ctx, &sent) // first: what the client has sent may end the session at once
	if err == nil {
		listening.Go(func() { cancel(s.listen(s.conn)) })
		err = s.write(ctx, &sent)
	}
	var goodbye *wire.Error
	if errors.As(err, &goodbye) {
		if line, encodeErr := wire.EncodeLine("error", goodbye); encodeErr == nil {
			s.conn.SetWriteDeadline(time.Now().Add(goodbyeTimeout))
			s.conn.Write(line)
		}
	}
	s.conn.Close()
	listening.Wait()
	return errors.Join(err, s.reader.Close())
}

// listen reads messages until the client disconnects (io.EOF) or sends anything else. It never returns nil.
func (s *session) listen(client io.Reader) error {
	lines := bufio.NewScanner(client)
	lines.Buffer(make([]byte, wire.ClientLineBytesMax), wire.ClientLineBytesMax)
	for lines.Scan() {
		message, err := wire.DecodeClient(lines.Bytes())
		if err != nil {
			return err
		}
		if err := s.handle(message); err != nil {
			return err
		}
	}
	if errors.Is(lines.Err(), bufio.ErrTooLong) {
		return &wire.Error{Code: wire.CodeBadLine, Message: fmt.Sprintf("a line of a client has at most %d bytes", wire.ClientLineBytesMax)}
	}
	if lines.Err() != nil {
		return lines.Err()
	}
	return io.EOF
}

func (s *session) handle(message wire.ClientMessage) error {
	switch message := message.(type) {
	case wire.Ack:
		return s.ack(message.Seq)
	case wire.Arm:
		return s.arm(message)
	case wire.Counted:
		return s.counted(message)
	}
	panic(fmt.Sprintf("%T is no message of a client", message)) // DecodeClient returns no other.
}

// ack claims the role, or moves the consumer position to the end of the last delivered record that seq covers: never into a record.
func (s *session) ack(seq uint64) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.consumer {
		if err := s.server.claim(s); err != nil {
			return err
		}
		s.consumer, s.cursor, s.delivered = true, s.server.config.Ring.Acked(), nil
		s.wake()
		return nil
	}
	covered := sort.Search(len(s.delivered), func(i int) bool { return s.delivered[i].seq > seq })
	if covered > 0 {
		s.server.config.Ring.Ack(s.delivered[covered-1].end)
		s.delivered = append(s.delivered[:0], s.delivered[covered:]...)
	}
	return nil
}

func (s *session) role() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.roleLocked()
}

func (s *session) roleLocked() string {
	if s.consumer {
		return wire.RoleConsumer
	}
	return wire.RoleWatcher
}
