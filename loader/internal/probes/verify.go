// SPDX-License-Identifier: Apache-2.0

package probes

import (
	"errors"
	"fmt"
	"os"

	"github.com/cilium/ebpf"

	"whodunit/loader/internal/exitcode"
	"whodunit/loader/internal/host"
	"whodunit/loader/internal/record"
	"whodunit/loader/internal/victim"
)

const (
	verifyRingBytes = 1 << 20
	// verifyAttempts: on a machine where very many processes terminate, a record may find no room.
	verifyAttempts = 3
)

// Verify lets the probes, relocated by these types, watch three processes that terminate in known ways, and fails with exitcode.Unavailable if a
// record differs from what wait4(2) returned. Nothing stays attached or pinned.
func (t Types) Verify() error {
	p, err := loadUnpinned(t)
	if err != nil {
		return err
	}
	var differs error
	for range verifyAttempts {
		if differs, err = p.watchVictims(); err != nil || differs == nil {
			break
		}
	}
	if err := errors.Join(err, p.release()); err != nil {
		return err
	}
	if differs != nil {
		return exitcode.Errorf(exitcode.Unavailable, "the %s do not describe this kernel (%s): %w", t, host.KernelRelease(), differs)
	}
	return nil
}

// loadUnpinned loads the probes and attaches the required ones.
func loadUnpinned(types Types) (_ *Probes, err error) {
	types = types.opened()
	p := &Probes{programs: map[string]*ebpf.Program{}}
	defer func() {
		if err != nil {
			err = errors.Join(err, p.release())
		}
	}()
	if p.seesPids, err = inHostPidNamespace(); err != nil {
		return nil, err
	}
	spec, err := loadBpf()
	if err != nil {
		return nil, err
	}
	kernel, err := featuresHere(spec, types)
	if err != nil {
		return nil, err
	}
	if err := p.configure(spec, Options{RingBytes: verifyRingBytes, Stacks: StacksOff, Types: types}, nil); err != nil {
		return nil, err
	}
	for _, one := range spec.Maps {
		one.Pinning = ebpf.PinNone
	}
	collection, _, err := newCollection(spec, kernel, types.options())
	if err != nil {
		return nil, explainLoad(err, p.directory)
	}
	defer collection.Close()
	for name, opened := range p.maps() {
		*opened = collection.DetachMap(name)
	}
	if err := p.mapShared(); err != nil {
		return nil, err
	}
	for _, hook := range hooksHere(kernel) {
		if !hook.required {
			continue
		}
		program := collection.DetachProgram(hook.program)
		attached, err := hook.attach(program)
		if err != nil {
			return nil, errors.Join(fmt.Errorf("attach probe %s: %w", hook.name, err), program.Close())
		}
		p.keep(hook, attached, program)
	}
	return p, nil
}

// watchVictims returns as differs the first difference between a victim and its record.
func (p *Probes) watchVictims() (differs, err error) {
	ring, err := p.Ring()
	if err != nil {
		return nil, err
	}
	defer ring.Close()
	for number, way := range victim.Ways() {
		from := ring.Written()
		terminated, err := victim.Terminate(way, fmt.Sprintf("victim%d-%d", number, os.Getpid()%100_000))
		if err != nil {
			return nil, err
		}
		found := errors.New("it has no record")
		reader, decoder := ring.Reader(), record.NewDecoder(record.Machine{PageBytes: uint64(os.Getpagesize()), Symbols: (*host.Symbols)(nil)})
		for {
			raw, next, ok, err := reader.Next(from)
			if err != nil || !ok {
				if err := errors.Join(err, reader.Close()); err != nil {
					return nil, err
				}
				break
			}
			from = next
			if raw == nil {
				continue
			}
			if event, err := decoder.Decode(raw); err == nil && event.Process.Comm == terminated.Name {
				found = p.differenceOf(event, terminated)
			}
		}
		if found != nil {
			return fmt.Errorf("of a process that terminates with the wait status %#x: %w", uint32(terminated.Status), found), nil
		}
	}
	return nil, nil
}

// differenceOf returns nil if the record agrees with what is known.
func (p *Probes) differenceOf(event *record.Event, known victim.Terminated) error {
	switch process := event.Process; {
	case event.StatusRaw != uint32(known.Status):
		return fmt.Errorf("the record has the wait status %#x", event.StatusRaw)
	case process.StartBoottimeNs < known.StartMin || process.StartBoottimeNs > known.EndMax:
		return fmt.Errorf("the record has the start time %d, not between %d and %d", process.StartBoottimeNs, known.StartMin, known.EndMax)
	case p.seesPids && process.Pid != uint32(known.Pid):
		return fmt.Errorf("the record has the pid %d, not %d", process.Pid, known.Pid)
	case known.Way != victim.Killed:
		return nil
	case event.Signal == nil || event.Signal.Signo != uint32(known.Status.Signal()):
		return errors.New("the record does not have the signal")
	case p.seesPids && event.Signal.Sender.Pid != uint32(os.Getpid()):
		return fmt.Errorf("the record has the sender %d, not %d", event.Signal.Sender.Pid, os.Getpid())
	}
	return nil
}
