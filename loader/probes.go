// SPDX-License-Identifier: Apache-2.0

// Attaching, pinning and taking over the probes. Pinned, they go on while no loader runs, and the next one takes them over.
//
// Under the pin directory lies v<ABI>, in it the maps by name, and the links as <program>-<digest of the object>. Another ABI is
// refused; another object of the same ABI replaces the programs and keeps the maps with all that they remember.
package main

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"
	"golang.org/x/sys/unix"
)

const (
	bpffsPath       = "/sys/fs/bpf"
	kernelBTF       = "/sys/kernel/btf/vmlinux"
	ringBytesMin    = 64 << 10
	ringBytesMax    = 1 << 30
	pinDirectoryABI = "v1" // v<EVENT_ABI>
)

var pinnedMaps = []string{bpfMapEvents, bpfMapReaderWaits, bpfMapCountersMap, bpfMapMemories, bpfMapRemembered, bpfMapOomVictims, bpfMapSenders, bpfMapSeen}

// Probes are the attached programs and their maps.
type Probes struct {
	Status                        []ProbeStatus
	TookOver                      bool
	events, readerWaits, counters *ebpf.Map
	programs                      map[string]*ebpf.Program // by name, as far as they can be had
	links                         []link.Link
	lock                          *os.File
	directory                     string
}

// attachProbes takes over what is pinned under pinDirectory, or loads, attaches and pins. It holds a lock on the directory until Close.
func attachProbes(pinDirectory string, ringBytes int) (_ *Probes, err error) {
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
			p.Close()
		}
	}()
	if err := unix.Flock(int(p.lock.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		return nil, fmt.Errorf("another whodunit-loader uses the pin directory %s; stop it, or give this one its own with --pin-dir", pinDirectory)
	}
	if p.TookOver, err = p.takeOver(); err != nil || p.TookOver {
		return p, err
	}
	return p, p.load(ringBytes)
}

func linkName(program string) string {
	digest := sha256.Sum256(_BpfBytes)
	return fmt.Sprintf("%s-%x", program, digest[:6])
}

// takeOver opens the pins of this very object. It reports false if there are none, or not all.
func (p *Probes) takeOver() (bool, error) {
	for _, hook := range hooksHere() {
		path := filepath.Join(p.directory, linkName(hook.program))
		pinned, err := link.LoadPinnedLink(path, nil)
		if errors.Is(err, fs.ErrNotExist) && !hook.required {
			p.Status = append(p.Status, ProbeStatus{Name: hook.name, Note: text("not pinned by the loader that attached the probes")})
			continue
		}
		if err != nil {
			p.closeHandles()
			if errors.Is(err, fs.ErrNotExist) {
				return false, nil
			}
			return false, fmt.Errorf("open the pinned probe %s: %w; `whodunit-loader unload` removes it", path, err)
		}
		p.links = append(p.links, pinned)
		p.Status = append(p.Status, ProbeStatus{Name: hook.name, Attached: true})
		if program := programOf(pinned); program != nil {
			p.programs[hook.program] = program
		}
	}
	for name, opened := range map[string]**ebpf.Map{bpfMapEvents: &p.events, bpfMapReaderWaits: &p.readerWaits, bpfMapCountersMap: &p.counters} {
		var err error
		if *opened, err = ebpf.LoadPinnedMap(filepath.Join(p.directory, name), nil); err != nil {
			p.closeHandles()
			return false, fmt.Errorf("open the pinned map %s under %s: %w; `whodunit-loader unload` removes what is there", name, p.directory, err)
		}
	}
	return true, nil
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

func (p *Probes) load(ringBytes int) error {
	spec, err := loadBpf()
	if err != nil {
		return err
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
	if err := spec.Variables[bpfVarRingLowBytes].Set(uint64(ringBytes / 2)); err != nil {
		return err
	}
	collection, notes, err := newCollection(spec, ebpf.CollectionOptions{Maps: ebpf.MapOptions{PinPath: p.directory}})
	if err != nil {
		return explainLoad(err)
	}
	defer collection.Close()
	p.events, p.readerWaits, p.counters = collection.DetachMap(bpfMapEvents), collection.DetachMap(bpfMapReaderWaits), collection.DetachMap(bpfMapCountersMap)
	if err := p.removeLinks(); err != nil {
		return err
	}
	for _, hook := range hooksHere() {
		status := ProbeStatus{Name: hook.name}
		if note, left := notes[hook.name]; left {
			status.Note = &note
			p.Status = append(p.Status, status)
			continue
		}
		program := collection.DetachProgram(hook.program)
		p.programs[hook.program] = program
		attached, err := hook.attach(program)
		if err != nil {
			return fmt.Errorf("attach the probe %s: %w", hook.name, err)
		}
		p.links = append(p.links, attached)
		if err := attached.Pin(filepath.Join(p.directory, linkName(hook.program))); err != nil {
			return fmt.Errorf("pin the probe %s: %w", hook.name, err)
		}
		status.Attached = true
		p.Status = append(p.Status, status)
	}
	return nil
}

// removeLinks unpins the programs of another object, or those of an attempt that did not end well.
func (p *Probes) removeLinks() error {
	for _, hook := range allHooks {
		old, err := filepath.Glob(filepath.Join(p.directory, hook.program+"-*"))
		if err != nil {
			return err
		}
		for _, path := range old {
			if err := os.Remove(path); err != nil {
				return fmt.Errorf("remove the probe of another loader: %w", err)
			}
		}
	}
	return nil
}

// Ring opens the ring for reading.
func (p *Probes) Ring() (*Ring, error) { return openRing(p.events, p.readerWaits) }

// Counters sums the CPUs' counters. missed counts exits for which the kernel did not run the probe (a probe that was interrupted by
// itself on one CPU); the same of the other probes counts as facts that could not be remembered.
func (p *Probes) Counters() (sum bpfCounters, missed uint64, err error) {
	var perCPU []bpfCounters
	if err := p.counters.Lookup(uint32(0), &perCPU); err != nil {
		return sum, 0, fmt.Errorf("read the counters: %w", err)
	}
	for _, one := range perCPU {
		sum.ExitsNormal += one.ExitsNormal
		sum.Deaths += one.Deaths
		sum.LostRingFull += one.LostRingFull
		sum.LostMemoryFull += one.LostMemoryFull
	}
	for name, program := range p.programs {
		stats, err := program.Stats()
		if err != nil {
			return sum, 0, fmt.Errorf("read the statistics of a probe: %w", err)
		}
		if name == bpfProgOnSchedProcessExit {
			missed = stats.RecursionMisses
		} else {
			sum.LostMemoryFull += stats.RecursionMisses
		}
	}
	return sum, missed, nil
}

func (p *Probes) closeHandles() {
	for _, attached := range p.links {
		attached.Close()
	}
	for _, program := range p.programs {
		program.Close()
	}
	p.links, p.Status = nil, nil
	clear(p.programs)
}

// Close gives up the handles and the lock. What is pinned stays attached.
func (p *Probes) Close() {
	p.closeHandles()
	for _, opened := range []*ebpf.Map{p.events, p.readerWaits, p.counters} {
		opened.Close()
	}
	if p.lock != nil {
		p.lock.Close()
	}
}

// explainLoad keeps the verifier's last words: its whole log has thousands of lines.
func explainLoad(err error) error {
	var verifier *ebpf.VerifierError
	if errors.As(err, &verifier) {
		return fmt.Errorf("this kernel's verifier refuses the probes, please report it with the output of `whodunit-loader check`: %w", err)
	}
	return fmt.Errorf("load the probes: %w", err)
}

func text(s string) *string { return &s }
