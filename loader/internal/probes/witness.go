// SPDX-License-Identifier: Apache-2.0

package probes

import (
	"errors"
	"fmt"
	"os"
	"time"

	"whodunit/loader/internal/exitcode"
	"whodunit/loader/internal/host"
	"whodunit/loader/internal/record"
	"whodunit/loader/internal/ring"
	"whodunit/loader/internal/victim"
)

const (
	// victimAttempts: on a machine where very many processes terminate, the record of a victim may find no room.
	victimAttempts = 5
	// recordWithin is how long the record of a victim may take.
	recordWithin = 2 * time.Second
	// witnessInterval is how often the ring is read. A storm must not fill it in between.
	witnessInterval = 2 * time.Millisecond
)

// Witness reads the records of probes whose types may be wrong, alone.
type Witness struct {
	Ring     *ring.Ring
	SeesPids bool         // the pids of the records are those that this process sees (SeesPids)
	Round    func() error // fills the ring; nil: the probes do
}

// VerifyBy lets processes terminate in known ways, and fails with exitcode.Unavailable if a record differs from what wait4(2) returned.
func (t Types) VerifyBy(w *Witness) error {
	for _, way := range victim.Ways() {
		known, differs, err := w.watch(way)
		if err != nil {
			return err
		}
		if differs != nil {
			return exitcode.Errorf(exitcode.Unavailable, "with the %s, the probes read wrong values on this kernel (%s): of a process that terminates with the wait status %#x: %w", t, host.KernelRelease(), uint32(known.Status), differs)
		}
	}
	return nil
}

// watch returns as differs what in the record of a victim is not as it is known.
func (w *Witness) watch(way victim.Way) (known victim.Terminated, differs, err error) {
	for attempt := range victimAttempts {
		known, differs, err = w.watchOne(way, fmt.Sprintf("victim%d-%d", attempt, os.Getpid()%100_000))
		if err != nil || differs == nil {
			break
		}
	}
	return known, differs, err
}

// watchOne reads the ring while the victim terminates, and after that until a record agrees.
func (w *Witness) watchOne(way victim.Way, name string) (known victim.Terminated, differs, err error) {
	reader := w.Ring.Reader()
	defer func() { err = errors.Join(err, reader.Close()) }()
	ended := make(chan error, 1)
	go func() {
		var err error
		known, err = victim.Terminate(way, name)
		ended <- err
	}()
	var tooLate <-chan time.Time // once it has ended
	tick := time.NewTicker(witnessInterval)
	defer tick.Stop()
	for said := []testimony(nil); ; {
		select {
		case err := <-ended:
			if err != nil {
				return known, nil, err
			}
			tooLate = time.After(recordWithin)
		case <-tooLate:
			return known, differs, nil
		case <-tick.C:
		}
		if said, err = w.read(reader, name, said); err != nil {
			return known, nil, err
		}
		if tooLate == nil {
			continue
		}
		if differs = differenceOf(said, known, w.SeesPids); differs == nil {
			return known, nil, nil
		}
	}
}

// testimony is what a record says of a victim.
type testimony struct {
	status          uint32
	startBoottimeNs uint64
	pid             uint32
	signo, sender   uint32 // 0: it has no signal
}

// read appends what the records of processes with this name say, and acknowledges all records.
func (w *Witness) read(reader *ring.Reader, name string, said []testimony) ([]testimony, error) {
	if w.Round != nil {
		if err := w.Round(); err != nil {
			return said, err
		}
	}
	decoder := record.NewDecoder(record.Machine{PageBytes: uint64(os.Getpagesize()), Symbols: (*host.Symbols)(nil)})
	for {
		raw, next, ok, err := reader.Next(w.Ring.Acked())
		if err != nil || !ok {
			return said, err
		}
		// Where types are wrong, a record may be none.
		if event, err := decoder.Decode(raw); err == nil && event.Process.Comm == name {
			one := testimony{status: event.StatusRaw, startBoottimeNs: event.Process.StartBoottimeNs, pid: event.Process.Pid}
			if event.Signal != nil {
				one.signo, one.sender = event.Signal.Signo, event.Signal.Sender.Pid
			}
			said = append(said, one)
		}
		w.Ring.Ack(next)
	}
}

// differenceOf returns nil if one of the records agrees with what is known: another process may have the victim's name.
func differenceOf(said []testimony, known victim.Terminated, seesPids bool) error {
	differs := errors.New("it has no record")
	for _, one := range said {
		if differs = one.differenceOf(known, seesPids); differs == nil {
			return nil
		}
	}
	return differs
}

func (one testimony) differenceOf(known victim.Terminated, seesPids bool) error {
	switch {
	case one.status != uint32(known.Status):
		return fmt.Errorf("the record has the wait status %#x", one.status)
	case one.startBoottimeNs < known.StartMin || one.startBoottimeNs > known.EndMax:
		return fmt.Errorf("the record has the start time %d, not between %d and %d", one.startBoottimeNs, known.StartMin, known.EndMax)
	case seesPids && one.pid != uint32(known.Pid):
		return fmt.Errorf("the record has the pid %d, not %d", one.pid, known.Pid)
	case known.Way != victim.Killed:
		return nil
	case one.signo != uint32(known.Status.Signal()):
		return errors.New("the record does not have the signal")
	case seesPids && one.sender != uint32(os.Getpid()):
		return fmt.Errorf("the record has the sender %d, not %d", one.sender, os.Getpid())
	}
	return nil
}
