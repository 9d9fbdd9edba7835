// SPDX-License-Identifier: Apache-2.0

// Package server serves the socket: which process may connect, which client is the consumer, and what each client is sent. Package wire
// encodes the lines; package ring reads the records.
package server

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"whodunit/loader/internal/host"
	"whodunit/loader/internal/log"
	"whodunit/loader/internal/record"
	"whodunit/loader/internal/ring"
	"whodunit/loader/internal/wire"
)

// Probes is what the server needs of the attached probes.
type Probes interface {
	// Counters returns the counts since the probes were first attached.
	Counters() (wire.Counters, error)
	// CountUndecodable counts the record that ends at seq as lost. It returns false if this or an earlier loader counted it already.
	// The server makes one call at a time.
	CountUndecodable(seq uint64) bool
	// Sweep deletes the facts about processes whose exit the probes missed.
	Sweep() (swept int, err error)
	// PublishClock sets what the probes stamp records with: CLOCK_REALTIME - CLOCK_BOOTTIME, and when it was read. One call at a time.
	PublishClock(offsetNs int64, boottimeNs uint64)
	// Refused returns how many facts were not kept for lack of room, and the user for whom that happened most often.
	Refused() (facts uint64, uid uint32, err error)
}

// Crashes has the stacks of crashes. nil in Config: none are taken.
type Crashes interface {
	// Of returns what is known of a crash. wait is 0, or how long its stack may still take; then crash is nil.
	Of(reference record.CrashReference) (crash *record.Crash, wait time.Duration)
	// Counts returns how many crashes were copied since the probes were first attached, and how many were not, for lack of a slot.
	Counts() (captured, noSlot uint64)
	// Run takes over crashes until the context ends. found is called after each stack that was found.
	Run(ctx context.Context, found func()) error
}

// Config is what a server needs. The caller closes Ring and Probes after Serve has returned.
type Config struct {
	Ring      *ring.Ring
	Probes    Probes
	Repeats   Repeats
	Crashes   Crashes
	Machine   record.Machine
	Hello     wire.Hello // without Role, ConsumerConnected and ClockOffsetNs
	SocketGID uint32     // the group that may connect, besides root and ConsumerUID
	// ConsumerUID is the user who may be the consumer, besides root. 0: root alone.
	ConsumerUID uint32
	// ClockSteps show when the wall clock is set. nil: what records say is exact after some seconds.
	ClockSteps *host.ClockSteps
	Log        *log.Logger
}

// Server sends the ring's records to its clients, and acknowledges for the consumer.
type Server struct {
	config  Config
	readSeq atomic.Uint64
	// What waitForLook waits for; each holds one notification.
	arrived, clockSet chan struct{}

	mu        sync.Mutex
	sessions  map[*session]struct{}
	consumer  *session // nil: no client is the consumer
	status    wire.Status
	statusNo  uint64 // grows when status changes
	repeats   []wire.Repeat
	repeatsNo uint64 // grows when repeats changes
}

// New returns a server; Serve starts it.
func New(config Config) *Server {
	return &Server{config: config, sessions: map[*session]struct{}{}, arrived: make(chan struct{}, 1), clockSet: make(chan struct{}, 1)}
}

// Serve runs until the context ends, then closes every connection and returns nil. It returns an error if waiting for the ring
// or accepting a connection fails. It closes the listener.
func (s *Server) Serve(ctx context.Context, listener *net.UnixListener) error {
	s.config.Probes.PublishClock(host.ClockOffsetNs(), host.BoottimeNs())
	s.refreshStatus()
	s.refreshRepeats()
	ctx, cancel := context.WithCancel(ctx)
	var running sync.WaitGroup
	failed := make(chan error, 1)
	running.Go(func() { failed <- s.config.Ring.Wait(ctx, s.mayHaveArrived); cancel() })
	running.Go(func() { s.tick(ctx) })
	if steps := s.config.ClockSteps; steps != nil {
		running.Go(func() {
			if err := steps.Watch(ctx, func() { notify(s.clockSet) }); err != nil {
				s.config.Log.Warnf("after the wall clock is set, times of terminations may be wrong for some seconds: %v", err)
			}
		})
	}
	if s.config.Crashes != nil {
		running.Go(func() {
			if err := s.config.Crashes.Run(ctx, s.wakeAll); err != nil {
				s.config.Log.Warnf("crashes have no stacks until the loader is restarted: %v", err)
			}
		})
	}
	stop := context.AfterFunc(ctx, func() { listener.Close() })
	defer stop()
	for {
		conn, err := listener.AcceptUnix()
		if err != nil {
			cancel()
			running.Wait()
			if errors.Is(err, net.ErrClosed) {
				return <-failed
			}
			return fmt.Errorf("accept on the socket: %w", err)
		}
		running.Go(func() { s.handle(ctx, conn) })
	}
}

// handle serves one connection and closes it.
func (s *Server) handle(ctx context.Context, conn *net.UnixConn) {
	defer conn.Close()
	peer, err := peerOf(conn)
	if err != nil || !s.mayConnect(peer) {
		s.config.Log.Limitf("refused", "refused a client (pid %d, uid %d, gid %d): it is neither root nor the user %d (--socket-user) nor in group %d (--socket-group)", peer.Pid, peer.Uid, peer.Gid, s.config.ConsumerUID, s.config.SocketGID)
		return
	}
	session := newSession(s, conn, peer)
	if full := s.add(session); full != "" {
		s.config.Log.Limitf("full", "refused a client (pid %d, uid %d): %s", peer.Pid, peer.Uid, full)
		return
	}
	err = session.run(ctx)
	wasConsumer := s.remove(session)
	switch {
	case ctx.Err() != nil: // The loader is shutting down.
	case wasConsumer:
		s.config.Log.Warnf("consumer disconnected (pid %d)%s; events are kept in the ring buffer until it reconnects", peer.Pid, reason(err))
	case errors.As(err, new(*wire.Error)):
		s.config.Log.Limitf("client", "closed the connection of a client (pid %d)%s", peer.Pid, reason(err))
	}
}

// reason returns why a connection ended, as the end of a log line; "" if the client closed it.
func reason(err error) string {
	if errors.Is(err, io.EOF) {
		return ""
	}
	return ": " + err.Error()
}

// add returns the limit that is reached if there is no place for the session; else "".
func (s *Server) add(session *session) (full string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if full := s.full(session.peer.Uid); full != "" {
		return full
	}
	s.sessions[session] = struct{}{}
	return ""
}

func (s *Server) remove(session *session) (wasConsumer bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.sessions, session)
	wasConsumer = s.consumer == session
	if wasConsumer {
		s.consumer = nil
	}
	return wasConsumer
}

// claim makes the session the consumer. If its user may not be, or there is one already, the error is a *wire.Error.
func (s *Server) claim(session *session) error {
	if err := s.mayClaim(session.peer); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.consumer != nil {
		return &wire.Error{Code: wire.CodeConsumerTaken, Message: fmt.Sprintf("another service (pid %d) is the consumer; stop it, or only watch", s.consumer.peer.Pid)}
	}
	s.consumer = session
	s.config.Log.Printf("consumer connected (pid %d, uid %d)", session.peer.Pid, session.peer.Uid)
	return nil
}

// countUndecodable counts a record that has no line as lost to the consumer: once, even if it is read again.
func (s *Server) countUndecodable(seq uint64, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.config.Probes.CountUndecodable(seq) {
		s.config.Log.Limitf("undecodable", "lost a record: %v", err)
	}
}

func (s *Server) helloFor(role string) wire.Hello {
	s.mu.Lock()
	defer s.mu.Unlock()
	hello := s.config.Hello
	hello.Role, hello.ConsumerConnected, hello.ClockOffsetNs = role, s.consumer != nil, host.ClockOffsetNs()
	return hello
}

func (s *Server) wakeAll() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for session := range s.sessions {
		session.wake()
	}
}
