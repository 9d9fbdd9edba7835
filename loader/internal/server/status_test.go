// SPDX-License-Identifier: Apache-2.0

package server

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	"whodunit/loader/internal/host"
	"whodunit/loader/internal/host/hosttest"
)

func TestAQuietServerLooksAgainWhenSomethingMayHaveChanged(t *testing.T) {
	s := New(Config{})
	longAgo := time.Now().Add(-time.Hour)
	for _, notified := range []chan struct{}{s.arrived, s.clockSet} {
		notify(notified)
		notify(notified) // does not wait
		if !s.waitForLook(t.Context(), true, longAgo) {
			t.Error("the context has not ended")
		}
	}
	if !s.waitForLook(t.Context(), false, longAgo) {
		t.Error("the context has not ended")
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if s.waitForLook(ended, true, longAgo) {
		t.Error("the context has ended")
	}
}

// publishedProbes count how often the clock is published.
type publishedProbes struct {
	fakeProbes
	times atomic.Uint64
}

func (p *publishedProbes) PublishClock(int64, uint64) { p.times.Add(1) }

// By itself, a quiet server publishes the clock every few seconds: a hundred times would take longer than waitFor waits.
func TestTheClockIsPublishedAfterEachStepOfIt(t *testing.T) {
	steps, err := host.OpenClockSteps()
	if err != nil {
		t.Fatal(err)
	}
	probes, set := &publishedProbes{}, 0
	serve(t, 1<<16, func(config *Config) { config.Probes, config.ClockSteps = probes, steps })
	waitFor(t, func() bool { return probes.times.Load() >= 2 }) // It is quiet from its first look on.
	published := probes.times.Load()
	hosttest.SetClock(t)
	waitFor(t, func() bool {
		if now := probes.times.Load(); now > published {
			published, set = now, set+1
			hosttest.SetClock(t)
		}
		return set == 100
	})
}
