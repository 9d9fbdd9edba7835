// SPDX-License-Identifier: Apache-2.0

// The wire between loader and service: one JSON object a line, version first, as docs/wire.md says. Pure; twin of
// src/core/wire.ts. Both are held to the golden lines in test/wire. The lines of a death and of a restart are left to death.go.
package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
)

const (
	wireVersion = 1
	// lineBytesMax bounds a line with its newline. The largest record has about 13 KB of text, each byte of which becomes at most
	// six (\u0001): it always fits.
	lineBytesMax = 131072
	// clientLineBytesMax bounds what a client may say in one line; an ack needs 50 bytes.
	clientLineBytesMax = 1024
)

// Hello opens each connection, and comes again when the connection becomes the consumer.
type Hello struct {
	Role              string        `json:"role"` // "watcher" or "consumer"
	ConsumerConnected bool          `json:"consumer_connected"`
	LoaderVersion     string        `json:"loader_version"`
	BootID            string        `json:"boot_id"`
	KernelRelease     string        `json:"kernel_release"`
	ClockOffsetNs     int64         `json:"clock_offset_ns,string"`
	RingBytes         uint64        `json:"ring_bytes"`
	Probes            []ProbeStatus `json:"probes"`
}

// ProbeStatus is one hook; Note says what is missing and why, if it is not attached.
type ProbeStatus struct {
	Name     string  `json:"name"`
	Attached bool    `json:"attached"`
	Note     *string `json:"note"`
}

// Status holds the counters since the probes were first attached.
type Status struct {
	ExitsNormal   uint64     `json:"exits_normal,string"`
	Deaths        uint64     `json:"deaths,string"`
	Lost          LostCounts `json:"lost"`
	ClockOffsetNs int64      `json:"clock_offset_ns,string"`
	RingBytes     uint64     `json:"ring_bytes"`
	RingUsedBytes uint64     `json:"ring_used_bytes"`
	ReadSeq       uint64     `json:"read_seq,string"`
	AckedSeq      uint64     `json:"acked_seq,string"`
}

// LostCounts counts by cause. MemoryFull counts facts that could not be remembered; the others count deaths.
type LostCounts struct {
	RingFull    uint64 `json:"ring_full,string"`
	MemoryFull  uint64 `json:"memory_full,string"`
	Missed      uint64 `json:"missed,string"`
	Undecodable uint64 `json:"undecodable,string"`
}

// WireError is the last line before the loader closes a connection.
type WireError struct {
	Code    string `json:"code"` // CONSUMER_TAKEN, BAD_LINE, BAD_VERSION or TOO_SLOW
	Message string `json:"message"`
}

func (e *WireError) Error() string { return e.Code + ": " + e.Message }

// encodeLine returns message as one line with its newline. It fails only if the line were longer than lineBytesMax.
func encodeLine(messageType string, message any) ([]byte, error) {
	var line bytes.Buffer
	fmt.Fprintf(&line, `{"v":%d,"type":%q,`, wireVersion, messageType)
	head := line.Len()
	encoder := json.NewEncoder(&line)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(message); err != nil {
		return nil, fmt.Errorf("encode %s: %w", messageType, err)
	}
	out := line.Bytes()
	// The message's own opening brace gives way to the head.
	out = append(out[:head], out[head+1:]...)
	if len(out) > lineBytesMax {
		return nil, fmt.Errorf("encode %s: the line has %d bytes, more than the limit of %d", messageType, len(out), lineBytesMax)
	}
	return out, nil
}

// decodeAck reads the one thing a client says: an ack, and with it the claim to be the consumer. The error is a *WireError.
func decodeAck(line []byte) (uint64, error) {
	var message struct {
		Version int    `json:"v"`
		Type    string `json:"type"`
		Seq     string `json:"seq"`
	}
	var syntax *json.SyntaxError
	if err := json.Unmarshal(line, &message); errors.As(err, &syntax) {
		return 0, &WireError{"BAD_LINE", "the line is not JSON"}
	}
	if message.Version != wireVersion {
		return 0, &WireError{"BAD_VERSION", fmt.Sprintf("protocol version %d; this loader speaks %d", message.Version, wireVersion)}
	}
	if message.Type != "ack" {
		return 0, &WireError{"BAD_LINE", "the only message that the loader takes is an ack"}
	}
	seq, err := strconv.ParseUint(message.Seq, 10, 64)
	if err != nil {
		return 0, &WireError{"BAD_LINE", "seq of an ack must be a decimal string of 64 bits"}
	}
	return seq, nil
}
