// SPDX-License-Identifier: Apache-2.0

package server

import (
	"net"
	"path/filepath"
	"strings"
	"testing"
)

func TestHealthSucceedsOnlyForALoaderOfThisVersion(t *testing.T) {
	s := serve(t, 1<<12)
	if err := Health(s.socket); err != nil {
		t.Error(err)
	}
	if err := Health(filepath.Join(t.TempDir(), "none")); err == nil || !strings.Contains(err.Error(), "no loader serves") {
		t.Errorf("a path without a socket: %v", err)
	}
	other := filepath.Join(t.TempDir(), "other")
	listener, err := net.Listen("unix", other)
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	go func() {
		for _, greeting := range []string{"220 mail.example\n", `{"v":2,"type":"hello"}` + "\n", ""} {
			if conn, err := listener.Accept(); err == nil {
				conn.Write([]byte(greeting))
				conn.Close()
			}
		}
	}()
	for _, want := range []string{"another program", "another version", "sent no hello"} {
		if err := Health(other); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
}
