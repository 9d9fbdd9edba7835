// SPDX-License-Identifier: Apache-2.0

// Package probes loads, attaches and pins the probes, and takes over those that an earlier loader pinned: pinned probes keep running while
// no loader runs.
//
// The pin directory contains v<ABI>, which contains the maps by name and the links as <program>-<digest of the object>. A loader replaces
// the programs of another object (upgrade.go) and keeps the maps with their content, also those of an older ABI (former.go). It refuses
// the pins of an ABI that it does not know.
package probes

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"
	"golang.org/x/sys/unix"

	"whodunit/loader/internal/abi"
	"whodunit/loader/internal/exitcode"
	"whodunit/loader/internal/ring"
	"whodunit/loader/internal/wire"
)

// DefaultPinDirectory is on the BPF file system, where most systems mount it.
const DefaultPinDirectory = bpffsPath + "/whodunit"

// The limits of Options.RingBytes, which is a power of two.
const (
	RingBytesMin = 64 << 10
	RingBytesMax = 1 << 30
)

// Options configures the probes.
type Options struct {
	PinDirectory  string
	RingBytes     int   // of a new ring; a pinned one keeps its size
	Scope         Scope // what is watched
	ThreadContext bool  // read the span that was open in the thread that triggered a termination (OTEP 4947)
	Stacks        Stacks
	Types         Types // the zero value: those that the kernel provides
}

// Probes holds the attached programs and their maps, until Close.
type Probes struct {
	Status        []wire.ProbeStatus // one for each hook that this kernel needs
	TookOver      bool               // the programs were attached by an earlier loader
	ReadsContexts bool               // the kernel has the iterator that finds published contexts
	Crashes       *Crashes           // the maps of crashes; nil: no stacks are taken
	StacksLack    string             // what is not there that stacks need; "": nothing

	EnvironmentKeys      []string // the variables that the probes copy of a process that terminates
	ActorEnvironmentKeys []string // and of one that acts
	Replaced             []uint32 // the older ABIs whose probes were replaced

	events, sharedMap, counters, pendingFacts, pendingCounts, ooms, shareMap, senderParts, stops, wallClock *ebpf.Map
	repeats, repeatTotals, repeatReserves                                                                   *ebpf.Map
	originShares, normalExits                                                                               *ebpf.Map
	programMap, programCounts                                                                               *ebpf.Map

	lostByOrigin    []wire.OriginLoss
	lostByOriginSum uint64 // Lost.RingFull when lostByOrigin was read

	shared *abi.Shared          // the memory of sharedMap
	clock  *abi.Clock           // the memory of wallClock
	totals []abi.RepeatTotal    // the memory of repeatTotals
	exits  []abi.ProcessorExits // the memory of normalExits
	mapped [][]byte             // their pages

	seesPids bool // the pids of the maps are those of this pid namespace

	programs  map[string]*ebpf.Program // by name, as far as this loader may open them
	links     []link.Link
	lock      *os.File
	directory string
	former    []former // older ABIs that are pinned and not replaced yet
}

// Attach takes over the pinned probes if they are of the same build and options. Otherwise it loads, attaches and pins its own, and removes
// the others. It holds a lock on the pin directory until Close. Where the error has an exit code, its text names the remedy.
func Attach(options Options) (*Probes, error) { return attach(_BpfBytes, options) }

func attach(object []byte, options Options) (_ *Probes, err error) {
	if err := mountBpffs(options.PinDirectory); err != nil {
		return nil, err
	}
	if err := CheckPins(options.PinDirectory); err != nil {
		return nil, err
	}
	p := &Probes{
		directory: filepath.Join(options.PinDirectory, abiDirectory(uint32(abi.EventAbiEVENT_ABI))), programs: map[string]*ebpf.Program{}, lostByOrigin: []wire.OriginLoss{},
	}
	if p.seesPids, err = inHostPidNamespace(); err != nil {
		return nil, err
	}
	if p.lock, err = makeDirectory(p.directory); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, p.Close())
			removeIfEmpty(p.directory)
		}
	}()
	if err := p.lockFormer(options.PinDirectory); err != nil {
		return nil, err
	}
	spec, err := ebpf.LoadCollectionSpecFromReader(bytes.NewReader(object))
	if err != nil {
		return nil, fmt.Errorf("read the probes' object: %w", err)
	}
	if err := p.readEnvironmentKeys(spec); err != nil {
		return nil, err
	}
	options.Types = options.Types.opened()
	kernel, err := featuresHere(spec, options.Types)
	if err != nil {
		return nil, err
	}
	p.ReadsContexts = kernel[bpfVarFeatureTaskVmaIterator]
	p.StacksLack = options.Types.lackForStacks(kernel)
	options.Stacks = options.Stacks.here(kernel)
	digest := digestOf(object, options)
	if options.Stacks != StacksOff {
		p.Crashes = &Crashes{Stacks: options.Stacks}
	}
	if p.TookOver, err = p.takeOver(digest, kernel); err != nil {
		return nil, err
	}
	if !p.TookOver {
		if err := p.undoIfFails(func() error { return p.load(spec, kernel, digest, options) }); err != nil {
			return nil, err
		}
	}
	for _, former := range p.former {
		p.Replaced = append(p.Replaced, former.abi)
	}
	if err := p.detachOthers(digest); err != nil {
		return nil, err
	}
	return p, p.removeFormer()
}

// makeDirectory makes the directory, and locks it until the file is closed.
func makeDirectory(directory string) (*os.File, error) {
	if err := os.MkdirAll(directory, 0o700); err != nil {
		return nil, fmt.Errorf("make the pin directory: %w", err)
	}
	return lockDirectory(directory)
}

// lockDirectory locks the directory until the file is closed.
func lockDirectory(directory string) (*os.File, error) {
	lock, err := os.Open(directory)
	if err != nil {
		return nil, fmt.Errorf("open the pin directory: %w", err)
	}
	if err := unix.Flock(int(lock.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		lock.Close()
		return nil, exitcode.Errorf(exitcode.Unavailable, "another whodunit-loader uses the pin directory %s; stop it, or give this one its own with --pin-dir", filepath.Dir(directory))
	}
	return lock, nil
}

// digestOf names a build of the probes: the object and the constants that are set in it.
func digestOf(object []byte, options Options) string {
	object = append(slices.Clone(object), toolsFile...)
	if !options.Scope.IsHost() {
		object = fmt.Appendf(slices.Clone(object), "%d in hierarchy %d", options.Scope.id, options.Scope.hierarchy)
	}
	if options.ThreadContext {
		object = append(slices.Clone(object), "with the context of threads"...)
	}
	if options.Stacks != StacksOff && options.Stacks != "" {
		object = fmt.Appendf(slices.Clone(object), "with stacks %s", options.Stacks)
	}
	if !options.Types.Own() {
		object = append(slices.Clone(object), options.Types.digest...)
	}
	digest := sha256.Sum256(object)
	return fmt.Sprintf("%x", digest[:6])
}

func (p *Probes) linkPath(program, digest string) string {
	return filepath.Join(p.directory, program+"-"+digest)
}

// maps returns the maps that the loader uses.
func (p *Probes) maps() map[string]**ebpf.Map {
	used := map[string]**ebpf.Map{
		bpfMapEvents: &p.events, bpfMapSharedMap: &p.sharedMap, bpfMapCountersMap: &p.counters, bpfMapPendingFacts: &p.pendingFacts,
		bpfMapPendingCounts: &p.pendingCounts, bpfMapOomVictims: &p.ooms, bpfMapShares: &p.shareMap, bpfMapSenderParts: &p.senderParts, bpfMapStops: &p.stops,
		bpfMapWallClock: &p.wallClock, bpfMapOriginShares: &p.originShares, bpfMapNormalExits: &p.normalExits,
		bpfMapPrograms: &p.programMap, bpfMapProgramCounts: &p.programCounts,
		bpfMapRepeats: &p.repeats, bpfMapRepeatTotals: &p.repeatTotals, bpfMapRepeatReserves: &p.repeatReserves,
	}
	if p.Crashes != nil {
		maps.Copy(used, p.Crashes.maps())
	}
	return used
}

// keep adds an attached program. The program is nil if this loader may not open it.
func (p *Probes) keep(hook hook, attached link.Link, program *ebpf.Program) {
	p.links = append(p.links, attached)
	if program != nil {
		p.programs[hook.program] = program
	}
	p.Status = append(p.Status, wire.ProbeStatus{Name: hook.name, Attached: true})
}

// Ring opens the ring for reading. The caller closes it before it closes p.
func (p *Probes) Ring() (*ring.Ring, error) {
	fd := p.events.FD()
	return ring.Open(fd, fd, uint64(p.events.MaxEntries()), &p.shared.ReaderWaits)
}

// TryServing makes the BPF system calls that serving needs, and fails if one of them fails. For host.DropPrivileges.
func (p *Probes) TryServing() error {
	if _, err := p.Counters(); err != nil {
		return err
	}
	_, err := p.Sweep()
	return err
}

// Close closes the handles and releases the lock. What is pinned stays attached.
func (p *Probes) Close() error {
	err := p.release()
	for _, former := range p.former {
		err = errors.Join(err, former.lock.Close())
	}
	return errors.Join(err, p.lock.Close())
}

// release closes the handles and unmaps the memory.
func (p *Probes) release() error {
	errs := []error{p.closeHandles()}
	for _, opened := range p.maps() {
		errs = append(errs, (*opened).Close())
	}
	for _, memory := range p.mapped {
		errs = append(errs, unix.Munmap(memory))
	}
	p.shared, p.clock, p.totals, p.exits, p.mapped = nil, nil, nil, nil, nil
	return errors.Join(errs...)
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
