// SPDX-License-Identifier: Apache-2.0

// Removing pins. Whatever the pin directory is, only what a loader has pinned is removed: by its name, from a directory of an ABI, on a BPF
// file system, under the lock of that directory.

package probes

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"whodunit/loader/internal/exitcode"
)

// namesShown limits the names in a message.
const namesShown = 20

var (
	versionName = regexp.MustCompile(`^v[0-9]+$`)                 // as of abiDirectory, of any ABI
	oldMapName  = regexp.MustCompile(`^old_[a-z_]+$`)             // of package oldprobes
	linkName    = regexp.MustCompile(`^on_[a-z_]+-[0-9a-f]{12}$`) // as of linkPath, of any build
)

// Unload removes the pins of every ABI, and so detaches the probes. It returns the number of pins removed. Without a directory it does
// nothing. While a loader uses the directory, or if it is not on a BPF file system, the error says so and nothing is removed. If it holds
// anything that is not whodunit's, that stays, and the error names it. These errors have an exit code.
func Unload(pinDirectory string) (removed int, err error) {
	entries, err := os.ReadDir(pinDirectory)
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, fmt.Errorf("read the pin directory: %w", err)
	}
	if !IsBpffs(pinDirectory) {
		return 0, exitcode.Errorf(exitcode.Config, "%s is not on a BPF file system, so it holds no pins and nothing is removed; is it the --pin-dir (WHODUNIT_PIN_DIR) of the loader?", pinDirectory)
	}
	var versions, others []string
	for _, entry := range entries {
		if !holdsPins(pinDirectory, entry) {
			others = append(others, entry.Name())
			continue
		}
		lock, err := lockDirectory(filepath.Join(pinDirectory, entry.Name()))
		if err != nil {
			return 0, fmt.Errorf("nothing is removed: %w", err)
		}
		defer lock.Close()
		versions = append(versions, entry.Name())
	}
	for _, version := range versions {
		n, left, err := removePins(filepath.Join(pinDirectory, version))
		removed += n
		if err != nil {
			return removed, fmt.Errorf("remove the pins: %w", err)
		}
		for _, name := range left {
			others = append(others, filepath.Join(version, name))
		}
	}
	if len(others) > 0 {
		return removed, exitcode.Errorf(exitcode.Unavailable, "%s holds what this loader does not know as whodunit's, and leaves: %s; if it is whodunit's, use the loader that pinned it", pinDirectory, listed(others))
	}
	if len(versions) > 0 {
		err = removeDirectory(pinDirectory)
	}
	return removed, err
}

// holdsPins reports whether the entry of the pin directory is a directory of pins, of any ABI. A link to a directory is not.
func holdsPins(pinDirectory string, entry fs.DirEntry) bool {
	return entry.IsDir() && versionName.MatchString(entry.Name()) && IsBpffs(filepath.Join(pinDirectory, entry.Name()))
}

// removePins removes the pins in the directory of an ABI, then the directory. If it holds anything else, that and the directory stay. The
// caller has the lock.
func removePins(directory string) (removed int, left []string, err error) {
	entries, err := os.ReadDir(directory)
	if err != nil {
		return 0, nil, err
	}
	for _, entry := range entries {
		if !isPin(entry) {
			left = append(left, entry.Name())
			continue
		}
		if err := os.Remove(filepath.Join(directory, entry.Name())); err != nil {
			return removed, left, err
		}
		removed++
	}
	if len(left) > 0 {
		return removed, left, nil
	}
	return removed, nil, removeDirectory(directory)
}

// isPin reports whether the entry of a directory of pins has a name that a loader gives: that of a link, or of a map of any known ABI.
func isPin(entry fs.DirEntry) bool {
	if !entry.Type().IsRegular() {
		return false
	}
	name := entry.Name()
	return linkName.MatchString(name) || oldMapName.MatchString(name) || slices.Contains(pinnedMaps(), name) || slices.Contains(crashMaps(), name) || slices.Contains(formerMapNames(), name)
}

// removeDirectory removes an empty directory, unless it is the root of a file system.
func removeDirectory(path string) error {
	if err := os.Remove(path); err != nil && !errors.Is(err, unix.EBUSY) {
		return err
	}
	return nil
}

// listed returns the names in quotation marks; of many, the first.
func listed(names []string) string {
	quoted := make([]string, 0, namesShown)
	for _, name := range names[:min(len(names), namesShown)] {
		quoted = append(quoted, fmt.Sprintf("%q", name))
	}
	text := strings.Join(quoted, ", ")
	if more := len(names) - len(quoted); more > 0 {
		text += fmt.Sprintf(" and %d more", more)
	}
	return text
}

// undoIfFails calls load. If that fails, it removes what load has pinned, so that nothing is left half attached; but it keeps maps where there
// are those of an older ABI: load may have moved them, with their records, and the next attempt goes on with them.
func (p *Probes) undoIfFails(load func() error) error {
	earlier, err := os.ReadDir(p.directory)
	if err != nil {
		return fmt.Errorf("read the pin directory: %w", err)
	}
	failed := load()
	if failed == nil {
		return nil
	}
	entries, err := os.ReadDir(p.directory)
	for _, entry := range entries {
		isEarlier := slices.ContainsFunc(earlier, func(e fs.DirEntry) bool { return e.Name() == entry.Name() })
		if isPin(entry) && !isEarlier && (len(p.former) == 0 || !slices.Contains(pinnedMaps(), entry.Name())) {
			err = errors.Join(err, os.Remove(filepath.Join(p.directory, entry.Name())))
		}
	}
	return errors.Join(failed, err)
}
