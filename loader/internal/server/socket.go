// SPDX-License-Identifier: Apache-2.0

package server

import (
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"

	"whodunit/loader/internal/exitcode"
)

// PathBytesMax limits the socket's path (sun_path of unix(7), without its NUL).
const PathBytesMax = 107

// Listen makes the socket, with mode 0660 and the group that may connect. It replaces the socket of a loader that ended. If a program serves
// the socket, the error has exitcode.Unavailable; if the path is another kind of file, exitcode.Config.
func Listen(path string, gid int) (*net.UnixListener, error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return nil, fmt.Errorf("make the socket's directory: %w", err)
	}
	if err := removeStale(path); err != nil {
		return nil, err
	}
	old := unix.Umask(0o117)
	listener, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	unix.Umask(old)
	if err != nil {
		return nil, fmt.Errorf("listen on the socket: %w", err)
	}
	if err := os.Chown(path, -1, gid); errors.Is(err, unix.EPERM) {
		return nil, errors.Join(exitcode.Errorf(exitcode.Permission, "change the group of the socket to %d: %w; the loader must be in that group (systemd: Group=; Docker: --user USER:GROUP; Kubernetes: runAsGroup), or needs CAP_CHOWN, or another --socket-group", gid, err), listener.Close())
	} else if err != nil {
		return nil, errors.Join(fmt.Errorf("change the group of the socket to %d: %w", gid, err), listener.Close())
	}
	return listener, nil
}

// removeStale removes a socket that no program serves.
func removeStale(path string) error {
	info, err := os.Lstat(path)
	if err != nil {
		return nil
	}
	if info.Mode()&os.ModeSocket == 0 {
		return exitcode.Errorf(exitcode.Config, "%s exists and is not a socket; remove it, or choose another --socket", path)
	}
	if conn, err := net.DialTimeout("unix", path, time.Second); err == nil {
		conn.Close()
		return exitcode.Errorf(exitcode.Unavailable, "the socket %s is taken: another program serves it; stop that program, or choose another --socket", path)
	}
	if err := os.Remove(path); err != nil {
		return fmt.Errorf("remove the socket of a loader that ended: %w", err)
	}
	return nil
}
