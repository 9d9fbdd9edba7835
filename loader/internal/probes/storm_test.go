// SPDX-License-Identifier: Apache-2.0

package probes

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"whodunit/loader/internal/log"
	"whodunit/loader/internal/record"
	"whodunit/loader/internal/record/recordtest"
	"whodunit/loader/internal/server"
	"whodunit/loader/internal/server/servertest"
	"whodunit/loader/internal/stormtest"
)

func TestMain(m *testing.M) {
	code := stormtest.Main(m)
	if err := alone.leave(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

// Two storms of ten thousand terminations each, while the consumer does not read for two seconds: with a ring of the default size, each
// termination is reported exactly once, or counted as lost.
func TestEachTerminationOfAStormIsReportedOrCountedWhileTheConsumerPauses(t *testing.T) {
	const each, pauseAfter, pause = 10_000, 1_000, 2 * time.Second
	probes, ring := attachedWith(t, 8<<20)
	socket := filepath.Join(t.TempDir(), "s")
	socketListener, err := server.Listen(socket, os.Getgid())
	if err != nil {
		t.Fatal(err)
	}
	repeats, err := probes.Repeats()
	if err != nil {
		t.Fatal(err)
	}
	server := server.New(server.Config{Ring: ring, Probes: probes, Repeats: repeats, Machine: record.Machine{Symbols: recordtest.Symbols{}}, SocketGID: uint32(os.Getgid()), Log: log.New(io.Discard)})
	servertest.Run(t, func(ctx context.Context) error { return server.Serve(ctx, socketListener) })
	consumer := servertest.Connect(t, socket)
	consumer.Claim()

	start := time.Now()
	storms := []*stormtest.Storm{stormtest.Start(t, each), stormtest.Start(t, each)}
	listener := &listener{consumer: consumer, reported: stormtest.Reported{}, storms: storms, pauseAfter: pauseAfter, pause: pause}
	listening := make(chan error, 1)
	go func() { listening <- listener.listen() }()
	consumer.Conn.SetReadDeadline(time.Now().Add(5 * time.Minute))
	for _, storm := range storms {
		storm.Stop(t)
	}
	took, end := time.Since(start), ring.Written()
	for listener.read.Load() < end && len(listening) == 0 {
		// The record that ends there may be discarded, and so have no line: make a later one.
		if _, err := stormtest.Terminate(false); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Millisecond)
	}
	consumer.Conn.Close()
	if err := <-listening; err != nil {
		t.Fatal(err)
	}
	counters, err := probes.Counters()
	if err != nil || counters.Lost.Missed != 0 {
		t.Errorf("missed %d, %v", counters.Lost.Missed, err)
	}
	terminated, absent, doubled := listener.reported.Compare(storms...)
	t.Logf("%d terminations at %.0f per second, the consumer paused for %v: %d absent, %d doubled; lost %d, shrunk %d", terminated, float64(terminated)/took.Seconds(), pause, absent, doubled, counters.Lost.RingFull, listener.shrunk)
	if terminated != 2*each || doubled > 0 || uint64(absent) > counters.Lost.RingFull {
		t.Errorf("%d terminations: %d absent, %d counted as lost, %d doubled", terminated, absent, counters.Lost.RingFull, doubled)
	}
}

// listener is a consumer that pauses once and acknowledges each hundredth record.
type listener struct {
	consumer   *servertest.Client
	storms     []*stormtest.Storm
	reported   stormtest.Reported
	pauseAfter int // records
	pause      time.Duration
	got        int
	shrunk     int
	read       atomic.Uint64 // the position past the last record
}

// listen returns nil when the connection is closed.
func (l *listener) listen() error {
	for {
		line, err := l.consumer.Lines.ReadBytes('\n')
		if err != nil {
			return nil
		}
		if !bytes.HasPrefix(line, []byte(`{"v":1,"type":"death"`)) {
			continue
		}
		var event record.Event
		if err := json.Unmarshal(line, &event); err != nil {
			return err
		}
		l.reported.Add(&event, l.storms...)
		if event.Shrunk {
			l.shrunk++
		}
		if l.got++; l.got == l.pauseAfter {
			time.Sleep(l.pause)
		}
		if l.got%100 == 0 {
			l.consumer.Send(`{"v":1,"type":"ack","seq":"%d"}`, event.Seq)
		}
		l.read.Store(event.Seq)
	}
}
