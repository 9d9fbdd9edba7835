// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"net"
	"path/filepath"
	"strings"
	"testing"

	"whodunit/loader/internal/log"
)

func TestSystemdIsNotifiedThatTheProbesAreAttached(t *testing.T) {
	path := filepath.Join(t.TempDir(), "notify")
	systemd, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer systemd.Close()
	var said bytes.Buffer
	t.Setenv("NOTIFY_SOCKET", path)
	notifyReady(log.New(&said))
	heard := make([]byte, 64)
	n, err := systemd.Read(heard)
	if err != nil || string(heard[:n]) != "READY=1" || said.Len() > 0 {
		t.Errorf("systemd heard %q (%v); the log has %q", heard[:n], err, said.String())
	}
}

func TestASystemdThatCannotBeNotifiedIsOnlyALineInTheLog(t *testing.T) {
	var said bytes.Buffer
	t.Setenv("NOTIFY_SOCKET", filepath.Join(t.TempDir(), "no-socket"))
	notifyReady(log.New(&said))
	if !strings.Contains(said.String(), "could not notify systemd") || !strings.Contains(said.String(), "no-socket") {
		t.Errorf("the log has %q", said.String())
	}
	said.Reset()
	t.Setenv("NOTIFY_SOCKET", "")
	notifyReady(log.New(&said))
	if said.Len() > 0 {
		t.Errorf("where systemd did not ask, the log has %q", said.String())
	}
}
