// SPDX-License-Identifier: Apache-2.0

// Attaching, pinning and taking over the probes. Pinned, they go on while no loader runs, and the next one takes them over.
//
// Under the pin directory lies v<ABI>, in it the maps by name, and the links as <program>-<digest of the object>. Another ABI is
// refused; another object of the same ABI replaces the programs (upgrade.go) and keeps the maps with all that they remember.
package main

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"sync/atomic"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/btf"
	"github.com/cilium/ebpf/link"
	"golang.org/x/sys/unix"
)

const (
	bpffsPath    = "/sys/fs/bpf"
	kernelBTF    = "/sys/kernel/btf/vmlinux"
	ringBytesMin = 64 << 10
	ringBytesMax = 1 << 30
)

var pinDirectoryABI = fmt.Sprintf("v%d", bpfEventAbiEVENT_ABI)

var pinnedMaps = []string{
	bpfMapEvents, bpfMapSharedMap, bpfMapCountersMap, bpfMapPendingFacts, bpfMapPendingCounts, bpfMapOomVictims, bpfMapSenders, bpfMapSeen, bpfMapMmSnapshots,
}

// Probes are the attached programs and their maps.
type Probes struct {
	Status                                                  []ProbeStatus
	TookOver                                                bool
	ReadsContexts                                           bool // the kernel has the iterator that finds what processes publish
	events, sharedMap, counters, memories, remembered, ooms *ebpf.Map
	shared                                                  *bpfShared
	sharedPage                                              []byte
	programs                                                map[string]*ebpf.Program // by name, as far as they can be had
	links                                                   []link.Link
	lock                                                    *os.File
	directory                                               string
}

// settings are what the probes are told when they are loaded. The zero value: the whole host, and nothing that must be asked for.
type settings struct {
	watched       scope
	threadContext bool // read the span that was open in the thread that brought a death (OTEP 4947)
}

func (s settings) tell(spec *ebpf.CollectionSpec) error {
	if !s.threadContext {
		spec.Maps[bpfMapTriggerThreads].MaxEntries = 1
	}
	if err := spec.Variables[bpfVarWantsThreadContext].Set(s.threadContext); err != nil {
		return err
	}
	return s.watched.tell(spec)
}

// attachProbes takes over what is pinned under pinDirectory, or loads, attaches and pins the object, in place of what another
// loader left there. It holds a lock on the directory until Close.
func attachProbes(pinDirectory string, ringBytes int, object []byte, told settings) (_ *Probes, err error) {
	if err := mountBpffs(pinDirectory); err != nil {
		return nil, err
	}
	if err := refuseOtherABI(pinDirectory); err != nil {
		return nil, err
	}
	p := &Probes{directory: filepath.Join(pinDirectory, pinDirectoryABI), programs: map[string]*ebpf.Program{}}
	if err := os.MkdirAll(p.directory, 0o700); err != nil {
		return nil, fmt.Errorf("make the pin directory: %w", err)
	}
	if p.lock, err = os.Open(p.directory); err != nil {
		return nil, fmt.Errorf("open the pin directory: %w", err)
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, p.Close())
		}
	}()
	if err := unix.Flock(int(p.lock.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		return nil, fmt.Errorf("another whodunit-loader uses the pin directory %s; stop it, or give this one its own with --pin-dir", pinDirectory)
	}
	digest := digestOf(object, told)
	types := btf.NewCache()
	p.ReadsContexts = kernelHasType(types, "bpf_iter_task_vma_new")
	if p.TookOver, err = p.takeOver(digest, types); err != nil {
		return nil, err
	}
	if !p.TookOver {
		if err := p.load(object, digest, ringBytes, told, types); err != nil {
			return nil, err
		}
	}
	return p, p.detachOthers(digest)
}

// digestOf names a build of the probes: what was compiled, and what it is told.
func digestOf(object []byte, told settings) string {
	if told.watched != wholeHost {
		object = fmt.Appendf(slices.Clone(object), "%d in hierarchy %d", told.watched.id, told.watched.hierarchy)
	}
	if told.threadContext {
		object = append(slices.Clone(object), "with the context of threads"...)
	}
	digest := sha256.Sum256(object)
	return fmt.Sprintf("%x", digest[:6])
}

func (p *Probes) linkPath(program, digest string) string {
	return filepath.Join(p.directory, program+"-"+digest)
}

// takeOver opens the pins of this very object. It reports false if there are none, or not all.
func (p *Probes) takeOver(digest string, types *btf.Cache) (bool, error) {
	for _, hook := range hooksHere(types) {
		path := p.linkPath(hook.program, digest)
		pinned, err := link.LoadPinnedLink(path, nil)
		if errors.Is(err, fs.ErrNotExist) && !hook.required {
			p.Status = append(p.Status, ProbeStatus{Name: hook.name, Note: text("not pinned by the loader that attached the probes")})
			continue
		}
		if err != nil {
			if errors.Is(err, fs.ErrNotExist) {
				return false, p.closeHandles()
			}
			return false, fmt.Errorf("open the pinned probe %s: %w; `whodunit-loader unload` removes it", path, err)
		}
		p.keep(hook, pinned, programOf(pinned))
	}
	for name, opened := range p.maps() {
		var err error
		if *opened, err = ebpf.LoadPinnedMap(filepath.Join(p.directory, name), nil); err != nil {
			return false, fmt.Errorf("open the pinned map %s under %s: %w; `whodunit-loader unload` removes what is there", name, p.directory, err)
		}
	}
	var err error
	p.shared, p.sharedPage, err = mapShared(p.sharedMap)
	return err == nil, err
}

// maps are those that the loader itself uses.
func (p *Probes) maps() map[string]**ebpf.Map {
	return map[string]**ebpf.Map{
		bpfMapEvents: &p.events, bpfMapSharedMap: &p.sharedMap, bpfMapCountersMap: &p.counters, bpfMapPendingFacts: &p.memories,
		bpfMapPendingCounts: &p.remembered, bpfMapOomVictims: &p.ooms,
	}
}

func (p *Probes) keep(hook hook, attached link.Link, program *ebpf.Program) {
	p.links = append(p.links, attached)
	if program != nil {
		p.programs[hook.program] = program
	}
	p.Status = append(p.Status, ProbeStatus{Name: hook.name, Attached: true})
}

// programOf is for counting missed runs; getting a program by its number needs CAP_SYS_ADMIN, without which it is not counted.
func programOf(attached link.Link) *ebpf.Program {
	info, err := attached.Info()
	if err != nil {
		return nil
	}
	program, err := ebpf.NewProgramFromID(info.Program)
	if err != nil {
		return nil
	}
	return program
}

// load loads the object, and attaches and pins what is not pinned yet: an earlier attempt may have been cut short.
func (p *Probes) load(object []byte, digest string, ringBytes int, told settings, types *btf.Cache) error {
	spec, err := ebpf.LoadCollectionSpecFromReader(bytes.NewReader(object))
	if err != nil {
		return fmt.Errorf("read the probes' object: %w", err)
	}
	if pinned, err := ebpf.LoadPinnedMap(filepath.Join(p.directory, bpfMapEvents), nil); err == nil {
		ringBytes = int(pinned.MaxEntries()) // It holds deaths that nobody has read: keep it.
		pinned.Close()
	}
	spec.Maps[bpfMapEvents].MaxEntries = uint32(ringBytes)
	for _, name := range pinnedMaps {
		spec.Maps[name].Pinning = ebpf.PinByName
	}
	if err := spec.Variables[bpfVarPageBytes].Set(uint32(os.Getpagesize())); err != nil {
		return err
	}
	if err := spec.Variables[bpfVarRingBytes].Set(uint64(ringBytes)); err != nil {
		return err
	}
	if err := told.tell(spec); err != nil {
		return err
	}
	collection, notes, err := newCollection(spec, ebpf.CollectionOptions{Maps: ebpf.MapOptions{PinPath: p.directory}, Cache: types})
	if err != nil {
		return explainLoad(err, p.directory)
	}
	defer collection.Close()
	for name, opened := range p.maps() {
		*opened = collection.DetachMap(name)
	}
	if p.shared, p.sharedPage, err = mapShared(p.sharedMap); err != nil {
		return err
	}
	if err := p.beginOverlap(digest); err != nil {
		return err
	}
	for _, hook := range hooksHere(types) {
		if note, left := notes[hook.name]; left {
			p.Status = append(p.Status, ProbeStatus{Name: hook.name, Note: &note})
			continue
		}
		path := p.linkPath(hook.program, digest)
		if pinned, err := link.LoadPinnedLink(path, nil); err == nil {
			p.keep(hook, pinned, programOf(pinned))
			continue
		}
		program := collection.DetachProgram(hook.program)
		attached, err := hook.attach(program)
		if err != nil {
			return errors.Join(fmt.Errorf("attach the probe %s: %w", hook.name, err), program.Close())
		}
		p.keep(hook, attached, program)
		if err := attached.Pin(path); err != nil {
			return fmt.Errorf("pin the probe %s: %w", hook.name, err)
		}
	}
	return nil
}

// Ring opens the ring for reading.
func (p *Probes) Ring() (*Ring, error) { return openRing(p.events, &p.shared.ReaderWaits) }

// Counters sums the CPUs' counters. missed counts exits, of threads too, for which the kernel did not run the probe: those that it
// skipped the first time, without those that the second one saw. Skipped runs of the other probes are facts that could not be remembered.
func (p *Probes) Counters() (sum bpfCounters, missed uint64, err error) {
	var perCPU []bpfCounters
	if err := p.counters.Lookup(uint32(0), &perCPU); err != nil {
		return sum, 0, fmt.Errorf("read the counters: %w", err)
	}
	for _, one := range perCPU {
		sum.ExitsNormal += one.ExitsNormal
		sum.Terminations += one.Terminations
		sum.LostRingFull += one.LostRingFull
		sum.LostMemoryFull += one.LostMemoryFull
		sum.ExitsRescued += one.ExitsRescued
	}
	missed = atomic.LoadUint64(&p.shared.ExitsMissed)
	sum.LostMemoryFull += atomic.LoadUint64(&p.shared.FactsMissed)
	for name, program := range p.programs {
		stats, err := program.Stats()
		if err != nil {
			return sum, 0, fmt.Errorf("read the statistics of a probe: %w", err)
		}
		switch name {
		case bpfProgOnSchedProcessExit:
			missed += stats.RecursionMisses
		case bpfProgOnSchedProcessExitAgain, bpfProgOnSchedProcessExitOnceMore, bpfProgOnSchedProcessExec: // A restart that is not seen is not told: no death has lost anything.
		default:
			sum.LostMemoryFull += stats.RecursionMisses
		}
	}
	return sum, missed - min(missed, sum.ExitsRescued), nil
}

// tryServing asks the kernel for all that serving needs.
func (p *Probes) tryServing() error {
	if _, _, err := p.Counters(); err != nil {
		return err
	}
	_, err := p.Sweep()
	return err
}

func (p *Probes) closeHandles() error {
	var errs []error
	for _, attached := range p.links {
		errs = append(errs, attached.Close())
	}
	for _, program := range p.programs {
		errs = append(errs, program.Close())
	}
	p.links, p.Status = nil, nil
	clear(p.programs)
	return errors.Join(errs...)
}

// Close gives up the handles and the lock. What is pinned stays attached.
func (p *Probes) Close() error {
	errs := []error{p.closeHandles()}
	for _, opened := range p.maps() {
		errs = append(errs, (*opened).Close())
	}
	if p.sharedPage != nil {
		errs = append(errs, unix.Munmap(p.sharedPage))
		p.shared, p.sharedPage = nil, nil
	}
	return errors.Join(append(errs, p.lock.Close())...)
}

// explainLoad keeps the verifier's last words, its whole log has thousands of lines, and says what to do with maps that do not fit.
func explainLoad(err error, directory string) error {
	var verifier *ebpf.VerifierError
	switch {
	case errors.As(err, &verifier):
		return fmt.Errorf("this kernel's verifier refuses the probes, please report it with the output of `whodunit-loader check`: %w", err)
	case errors.Is(err, ebpf.ErrMapIncompatible):
		return &usageError{exitUnavailable, fmt.Sprintf("a map that is pinned under %s is another one than this loader needs (%v); remove it with `whodunit-loader unload`, or use another --pin-dir", directory, err)}
	}
	return fmt.Errorf("load the probes: %w", err)
}

func text(s string) *string { return &s }
