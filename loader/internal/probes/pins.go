// SPDX-License-Identifier: Apache-2.0

package probes

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"whodunit/loader/internal/exitcode"
)

const bpffsPath = "/sys/fs/bpf"

// Unload removes every pin under the directory, of every ABI, and so detaches the probes. A directory that does not exist is no error.
func Unload(pinDirectory string) (removed int, err error) {
	err = filepath.WalkDir(pinDirectory, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		removed++
		return os.Remove(path)
	})
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return removed, fmt.Errorf("remove the pins: %w", err)
	}
	entries, err := os.ReadDir(pinDirectory)
	for _, entry := range entries {
		err = errors.Join(err, os.Remove(filepath.Join(pinDirectory, entry.Name())))
	}
	return removed, errors.Join(err, os.Remove(pinDirectory))
}

// CheckPins fails, with the remedy, if the directory holds pins of another ABI.
func CheckPins(pinDirectory string) error {
	entries, err := os.ReadDir(pinDirectory)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("read the pin directory: %w", err)
	}
	for _, entry := range entries {
		if entry.Name() != abiDirectory() {
			return exitcode.Errorf(exitcode.Unavailable,
				"the pin directory %s holds %q, which is not of this loader's version (%s); remove it with `whodunit-loader unload --pin-dir %s`, or use another --pin-dir",
				pinDirectory, entry.Name(), abiDirectory(), pinDirectory)
		}
	}
	return nil
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
