// SPDX-License-Identifier: Apache-2.0

package server

import (
	"context"
	"testing"
	"time"
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
