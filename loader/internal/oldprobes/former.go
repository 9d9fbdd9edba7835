// SPDX-License-Identifier: Apache-2.0

package oldprobes

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"unsafe"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"

	"whodunit/loader/internal/host"
)

// Replacing the probes of the former loader, which systemd keeps (docs/decisions/0124). As long as both are attached, they use the same maps: the
// first one that runs at an exit reports it, and the other one finds it in old_seen. What both do at other hooks has the same effect twice.

// queueMaps returns the names of the maps that stay when the probes have ended: records, and counts. The others have what probes keep of
// processes, which is out of date then.
func queueMaps() []string {
	return []string{oldMapSlots, oldMapHeads, oldMapTails, oldMapWritten, oldMapReturned, oldMapStateMap, oldMapCountersMap, oldMapGaps}
}

// former is what the former loader left.
type former struct {
	spec  *ebpf.CollectionSpec // of this loader's object
	files []*os.File           // its probes, in the order of their names
	runs  bool                 // its probes run, and use the pinned maps
}

// findFormer looks for probes that are kept. If none run on maps that these probes can use, too, the maps are removed that are out of date.
func (p *Probes) findFormer(options Options) (found former, err error) {
	if found.spec, err = p.specOf(options); err != nil {
		return found, err
	}
	if options.Kept != nil {
		found.files = options.Kept.Files()
	}
	found.runs = len(found.files) == len(hooks())
	for name, spec := range found.spec.Maps {
		path := filepath.Join(p.directory, name)
		if p.directory == "" || slices.Contains(queueMaps(), name) {
			continue
		}
		found.runs = found.runs && isPinned(path, spec)
	}
	found.runs = found.runs && !slices.ContainsFunc(found.files, func(file *os.File) bool { return file.Name() != p.keptName() })
	for name := range found.spec.Maps {
		if found.runs || p.directory == "" || slices.Contains(queueMaps(), name) {
			continue
		}
		if err := os.Remove(filepath.Join(p.directory, name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return found, fmt.Errorf("remove what was known of processes: %w", err)
		}
	}
	return found, nil
}

func isPinned(path string, spec *ebpf.MapSpec) bool {
	pinned, err := ebpf.LoadPinnedMap(path, nil)
	if err != nil {
		return false
	}
	defer pinned.Close()
	return spec.Compatible(pinned) == nil
}

// keptName names the probes that use the pinned maps: by one of them.
func (p *Probes) keptName() string {
	pinned, err := ebpf.LoadPinnedMap(filepath.Join(p.directory, oldMapSeen), nil)
	if err != nil {
		return ""
	}
	defer pinned.Close()
	info, err := pinned.Info()
	if err != nil {
		return ""
	}
	number, _ := info.ID()
	return fmt.Sprintf("whodunit-probes-%d", number)
}

// replace attaches these probes, and ends those of the former loader: after that, if both use the same maps; else before, as a termination would
// have two records. It notes since when no probe was attached.
func (p *Probes) replace(former former, kept Kept, attach func() error) error {
	formerNs := p.state.WatchedNs // 0: there was no loader
	p.TookOver = former.runs
	if !former.runs {
		if formerNs != 0 && len(former.files) == len(hooks()) {
			formerNs = host.BoottimeNs()
		}
		if err := end(former.files, kept); err != nil {
			return err
		}
	}
	if err := attach(); err != nil {
		return err
	}
	if former.runs {
		if err := end(former.files, kept); err != nil {
			return err
		}
	} else if formerNs != 0 {
		if err := p.noteGap(formerNs); err != nil {
			return err
		}
	}
	if err := p.keepWatched(host.BoottimeNs()); err != nil {
		return err
	}
	if kept != nil {
		if err := kept.Keep(p.keptName(), p.links); err != nil {
			return fmt.Errorf("let systemd keep the probes: %w", err)
		}
	}
	return p.queue.readGaps()
}

// EndKept detaches the probes that are kept: they are not replaced. nil: there are none.
func EndKept(kept Kept) error {
	if kept == nil {
		return nil
	}
	return end(kept.Files(), kept)
}

// end detaches probes that are kept.
func end(files []*os.File, kept Kept) error {
	var names []string
	for _, file := range files {
		names = append(names, file.Name())
		if err := file.Close(); err != nil {
			return fmt.Errorf("detach the probes of the former loader: %w", err)
		}
	}
	slices.Sort(names)
	for _, name := range slices.Compact(names) {
		if err := kept.Remove(name); err != nil {
			return fmt.Errorf("detach the probes of the former loader: %w", err)
		}
	}
	return nil
}

// openRawTracepoint attaches a program. The last close of the file detaches it. Package link does not give the descriptor away where it cannot
// be pinned.
func openRawTracepoint(name string, program *ebpf.Program) (*os.File, error) {
	text := append([]byte(name), 0)
	attributes := struct {
		name    uint64
		program uint32
		_       uint32
	}{name: uint64(uintptr(unsafe.Pointer(&text[0]))), program: uint32(program.FD())}
	var pinner runtime.Pinner
	pinner.Pin(&text[0])
	defer pinner.Unpin()
	fd, _, errno := unix.Syscall(unix.SYS_BPF, unix.BPF_RAW_TRACEPOINT_OPEN, uintptr(unsafe.Pointer(&attributes)), unsafe.Sizeof(attributes))
	runtime.KeepAlive(program)
	if errno != 0 {
		return nil, errno
	}
	return os.NewFile(fd, name), nil
}
