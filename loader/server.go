// SPDX-License-Identifier: Apache-2.0

// Serves the socket: accepts clients that may connect, gives each a session, and keeps what they share: the ring, the counters,
// and who the consumer is. What one session says and hears is in session.go.
package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

const (
	clientsMax     = 64
	statusInterval = time.Second
	// quietInterval takes the place of statusInterval while nobody is reported: then only normal exits are counted.
	quietInterval = 5 * time.Second
	sweepInterval = time.Minute
)

// Server hands the ring's records to its clients.
type Server struct {
	ring      *Ring
	counters  func() (sum bpfCounters, missed uint64, err error)
	pageBytes uint64
	symbols   symbolizer
	hello     Hello
	log       *logger
	socketGID uint32
	shared    *bpfShared
	sweep     func() (swept int, err error)
	readSeq   atomic.Uint64

	mu       sync.Mutex
	sessions map[*session]struct{}
	consumer *session // nil: nobody acknowledges
	status   Status
	statusNo uint64 // grows when status changes
}

// listenSocket makes the socket: mode 0660, its group the one that may connect. A file of a loader that died is replaced; a
// socket that somebody serves is not.
func listenSocket(path string, gid int) (*net.UnixListener, error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return nil, fmt.Errorf("make the socket's directory: %w", err)
	}
	if info, err := os.Lstat(path); err == nil {
		if info.Mode()&os.ModeSocket == 0 {
			return nil, &usageError{exitConfig, fmt.Sprintf("%s is there and is not a socket; remove it, or choose another --socket", path)}
		}
		if conn, err := net.DialTimeout("unix", path, time.Second); err == nil {
			conn.Close()
			return nil, &usageError{exitUnavailable, fmt.Sprintf("the socket %s is taken: another program serves it; stop that, or choose another --socket", path)}
		}
		if err := os.Remove(path); err != nil {
			return nil, fmt.Errorf("remove the socket of a loader that ended: %w", err)
		}
	}
	old := unix.Umask(0o117)
	listener, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	unix.Umask(old)
	if err != nil {
		return nil, fmt.Errorf("serve the socket: %w", err)
	}
	if err := os.Chown(path, -1, gid); err != nil {
		return nil, errors.Join(fmt.Errorf("give the socket to group %d: %w", gid, err), listener.Close())
	}
	return listener, nil
}

// Serve runs until the context ends, then closes every connection. It owns the listener.
func (s *Server) Serve(ctx context.Context, listener *net.UnixListener) error {
	s.sessions = map[*session]struct{}{}
	s.refreshStatus()
	ctx, cancel := context.WithCancel(ctx)
	var running sync.WaitGroup
	failed := make(chan error, 2)
	running.Go(func() { failed <- s.ring.Wait(ctx, s.wakeAll); cancel() })
	running.Go(func() { s.tick(ctx) })
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
		running.Go(func() { s.welcome(ctx, conn) })
	}
}

func (s *Server) welcome(ctx context.Context, conn *net.UnixConn) {
	defer conn.Close()
	peer, err := peerOf(conn)
	if err != nil || !s.mayConnect(peer) {
		s.log.sometimes("refused", "refused a client on the socket: pid %d, uid %d, gid %d is neither root nor of group %d; see --socket-group", peer.Pid, peer.Uid, peer.Gid, s.socketGID)
		return
	}
	session := newSession(s, conn, peer)
	s.mu.Lock()
	full := len(s.sessions) >= clientsMax
	if !full {
		s.sessions[session] = struct{}{}
	}
	s.mu.Unlock()
	if full {
		s.log.sometimes("full", "refused a client on the socket: there are %d already, the limit", clientsMax)
		return
	}
	err = session.run(ctx)
	s.mu.Lock()
	delete(s.sessions, session)
	wasConsumer := s.consumer == session
	if wasConsumer {
		s.consumer = nil
	}
	s.mu.Unlock()
	switch {
	case ctx.Err() != nil:
	case wasConsumer:
		s.log.printf("the service (pid %d) went away: %v; deaths wait in the ring", peer.Pid, err)
	case errors.As(err, new(*WireError)):
		s.log.sometimes("client", "dropped a client (pid %d): %v", peer.Pid, err)
	}
}

func peerOf(conn *net.UnixConn) (peer unix.Ucred, err error) {
	raw, err := conn.SyscallConn()
	if err != nil {
		return peer, err
	}
	var got *unix.Ucred
	var sockErr error
	if err := raw.Control(func(fd uintptr) { got, sockErr = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED) }); err != nil {
		return peer, err
	}
	if sockErr != nil {
		return peer, sockErr
	}
	return *got, nil
}

// mayConnect holds even if somebody changed the file's mode.
func (s *Server) mayConnect(peer unix.Ucred) bool {
	return peer.Uid == 0 || peer.Gid == s.socketGID
}

// claim makes the session the consumer, unless there is one. The error is a *WireError.
func (s *Server) claim(session *session) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.consumer != nil {
		return &WireError{"CONSUMER_TAKEN", fmt.Sprintf("another service (pid %d) is the consumer; stop it, or only watch", s.consumer.peer.Pid)}
	}
	s.consumer = session
	s.log.printf("the service (pid %d, uid %d) is the consumer", session.peer.Pid, session.peer.Uid)
	return nil
}

// countUndecodable counts a record that the consumer was to get: once, however often it is read again.
func (s *Server) countUndecodable(seq uint64, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if seq <= atomic.LoadUint64(&s.shared.UndecodableSeq) {
		return
	}
	atomic.StoreUint64(&s.shared.UndecodableSeq, seq)
	atomic.AddUint64(&s.shared.Undecodable, 1)
	s.log.sometimes("undecodable", "lost a record that could not be decoded: %v", err)
}

func (s *Server) helloFor(role string) Hello {
	s.mu.Lock()
	defer s.mu.Unlock()
	hello := s.hello
	hello.Role, hello.ConsumerConnected, hello.ClockOffsetNs = role, s.consumer != nil, clockOffsetNs()
	return hello
}

func (s *Server) currentStatus() (Status, uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.status, s.statusNo
}

// ringEnds are where the ring began and ended when somebody looked.
type ringEnds struct{ acked, written uint64 }

// tick refreshes the status while somebody listens, and has swept what the dead may have left behind if the kernel skipped a probe.
func (s *Server) tick(ctx context.Context) {
	var skipped uint64
	var swept, looked time.Time
	var ends ringEnds
	ticker := time.NewTicker(statusInterval)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		s.mu.Lock()
		idle := len(s.sessions) == 0
		s.mu.Unlock()
		before := ends
		ends = ringEnds{s.ring.Acked(), s.ring.Written()}
		quiet := ends == before && ends.acked == ends.written
		if idle || quiet && time.Since(looked) < quietInterval {
			continue
		}
		looked = time.Now()
		if !s.refreshStatus() {
			continue
		}
		s.wakeAll()
		status, _ := s.currentStatus()
		if now := status.Lost.Missed + status.Lost.MemoryFull; now > skipped && time.Since(swept) > sweepInterval {
			skipped, swept = now, time.Now()
			if n, err := s.sweep(); n > 0 || err != nil {
				s.log.printf("swept what was remembered of %d processes that ended unseen (error: %v)", n, err)
			}
		}
	}
}

// refreshStatus reports whether anything but the clock has changed.
func (s *Server) refreshStatus() bool {
	sum, missed, err := s.counters()
	if err != nil {
		s.log.sometimes("counters", "%v", err)
		return false
	}
	acked := s.ring.Acked()
	fresh := Status{
		ExitsNormal: sum.ExitsNormal, Deaths: sum.Terminations, RingBytes: s.ring.size, RingUsedBytes: s.ring.Written() - acked,
		ReadSeq: s.readSeq.Load(), AckedSeq: acked,
		Lost: LostCounts{RingFull: sum.LostRingFull, MemoryFull: sum.LostMemoryFull, Missed: missed, Undecodable: atomic.LoadUint64(&s.shared.Undecodable)},
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	last := s.status
	last.ClockOffsetNs = 0
	if s.statusNo > 0 && last == fresh {
		return false
	}
	fresh.ClockOffsetNs = clockOffsetNs()
	s.status = fresh
	s.statusNo++
	return true
}

func (s *Server) wakeAll() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for session := range s.sessions {
		session.wake()
	}
}
