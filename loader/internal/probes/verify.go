// SPDX-License-Identifier: Apache-2.0

package probes

import (
	"errors"
	"fmt"

	"github.com/cilium/ebpf"
)

const verifyRingBytes = 1 << 20

// Verify lets the probes, relocated by these types, watch three processes that terminate in known ways, and fails with exitcode.Unavailable if a
// record differs from what wait4(2) returned. Nothing stays attached or pinned.
func (t Types) Verify() error {
	p, err := loadUnpinned(t)
	if err != nil {
		return err
	}
	ring, err := p.Ring()
	if err != nil {
		return errors.Join(err, p.release())
	}
	err = t.VerifyBy(&Witness{Ring: ring, SeesPids: p.seesPids})
	return errors.Join(err, ring.Close(), p.release())
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
