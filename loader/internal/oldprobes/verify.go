// SPDX-License-Identifier: Apache-2.0

package oldprobes

import (
	"errors"
	"fmt"
	"os"
	"time"

	"whodunit/loader/internal/exitcode"
	"whodunit/loader/internal/host"
	"whodunit/loader/internal/probes"
	"whodunit/loader/internal/record"
	"whodunit/loader/internal/victim"
)

const (
	trialBytes = 1 << 20
	// recordWithin is how long the record of a victim may take.
	recordWithin = 2 * time.Second
)

// Verify is probes.Types.Verify with these probes.
func Verify(types probes.Types, tracepoints *Tracepoints) (err error) {
	p := &Probes{}
	defer func() { err = errors.Join(err, p.Close()) }()
	if err := p.start(Options{RingBytes: trialBytes, Types: types, Tracepoints: tracepoints}); err != nil {
		return err
	}
	for number, way := range victim.Ways() {
		terminated, err := victim.Terminate(way, fmt.Sprintf("victim%d-%d", number, os.Getpid()%100_000))
		if err != nil {
			return err
		}
		differs, err := p.watch(terminated)
		if err != nil {
			return err
		}
		if differs != nil {
			return exitcode.Errorf(exitcode.Unavailable, "the %s does not describe this kernel (%s): of a process that terminates with the wait status %#x: %w", types, host.KernelRelease(), uint32(terminated.Status), differs)
		}
	}
	return nil
}

// watch waits for the record of a victim, and returns as differs what in it is not as it is known.
func (p *Probes) watch(known victim.Terminated) (differs, err error) {
	reader, decoder := p.Ring().Reader(), record.NewDecoder(record.Machine{PageBytes: uint64(os.Getpagesize()), Symbols: (*host.Symbols)(nil)})
	defer reader.Close()
	for deadline := time.Now().Add(recordWithin); time.Now().Before(deadline); time.Sleep(hurriedInterval) {
		if _, err := p.queue.round(); err != nil {
			return nil, err
		}
		for {
			raw, next, ok, err := reader.Next(p.Ring().Acked())
			if err != nil {
				return nil, err
			}
			if !ok {
				break
			}
			event, err := decoder.Decode(raw)
			if err == nil && event.Process.Comm == known.Name {
				differs := probes.CompareVictim(event, known, p.seesPids)
				p.Ring().Ack(next)
				return differs, nil
			}
			p.Ring().Ack(next)
		}
	}
	return errors.New("it has no record"), nil
}

// TryHooks loads the probes and attaches them briefly. Nothing stays attached or pinned.
func TryHooks(types probes.Types, tracepoints *Tracepoints) (trials []probes.Trial) {
	p := &Probes{}
	err := p.start(Options{RingBytes: trialBytes, Types: types, Tracepoints: tracepoints})
	for _, hook := range p.object.hooks {
		trial := probes.Trial{Name: hook.name, Required: true, Works: p.object.works}
		if err != nil {
			trial.Failed, trial.Err = "does not load", err
		}
		trials = append(trials, trial)
	}
	if closed := p.Close(); closed != nil && err == nil {
		trials[0].Failed, trials[0].Err = "does not detach", closed
	}
	return trials
}
