// SPDX-License-Identifier: Apache-2.0

// Package oldprobes loads and attaches the probes of kernels without a BPF ring buffer, Linux 4.17 to 5.7 (bpf/old.bpf.c), or without raw tracepoints,
// 4.8 to 4.16 (bpf/classic.bpf.c), and makes a ring of their queue. Their records are those of package probes, with fewer parts.
//
// A raw tracepoint cannot be pinned before Linux 5.7, so these probes end with the loader, unless systemd keeps their descriptors (Options.Kept).
// What they wrote and the service did not acknowledge stays: the maps of the queue are pinned.
package oldprobes

import (
	"context"
	"errors"
	"fmt"
	"math/bits"
	"os"
	"sync"
	"time"

	"github.com/cilium/ebpf"

	"whodunit/loader/internal/host"
	"whodunit/loader/internal/probes"
	"whodunit/loader/internal/ring"
	"whodunit/loader/internal/wire"
)

// object is one of the objects with probes.
type object struct {
	load func() (*ebpf.CollectionSpec, error)
	// hooks are in the order of attaching. sched_process_exit is last, so that no record is written before facts are kept.
	hooks  []hook
	attach func(hook hook, program *ebpf.Program) (*os.File, error)
	// isClassic: it is bpf/classic.bpf.c.
	isClassic bool
	// works is what check says of a hook.
	works string
}

// hook is a tracepoint and its program.
type hook struct{ group, name, program string }

const exitHook = "sched_process_exit"

func oldObject() object {
	return object{
		load: loadOld,
		hooks: []hook{
			{"sched", "sched_process_fork", oldProgSchedProcessFork},
			{"sched", "sched_process_exec", oldProgSchedProcessExec},
			{"signal", "signal_generate", oldProgSignalGenerate},
			{"signal", "signal_deliver", oldProgSignalDeliver},
			{"sched", exitHook, oldProgSchedProcessExit},
		},
		attach: openRawTracepoint,
		works:  "attaches (probes of kernels before 5.8)",
	}
}

// objectOf returns that of performance events if there are tracepoints.
func objectOf(tracepoints *Tracepoints) object {
	if tracepoints != nil {
		return classicObject(tracepoints)
	}
	return oldObject()
}

const (
	// slotsMin is the least number of slots of each CPU.
	slotsMin = 4
	// watchedInterval is how exactly the beginning of a gap is known after the loader was killed.
	watchedInterval = time.Second
)

// Options configures the probes.
type Options struct {
	PinDirectory string
	RingBytes    int // of the queue, and of the loader's copy of it
	Types        probes.Types
	Tracepoints  *Tracepoints // nil: there are raw tracepoints
	Kept         Kept         // nil: nothing keeps the probes while no loader runs, or they are performance events
}

// Kept keeps the descriptors of attached probes while no loader runs: systemd does.
type Kept interface {
	// Files returns what is kept, by name (File.Name).
	Files() []*os.File
	// Keep keeps the files under a name, until Remove.
	Keep(name string, files []*os.File) error
	// Remove closes what is kept under the name, before it returns.
	Remove(name string) error
}

// Probes holds the attached programs and their maps, until Close.
type Probes struct {
	Status []wire.ProbeStatus
	// TookOver: the former loader's probes ran until this loader attached its own, on the same maps.
	TookOver bool
	// Gap is when no probe was attached before this loader attached its own; nil: there was no such time, or no earlier loader.
	Gap *wire.Gap

	counters, clock, stateMap, texts, gaps *ebpf.Map

	object   object
	queue    *queue
	mu       sync.Mutex
	state    oldState // of stateMap
	seesPids bool

	exitProgram *ebpf.Program
	maps        []*ebpf.Map
	links       []*os.File
	lock        *os.File
	directory   string
}

// Attach loads and attaches the probes, and takes over the pinned queue. It holds a lock on the pin directory until Close.
func Attach(options Options) (_ *Probes, err error) {
	p := &Probes{}
	if p.directory, p.lock, err = probes.OpenPins(options.PinDirectory); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, p.Close())
			probes.RemovePinsIfEmpty(p.directory)
		}
	}()
	return p, p.start(options)
}

// start loads and attaches the probes. It pins the maps if there is a directory; what it pinned goes if it fails.
func (p *Probes) start(options Options) (err error) {
	p.object = objectOf(options.Tracepoints)
	if p.seesPids, err = probes.SeesPids(); err != nil {
		return err
	}
	if p.directory == "" {
		return p.loadAndAttach(options)
	}
	return probes.UndoPinsIfFails(p.directory, func() error { return p.loadAndAttach(options) })
}

func (p *Probes) loadAndAttach(options Options) error {
	former, err := p.findFormer(options)
	if err != nil {
		return err
	}
	collection, err := p.load(former.spec, options)
	if err != nil {
		return err
	}
	defer collection.Close()
	if err := p.open(collection, options); err != nil {
		return err
	}
	p.PublishClock(host.ClockOffsetNs(), host.BoottimeNs()) // Programs need it from their first run on.
	return p.replace(former, options.Kept, func() error { return p.attach(collection) })
}

// specOf reads the object, and sets the sizes of its maps. A queue that is pinned keeps its size, as it may hold records.
func (p *Probes) specOf(options Options) (*ebpf.CollectionSpec, error) {
	cpus, err := ebpf.PossibleCPU()
	if err != nil {
		return nil, fmt.Errorf("count the processors: %w", err)
	}
	spec, err := p.object.load()
	if err != nil {
		return nil, fmt.Errorf("read the probes' object: %w", err)
	}
	slots := spec.Maps[oldMapSlots]
	spec.Maps[oldMapTails].MaxEntries, spec.Maps[oldMapReturned].MaxEntries = uint32(cpus), uint32(cpus)*shares
	slots.MaxEntries = uint32(cpus) * slotsOf(options.RingBytes, cpus, int(slots.ValueSize))
	if p.object.isClassic {
		setClassicSizes(spec, cpus)
	}
	if p.directory == "" {
		return spec, nil
	}
	if pinned := p.pinnedSlots(); pinned > 0 {
		slots.MaxEntries = pinned
	}
	for _, one := range spec.Maps {
		one.Pinning = ebpf.PinByName
	}
	return spec, nil
}

// load loads the object. Types that were found by observation lack fields that the programs read.
func (p *Probes) load(spec *ebpf.CollectionSpec, options Options) (*ebpf.Collection, error) {
	if err := options.Types.ReadAbsentAsZero(spec); err != nil {
		return nil, err
	}
	if err := options.Types.RejectAbsent(spec); err != nil {
		return nil, err
	}
	relocated := options.Types.Relocation()
	relocated.Maps.PinPath = p.directory
	collection, err := probes.LoadCollection(spec, relocated)
	if err != nil {
		return nil, probes.ExplainLoad(err, p.directory)
	}
	return collection, nil
}

// slotsOf returns the slots of each CPU in a queue of this size: a power of two.
func slotsOf(queueBytes, cpus, slotBytes int) uint32 {
	each := max(queueBytes/slotBytes/cpus, slotsMin)
	return 1 << (bits.Len(uint(each)) - 1)
}

// attach attaches the programs.
func (p *Probes) attach(collection *ebpf.Collection) error {
	for _, hook := range p.object.hooks {
		program := collection.DetachProgram(hook.program)
		attached, err := p.object.attach(hook, program)
		if hook.name == exitHook {
			p.exitProgram = program
		} else {
			err = errors.Join(err, program.Close()) // The tracepoint keeps it.
		}
		if err != nil {
			return fmt.Errorf("attach probe %s: %w", hook.name, err)
		}
		p.links = append(p.links, attached)
		p.Status = append(p.Status, wire.ProbeStatus{Name: hook.name, Attached: true})
	}
	return nil
}

// Ring returns the ring in which Run puts the records of the queue.
func (p *Probes) Ring() *ring.Ring { return p.queue.mirror.Ring }

// Run copies the records of the queue to the ring until the context ends. Each second it keeps until when the probes ran.
func (p *Probes) Run(ctx context.Context) error {
	var watching sync.WaitGroup
	defer watching.Wait()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	watching.Go(func() {
		for ticker := time.NewTicker(watchedInterval); ; {
			_ = p.keepWatched(host.BoottimeNs()) // What fails here fails in the queue, too.
			select {
			case <-ctx.Done():
				ticker.Stop()
				return
			case <-ticker.C:
			}
		}
	})
	return p.queue.run(ctx)
}

// TryServing makes the BPF system calls that serving needs, and fails if one of them fails. For host.DropPrivileges.
func (p *Probes) TryServing() error {
	if _, err := p.Counters(); err != nil {
		return err
	}
	_, err := p.queue.round()
	return err
}

// Close detaches the programs unless they are kept, closes the handles and releases the lock. The maps stay pinned.
func (p *Probes) Close() error {
	var errs []error
	if len(p.links) > 0 && len(p.links) == len(p.object.hooks) {
		errs = append(errs, p.keepWatched(host.BoottimeNs()))
	}
	for _, attached := range p.links {
		errs = append(errs, attached.Close())
	}
	if p.exitProgram != nil {
		errs = append(errs, p.exitProgram.Close())
	}
	if p.queue != nil && p.queue.mirror != nil {
		errs = append(errs, p.queue.mirror.Close())
	}
	for _, opened := range p.maps {
		errs = append(errs, opened.Close())
	}
	if p.lock != nil {
		errs = append(errs, p.lock.Close())
	}
	return errors.Join(errs...)
}
