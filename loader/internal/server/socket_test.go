// SPDX-License-Identifier: Apache-2.0

package server

import (
	"errors"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// The peer's credentials decide, even if the mode of the file allows every user to connect.
func TestAPeerOfAnotherGroupIsRejected(t *testing.T) {
	if os.Getuid() != 0 {
		if os.Getenv("CI") == "true" {
			t.Fatal("with CI=true this must be tested, as root")
		}
		t.Skip("SKIPPED, only root can connect as another user")
	}
	s := serve(t, 1<<16)
	if err := os.Chmod(s.socket, 0o666); err != nil {
		t.Fatal(err)
	}
	for directory := filepath.Dir(s.socket); len(directory) > len(os.TempDir()); directory = filepath.Dir(directory) {
		if err := os.Chmod(directory, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	const nobody = 65534
	read := make(chan error, 1)
	go func() {
		runtime.LockOSThread() // Not unlocked, so that the thread ends with the goroutine, and its credentials with it.
		for _, call := range []uintptr{unix.SYS_SETGROUPS, unix.SYS_SETRESGID, unix.SYS_SETRESUID} {
			arguments := [3]uintptr{nobody, nobody, nobody}
			if call == unix.SYS_SETGROUPS {
				arguments = [3]uintptr{}
			}
			if _, _, errno := unix.RawSyscall(call, arguments[0], arguments[1], arguments[2]); errno != 0 {
				read <- errno
				return
			}
		}
		fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM, 0)
		if err == nil {
			err = unix.Connect(fd, &unix.SockaddrUnix{Name: s.socket})
		}
		n := -1
		if err == nil {
			n, err = unix.Read(fd, make([]byte, 1))
		}
		if err == nil && n != 0 {
			err = errors.New("the peer received data")
		}
		unix.Close(fd)
		read <- err
	}()
	if err := <-read; err != nil && !errors.Is(err, unix.ECONNRESET) {
		t.Errorf("a peer of another group: %v", err)
	}
	waitFor(t, func() bool {
		return strings.Contains(s.log.String(), "uid 65534, gid 65534): it is neither root nor the user")
	})
}

func TestOnlyTheGroupMayConnectAndOnlyAStaleSocketIsReplaced(t *testing.T) {
	s := serve(t, 1<<12)
	info, err := os.Stat(s.socket)
	if err != nil || info.Mode().Perm() != 0o660 {
		t.Errorf("%v, %v", info.Mode(), err)
	}
	if _, err := Listen(s.socket, 0); err == nil || !strings.Contains(err.Error(), "taken") {
		t.Errorf("a served socket was replaced: %v", err)
	}
	stale := filepath.Join(t.TempDir(), "stale")
	old, err := net.ListenUnix("unix", &net.UnixAddr{Name: stale, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	old.SetUnlinkOnClose(false)
	old.Close()
	fresh, err := Listen(stale, os.Getgid())
	if err != nil {
		t.Fatal(err)
	}
	fresh.Close()
	file := filepath.Join(t.TempDir(), "file")
	os.WriteFile(file, nil, 0o600)
	if _, err := Listen(file, 0); err == nil || !strings.Contains(err.Error(), "not a socket") {
		t.Errorf("a file was replaced: %v", err)
	}
	own := uint32(os.Getgid())
	for _, test := range []struct {
		uid, gid uint32
		groups   []uint32
		may      bool
	}{{0, 77, nil, true}, {1000, own, nil, true}, {1000, 77, nil, false}, {1000, 77, []uint32{5, own}, true}, {1000, 77, []uint32{5}, false}, {uint32(os.Getuid()), 77, nil, true}} {
		if got := s.server.mayConnect(peer{unix.Ucred{Uid: test.uid, Gid: test.gid}, test.groups}); got != test.may {
			t.Errorf("mayConnect(%+v) = %v", test, got)
		}
	}
}
