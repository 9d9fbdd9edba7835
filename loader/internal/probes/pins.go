// SPDX-License-Identifier: Apache-2.0

package probes

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"

	"whodunit/loader/internal/abi"
	"whodunit/loader/internal/exitcode"
	"whodunit/loader/internal/ring"
)

const bpffsPath = "/sys/fs/bpf"

// Unload removes the directory with every pin in it, of every ABI, and so detaches the probes. It returns the number of pins removed. A
// directory that does not exist is no error.
func Unload(pinDirectory string) (removed int, err error) {
	removed, err = removePins(pinDirectory)
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return removed, fmt.Errorf("remove the pins: %w", err)
	}
	return removed, nil
}

// removePins removes the directory and what is below it.
func removePins(directory string) (removed int, err error) {
	err = filepath.WalkDir(directory, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		removed++
		return os.Remove(path)
	})
	if err != nil {
		return removed, err
	}
	entries, err := os.ReadDir(directory)
	for _, entry := range entries {
		err = errors.Join(err, os.Remove(filepath.Join(directory, entry.Name())))
	}
	return removed, errors.Join(err, os.Remove(directory))
}

// CheckPins fails if the directory has anything but pins of this ABI and of older ABIs that this loader can take over. The error has
// exitcode.Unavailable and names the remedy.
func CheckPins(pinDirectory string) error {
	newest := uint32(abi.EventAbiEVENT_ABI)
	entries, err := os.ReadDir(pinDirectory)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("read the pin directory: %w", err)
	}
	for _, entry := range entries {
		if pinned := abiOf(entry.Name()); pinned < abi.OldestABI || pinned > newest {
			return exitcode.Errorf(exitcode.Unavailable,
				"the pin directory %s holds %q; this loader reads the pins of ABI %d to %d (v%[3]d to v%[4]d) only; use the loader that made it or another --pin-dir, or remove it with `whodunit-loader unload --pin-dir %[1]s`%[5]s",
				pinDirectory, entry.Name(), abi.OldestABI, newest, lossOfUnload(filepath.Join(pinDirectory, entry.Name(), bpfMapEvents)))
		}
	}
	return nil
}

// Unacknowledged returns how many records the pinned rings, of every ABI, hold for the service; 0 if they cannot be read.
func Unacknowledged(pinDirectory string) (records int) {
	entries, err := os.ReadDir(pinDirectory)
	if err != nil {
		return 0
	}
	for _, entry := range entries {
		if waiting, _, err := unacknowledged(filepath.Join(pinDirectory, entry.Name(), bpfMapEvents)); err == nil {
			records += waiting
		}
	}
	return records
}

// lossOfUnload returns what the removal of a pinned ring would lose, as the end of a sentence; "": nothing, or it cannot be read.
func lossOfUnload(path string) string {
	records, bytes, err := unacknowledged(path)
	if err != nil || records == 0 {
		return ""
	}
	return fmt.Sprintf(", which loses what the service has not acknowledged (records: %d, bytes: %d)", records, bytes)
}

// unacknowledged counts the records that a pinned ring of any ABI holds for the service.
func unacknowledged(path string) (records int, bytes uint64, err error) {
	pinned, err := ebpf.LoadPinnedMap(path, nil)
	if err != nil {
		return 0, 0, err
	}
	defer pinned.Close()
	opened, err := ring.Open(pinned.FD(), pinned.FD(), uint64(pinned.MaxEntries()), new(uint32))
	if err != nil {
		return 0, 0, err
	}
	defer opened.Close()
	reader := opened.Reader()
	defer reader.Close()
	for at := opened.Acked(); ; {
		record, next, ok, err := reader.Next(at)
		if err != nil || !ok {
			return records, at - opened.Acked(), err
		}
		if record != nil {
			records++
		}
		at = next
	}
}

// mountBpffs mounts a BPF file system at /sys/fs/bpf if the pin directory lies there and none is mounted.
func mountBpffs(pinDirectory string) error {
	if IsBpffs(pinDirectory) {
		return nil
	}
	if !strings.HasPrefix(filepath.Clean(pinDirectory)+"/", bpffsPath+"/") {
		return exitcode.Errorf(exitcode.Config, "the pin directory %s is not on a BPF file system; use one under %s, or mount one there: mount -t bpf bpf DIR", pinDirectory, bpffsPath)
	}
	if err := unix.Mount("bpf", bpffsPath, "bpf", unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC, "mode=0700"); err != nil {
		return fmt.Errorf("mount a BPF file system at %s: %w", bpffsPath, err)
	}
	return nil
}

// IsBpffs reports whether the path lies on a BPF file system. It looks at the nearest parent that exists.
func IsBpffs(path string) bool {
	for path = filepath.Clean(path); ; path = filepath.Dir(path) {
		var stat unix.Statfs_t
		if err := unix.Statfs(path, &stat); err == nil {
			return stat.Type == unix.BPF_FS_MAGIC
		}
		if path == "/" || path == "." {
			return false
		}
	}
}
