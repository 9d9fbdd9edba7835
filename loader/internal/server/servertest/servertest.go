// SPDX-License-Identifier: Apache-2.0

// Package servertest runs a server for a test and connects to it as a client.
package servertest

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"testing"
	"time"

	"whodunit/loader/internal/wire"
)

// Run runs serve until the end of the test, then ends its context. If serve returns an error, or not within 5 s, the test fails.
func Run(t *testing.T, serve func(context.Context) error) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- serve(ctx) }()
	t.Cleanup(func() {
		cancel()
		select {
		case err := <-done:
			if err != nil {
				t.Error(err)
			}
		case <-time.After(5 * time.Second):
			t.Error("the server did not end")
		}
	})
}

// Client is one connection. It is closed at the end of the test.
type Client struct {
	Conn  net.Conn
	Lines *bufio.Reader
	t     *testing.T
}

// Connect connects to the socket, or fails the test. Reads fail a minute after that.
func Connect(t *testing.T, socket string) *Client {
	t.Helper()
	conn, err := net.Dial("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	conn.SetReadDeadline(time.Now().Add(time.Minute))
	return &Client{conn, bufio.NewReaderSize(conn, wire.LineBytesMax), t}
}

// Send sends a line.
func (c *Client) Send(format string, arguments ...any) {
	fmt.Fprintf(c.Conn, format+"\n", arguments...)
}

// Claim makes the client the consumer. It skips all messages up to the hello with that role.
func (c *Client) Claim() {
	c.t.Helper()
	c.Send(`{"v":1,"type":"ack","seq":"0"}`)
	for c.Next("hello")["role"] != wire.RoleConsumer {
	}
}

// Next returns the next message of the type. It skips others, and fails the test at the end of the connection.
func (c *Client) Next(messageType string) map[string]any {
	c.t.Helper()
	for {
		line, err := c.Lines.ReadBytes('\n')
		if err != nil {
			c.t.Fatalf("waiting for %s: %v", messageType, err)
		}
		var message map[string]any
		if err := json.Unmarshal(line, &message); err != nil {
			c.t.Fatalf("%s: %v", line, err)
		}
		if message["type"] == messageType {
			return message
		}
	}
}

// Deaths returns the seq of the next n `death` messages.
func (c *Client) Deaths(n int) (seqs []string) {
	c.t.Helper()
	for range n {
		seqs = append(seqs, c.Next("death")["seq"].(string))
	}
	return seqs
}
