// SPDX-License-Identifier: Apache-2.0

package probes

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"

	"whodunit/loader/internal/exitcode"
	"whodunit/loader/internal/wire"
)

// pinnedMaps returns the names of the maps whose content outlives a loader.
func pinnedMaps() []string {
	return []string{
		bpfMapEvents, bpfMapSharedMap, bpfMapCountersMap, bpfMapPendingFacts, bpfMapPendingCounts, bpfMapOomVictims, bpfMapSenderDescriptions, bpfMapSeen,
		bpfMapShares, bpfMapSenderParts, bpfMapStops, bpfMapWallClock,
		bpfMapRepeats, bpfMapRepeatTotals, bpfMapRepeatReserves,
		bpfMapOriginShares, bpfMapGroupShares, bpfMapNormalExits,
		bpfMapPrograms, bpfMapEndedPrograms, bpfMapProgramCounts,
	}
}

// takeOver opens the pins of the object with this digest. It returns false if a required link does not exist.
func (p *Probes) takeOver(digest string, kernel kernelFeatures) (bool, error) {
	for _, hook := range hooksHere(kernel) {
		path := p.linkPath(hook.program, digest)
		pinned, err := link.LoadPinnedLink(path, nil)
		if errors.Is(err, fs.ErrNotExist) && !hook.required {
			note := "not pinned by the loader that attached the probes"
			p.Status = append(p.Status, wire.ProbeStatus{Name: hook.name, Note: &note})
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
			return false, fmt.Errorf("open the pinned map %s under %s: %w; `whodunit-loader unload` removes all pins", name, p.directory, err)
		}
	}
	err := p.mapShared()
	return err == nil, err
}

// programOf opens the program of a link. It returns nil without CAP_SYS_ADMIN, which opening a program by its id needs: then the kernel's
// count of its missed runs cannot be read.
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

// load loads the object, then attaches and pins its programs. It keeps those that an interrupted attempt has pinned.
func (p *Probes) load(spec *ebpf.CollectionSpec, kernel kernelFeatures, digest string, options Options) error {
	older, err := p.formerMaps()
	if err != nil {
		return err
	}
	defer closeMaps(older)
	if err := p.configure(spec, options, older); err != nil {
		return err
	}
	relocated := options.Types.options()
	relocated.Maps.PinPath, relocated.MapReplacements = p.directory, older
	collection, notes, err := newCollection(spec, kernel, relocated)
	if err != nil {
		return explainLoad(err, p.directory)
	}
	defer collection.Close()
	if err := p.adoptMaps(); err != nil { // not before the kernel has accepted the programs
		return err
	}
	for name, opened := range p.maps() {
		*opened = collection.DetachMap(name)
	}
	if err := p.mapShared(); err != nil {
		return err
	}
	if p.Crashes != nil {
		p.Crashes.NoPages = calibrate(collection.Programs[bpfProgCalibrate])
	}
	if err := p.beginOverlap(digest); err != nil {
		return err
	}
	for _, hook := range hooksHere(kernel) {
		if note, skipped := notes[hook.name]; skipped {
			p.Status = append(p.Status, wire.ProbeStatus{Name: hook.name, Note: &note})
			continue
		}
		if err := p.attachHook(hook, collection, digest); err != nil {
			return err
		}
	}
	return nil
}

// configure sets the object's constants, the pinned maps and the sizes of maps. older has the maps of an older ABI.
func (p *Probes) configure(spec *ebpf.CollectionSpec, options Options, older map[string]*ebpf.Map) error {
	spec.Maps[bpfMapEvents].MaxEntries = uint32(options.RingBytes)
	if err := sizeByCPUs(spec); err != nil {
		return err
	}
	for _, name := range pinnedMaps() {
		spec.Maps[name].Pinning = ebpf.PinByName
	}
	for _, name := range []string{bpfMapEvents, bpfMapSenderDescriptions, bpfMapSeen, bpfMapPendingCounts} {
		if size := p.pinnedSize(name, older[name]); size > 0 {
			spec.Maps[name].MaxEntries = size // A ring may hold records that are not acknowledged yet.
		}
	}
	if err := errors.Join(fillTools(spec), options.Types.withhold(spec)); err != nil {
		return err
	}
	options.Stacks.configure(spec)
	if err := options.Stacks.setConstants(spec); err != nil {
		return err
	}
	if !options.ThreadContext {
		spec.Maps[bpfMapTriggerThreads].MaxEntries = 1
	}
	constants := map[string]any{
		bpfVarPageBytes: uint32(os.Getpagesize()), bpfVarRingBytes: uint64(spec.Maps[bpfMapEvents].MaxEntries), bpfVarWantsThreadContext: options.ThreadContext,
		bpfVarScopeId: options.Scope.id, bpfVarScopeHierarchy: options.Scope.hierarchy,
	}
	for name, value := range constants {
		if err := spec.Variables[name].Set(value); err != nil {
			return fmt.Errorf("set the probes' constant %s: %w", name, err)
		}
	}
	return nil
}

// pinnedSize returns the size of a map that is pinned already, or that of an older ABI; 0: there is none.
func (p *Probes) pinnedSize(name string, older *ebpf.Map) uint32 {
	if older != nil {
		return older.MaxEntries()
	}
	pinned, err := ebpf.LoadPinnedMap(filepath.Join(p.directory, name), nil)
	if err != nil {
		return 0
	}
	defer pinned.Close()
	return pinned.MaxEntries()
}

const (
	// lruBatch is how many free entries of an LRU each processor takes for itself (LOCAL_FREE_TARGET in kernel/bpf/bpf_lru_list.c): with
	// fewer than all of them take, entries are displaced that were just added.
	lruBatch = 128
	// snapshotsPerCPU is the least number of snapshots for each processor, which has an LRU of its own. An entry has 12 KB, and lives for
	// the milliseconds of an exit.
	snapshotsPerCPU = 16
)

// sizeByCPUs makes the LRU maps larger by what the processors of this machine take, and gives each its count of normal exits.
func sizeByCPUs(spec *ebpf.CollectionSpec) error {
	cpus, err := ebpf.PossibleCPU()
	if err != nil {
		return fmt.Errorf("count the processors: %w", err)
	}
	spec.Maps[bpfMapNormalExits].MaxEntries = uint32(cpus)
	for name, lru := range spec.Maps {
		switch {
		case lru.Type != ebpf.LRUHash:
		case name == bpfMapMmSnapshots:
			lru.MaxEntries = max(lru.MaxEntries, snapshotsPerCPU*uint32(cpus))
		default:
			lru.MaxEntries += lruBatch * uint32(cpus)
		}
	}
	return nil
}

func (p *Probes) attachHook(hook hook, collection *ebpf.Collection, digest string) error {
	path := p.linkPath(hook.program, digest)
	if pinned, err := link.LoadPinnedLink(path, nil); err == nil {
		p.keep(hook, pinned, programOf(pinned))
		return nil
	}
	program := collection.DetachProgram(hook.program)
	attached, err := hook.attach(program)
	if err != nil {
		return errors.Join(fmt.Errorf("attach probe %s: %w", hook.name, err), program.Close())
	}
	p.keep(hook, attached, program)
	if err := attached.Pin(path); err != nil {
		return fmt.Errorf("pin probe %s: %w", hook.name, err)
	}
	return nil
}

// explainLoad adds the remedy. It keeps only the last lines of the verifier's log, which has thousands.
func explainLoad(err error, directory string) error {
	var verifier *ebpf.VerifierError
	var coded *exitcode.Error
	switch {
	case errors.As(err, &coded):
		return fmt.Errorf("load the probes: %w", err)
	case errors.As(err, &verifier):
		return fmt.Errorf("load the probes: this kernel's verifier rejects them; please report it with the output of `whodunit-loader check`: %w", err)
	case errors.Is(err, ebpf.ErrMapIncompatible):
		return exitcode.Errorf(exitcode.Unavailable, "load the probes: a map that is pinned under %s differs from the one that this loader needs: %w; remove it with `whodunit-loader unload`, or use another --pin-dir", directory, err)
	}
	return fmt.Errorf("load the probes: %w", err)
}
