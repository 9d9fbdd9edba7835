// SPDX-License-Identifier: Apache-2.0

// `whodunit-loader health`: whether a loader serves the socket. For health checks of containers, which have no other program.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"net"
	"time"
)

// healthTimeout bounds connecting and reading together.
const healthTimeout = 2 * time.Second

// health succeeds if somebody greets on the socket with a hello of this protocol (docs/wire.md). It stays a watcher, and leaves.
func health(socket string) error {
	conn, err := net.DialTimeout("unix", socket, healthTimeout)
	if err != nil {
		return fmt.Errorf("no loader serves %s: %w; start `whodunit-loader run`, or name its --socket", socket, err)
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(healthTimeout)); err != nil {
		return fmt.Errorf("set a deadline on %s: %w", socket, err)
	}
	line, err := bufio.NewReaderSize(conn, lineBytesMax).ReadSlice('\n')
	if err != nil {
		return fmt.Errorf("%s did not greet within %v: %w; the loader's log says whom it refuses", socket, healthTimeout, err)
	}
	var hello struct {
		V    int    `json:"v"`
		Type string `json:"type"`
	}
	if err := json.Unmarshal(line, &hello); err != nil || hello.V != wireVersion || hello.Type != "hello" {
		return fmt.Errorf("%s is served by another program, or another version: it said %.100q", socket, line)
	}
	return nil
}
