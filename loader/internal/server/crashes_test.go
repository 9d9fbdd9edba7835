// SPDX-License-Identifier: Apache-2.0

package server

import (
	"context"
	"sync"
	"testing"
	"time"

	"whodunit/loader/internal/abi"
	"whodunit/loader/internal/record"
	"whodunit/loader/internal/record/recordtest"
	"whodunit/loader/internal/server/servertest"
	"whodunit/loader/internal/wire"
)

// fakeCrashes implements Crashes: a stack is found when the test says so, or given up after `wait`.
type fakeCrashes struct {
	mu    sync.Mutex
	wait  time.Time // until then
	crash *record.Crash
	found func()
}

func (c *fakeCrashes) Of(reference record.CrashReference) (*record.Crash, time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.crash == nil && time.Now().Before(c.wait) {
		return nil, time.Until(c.wait)
	}
	if c.crash == nil {
		return record.NoStack(record.CrashTimeout, reference.Sequence, ""), 0
	}
	return c.crash, 0
}

func (c *fakeCrashes) Run(ctx context.Context, found func()) error {
	c.mu.Lock()
	c.found = found
	c.mu.Unlock()
	<-ctx.Done()
	return nil
}

func (c *fakeCrashes) Counts() (captured, noSlot uint64) { return 12, 3 }

func (c *fakeCrashes) find(crash *record.Crash) {
	c.mu.Lock()
	c.crash = crash
	found := c.found
	c.mu.Unlock()
	found()
}

func crashed(sequence uint64) []byte {
	reference := abi.CrashReference{Capture: uint32(abi.CrashCaptureCAPTURE_SLOT), Sequence: sequence}
	return recordtest.Record(11, recordtest.Part(abi.PartKindPART_CRASH, 0, recordtest.Raw(reference)))
}

func serveCrashes(t *testing.T, wait time.Duration) (*served, *fakeCrashes) {
	t.Helper()
	crashes := &fakeCrashes{wait: time.Now().Add(wait)}
	s := serve(t, 1<<16, func(config *Config) { config.Crashes = crashes })
	waitFor(t, func() bool { crashes.mu.Lock(); defer crashes.mu.Unlock(); return crashes.found != nil })
	return s, crashes
}

// crashOf returns the status of the next termination, and what its line says of the crash.
func crashOf(client *servertest.Client) (status, state, sequence any) {
	death := client.Next("death")
	crash, _ := death["crash"].(map[string]any)
	return death["status_raw"], crash["state"], crash["sequence"]
}

func TestALineWaitsForItsStackAndTheNextOneWaitsBehindIt(t *testing.T) {
	s, crashes := serveCrashes(t, time.Hour)
	client := s.connect(t)
	client.Claim()
	s.ring.Put(crashed(9), 0)
	s.ring.Put(recordtest.Record(9), 0)
	time.Sleep(50 * time.Millisecond)
	if s.server.readSeq.Load() != 0 {
		t.Error("a line was written before its stack was found")
	}
	crashes.find(record.NoStack(record.CrashUnwound, 9, "outermost"))
	if status, state, sequence := crashOf(client); status != 11.0 || state != "unwound" || sequence != "9" {
		t.Errorf("status %v, %v, sequence %v", status, state, sequence)
	}
	if status, state, _ := crashOf(client); status != 9.0 || state != nil {
		t.Errorf("status %v, %v", status, state)
	}
}

func TestALineIsWrittenWithoutItsStackIfThatTakesTooLong(t *testing.T) {
	s, _ := serveCrashes(t, 200*time.Millisecond)
	client := s.connect(t)
	client.Claim()
	s.ring.Put(crashed(9), 0)
	if _, state, _ := crashOf(client); state != "timeout" {
		t.Errorf("%v", state)
	}
}

func TestTheStatusCountsCrashes(t *testing.T) {
	s, _ := serveCrashes(t, 0)
	s.server.refreshStatus()
	status, _ := s.server.currentStatus()
	if want := (wire.CrashCounts{Captured: 12, NoSlot: 3}); status.Crashes == nil || *status.Crashes != want {
		t.Errorf("%+v, want %+v", status.Crashes, want)
	}
}
