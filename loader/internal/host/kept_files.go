// SPDX-License-Identifier: Apache-2.0

package host

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// What systemd keeps for a service from one start to the next (sd_pid_notify_with_fds(3), sd_listen_fds(3)). go-systemd sends no descriptors, and
// its package that takes them imports TLS.

const (
	firstKept = 3 // SD_LISTEN_FDS_START
	// barrierWithin is how long systemd may take to handle a message.
	barrierWithin = 10 * time.Second
)

// SystemdKeeps are files that systemd keeps for this service (FileDescriptorStoreMax=), version 236 or later. nil: this process is no service of it.
type SystemdKeeps struct{ files []*os.File }

// TakeKept takes over what systemd kept. It must come before this process starts another one, which would inherit the files.
func TakeKept() *SystemdKeeps {
	defer func() {
		for _, name := range []string{"LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES"} {
			os.Unsetenv(name)
		}
	}()
	if os.Getenv("NOTIFY_SOCKET") == "" {
		return nil
	}
	kept := &SystemdKeeps{}
	if os.Getenv("LISTEN_PID") != strconv.Itoa(os.Getpid()) {
		return kept
	}
	for i, name := range strings.FieldsFunc(os.Getenv("LISTEN_FDNAMES"), func(r rune) bool { return r == ':' }) {
		unix.CloseOnExec(firstKept + i)
		kept.files = append(kept.files, os.NewFile(uintptr(firstKept+i), name))
	}
	return kept
}

// Files returns what was taken over, by name.
func (k *SystemdKeeps) Files() []*os.File { return k.files }

// Keep gives systemd a copy of each file. Without FileDescriptorStoreMax=, it closes them.
func (k *SystemdKeeps) Keep(name string, files []*os.File) error {
	return notify("FDSTORE=1\nFDNAME="+name, files...)
}

// Remove lets systemd close the files that it keeps under the name, and waits until it has.
func (k *SystemdKeeps) Remove(name string) error {
	handled, sent, err := os.Pipe()
	if err != nil {
		return err
	}
	defer handled.Close()
	err = errors.Join(notify("FDSTOREREMOVE=1\nFDNAME="+name), notify("BARRIER=1", sent), sent.Close())
	if err != nil {
		return err
	}
	ready := []unix.PollFd{{Fd: int32(handled.Fd())}}
	if n, err := unix.Poll(ready, int(barrierWithin.Milliseconds())); err != nil || n == 0 {
		return fmt.Errorf("systemd did not answer within %v: %w", barrierWithin, err)
	}
	return nil
}

// notify sends systemd a message with copies of files.
func notify(message string, files ...*os.File) error {
	socket, err := unix.Socket(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(socket)
	var numbers []int
	for _, file := range files {
		numbers = append(numbers, int(file.Fd()))
	}
	var rights []byte
	if len(numbers) > 0 {
		rights = unix.UnixRights(numbers...)
	}
	return unix.Sendmsg(socket, []byte(message), rights, &unix.SockaddrUnix{Name: os.Getenv("NOTIFY_SOCKET")}, unix.MSG_NOSIGNAL)
}
