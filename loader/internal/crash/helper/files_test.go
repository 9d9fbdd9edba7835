// SPDX-License-Identifier: Apache-2.0

package helper

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// mapped returns what the probes say of a file that lies there.
func mapped(t *testing.T, path string) *file {
	t.Helper()
	var stat unix.Stat_t
	if err := unix.Stat(path, &stat); err != nil {
		t.Fatal(err)
	}
	var system unix.Statfs_t
	if err := unix.Statfs(path, &system); err != nil {
		t.Fatal(err)
	}
	f := &file{
		device: unix.Major(stat.Dev)<<20 | unix.Minor(stat.Dev), inode: stat.Ino, magic: uint64(system.Type), bytes: stat.Size, ctimeS: stat.Ctim.Sec,
	}
	for _, mount := range readMounts() {
		if below, found := strings.CutPrefix(path, strings.TrimSuffix(mount.point, "/")+"/"); found && mount.device == f.device {
			f.path = strings.TrimSuffix(mount.root, "/") + "/" + below
		}
	}
	if f.path == "" {
		t.Skipf("SKIPPED, no mount has the device of %s", path)
	}
	return f
}

func write(t *testing.T, path, contents string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(contents), 0o600); err != nil {
		t.Fatal(err)
	}
}

func contents(t *testing.T, o *opener, wanted *file) (string, error) {
	t.Helper()
	opened, err := o.open(wanted)
	if err != nil {
		return "", err
	}
	defer opened.Close()
	read, err := io.ReadAll(io.NewSectionReader(opened, 0, 100))
	if err != nil {
		t.Fatal(err)
	}
	return string(read), nil
}

func TestAFileIsOpenedIfItIsTheOneThatWasMapped(t *testing.T) {
	path := filepath.Join(t.TempDir(), "library.so")
	write(t, path, "text")
	if got, err := contents(t, newOpener(), mapped(t, path)); got != "text" || err != nil {
		t.Errorf("%q, %v", got, err)
	}
}

func TestAFileThatIsNotTheOneThatWasMappedIsNotOpened(t *testing.T) {
	for _, change := range []struct {
		name string
		make func(t *testing.T, path string) error
		want string
	}{
		{"replaced", func(t *testing.T, path string) error {
			write(t, path+".new", "text")
			return os.Rename(path+".new", path)
		}, "another file is there"},
		{"longer", func(t *testing.T, path string) error { write(t, path, "longer"); return nil }, "it was changed"},
		{"removed", func(_ *testing.T, path string) error { return os.Remove(path) }, "no such file"},
		{"a link", func(_ *testing.T, path string) error {
			return errors.Join(os.Rename(path, path+".1"), os.Symlink(path+".1", path))
		}, "not a file"},
		{"below a link", func(_ *testing.T, path string) error {
			directory := filepath.Dir(path)
			return errors.Join(os.Rename(directory, directory+".1"), os.Symlink(directory+".1", directory))
		}, "not a directory"},
		{"a pipe, which nothing may open", func(_ *testing.T, path string) error { return errors.Join(os.Remove(path), unix.Mkfifo(path, 0o600)) }, "not a file"},
	} {
		t.Run(change.name, func(t *testing.T) {
			directory := filepath.Join(t.TempDir(), "lib")
			if err := os.Mkdir(directory, 0o700); err != nil {
				t.Fatal(err)
			}
			path := filepath.Join(directory, "library.so")
			write(t, path, "text")
			wanted := mapped(t, path)
			if err := change.make(t, path); err != nil {
				t.Fatal(err)
			}
			if _, err := newOpener().openPath(wanted); err == nil || !strings.Contains(err.Error(), change.want) {
				t.Errorf("%v, want %q", err, change.want)
			}
		})
	}
}

func TestTheTimeOfTheLastChangeCounts(t *testing.T) {
	path := filepath.Join(t.TempDir(), "library.so")
	write(t, path, "text")
	wanted := mapped(t, path)
	wanted.ctimeS -= int64(time.Hour / time.Second)
	if _, err := newOpener().open(wanted); err == nil || !strings.Contains(err.Error(), "it was changed") {
		t.Errorf("%v", err)
	}
}

func TestAFileOfAFileSystemThatIsNotMountedIsNotOpened(t *testing.T) {
	path := filepath.Join(t.TempDir(), "library.so")
	write(t, path, "text")
	wanted := mapped(t, path)
	wanted.device ^= 1 << 19
	if _, err := newOpener().open(wanted); !errors.Is(err, errNoMount) {
		t.Errorf("%v", err)
	}
}

// It skips file systems whose handles are not known. The generation is in the handle alone.
func TestAFileThatWasMovedIsOpenedByItsHandle(t *testing.T) {
	for _, directory := range []string{t.TempDir(), "/dev/shm"} {
		t.Run(directory, func(t *testing.T) {
			parent, err := os.MkdirTemp(directory, "whodunit")
			if err != nil {
				t.Skipf("SKIPPED, %v", err)
			}
			defer os.RemoveAll(parent)
			path := filepath.Join(parent, "library.so")
			write(t, path, "text")
			wanted := mapped(t, path)
			handle, _, err := unix.NameToHandleAt(unix.AT_FDCWD, path, 0)
			if err != nil {
				t.Skipf("SKIPPED, %v", err)
			}
			switch wanted.magic {
			case magicExt4:
				wanted.generation = binary.NativeEndian.Uint32(handle.Bytes()[4:])
			case magicTmpfs:
				wanted.generation = binary.NativeEndian.Uint32(handle.Bytes())
			default:
				t.Skipf("SKIPPED, file system %#x", wanted.magic)
			}
			made, err := wanted.handle()
			if err != nil || made.Type() != handle.Type() || !bytes.Equal(made.Bytes(), handle.Bytes()) {
				t.Fatalf("type %d, %x, %v; want type %d, %x", made.Type(), made.Bytes(), err, handle.Type(), handle.Bytes())
			}
			if err := os.Rename(path, path+".1"); err != nil {
				t.Fatal(err)
			}
			wanted.ctimeS = mapped(t, path+".1").ctimeS // renaming changes it in some file systems
			if got, err := contents(t, newOpener(), wanted); errors.Is(err, unix.EPERM) {
				t.Skipf("SKIPPED, without CAP_DAC_READ_SEARCH: %v", err)
			} else if got != "text" || err != nil {
				t.Errorf("%q, %v", got, err)
			}
		})
	}
}
