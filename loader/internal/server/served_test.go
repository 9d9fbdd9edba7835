// SPDX-License-Identifier: Apache-2.0

package server

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"whodunit/loader/internal/log"
	"whodunit/loader/internal/record"
	"whodunit/loader/internal/record/recordtest"
	"whodunit/loader/internal/ring/ringtest"
	"whodunit/loader/internal/server/servertest"
	"whodunit/loader/internal/wire"
)

type served struct {
	ring    *ringtest.Ring
	server  *Server
	socket  string
	log     *lockedBuilder
	repeats *fakeRepeats
}

// lockedBuilder collects what the server logs.
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

// fakeProbes implements Probes without BPF.
type fakeProbes struct {
	undecodable    atomic.Uint64
	undecodableSeq uint64
}

func (p *fakeProbes) Counters() (wire.Counters, error) {
	return wire.Counters{ExitsNormal: 5, LostByOrigin: []wire.OriginLoss{}, Lost: wire.LostCounts{Undecodable: p.undecodable.Load()}}, nil
}

func (p *fakeProbes) CountUndecodable(seq uint64) bool {
	if seq <= p.undecodableSeq {
		return false
	}
	p.undecodableSeq = seq
	p.undecodable.Add(1)
	return true
}

func (p *fakeProbes) Sweep() (int, error) { return 0, nil }

func (p *fakeProbes) PublishClock(int64, uint64) {}

func (p *fakeProbes) Refused() (uint64, uint32, error) { return 0, 0, nil }

// fakeRepeats implements Repeats: each key is its own entry, with the total that the test sets.
type fakeRepeats struct {
	mu      sync.Mutex
	full    string
	armed   []wire.Arm
	counted []wire.Counted
	entries []wire.Repeat
}

func (r *fakeRepeats) Arm(arm wire.Arm) (string, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if arm.Key == "bad" {
		return "", errors.New("a bad key")
	}
	r.armed = append(r.armed, arm)
	return r.full, nil
}

func (r *fakeRepeats) Armed(key string) string {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, arm := range r.armed {
		if arm.Key == key {
			return arm.As
		}
	}
	return ""
}

func (r *fakeRepeats) Counted(id, total uint64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.counted = append(r.counted, wire.Counted{ID: id, Total: total})
}

func (r *fakeRepeats) Retire() error { return nil }

func (r *fakeRepeats) Entries() []wire.Repeat {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.entries)
}

func (r *fakeRepeats) set(entries ...wire.Repeat) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.entries = entries
}

func serve(t *testing.T, size int, changes ...func(*Config)) *served {
	t.Helper()
	s := &served{ring: ringtest.New(t, size), socket: filepath.Join(t.TempDir(), "s"), log: &lockedBuilder{}, repeats: &fakeRepeats{}}
	config := Config{
		Ring: s.ring.Ring, Machine: record.Machine{Symbols: recordtest.Symbols{}}, Log: log.New(s.log), SocketGID: uint32(os.Getgid()), ConsumerUID: uint32(os.Getuid()), Probes: &fakeProbes{}, Repeats: s.repeats,
	}
	for _, change := range changes {
		change(&config)
	}
	s.server = New(config)
	listener, err := Listen(s.socket, os.Getgid())
	if err != nil {
		t.Fatal(err)
	}
	servertest.Run(t, func(ctx context.Context) error { return s.server.Serve(ctx, listener) })
	return s
}

func (s *served) connect(t *testing.T) *servertest.Client {
	t.Helper()
	return servertest.Connect(t, s.socket)
}

func waitFor(t *testing.T, condition func() bool) {
	t.Helper()
	for end := time.Now().Add(time.Minute); !condition(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("waited for a minute")
		}
	}
}
