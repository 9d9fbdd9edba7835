// SPDX-License-Identifier: Apache-2.0

package helper

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"whodunit/loader/internal/abi"
	"whodunit/loader/internal/unwind"
)

// The file systems whose file handles are known (fs/exportfs, and each file system's encode_fh()).
const (
	magicExt4  = 0xef53
	magicXFS   = 0x58465342
	magicTmpfs = 0x01021994
	magicBtrfs = 0x9123683e
)

// file is a mapped file: which inode, and where it lay in its file system.
type file struct {
	device     uint32 // of the kernel: major << 20 | minor
	inode      uint64
	generation uint32
	magic      uint64
	bytes      int64
	ctimeS     int64
	path       string // from the root of the file system
}

func fileOf(mapping *abi.CrashMapping, path string) *file {
	return &file{mapping.Device, mapping.Inode, mapping.Generation, mapping.Magic, mapping.FileBytes, mapping.CtimeS, path}
}

func (f *file) id() unwind.FileID {
	return unwind.FileID{Device: uint64(f.device), Inode: f.inode, Generation: uint64(f.generation), Bytes: f.bytes, ChangedNs: f.ctimeS * 1e9}
}

// mount is a line of mountinfo (proc_pid_mountinfo(5)).
type mount struct {
	device      uint32
	root, point string
	kind        string // of the file system
}

// opener opens files of processes that are gone, by the mounts of this process.
type opener struct{ mounts []mount }

func newOpener() *opener { return &opener{readMounts()} }

func readMounts() (mounts []mount) {
	table, err := os.Open("/proc/self/mountinfo")
	if err != nil {
		return nil
	}
	defer table.Close()
	for lines := bufio.NewScanner(table); lines.Scan(); {
		fields := strings.Fields(lines.Text())
		if len(fields) < 5 {
			continue
		}
		major, minor, _ := strings.Cut(fields[2], ":")
		majorNumber, majorErr := strconv.ParseUint(major, 10, 12)
		minorNumber, minorErr := strconv.ParseUint(minor, 10, 20)
		if majorErr == nil && minorErr == nil {
			mount := mount{device: uint32(majorNumber<<20 | minorNumber), root: unescape(fields[3]), point: unescape(fields[4])}
			if separator := slices.Index(fields, "-"); separator > 0 && separator+1 < len(fields) {
				mount.kind = fields[separator+1]
			}
			mounts = append(mounts, mount)
		}
	}
	return mounts
}

func unescape(text string) string {
	return strings.NewReplacer(`\040`, " ", `\011`, "\t", `\012`, "\n", `\134`, `\`).Replace(text)
}

var errNoMount = errors.New("its file system is not mounted here")

// open returns the file if it is the one that was mapped: by its path, then by its handle, for which this process needs CAP_DAC_READ_SEARCH.
func (o *opener) open(wanted *file) (unwind.File, error) {
	if !o.hasDevice(wanted.device) {
		o.mounts = readMounts()
	}
	if !o.hasDevice(wanted.device) {
		return nil, errNoMount
	}
	opened, pathErr := o.openPath(wanted)
	if pathErr == nil {
		return opened, nil
	}
	opened, handleErr := o.openHandle(wanted)
	if handleErr == nil {
		return opened, nil
	}
	return nil, fmt.Errorf("by path: %w; by handle: %w", pathErr, handleErr)
}

// openOr is open, or returns the pages of the file that the probes copied. These may be a part of it.
func (o *opener) openOr(wanted *file, pages map[int64][]byte) (unwind.File, error) {
	opened, err := o.open(wanted)
	if err != nil && pages != nil {
		return &pagesFile{pages, wanted.bytes}, nil
	}
	return opened, err
}

func (o *opener) hasDevice(device uint32) bool {
	return slices.ContainsFunc(o.mounts, func(m mount) bool { return m.device == device })
}

func (o *opener) openPath(wanted *file) (*os.File, error) {
	err := errNoMount
	for _, mount := range o.mounts {
		below, found := strings.CutPrefix(wanted.path, strings.TrimSuffix(mount.root, "/")+"/")
		if mount.device != wanted.device || !found {
			continue
		}
		var opened *os.File
		if opened, err = openBelow(wanted, mount.point, below); err == nil {
			return opened, nil
		}
	}
	return nil, err
}

// openBelow opens a path without following links. It finds the file first, and opens it when it is known to be the one that was mapped: no user
// can have any other one opened, which may have effects.
func openBelow(wanted *file, point, path string) (*os.File, error) {
	at, err := unix.Open(point, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	defer func() { unix.Close(at) }()
	for name := range strings.SplitSeq(path, "/") {
		below, err := unix.Openat(at, name, unix.O_PATH|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
		if err != nil {
			return nil, err
		}
		unix.Close(at)
		at = below
	}
	if err := wanted.check(at); err != nil {
		return nil, err
	}
	fd, err := unix.Open(fmt.Sprintf("/proc/self/fd/%d", at), unix.O_RDONLY|unix.O_CLOEXEC|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	return os.NewFile(uintptr(fd), path), nil
}

// check fails if the file is not the one that was mapped, or has changed since. Size and ctime stand for the generation, which needs an ioctl.
func (f *file) check(fd int) error {
	var stat unix.Stat_t
	if err := unix.Fstat(fd, &stat); err != nil {
		return err
	}
	device := unix.Major(stat.Dev)<<20 | unix.Minor(stat.Dev)
	switch {
	case stat.Mode&unix.S_IFMT != unix.S_IFREG:
		return errors.New("not a file")
	case stat.Ino != f.inode || (device != f.device && f.magic != magicBtrfs): // a subvolume of btrfs has a device of its own
		return errors.New("another file is there")
	case stat.Size != f.bytes || stat.Ctim.Sec != f.ctimeS:
		return errors.New("it was changed")
	}
	return nil
}

// openHandle opens an inode wherever it lies, also where its directory is hidden by another mount or it was moved.
func (o *opener) openHandle(wanted *file) (*os.File, error) {
	handle, err := wanted.handle()
	if err != nil {
		return nil, err
	}
	at := slices.IndexFunc(o.mounts, func(m mount) bool { return m.device == wanted.device })
	if at < 0 {
		return nil, errNoMount
	}
	top, err := unix.Open(o.mounts[at].point, unix.O_RDONLY|unix.O_CLOEXEC|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	defer unix.Close(top)
	fd, err := unix.OpenByHandleAt(top, handle, unix.O_RDONLY|unix.O_CLOEXEC|unix.O_NONBLOCK)
	if err != nil {
		return nil, err
	}
	if err := wanted.check(fd); err != nil {
		unix.Close(fd)
		return nil, err
	}
	return os.NewFile(uintptr(fd), wanted.path), nil
}

// The types of handles (enum fid_type of include/linux/exportfs.h).
const (
	fileidIno32Gen = 1    // the inode in 32 bits, and its generation
	fileidXFS64    = 0x81 // the inode in 64 bits, and its generation
)

func (f *file) handle() (handle unix.FileHandle, err error) {
	short := binary.NativeEndian.AppendUint32(binary.NativeEndian.AppendUint32(nil, uint32(f.inode)), f.generation)
	switch f.magic {
	case magicExt4:
		return unix.NewFileHandle(fileidIno32Gen, short), nil
	case magicXFS:
		if f.inode>>32 == 0 {
			return unix.NewFileHandle(fileidIno32Gen, short), nil
		}
		return unix.NewFileHandle(fileidXFS64, binary.NativeEndian.AppendUint32(binary.NativeEndian.AppendUint64(nil, f.inode), f.generation)), nil
	case magicTmpfs: // shmem_encode_fh()
		long := binary.NativeEndian.AppendUint32(nil, f.generation)
		long = binary.NativeEndian.AppendUint32(long, uint32(f.inode))
		return unix.NewFileHandle(fileidIno32Gen, binary.NativeEndian.AppendUint32(long, uint32(f.inode>>32))), nil
	}
	return handle, fmt.Errorf("no handles are known of file system %#x", f.magic)
}
