// SPDX-License-Identifier: Apache-2.0

package server

import (
	"context"
	"reflect"
	"time"

	"whodunit/loader/internal/host"
	"whodunit/loader/internal/wire"
)

const (
	statusInterval = time.Second
	sweepInterval  = time.Minute
)

// ringEnds are the ring's positions at one moment.
type ringEnds struct{ acked, written uint64 }

// tick publishes the clock, and refreshes the status while clients are connected, until the context ends.
func (s *Server) tick(ctx context.Context) {
	var sweeper sweeper
	var refused refusals
	var ends ringEnds
	for quiet, last := false, time.Now(); s.waitForLook(ctx, quiet, last); {
		last = time.Now()
		s.config.Probes.PublishClock(host.ClockOffsetNs(), host.BoottimeNs())
		before := ends
		ends = ringEnds{s.config.Ring.Acked(), s.config.Ring.Written()}
		quiet = ends == before && ends.acked == ends.written
		if s.idle() {
			continue
		}
		if s.refreshRepeats() {
			s.wakeAll()
		}
		quiet = quiet && !s.countsRepeats()
		if s.refreshStatus() {
			s.wakeAll()
			status, _ := s.currentStatus()
			sweeper.after(s, status.Lost)
			refused.after(s, status.Lost)
		}
	}
}

// waitForLook waits for statusInterval after the last look. While it is quiet, it waits until records may have arrived, or until the wall clock was
// set: an idle process that wakes up each second uses several times as much processor time. It returns false when the context ends.
func (s *Server) waitForLook(ctx context.Context, quiet bool, last time.Time) bool {
	if quiet {
		select {
		case <-ctx.Done():
			return false
		case <-s.clockSet:
			return true
		case <-s.arrived:
		}
	}
	select {
	case <-ctx.Done():
		return false
	case <-s.clockSet:
	case <-time.After(statusInterval - time.Since(last)):
	}
	return true
}

// mayHaveArrived is called when records may have arrived, and every few seconds (ring.Wait).
func (s *Server) mayHaveArrived() {
	s.wakeAll()
	notify(s.arrived)
}

// notify does not wait: what was notified before and not read yet is the same.
func notify(channel chan<- struct{}) {
	select {
	case channel <- struct{}{}:
	default:
	}
}

func (s *Server) idle() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.sessions) == 0
}

// sweeper calls Sweep when the kernel has skipped a probe since the last sweep, at most once in sweepInterval: an exit that no probe saw
// leaves the facts about its process behind.
type sweeper struct {
	skipped uint64 // runs, at the last sweep
	swept   time.Time
}

func (w *sweeper) after(s *Server, lost wire.LostCounts) {
	skipped := lost.Missed + lost.MemoryFull
	if skipped <= w.skipped || time.Since(w.swept) <= sweepInterval {
		return
	}
	w.skipped, w.swept = skipped, time.Now()
	n, err := s.config.Probes.Sweep()
	if n > 0 {
		s.config.Log.Printf("deleted the pending facts of %d processes whose exit the probes missed", n)
	}
	if err != nil {
		s.config.Log.Warnf("could not delete pending facts of processes that no longer exist: %v", err)
	}
}

// refusals logs when facts were not kept for lack of room.
type refusals struct {
	memoryFull uint64 // at the last look
	facts      uint64
}

func (r *refusals) after(s *Server, lost wire.LostCounts) {
	if lost.MemoryFull == r.memoryFull {
		return
	}
	r.memoryFull = lost.MemoryFull
	facts, uid, err := s.config.Probes.Refused()
	if err != nil {
		s.config.Log.Limitf("refused facts", "could not read how many facts were not kept: %v", err)
		return
	}
	if facts > r.facts {
		s.config.Log.Limitf("refused facts", "the memory for what signals do to living processes was full: %d facts were not kept so far, most of them of user %d, who holds too many processes with a signal that was ignored, handled or blocked (docs/security.md); terminations of that user may lack their sender", facts, uid)
	}
	r.facts = facts
}

func (s *Server) currentStatus() (status wire.Status, no uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.status, s.statusNo
}

// refresh updates status and totals between two ticks. It wakes the other clients if they have changed: the next tick finds them as they are.
func (s *Server) refresh() {
	statusChanged, repeatsChanged := s.refreshStatus(), s.refreshRepeats()
	if statusChanged || repeatsChanged {
		s.wakeAll()
	}
}

// refreshStatus updates the status. It returns false if nothing but the clock offset has changed.
func (s *Server) refreshStatus() bool {
	counters, err := s.config.Probes.Counters()
	if err != nil {
		s.config.Log.Limitf("counters", "could not update the status: %v", err)
		return false
	}
	ring := s.config.Ring
	acked := ring.Acked()
	fresh := wire.Status{
		Counters: counters, RingBytes: ring.Size(), RingUsedBytes: ring.Written() - acked, ReadSeq: s.readSeq.Load(), AckedSeq: acked,
	}
	if s.config.Crashes != nil {
		fresh.Crashes = &wire.CrashCounts{}
		fresh.Crashes.Captured, fresh.Crashes.NoSlot = s.config.Crashes.Counts()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	last := s.status
	if s.statusNo > 0 {
		s.logLoss(last.Lost.RingFull, fresh)
	}
	last.ClockOffsetNs = 0
	if s.statusNo > 0 && reflect.DeepEqual(last, fresh) {
		return false
	}
	fresh.ClockOffsetNs = host.ClockOffsetNs()
	s.status = fresh
	s.statusNo++
	return true
}

// logLoss logs whose terminations had no room in the ring since it had lost `before`.
func (s *Server) logLoss(before uint64, fresh wire.Status) {
	if fresh.Lost.RingFull <= before || len(fresh.LostByOrigin) == 0 {
		return
	}
	first := fresh.LostByOrigin[0]
	s.config.Log.Limitf("ring", "lost %d terminations since the probes were attached, %d of them of uid %d in %q: its share of the ring buffer was full; a larger --ring-bytes (WHODUNIT_RING_BYTES, now %d) makes each share larger", fresh.Lost.RingFull, first.Terminations, first.Origin.UID, first.Unit, fresh.RingBytes)
}
