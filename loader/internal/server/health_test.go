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

func TestHealthOfTheServiceIsWhatReadyzAnswers(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	answers := []string{
		"HTTP/1.1 200 OK\r\n\r\n{\"status\":\"ready\"}\n",
		"HTTP/1.1 503 Service Unavailable\r\n\r\n{\"reason\":\"no process listens\"}\n",
		"220 mail.example\r\n",
	}
	go func() {
		for _, answer := range answers {
			if conn, err := listener.Accept(); err == nil {
				conn.Read(make([]byte, 1<<10))
				conn.Write([]byte(answer))
				conn.Close()
			}
		}
	}()
	address := listener.Addr().String()
	if err := HealthOf(address); err != nil {
		t.Error(err)
	}
	for _, want := range []string{"no process listens", "is not ready"} {
		if err := HealthOf(address); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
	if err := HealthOf("off"); err != nil {
		t.Errorf("without an endpoint: %v", err)
	}
	listener.Close()
	if err := HealthOf(address); err == nil || !strings.Contains(err.Error(), "no service answers") {
		t.Errorf("no listener: %v", err)
	}
}
