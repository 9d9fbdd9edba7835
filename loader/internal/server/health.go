// SPDX-License-Identifier: Apache-2.0

package server

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"time"

	"whodunit/loader/internal/wire"
)

// healthTimeout limits connecting and reading together.
const healthTimeout = 2 * time.Second

// answerBytesMax limits what is read of an answer of the service.
const answerBytesMax = 16 << 10

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

// HealthOf asks the service's health endpoint at the address, host:port, whether it is ready. With the address "off" there is none, and the
// service counts as ready. The request is written by hand: this program contains no HTTP client.
func HealthOf(address string) error {
	if address == "off" {
		return nil
	}
	conn, err := net.DialTimeout("tcp", address, healthTimeout)
	if err != nil {
		return fmt.Errorf("no service answers at %s: %w; start it, or pass its WHODUNIT_HEALTH_ADDR as --address", address, err)
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(healthTimeout)); err != nil {
		return fmt.Errorf("set a deadline on %s: %w", address, err)
	}
	if _, err := fmt.Fprintf(conn, "GET /readyz HTTP/1.0\r\nHost: %s\r\n\r\n", address); err != nil {
		return fmt.Errorf("ask the service at %s: %w", address, err)
	}
	answer, err := io.ReadAll(io.LimitReader(conn, answerBytesMax))
	if err != nil {
		return fmt.Errorf("%s sent no answer within %v: %w", address, healthTimeout, err)
	}
	if _, status, _ := bytes.Cut(answer, []byte(" ")); !bytes.HasPrefix(answer, []byte("HTTP/1.")) || !bytes.HasPrefix(status, []byte("200 ")) {
		_, body, _ := bytes.Cut(answer, []byte("\r\n\r\n"))
		return fmt.Errorf("the service at %s is not ready: %.500s", address, bytes.TrimSpace(body))
	}
	return nil
}
