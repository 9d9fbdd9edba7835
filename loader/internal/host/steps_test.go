// SPDX-License-Identifier: Apache-2.0

package host

import (
	"context"
	"testing"

	"whodunit/loader/internal/host/hosttest"
)

func TestEachStepOfTheWallClockIsSeen(t *testing.T) {
	steps, err := OpenClockSteps()
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	seen, ended := make(chan bool, 16), make(chan error, 1)
	go func() { ended <- steps.Watch(ctx, func() { seen <- true }) }()
	for range 3 {
		hosttest.SetClock(t)
		<-seen
	}
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}
