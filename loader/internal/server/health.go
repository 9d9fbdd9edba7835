// SPDX-License-Identifier: Apache-2.0

package server

import (
	"bufio"
	"encoding/json"
	"fmt"
	"net"
	"time"

	"whodunit/loader/internal/wire"
)

// healthTimeout limits connecting and reading together.
const healthTimeout = 2 * time.Second

// Health connects to the socket as a watcher. It returns nil if a loader of this protocol version sends its hello within healthTimeout, else
// an error that names the remedy.
func Health(socket string) error {
	conn, err := net.DialTimeout("unix", socket, healthTimeout)
	if err != nil {
		return fmt.Errorf("no loader serves %s: %w; start `whodunit-loader run`, or pass its --socket", socket, err)
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(healthTimeout)); err != nil {
		return fmt.Errorf("set a deadline on %s: %w", socket, err)
	}
	line, err := bufio.NewReaderSize(conn, wire.LineBytesMax).ReadSlice('\n')
	if err != nil {
		return fmt.Errorf("%s sent no hello within %v: %w; if the loader refused this client, its log has the reason", socket, healthTimeout, err)
	}
	var hello struct {
		V    int    `json:"v"`
		Type string `json:"type"`
	}
	if err := json.Unmarshal(line, &hello); err != nil || hello.V != wire.Version || hello.Type != "hello" {
		return fmt.Errorf("%s is served by another program, or by a loader of another version: it sent %.100q", socket, line)
	}
	return nil
}
