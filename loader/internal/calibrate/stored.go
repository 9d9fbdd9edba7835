// SPDX-License-Identifier: Apache-2.0

package calibrate

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"syscall"

	"golang.org/x/sys/unix"
)

// Stored is what was found on a kernel, as it is kept in a file: a loader without the privileges of observing reads it.
type Stored struct {
	Kernel  string   `json:"kernel"` // host.KernelBuild
	Fields  string   `json:"fields"` // what this loader looks for (fieldsDigest)
	Offsets Offsets  `json:"offsets"`
	Missing []string `json:"missing"` // what was looked for and not found
}

// storedFile is the content of the file.
type storedFile struct {
	Stored
	SHA256 string `json:"sha256"` // of the rest
}

const storedBytesMax = 64 << 10

// Keep returns what is to be stored of a search.
func (s *Search) Keep(kernel string) Stored {
	return Stored{Kernel: kernel, Fields: fieldsDigest(), Offsets: s.Offsets, Missing: s.Missing()}
}

// fieldsDigest identifies the fields that this loader looks for, with their types.
func fieldsDigest() string {
	text := ""
	for _, name := range slices.Sorted(maps.Keys(kinds)) {
		text += name + " " + kinds[name] + "\n"
	}
	return fmt.Sprintf("%x", sha256.Sum256([]byte(text)))
}

func (s Stored) sum() (string, error) {
	text, err := json.Marshal(s)
	return fmt.Sprintf("%x", sha256.Sum256(text)), err
}

// Save writes the file, which every user may read. It makes its directory.
func (s Stored) Save(path string) (err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("keep what was found in %s: %w", path, err)
		}
	}()
	sum, err := s.sum()
	if err != nil {
		return err
	}
	text, err := json.MarshalIndent(storedFile{s, sum}, "", "  ")
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	file, err := os.CreateTemp(filepath.Dir(path), ".calibration-*")
	if err != nil {
		return err
	}
	_, err = file.Write(append(text, '\n'))
	err = errors.Join(err, file.Chmod(0o644), file.Sync(), file.Close())
	if err == nil {
		err = os.Rename(file.Name(), path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(file.Name()))
	}
	return nil
}

// ReadStored reads the file. It is refused, with the reason, if another user than root or this one wrote it or may write to it, if it is damaged,
// or if it is of another kernel or of a loader that looks for other fields. Without a file, the error is os.ErrNotExist.
func ReadStored(path, kernel string) (Stored, error) {
	text, err := readOwn(path)
	if err != nil {
		return Stored{}, err
	}
	var read storedFile
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&read); err != nil {
		return Stored{}, fmt.Errorf("it is damaged: %w", err)
	}
	sum, err := read.Stored.sum()
	switch {
	case err != nil:
		return Stored{}, err
	case sum != read.SHA256:
		return Stored{}, errors.New("it is damaged: its checksum is wrong")
	case read.Fields != fieldsDigest():
		return Stored{}, errors.New("a loader of another version wrote it")
	case read.Kernel != kernel:
		return Stored{}, fmt.Errorf("it is of another kernel (%s)", read.Kernel)
	}
	return read.Stored, nil
}

// readOwn reads a regular file that only root and this user can have written.
func readOwn(path string) ([]byte, error) {
	file, err := os.OpenFile(path, os.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
	if pathError := (*os.PathError)(nil); errors.As(err, &pathError) {
		return nil, pathError.Err
	}
	if err != nil {
		return nil, err
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return nil, err
	}
	owner := info.Sys().(*syscall.Stat_t).Uid
	switch {
	case !info.Mode().IsRegular():
		return nil, errors.New("it is no regular file")
	case owner != 0 && owner != uint32(os.Geteuid()):
		return nil, fmt.Errorf("it belongs to user %d", owner)
	case info.Mode()&0o022 != 0:
		return nil, fmt.Errorf("other users may write to it (mode %#o)", info.Mode().Perm())
	case info.Size() > storedBytesMax:
		return nil, fmt.Errorf("it has %d bytes; the limit is %d", info.Size(), storedBytesMax)
	}
	return io.ReadAll(io.LimitReader(file, storedBytesMax))
}
