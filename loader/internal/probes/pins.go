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

// removeIfEmpty removes the directory and the one above, unless anything is pinned there: an empty one would make an older loader refuse to
// start.
func removeIfEmpty(directory string) {
	if os.Remove(directory) == nil {
		os.Remove(filepath.Dir(directory))
	}
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
		if !holdsPins(pinDirectory, entry) {
			return exitcode.Errorf(exitcode.Unavailable, "the pin directory %s holds %q, which no whodunit-loader has pinned; use another --pin-dir", pinDirectory, entry.Name())
		}
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
	err := unix.Mount("bpf", bpffsPath, "bpf", unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC, "mode=0700")
	if err == unix.EPERM || err == unix.EACCES {
		return exitcode.Errorf(exitcode.Permission, "no BPF file system is mounted at %[1]s, and mounting one here failed: %[2]w; on the host: mount -t bpf bpf %[1]s; a container mounts that of the host (Docker: --volume %[1]s:%[1]s; Kubernetes: a hostPath volume)", bpffsPath, err)
	}
	if err != nil {
		return fmt.Errorf("mount a BPF file system at %s: %w", bpffsPath, err)
	}
	return nil
}

// TryPinning makes a directory where the pin directory is or will be, and removes it. It fails if that is forbidden.
func TryPinning(pinDirectory string) error {
	parent := filepath.Clean(pinDirectory)
	for _, err := os.Stat(parent); errors.Is(err, fs.ErrNotExist); _, err = os.Stat(parent) {
		parent = filepath.Dir(parent)
	}
	trial := filepath.Join(parent, fmt.Sprintf("whodunit-check-%d", os.Getpid()))
	if err := os.Mkdir(trial, 0o700); err != nil {
		return err
	}
	return os.Remove(trial)
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
