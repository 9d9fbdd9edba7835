// SPDX-License-Identifier: Apache-2.0

package server

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"whodunit/loader/internal/record/recordtest"
	"whodunit/loader/internal/ring"
	"whodunit/loader/internal/wire"
)

func TestAClientStartsAsAWatcherAndGetsOnlyLaterTerminations(t *testing.T) {
	s := serve(t, 1<<16)
	s.ring.Put(recordtest.Record(256), 0)
	c := s.connect(t)
	if hello := c.Next("hello"); hello["role"] != "watcher" || hello["consumer_connected"] != false {
		t.Errorf("%v", hello)
	}
	if status := c.Next("status"); status["exits_normal"] != "5" {
		t.Errorf("%v", status)
	}
	s.ring.Put(recordtest.Record(512), 0)
	if death := c.Next("death"); death["status_raw"] != 512.0 {
		t.Errorf("a watcher got a record from before it connected: %v", death)
	}
	if s.ring.Acked() != 0 {
		t.Error("a watcher moved the consumer position")
	}
}

func TestTheConsumerGetsEveryUnacknowledgedRecordAndOnlyAnAckMovesTheRing(t *testing.T) {
	s := serve(t, 1<<16)
	for range 3 {
		s.ring.Put(recordtest.Record(256), 0)
	}
	first := s.connect(t)
	first.Claim()
	seqs := first.Deaths(3)
	if s.ring.Acked() != 0 {
		t.Fatal("reading moved the consumer position")
	}
	first.Send(`{"v":1,"type":"ack","seq":"%s"}`, seqs[1])
	waitFor(t, func() bool { return fmt.Sprint(s.ring.Acked()) == seqs[1] })
	first.Conn.Close()
	waitFor(t, func() bool { s.server.mu.Lock(); defer s.server.mu.Unlock(); return s.server.consumer == nil })
	second := s.connect(t)
	second.Claim()
	if again := second.Deaths(1); again[0] != seqs[2] {
		t.Errorf("after it connected again, the consumer got %v, want %s", again, seqs[2])
	}
}

func TestAnAckInsideARecordOrBeyondTheLastMovesThePositionToTheEndOfARecord(t *testing.T) {
	s := serve(t, 1<<16)
	s.ring.Put(recordtest.Record(256), 0)
	s.ring.Put(recordtest.Record(256), 0)
	c := s.connect(t)
	c.Claim()
	seqs := c.Deaths(2)
	c.Send(`{"v":1,"type":"ack","seq":"%s1"}`, "1") // 11: inside the first
	c.Send(`{"v":1,"type":"ack","seq":"%d"}`, ^uint64(0))
	waitFor(t, func() bool { return fmt.Sprint(s.ring.Acked()) == seqs[1] })
}

func TestASecondConsumerIsRejectedAndTheFirstIsServedOn(t *testing.T) {
	s := serve(t, 1<<16)
	first, second := s.connect(t), s.connect(t)
	first.Claim()
	second.Send(`{"v":1,"type":"ack","seq":"0"}`)
	if refusal := second.Next("error"); refusal["code"] != "CONSUMER_TAKEN" {
		t.Errorf("%v", refusal)
	}
	if _, err := second.Lines.ReadByte(); !errors.Is(err, io.EOF) {
		t.Errorf("the connection was not closed: %v", err)
	}
	s.ring.Put(recordtest.Record(256), 0)
	first.Deaths(1)
}

func TestABadLineFromAClientEndsOnlyItsOwnConnection(t *testing.T) {
	s := serve(t, 1<<16)
	good := s.connect(t)
	good.Next("hello")
	for name, line := range map[string]string{"garbage": "\x00\xff{", "version": `{"v":2,"type":"ack","seq":"1"}`, "length": strings.Repeat("x", 2*wire.ClientLineBytesMax)} {
		bad := s.connect(t)
		bad.Next("hello")
		bad.Send("%s", line)
		if code := bad.Next("error")["code"]; code != "BAD_LINE" && code != "BAD_VERSION" {
			t.Errorf("%s: %v", name, code)
		}
	}
	s.ring.Put(recordtest.Record(256), 0)
	good.Deaths(1)
}

func TestAnUndecodableRecordIsCountedOnceAndTheNextIsSent(t *testing.T) {
	s := serve(t, 1<<16)
	s.connect(t).Next("status") // The watcher reads the bad record, too.
	c := s.connect(t)
	c.Claim()
	c.Next("status")
	s.ring.Put([]byte("nonsense"), 0)
	s.ring.Put(recordtest.Record(256), ring.Discard)
	s.ring.Put(recordtest.Record(512), 0)
	if death := c.Next("death"); death["status_raw"] != 512.0 {
		t.Errorf("%v", death)
	}
	if lost := c.Next("status")["lost"].(map[string]any)["undecodable"]; lost != "1" {
		t.Errorf("undecodable: %v", lost)
	}
	c.Conn.Close()
	waitFor(t, func() bool { s.server.mu.Lock(); defer s.server.mu.Unlock(); return s.server.consumer == nil })
	again := s.connect(t)
	again.Claim()
	again.Deaths(1)
	s.server.refreshStatus()
	if status, _ := s.server.currentStatus(); status.Lost.Undecodable != 1 {
		t.Errorf("the record was read twice and counted %d times", status.Lost.Undecodable)
	}
}

// The probes write a discarded record to send a wake-up alone (submit_record()). No client can acknowledge it.
func TestADiscardedLastRecordDoesNotKeepTheRingFromBeingEmpty(t *testing.T) {
	s := serve(t, 1<<16)
	c := s.connect(t)
	c.Claim()
	empty := func() bool { return s.ring.Acked() == s.ring.Written() }
	s.ring.Put(recordtest.Record(0), ring.Discard)
	waitFor(t, empty)
	s.ring.Put(recordtest.Record(256), 0)
	s.ring.Put(recordtest.Record(0), ring.Discard)
	death := c.Next("death")
	waitFor(t, func() bool { return s.server.readSeq.Load() == s.ring.Written() })
	if empty() {
		t.Fatal("the position passed a termination that was not acknowledged")
	}
	c.Send(`{"v":1,"type":"ack","seq":"%s"}`, death["seq"])
	waitFor(t, empty)
}

func TestAConsumerThatAcknowledgesGetsEveryRecordOfARingThatWraps(t *testing.T) {
	s := serve(t, 1<<12)
	c := s.connect(t)
	c.Claim()
	for i := range 200 {
		waitFor(t, func() bool { return s.ring.Put(recordtest.Record(uint32(i)<<8), 0) })
		death := c.Next("death")
		if death["status_raw"] != float64(i<<8) {
			t.Fatalf("record %d: %v", i, death)
		}
		c.Send(`{"v":1,"type":"ack","seq":"%s"}`, death["seq"])
	}
}

func TestAWatcherThatIsOvertakenIsDisconnected(t *testing.T) {
	s := serve(t, 1<<12)
	session := newSession(s.server, nil, peer{})
	for s.ring.Written() <= s.ring.Size() {
		s.ring.Put(recordtest.Record(256), 0)
		s.ring.Ack(s.ring.Written())
	}
	_, _, err := session.readRing(nil, wire.RoleWatcher)
	var wireError *wire.Error
	if !errors.As(err, &wireError) || wireError.Code != "TOO_SLOW" {
		t.Errorf("%v", err)
	}
}

// A probe that commits a record before the reader asks for a wake-up sends none.
func TestARecordThatWasBusyIsReadWithoutAWakeUp(t *testing.T) {
	const settled, within = 1500 * time.Millisecond, 2 * time.Second
	s := serve(t, 1<<16)
	c := s.connect(t)
	c.Claim()
	busy := s.ring.Written()
	s.ring.Put(recordtest.Record(256), ring.Busy)
	time.Sleep(settled) // The session has read up to the record, and the status has changed for the last time.
	s.ring.Commit(busy)
	committed := time.Now()
	c.Deaths(1)
	if took := time.Since(committed); took > within {
		t.Errorf("the record was read after %v", took)
	}
}
