// SPDX-License-Identifier: Apache-2.0

// Package wire is the protocol between loader and service: one JSON object per line, version first (docs/wire.md).
//
// Twin of src/core/wire/wire.ts; both are held to the golden lines in test/wire. The loader writes all messages but one, the ack,
// which it reads. Pure: no clock, no I/O. The lines that carry an event are in event.go.
package wire

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
)

const (
	// Version is the protocol's, the first key of each line.
	Version = 1
	// LineBytesMax limits a line with its newline. The largest record has about 13 KB of text, of which each byte takes at most six
	// (\u0001), so that every record fits.
	LineBytesMax = 131072
	// ClientLineBytesMax limits a line of a client; an ack needs 50 bytes.
	ClientLineBytesMax = 1024
)

// The roles of a connection: a watcher only looks, the consumer's acks move the ring.
const (
	RoleWatcher  = "watcher"
	RoleConsumer = "consumer"
)

// Hello opens each connection, and is repeated when the connection becomes the consumer.
type Hello struct {
	Role              string        `json:"role"` // RoleWatcher or RoleConsumer
	ConsumerConnected bool          `json:"consumer_connected"`
	LoaderVersion     string        `json:"loader_version"`
	BootID            string        `json:"boot_id"`
	KernelRelease     string        `json:"kernel_release"`
	ClockOffsetNs     int64         `json:"clock_offset_ns,string"`
	RingBytes         uint64        `json:"ring_bytes"`
	Probes            []ProbeStatus `json:"probes"`
}

// ProbeStatus is one hook. Note says what is missing, and why, if it is not attached.
type ProbeStatus struct {
	Name     string  `json:"name"`
	Attached bool    `json:"attached"`
	Note     *string `json:"note"`
}

// Counters count since the probes were first attached.
type Counters struct {
	ExitsNormal uint64     `json:"exits_normal,string"`
	Deaths      uint64     `json:"deaths,string"`
	Lost        LostCounts `json:"lost"`
}

// LostCounts counts by cause. MemoryFull counts facts that could not be kept; the others count terminations.
type LostCounts struct {
	RingFull    uint64 `json:"ring_full,string"`
	MemoryFull  uint64 `json:"memory_full,string"`
	Missed      uint64 `json:"missed,string"`
	Undecodable uint64 `json:"undecodable,string"`
}

// Status holds the counters and the state of the ring.
type Status struct {
	Counters
	ClockOffsetNs int64  `json:"clock_offset_ns,string"`
	RingBytes     uint64 `json:"ring_bytes"`
	RingUsedBytes uint64 `json:"ring_used_bytes"`
	ReadSeq       uint64 `json:"read_seq,string"`
	AckedSeq      uint64 `json:"acked_seq,string"`
}

// Codes of Error.
const (
	CodeConsumerTaken = "CONSUMER_TAKEN"
	CodeBadLine       = "BAD_LINE"
	CodeBadVersion    = "BAD_VERSION"
	CodeTooSlow       = "TOO_SLOW"
)

// Error is the last line before the loader closes a connection.
type Error struct {
	Code    string `json:"code"`
	Message string `json:"message"` // for people
}

func (e *Error) Error() string { return e.Code + ": " + e.Message }

// EncodeLine returns message as one line with its newline. It fails only if the line would exceed LineBytesMax.
func EncodeLine(messageType string, message any) ([]byte, error) {
	var line bytes.Buffer
	fmt.Fprintf(&line, `{"v":%d,"type":%q,`, Version, messageType)
	head := line.Len()
	encoder := json.NewEncoder(&line)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(message); err != nil {
		return nil, fmt.Errorf("encode %s: %w", messageType, err)
	}
	out := line.Bytes()
	// The head replaces the message's own opening brace.
	out = append(out[:head], out[head+1:]...)
	if len(out) > LineBytesMax {
		return nil, tooLong(messageType, len(out))
	}
	return out, nil
}

func tooLong(messageType string, lineBytes int) error {
	return fmt.Errorf("encode %s: the line has %d bytes; the limit is %d", messageType, lineBytes, LineBytesMax)
}

// DecodeAck reads the only message that a client may send: an ack, whose first one also claims the role of the consumer.
// The error is a *Error.
func DecodeAck(line []byte) (seq uint64, err error) {
	var message struct {
		Version int    `json:"v"`
		Type    string `json:"type"`
		Seq     string `json:"seq"`
	}
	var syntax *json.SyntaxError
	if err := json.Unmarshal(line, &message); errors.As(err, &syntax) {
		return 0, &Error{CodeBadLine, "the line is not JSON"}
	}
	if message.Version != Version {
		return 0, &Error{CodeBadVersion, fmt.Sprintf("protocol version %d; this loader supports version %d", message.Version, Version)}
	}
	if message.Type != "ack" {
		return 0, &Error{CodeBadLine, "a client may send only messages of type ack"}
	}
	seq, err = strconv.ParseUint(message.Seq, 10, 64)
	if err != nil {
		return 0, &Error{CodeBadLine, "seq of an ack must be a decimal string of 64 bits"}
	}
	return seq, nil
}
