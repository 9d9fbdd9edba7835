// SPDX-License-Identifier: Apache-2.0

package oldprobes

import (
	"errors"

	"whodunit/loader/internal/probes"
)

const trialBytes = 1 << 20

// Verify is probes.Types.Verify with these probes.
func Verify(types probes.Types, tracepoints *Tracepoints) (err error) {
	p := &Probes{}
	defer func() { err = errors.Join(err, p.Close()) }()
	if err := p.start(Options{RingBytes: trialBytes, Types: types, Tracepoints: tracepoints}); err != nil {
		return err
	}
	return types.VerifyBy(&probes.Witness{Ring: p.Ring(), SeesPids: p.seesPids, Round: func() error {
		_, err := p.queue.round()
		return err
	}})
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
