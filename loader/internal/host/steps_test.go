// SPDX-License-Identifier: Apache-2.0

package host

import (
	"context"
	"errors"
	"testing"

	"golang.org/x/sys/unix"
)

// setClock sets the wall clock by a nanosecond.
func setClock(t *testing.T) {
	t.Helper()
	_, err := unix.ClockAdjtime(unix.CLOCK_REALTIME, &unix.Timex{Modes: unix.ADJ_SETOFFSET | unix.ADJ_NANO, Time: unix.Timeval{Usec: 1}})
	if errors.Is(err, unix.EPERM) {
		t.Skip("setting the clock needs CAP_SYS_TIME")
	}
	if err != nil {
		t.Fatal(err)
	}
}

func TestEachStepOfTheWallClockIsSeen(t *testing.T) {
	steps, err := OpenClockSteps()
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	seen, ended := make(chan bool, 16), make(chan error, 1)
	go func() { ended <- steps.Watch(ctx, func() { seen <- true }) }()
	for range 3 {
		setClock(t)
		<-seen
	}
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}
