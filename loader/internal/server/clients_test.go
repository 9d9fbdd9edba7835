// SPDX-License-Identifier: Apache-2.0

package server

import (
	"bytes"
	"io"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"whodunit/loader/internal/log"
	"whodunit/loader/internal/record"
	"whodunit/loader/internal/record/recordtest"
	"whodunit/loader/internal/ring/ringtest"
	"whodunit/loader/internal/wire"
)

// Ten clients read nothing and ten write garbage: the consumer gets every record at its own pace, and the others are disconnected.
func TestTwentyMisbehavingClientsNeitherDelayTheConsumerNorUseMemory(t *testing.T) {
	s := serve(t, 1<<16)
	good := s.connect(t)
	good.Claim()
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
				if _, err := bad.Conn.Write(bytes.Repeat([]byte("garbage\xff"), 1000)); err != nil {
					return
				}
			}
		}()
	}
	for range 200 {
		const batch = 50
		for range batch {
			if !s.ring.Put(recordtest.Record(256), 0) {
				t.Fatal("the ring is full")
			}
		}
		good.Conn.SetReadDeadline(time.Now().Add(10 * time.Second))
		seqs := good.Deaths(batch)
		good.Send(`{"v":1,"type":"ack","seq":"%s"}`, seqs[batch-1])
		waitFor(t, func() bool { return s.ring.Acked() == s.ring.Written() })
	}
	waitFor(t, func() bool { s.server.mu.Lock(); defer s.server.mu.Unlock(); return len(s.server.sessions) == 1 })
	runtime.GC()
	runtime.ReadMemStats(&after)
	if grown := int64(after.HeapInuse) - int64(before.HeapInuse); grown > 4<<20 {
		t.Errorf("the heap has grown by %d bytes", grown)
	}
	if log := s.log.String(); !strings.Contains(log, "TOO_SLOW") && !strings.Contains(log, "BAD_LINE") {
		t.Errorf("the log has no reason: %s", log)
	}
}

func TestAWatcherThatDoesNotReadIsDisconnectedAsTooSlow(t *testing.T) {
	s := serve(t, 1<<16)
	slow := s.connect(t)
	slow.Next("hello")
	waitFor(t, func() bool {
		for s.ring.Put(recordtest.Record(256), 0) {
		}
		s.ring.Ack(s.ring.Written()) // As a fast consumer would.
		s.server.mu.Lock()
		defer s.server.mu.Unlock()
		return len(s.server.sessions) == 0
	})
	for {
		line, err := slow.Lines.ReadBytes('\n')
		if err != nil {
			break // If the socket was full, the last line is cut off and the error line is missing.
		}
		if bytes.Contains(line, []byte("TOO_SLOW")) {
			break
		}
	}
	waitFor(t, func() bool { return strings.Contains(s.log.String(), "TOO_SLOW") })
}

// Any bytes from a client end its session with a reason, and the consumer position stays at the end of a delivered record.
func FuzzClientLines(f *testing.F) {
	for _, sent := range []string{
		"", `{"v":1,"type":"ack","seq":"0"}` + "\n" + `{"v":1,"type":"ack","seq":"18446744073709551615"}` + "\n",
		`{"v":1,"type":"ack","seq":"0"}` + "\n" + `{"v":1,"type":"ack","seq":"120"}`, `{"v":2}` + "\n", "\x00\xff\n", strings.Repeat("x", 2*wire.ClientLineBytesMax),
	} {
		f.Add([]byte(sent))
	}
	memory := ringtest.New(f, 1<<12)
	ends := []uint64{0}
	for range 3 {
		memory.Put(recordtest.Record(256), 0)
		ends = append(ends, memory.Written())
	}
	f.Fuzz(func(t *testing.T, sent []byte) {
		memory.Ack(0)
		server := New(Config{Ring: memory.Ring, Machine: record.Machine{Symbols: recordtest.Symbols{}}, Probes: &fakeProbes{}, Repeats: &fakeRepeats{}, Log: log.New(io.Discard)})
		session := newSession(server, nil, peer{})
		if err := session.ack(0); err != nil {
			t.Fatal(err)
		}
		if _, _, err := session.readRing(nil, wire.RoleConsumer); err != nil {
			t.Fatal(err)
		}
		if err := session.listen(bytes.NewReader(sent)); err == nil {
			t.Error("the session did not end")
		}
		if !slices.Contains(ends, memory.Acked()) {
			t.Errorf("the consumer position is %d, inside a record", memory.Acked())
		}
		session.reader.Close()
	})
}
