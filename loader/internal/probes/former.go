// SPDX-License-Identifier: Apache-2.0

// Taking over what a loader of an older ABI pinned (docs/decisions/0045). Its programs are replaced like those of another build. Its maps
// are kept under their current names: the ring with the records that are not acknowledged, the pending facts, the counters.

package probes

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/cilium/ebpf"

	"whodunit/loader/internal/abi"
)

// former is the directory of an older ABI, locked.
type former struct {
	abi       uint32
	directory string
	lock      *os.File
}

// formerName returns the name of a pinned map in an older ABI. A map whose layout has changed since must have a name that the older ABI did
// not use: it starts empty.
func formerName(older uint32, name string) string {
	if older == 4 {
		switch name {
		case bpfMapPendingFacts:
			return "memories"
		case bpfMapPendingCounts:
			return "remembered"
		}
	}
	return name
}

// formerMapNames returns the names of pinned maps that older ABIs used and this one does not.
func formerMapNames() []string {
	return []string{"last_words", "memories", "mm_snapshots", "remembered", "senders"}
}

// abiDirectory returns the name of the ABI's directory in the pin directory.
func abiDirectory(number uint32) string { return fmt.Sprintf("v%d", number) }

// abiOf is the inverse of abiDirectory. It returns 0 for any other name.
func abiOf(directory string) uint32 {
	text, found := strings.CutPrefix(directory, "v")
	number, err := strconv.ParseUint(text, 10, 32)
	if !found || err != nil || abiDirectory(uint32(number)) != directory {
		return 0
	}
	return uint32(number)
}

// lockFormer locks the directories of older ABIs, except those that hold no pins but other things. It fails if one of their loaders runs.
func (p *Probes) lockFormer(pinDirectory string) error {
	for older := uint32(abi.OldestABI); older < uint32(abi.EventAbiEVENT_ABI); older++ {
		directory := filepath.Join(pinDirectory, abiDirectory(older))
		lock, err := lockDirectory(directory)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return err
		}
		entries, err := os.ReadDir(directory)
		if err != nil {
			return errors.Join(fmt.Errorf("read the pins of ABI %d: %w", older, err), lock.Close())
		}
		if len(entries) > 0 && !slices.ContainsFunc(entries, isPin) {
			lock.Close()
			continue
		}
		p.former = append(p.former, former{older, directory, lock})
	}
	return nil
}

// formerMaps opens the maps of older ABIs that this ABI keeps, by their current names. The caller closes them.
func (p *Probes) formerMaps() (maps map[string]*ebpf.Map, _ error) {
	maps = map[string]*ebpf.Map{}
	err := p.eachFormerMap(func(path, name string) error {
		opened, err := ebpf.LoadPinnedMap(path, nil)
		if err == nil {
			maps[name] = opened
		}
		return err
	})
	if err != nil {
		closeMaps(maps)
		return nil, fmt.Errorf("open the maps of an older loader: %w", err)
	}
	return maps, nil
}

// adoptMaps moves the pins of these maps to the directory of this ABI, under their current names. If a loader is interrupted here, the next
// one moves the rest.
func (p *Probes) adoptMaps() error {
	err := p.eachFormerMap(func(path, name string) error { return os.Rename(path, filepath.Join(p.directory, name)) })
	if err != nil {
		return fmt.Errorf("take over the maps of an older loader: %w", err)
	}
	return nil
}

// eachFormerMap calls do for each map that is pinned by an older ABI and not by this one.
func (p *Probes) eachFormerMap(do func(path, name string) error) error {
	for _, former := range p.former {
		for _, name := range pinnedMaps() {
			path := filepath.Join(former.directory, formerName(former.abi, name))
			if !exists(path) || exists(filepath.Join(p.directory, name)) {
				continue
			}
			if err := do(path, name); err != nil {
				return err
			}
		}
	}
	return nil
}

// removeFormer removes the directories of older ABIs, with the pins that this ABI does not keep; what is not a pin stays. Their probes must be
// detached before.
func (p *Probes) removeFormer() error {
	for len(p.former) > 0 {
		former := p.former[0]
		if _, _, err := removePins(former.directory); err != nil {
			return fmt.Errorf("remove the pins of ABI %d: %w", former.abi, err)
		}
		if err := former.lock.Close(); err != nil {
			return err
		}
		p.former = p.former[1:]
	}
	return nil
}

func exists(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}

func closeMaps(maps map[string]*ebpf.Map) {
	for _, opened := range maps {
		opened.Close()
	}
}
