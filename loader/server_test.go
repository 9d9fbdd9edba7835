// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// testRing is a Ring over plain memory, with this test in the kernel's place.
type testRing struct {
	*Ring
	events int
}

func newTestRing(t *testing.T, size int) *testRing {
	t.Helper()
	events, err := unix.Eventfd(0, unix.EFD_NONBLOCK)
	if err != nil {
		t.Fatal(err)
	}
	ring := &Ring{size: uint64(size), data: make([]byte, 2*size), consumer: new(uint64), producer: new(uint64), waits: new(uint32)}
	if err := ring.openEpoll(events); err != nil {
		t.Fatal(err)
	}
	return &testRing{ring, events}
}

// put writes a record as bpf_ringbuf_output() does, and reports false when there is no room.
func (r *testRing) put(record []byte, flags uint32) bool {
	at := *r.producer
	length := uint64(len(record)+ringHeaderBytes+7) &^ 7
	if at+length-r.Acked() > r.size {
		return false
	}
	image := append(binary.NativeEndian.AppendUint32(nil, uint32(len(record))|flags), 0, 0, 0, 0)
	for i, b := range append(image, record...) {
		offset := (at + uint64(i)) & (r.size - 1)
		r.data[offset], r.data[offset+r.size] = b, b
	}
	atomic.StoreUint64(r.producer, at+length)
	if atomic.CompareAndSwapUint32(r.waits, 1, 0) { // as hand_over() in bpf/record.h
		unix.Write(r.events, binaryOne)
	}
	return true
}

type served struct {
	ring   *testRing
	server *Server
	socket string
	log    *strings.Builder
}

func serve(t *testing.T, size int) *served {
	t.Helper()
	socket := filepath.Join(t.TempDir(), "s")
	listener, err := listenSocket(socket, os.Getgid())
	if err != nil {
		t.Fatal(err)
	}
	s := &served{ring: newTestRing(t, size), socket: socket, log: &strings.Builder{}}
	s.server = &Server{
		ring: s.ring.Ring, decoder: decoder{symbols: symbolTable{}}, log: newLogger(s.log), socketGID: uint32(os.Getgid()),
		counters: func() (bpfCounters, uint64, error) { return bpfCounters{ExitsNormal: 5}, 0, nil },
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.server.Serve(ctx, listener) }()
	t.Cleanup(func() {
		cancel()
		select {
		case err := <-done:
			if err != nil {
				t.Error(err)
			}
		case <-time.After(5 * time.Second):
			t.Error("Serve did not end")
		}
	})
	return s
}

type client struct {
	t     *testing.T
	conn  net.Conn
	lines *bufio.Reader
}

func (s *served) connect(t *testing.T) *client {
	t.Helper()
	conn, err := net.Dial("unix", s.socket)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	conn.SetReadDeadline(time.Now().Add(10 * time.Second))
	return &client{t, conn, bufio.NewReaderSize(conn, lineBytesMax)}
}

func (c *client) say(format string, arguments ...any) {
	fmt.Fprintf(c.conn, format+"\n", arguments...)
}

// claim makes the client the consumer. Its first hello may say watcher, and deaths come for the watcher it is until then.
func (c *client) claim() {
	c.t.Helper()
	c.say(`{"v":1,"type":"ack","seq":"0"}`)
	for c.next("hello")["role"] != "consumer" {
	}
}

// next returns the next message of the type; others are skipped.
func (c *client) next(messageType string) map[string]any {
	c.t.Helper()
	for {
		line, err := c.lines.ReadBytes('\n')
		if err != nil {
			c.t.Fatalf("waiting for %s: %v", messageType, err)
		}
		var message map[string]any
		if err := json.Unmarshal(line, &message); err != nil {
			c.t.Fatalf("%s: %v", line, err)
		}
		if message["type"] == messageType {
			return message
		}
	}
}

func (c *client) deaths(n int) (seqs []string) {
	c.t.Helper()
	for range n {
		seqs = append(seqs, c.next("death")["seq"].(string))
	}
	return seqs
}

func TestAClientIsGreetedAsWatcherAndSeesDeathsFromNowOn(t *testing.T) {
	s := serve(t, 1<<16)
	s.ring.put(record(256), 0)
	c := s.connect(t)
	if hello := c.next("hello"); hello["role"] != "watcher" || hello["consumer_connected"] != false {
		t.Errorf("%v", hello)
	}
	if status := c.next("status"); status["exits_normal"] != "5" {
		t.Errorf("%v", status)
	}
	s.ring.put(record(512), 0)
	if death := c.next("death"); death["status_raw"] != 512.0 {
		t.Errorf("a watcher saw the past: %v", death)
	}
	if s.ring.Acked() != 0 {
		t.Error("a watcher moved the consumer position")
	}
}

func TestTheConsumerGetsAllThatIsNotAcknowledgedAndOnlyAnAckFreesIt(t *testing.T) {
	s := serve(t, 1<<16)
	for range 3 {
		s.ring.put(record(256), 0)
	}
	first := s.connect(t)
	first.claim()
	seqs := first.deaths(3)
	if s.ring.Acked() != 0 {
		t.Fatal("reading moved the consumer position")
	}
	first.say(`{"v":1,"type":"ack","seq":"%s"}`, seqs[1])
	waitFor(t, func() bool { return fmt.Sprint(s.ring.Acked()) == seqs[1] })
	first.conn.Close()
	waitFor(t, func() bool { s.server.mu.Lock(); defer s.server.mu.Unlock(); return s.server.consumer == nil })
	second := s.connect(t)
	second.claim()
	if again := second.deaths(1); again[0] != seqs[2] {
		t.Errorf("after a restart the consumer got %v, want %s", again, seqs[2])
	}
}

func TestAnAckBetweenTwoRecordsOrBeyondTheLastNeverMovesThePositionIntoOne(t *testing.T) {
	s := serve(t, 1<<16)
	s.ring.put(record(256), 0)
	s.ring.put(record(256), 0)
	c := s.connect(t)
	c.claim()
	seqs := c.deaths(2)
	c.say(`{"v":1,"type":"ack","seq":"%s1"}`, "1") // 11: inside the first
	c.say(`{"v":1,"type":"ack","seq":"%d"}`, ^uint64(0))
	waitFor(t, func() bool { return fmt.Sprint(s.ring.Acked()) == seqs[1] })
}

func TestASecondConsumerIsRefusedAndTheFirstGoesOn(t *testing.T) {
	s := serve(t, 1<<16)
	first, second := s.connect(t), s.connect(t)
	first.claim()
	second.say(`{"v":1,"type":"ack","seq":"0"}`)
	if refusal := second.next("error"); refusal["code"] != "CONSUMER_TAKEN" {
		t.Errorf("%v", refusal)
	}
	if _, err := second.lines.ReadByte(); !errors.Is(err, io.EOF) {
		t.Errorf("the connection was not closed: %v", err)
	}
	s.ring.put(record(256), 0)
	first.deaths(1)
}

func TestGarbageFromAClientEndsItsConnectionAlone(t *testing.T) {
	s := serve(t, 1<<16)
	good := s.connect(t)
	good.next("hello")
	for name, line := range map[string]string{"garbage": "\x00\xff{", "version": `{"v":2,"type":"ack","seq":"1"}`, "length": strings.Repeat("x", 2*clientLineBytesMax)} {
		bad := s.connect(t)
		bad.next("hello")
		bad.say("%s", line)
		if code := bad.next("error")["code"]; code != "BAD_LINE" && code != "BAD_VERSION" {
			t.Errorf("%s: %v", name, code)
		}
	}
	s.ring.put(record(256), 0)
	good.deaths(1)
}

func TestARecordThatCannotBeDecodedIsCountedAndTheNextComes(t *testing.T) {
	s := serve(t, 1<<16)
	c := s.connect(t)
	c.next("status")
	s.ring.put([]byte("nonsense"), 0)
	s.ring.put(record(256), ringDiscard)
	s.ring.put(record(512), 0)
	if death := c.next("death"); death["status_raw"] != 512.0 {
		t.Errorf("%v", death)
	}
	if lost := c.next("status")["lost"].(map[string]any)["undecodable"]; lost != "1" {
		t.Errorf("undecodable: %v", lost)
	}
}

func TestTheRingWrapsManyTimesUnderAConsumerThatAcknowledges(t *testing.T) {
	s := serve(t, 1<<12)
	c := s.connect(t)
	c.claim()
	for i := range 200 {
		waitFor(t, func() bool { return s.ring.put(record(uint32(i)<<8), 0) })
		death := c.next("death")
		if death["status_raw"] != float64(i<<8) {
			t.Fatalf("record %d: %v", i, death)
		}
		c.say(`{"v":1,"type":"ack","seq":"%s"}`, death["seq"])
	}
}

func TestABusyRecordIsWaitedFor(t *testing.T) {
	ring := newTestRing(t, 1<<12)
	ring.put(record(256), ringBusy)
	ring.put(record(512), 0)
	if _, _, ok := ring.Next(0); ok {
		t.Error("read a record that is still being written")
	}
}

func TestAWatcherThatIsOvertakenIsDropped(t *testing.T) {
	s := serve(t, 1<<12)
	session := &session{server: s.server, woken: make(chan struct{}, 1)}
	s.ring.put(record(256), 0)
	s.ring.Ack(s.ring.Written())
	_, _, err := session.readRing(nil, roleWatcher)
	var wireError *WireError
	if !errors.As(err, &wireError) || wireError.Code != "TOO_SLOW" {
		t.Errorf("%v", err)
	}
}

func TestTheSocketIsForItsGroupAloneAndReplacesADeadOneOnly(t *testing.T) {
	s := serve(t, 1<<12)
	info, err := os.Stat(s.socket)
	if err != nil || info.Mode().Perm() != 0o660 {
		t.Errorf("%v, %v", info.Mode(), err)
	}
	if _, err := listenSocket(s.socket, 0); err == nil || !strings.Contains(err.Error(), "taken") {
		t.Errorf("a served socket was replaced: %v", err)
	}
	dead := filepath.Join(t.TempDir(), "dead")
	old, err := net.ListenUnix("unix", &net.UnixAddr{Name: dead, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	old.SetUnlinkOnClose(false)
	old.Close()
	fresh, err := listenSocket(dead, os.Getgid())
	if err != nil {
		t.Fatal(err)
	}
	fresh.Close()
	file := filepath.Join(t.TempDir(), "file")
	os.WriteFile(file, nil, 0o600)
	if _, err := listenSocket(file, 0); err == nil || !strings.Contains(err.Error(), "not a socket") {
		t.Errorf("a file was replaced: %v", err)
	}
	for _, peer := range []struct {
		uid, gid uint32
		may      bool
	}{{0, 77, true}, {1000, uint32(os.Getgid()), true}, {1000, 77, false}} {
		if got := s.server.mayConnect(unix.Ucred{Uid: peer.uid, Gid: peer.gid}); got != peer.may {
			t.Errorf("mayConnect(%+v) = %v", peer, got)
		}
	}
}

func waitFor(t *testing.T, condition func() bool) {
	t.Helper()
	for end := time.Now().Add(5 * time.Second); !condition(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("waited for 5 s")
		}
	}
}
