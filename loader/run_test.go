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
	var logged bytes.Buffer
	t.Setenv("NOTIFY_SOCKET", path)
	notifyReady(log.New(&logged))
	received := make([]byte, 64)
	n, err := systemd.Read(received)
	if err != nil || string(received[:n]) != "READY=1" || logged.Len() > 0 {
		t.Errorf("systemd received %q, %v; the log has %q", received[:n], err, logged.String())
	}
}

func TestAFailureToNotifySystemdIsOnlyLogged(t *testing.T) {
	var logged bytes.Buffer
	t.Setenv("NOTIFY_SOCKET", filepath.Join(t.TempDir(), "no-socket"))
	notifyReady(log.New(&logged))
	if !strings.Contains(logged.String(), "could not notify systemd") || !strings.Contains(logged.String(), "no-socket") {
		t.Errorf("the log has %q", logged.String())
	}
	logged.Reset()
	t.Setenv("NOTIFY_SOCKET", "")
	notifyReady(log.New(&logged))
	if logged.Len() > 0 {
		t.Errorf("without NOTIFY_SOCKET, the log has %q", logged.String())
	}
}
