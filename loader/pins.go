// SPDX-License-Identifier: Apache-2.0

// The pin directory: where it may lie, whose pins it may hold, and how to empty it. What is pinned there is left to probes.go.
package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// unload removes every pin under the directory, of whatever version, and so detaches the probes.
func unload(pinDirectory string) (removed int, err error) {
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

func refuseOtherABI(pinDirectory string) error {
	entries, err := os.ReadDir(pinDirectory)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("read the pin directory: %w", err)
	}
	for _, entry := range entries {
		if entry.Name() != pinDirectoryABI {
			return &usageError{exitUnavailable, fmt.Sprintf(
				"the pin directory %s holds %q, which is not of this loader's version (%s); remove it with `whodunit-loader unload --pin-dir %s`, or use another --pin-dir",
				pinDirectory, entry.Name(), pinDirectoryABI, pinDirectory)}
		}
	}
	return nil
}

// mountBpffs mounts a BPF file system at /sys/fs/bpf if the machine has none and the pins are to lie there.
func mountBpffs(pinDirectory string) error {
	if isBpffs(pinDirectory) {
		return nil
	}
	if !strings.HasPrefix(filepath.Clean(pinDirectory)+"/", bpffsPath+"/") {
		return &usageError{exitConfig, fmt.Sprintf("the pin directory %s is not on a BPF file system; use one under %s, or mount one there: mount -t bpf bpf DIR", pinDirectory, bpffsPath)}
	}
	if err := unix.Mount("bpf", bpffsPath, "bpf", unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC, "mode=0700"); err != nil {
		return fmt.Errorf("mount a BPF file system at %s: %w", bpffsPath, err)
	}
	return nil
}

// isBpffs looks at the nearest parent that exists.
func isBpffs(path string) bool {
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
