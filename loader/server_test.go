// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// testRing is a Ring over a file in memory that is laid out as the kernel's, with this test in the kernel's place.
type testRing struct {
	*Ring
	file   []byte // all of it, writable
	events int
}

func newTestRing(t testing.TB, size int) *testRing {
	t.Helper()
	page := os.Getpagesize()
	length := 2*page + 2*size
	fd, err := unix.MemfdCreate("ring", unix.MFD_CLOEXEC)
	if err != nil {
		t.Fatal(err)
	}
	if err := unix.Ftruncate(fd, int64(length)); err != nil {
		t.Fatal(err)
	}
	file, err := unix.Mmap(fd, 0, length, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		t.Fatal(err)
	}
	ring, err := mapRing(fd, uint64(size), new(uint32))
	if err != nil {
		t.Fatal(err)
	}
	events, err := unix.Eventfd(0, unix.EFD_NONBLOCK)
	if err != nil {
		t.Fatal(err)
	}
	if err := ring.listen(events); err != nil {
		t.Fatal(err)
	}
	return &testRing{ring, file, events}
}

// put writes a record as bpf_ringbuf_output() does, and reports false when there is no room.
func (r *testRing) put(record []byte, flags uint32) bool {
	page := uint64(os.Getpagesize())
	data, producer := r.file[2*page:], (*uint64)(unsafe.Pointer(&r.file[page]))
	at := *producer
	length := uint64(len(record)+ringHeaderBytes+7) &^ 7
	if at+length-r.Acked() > r.size {
		return false
	}
	image := append(binary.NativeEndian.AppendUint32(nil, uint32(len(record))|flags), 0, 0, 0, 0)
	for i, b := range append(image, record...) {
		offset := (at + uint64(i)) & (r.size - 1)
		data[offset], data[offset+r.size] = b, b
	}
	atomic.StoreUint64(producer, at+length)
	if atomic.CompareAndSwapUint32(r.waits, 1, 0) { // as submit_record() in bpf/ring.h
		unix.Write(r.events, []byte{1, 0, 0, 0, 0, 0, 0, 0})
	}
	return true
}

type served struct {
	ring   *testRing
	server *Server
	socket string
	log    *lockedBuilder
}

// lockedBuilder is what the server logged so far.
type lockedBuilder struct {
	mu   sync.Mutex
	text strings.Builder
}

func (b *lockedBuilder) Write(line []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(line)
}

func (b *lockedBuilder) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}

func serve(t *testing.T, size int) *served {
	t.Helper()
	return serveRing(t, newTestRing(t, size), func() (bpfCounters, uint64, error) { return bpfCounters{ExitsNormal: 5}, 0, nil })
}

func serveRing(t *testing.T, ring *testRing, counters func() (bpfCounters, uint64, error)) *served {
	t.Helper()
	socket := filepath.Join(t.TempDir(), "s")
	listener, err := listenSocket(socket, os.Getgid())
	if err != nil {
		t.Fatal(err)
	}
	s := &served{ring: ring, socket: socket, log: &lockedBuilder{}}
	s.server = &Server{
		ring: s.ring.Ring, symbols: symbolTable{}, log: newLogger(s.log), socketGID: uint32(os.Getgid()), shared: new(bpfShared), counters: counters,
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

func TestARecordThatCannotBeDecodedIsCountedOnceAndTheNextComes(t *testing.T) {
	s := serve(t, 1<<16)
	s.connect(t).next("status") // A watcher reads it too.
	c := s.connect(t)
	c.claim()
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
	c.conn.Close()
	waitFor(t, func() bool { s.server.mu.Lock(); defer s.server.mu.Unlock(); return s.server.consumer == nil })
	again := s.connect(t)
	again.claim()
	again.deaths(1)
	s.server.refreshStatus()
	if status, _ := s.server.currentStatus(); status.Lost.Undecodable != 1 {
		t.Errorf("read again, it was counted %d times", status.Lost.Undecodable)
	}
}

// The probes leave a discarded record where a wake-up was all they had to say (submit_record() in bpf/ring.h): nobody acknowledges it.
func TestARingIsEmptyThoughItsLastRecordIsDiscarded(t *testing.T) {
	s := serve(t, 1<<16)
	c := s.connect(t)
	c.claim()
	empty := func() bool { return s.ring.Acked() == s.ring.Written() }
	s.ring.put(record(0), ringDiscard)
	waitFor(t, empty)
	s.ring.put(record(256), 0)
	s.ring.put(record(0), ringDiscard)
	death := c.next("death")
	waitFor(t, func() bool { return s.server.readSeq.Load() == s.ring.Written() })
	if empty() {
		t.Fatal("a death was passed that nobody acknowledged")
	}
	c.say(`{"v":1,"type":"ack","seq":"%s"}`, death["seq"])
	waitFor(t, empty)
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
	if _, _, ok, err := ring.Reader().Next(0); ok || err != nil {
		t.Error("read a record that is still being written")
	}
}

func TestAWatcherThatIsOvertakenIsDropped(t *testing.T) {
	s := serve(t, 1<<12)
	session := newSession(s.server, nil, unix.Ucred{})
	for s.ring.Written() <= s.ring.size {
		s.ring.put(record(256), 0)
		s.ring.Ack(s.ring.Written())
	}
	_, _, err := session.readRing(nil, roleWatcher)
	var wireError *WireError
	if !errors.As(err, &wireError) || wireError.Code != "TOO_SLOW" {
		t.Errorf("%v", err)
	}
}

// Ten clients that read nothing and ten that write garbage: the consumer gets all, at its own pace, and they are gone afterwards.
func TestTwentyClientsThatMisbehaveNeitherHoldUpTheConsumerNorTakeMemory(t *testing.T) {
	s := serve(t, 1<<16)
	good := s.connect(t)
	good.claim()
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	for i := range 20 {
		bad := s.connect(t)
		if i%2 == 0 {
			continue
		}
		go func() {
			for {
				if _, err := bad.conn.Write(bytes.Repeat([]byte("garbage\xff"), 1000)); err != nil {
					return
				}
			}
		}()
	}
	for range 200 {
		const batch = 50
		for range batch {
			if !s.ring.put(record(256), 0) {
				t.Fatal("the ring is full")
			}
		}
		good.conn.SetReadDeadline(time.Now().Add(10 * time.Second))
		seqs := good.deaths(batch)
		good.say(`{"v":1,"type":"ack","seq":"%s"}`, seqs[batch-1])
		waitFor(t, func() bool { return s.ring.Acked() == s.ring.Written() })
	}
	waitFor(t, func() bool { s.server.mu.Lock(); defer s.server.mu.Unlock(); return len(s.server.sessions) == 1 })
	runtime.GC()
	runtime.ReadMemStats(&after)
	if grown := int64(after.HeapInuse) - int64(before.HeapInuse); grown > 4<<20 {
		t.Errorf("the heap has grown by %d bytes", grown)
	}
	if log := s.log.String(); !strings.Contains(log, "TOO_SLOW") && !strings.Contains(log, "BAD_LINE") {
		t.Errorf("nobody was told why: %s", log)
	}
}

func TestAWatcherThatDoesNotReadIsToldThatItWasTooSlow(t *testing.T) {
	s := serve(t, 1<<16)
	slow := s.connect(t)
	slow.next("hello")
	waitFor(t, func() bool {
		for s.ring.put(record(256), 0) {
		}
		s.ring.Ack(s.ring.Written()) // In the place of a consumer that is fast.
		s.server.mu.Lock()
		defer s.server.mu.Unlock()
		return len(s.server.sessions) == 0
	})
	for {
		line, err := slow.lines.ReadBytes('\n')
		if err != nil {
			break // The last line may be cut off by the end: then there was no room for the reason either.
		}
		if bytes.Contains(line, []byte("TOO_SLOW")) {
			break
		}
	}
	waitFor(t, func() bool { return strings.Contains(s.log.String(), "TOO_SLOW") })
}

// The kernel says who has connected, and that counts even where the file's mode lets everybody in.
func TestAPeerOfAnotherGroupIsRefused(t *testing.T) {
	if os.Getuid() != 0 {
		privileged(t)
	}
	s := serve(t, 1<<16)
	if err := os.Chmod(s.socket, 0o666); err != nil {
		t.Fatal(err)
	}
	for directory := filepath.Dir(s.socket); len(directory) > len(os.TempDir()); directory = filepath.Dir(directory) {
		if err := os.Chmod(directory, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	const nobody = 65534
	read := make(chan error, 1)
	go func() {
		runtime.LockOSThread() // and never unlocked: the thread ends with its credentials
		for _, call := range []uintptr{unix.SYS_SETGROUPS, unix.SYS_SETRESGID, unix.SYS_SETRESUID} {
			arguments := [3]uintptr{nobody, nobody, nobody}
			if call == unix.SYS_SETGROUPS {
				arguments = [3]uintptr{}
			}
			if _, _, errno := unix.RawSyscall(call, arguments[0], arguments[1], arguments[2]); errno != 0 {
				read <- errno
				return
			}
		}
		fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM, 0)
		if err == nil {
			err = unix.Connect(fd, &unix.SockaddrUnix{Name: s.socket})
		}
		n := -1
		if err == nil {
			n, err = unix.Read(fd, make([]byte, 1))
		}
		if err == nil && n != 0 {
			err = errors.New("it was greeted")
		}
		unix.Close(fd)
		read <- err
	}()
	if err := <-read; err != nil && !errors.Is(err, unix.ECONNRESET) {
		t.Errorf("a peer of another group: %v", err)
	}
	waitFor(t, func() bool {
		return strings.Contains(s.log.String(), "uid 65534, gid 65534 is neither root nor of group")
	})
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
	for end := time.Now().Add(time.Minute); !condition(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("waited for a minute")
		}
	}
}

// Whatever a client says: its session ends with a reason, and the consumer position is where a record ends that was delivered.
func FuzzClientLines(f *testing.F) {
	for _, said := range []string{
		"", `{"v":1,"type":"ack","seq":"0"}` + "\n" + `{"v":1,"type":"ack","seq":"18446744073709551615"}` + "\n",
		`{"v":1,"type":"ack","seq":"0"}` + "\n" + `{"v":1,"type":"ack","seq":"120"}`, `{"v":2}` + "\n", "\x00\xff\n", strings.Repeat("x", 2*clientLineBytesMax),
	} {
		f.Add([]byte(said))
	}
	ring := newTestRing(f, 1<<12)
	ends := []uint64{0}
	for range 3 {
		ring.put(record(256), 0)
		ends = append(ends, ring.Written())
	}
	f.Fuzz(func(t *testing.T, said []byte) {
		ring.Ack(0)
		server := &Server{ring: ring.Ring, symbols: symbolTable{}, shared: new(bpfShared), log: newLogger(io.Discard)}
		session := newSession(server, nil, unix.Ucred{})
		if err := session.ack(0); err != nil {
			t.Fatal(err)
		}
		if _, _, err := session.readRing(nil, roleConsumer); err != nil {
			t.Fatal(err)
		}
		if err := session.listen(bytes.NewReader(said)); err == nil {
			t.Error("the session did not end")
		}
		if !slices.Contains(ends, ring.Acked()) {
			t.Errorf("the consumer position is %d, inside a record", ring.Acked())
		}
		session.reader.Close()
	})
}
