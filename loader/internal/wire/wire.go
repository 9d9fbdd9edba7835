// SPDX-License-Identifier: Apache-2.0

// Package wire is the protocol between loader and service: one JSON object per line, version first (docs/wire.md).
//
// Twin of src/core/wire/wire.ts; the golden lines in test/wire test both. The loader writes all messages but those
// of client.go, which it reads. Pure: no clock, no I/O. The lines with an event are in event.go.
package wire

import (
	"bytes"
	"encoding/json"
	"fmt"

	"whodunit/loader/internal/record"
)

const (
	// Version is the version of the protocol, the first key of each line.
	Version = 1
	// LineBytesMax limits a line with its newline. The largest record has about 13 KB of text, each byte of which becomes at most six
	// (\u0001), so every record fits.
	LineBytesMax = 131072
	// ClientLineBytesMax limits a line of a client; an ack needs 50 bytes.
	ClientLineBytesMax = 1024
)

// The roles of a connection: a watcher only reads; the consumer's acks move the ring's consumer position.
const (
	RoleWatcher  = "watcher"
	RoleConsumer = "consumer"
)

// Hello is the first message of each connection. It is repeated when the connection becomes the consumer. ClockOffsetNs is CLOCK_REALTIME -
// CLOCK_BOOTTIME.
type Hello struct {
	Role              string        `json:"role"` // RoleWatcher or RoleConsumer
	ConsumerConnected bool          `json:"consumer_connected"`
	LoaderVersion     string        `json:"loader_version"`
	BootID            string        `json:"boot_id"`
	KernelRelease     string        `json:"kernel_release"`
	ClockOffsetNs     int64         `json:"clock_offset_ns,string"`
	RingBytes         uint64        `json:"ring_bytes"`
	OriginKeysMax     int           `json:"origin_keys_max"` // keys of one origin that can be armed
	Probes            []ProbeStatus `json:"probes"`
	Stacks            Stacks        `json:"stacks"`
	Gap               *Gap          `json:"gap"` // before this loader; nil: none, or no earlier loader
}

// Gap is a time in which no probe was attached, CLOCK_BOOTTIME.
type Gap struct {
	FromNs uint64 `json:"from_ns,string"`
	ToNs   uint64 `json:"to_ns,string"`
}

// Stacks says whether stacks of crashes are taken here, and what they lack.
type Stacks struct {
	Copied  string   `json:"copied"`  // when: "at the exit", "at the delivery" (of the signal), "off"
	Missing []string `json:"missing"` // what has no names, or why there are no stacks, each with its remedy
}

// ProbeStatus is one hook. If it is not attached, Note says why and what is not reported; else it is nil.
type ProbeStatus struct {
	Name     string  `json:"name"`
	Attached bool    `json:"attached"`
	Note     *string `json:"note"`
}

// Counters counts since the probes were first attached: processes that exited with 0, and terminations that were written to the ring or only
// counted under an armed key; Counted has the latter alone.
type Counters struct {
	ExitsNormal  uint64     `json:"exits_normal,string"`
	Terminations uint64     `json:"deaths,string"`
	Counted      uint64     `json:"counted,string"`
	Lost         LostCounts `json:"lost"`
	// LostByOrigin says whose terminations RingFull counts: of the origins that lost most, in that order.
	LostByOrigin []OriginLoss `json:"lost_by_origin"`
	// RequestsRefused counts requests, and ends of them, that are not reported.
	RequestsRefused uint64 `json:"requests_refused,string"`
	// ProgramsUnknown counts programs for which there was no room: they are unknown as ancestors.
	ProgramsUnknown uint64 `json:"programs_unknown,string"`
}

// OriginLoss is the number of terminations of one origin for which the ring, or its share of it, had no room.
type OriginLoss struct {
	Origin       record.Origin `json:"origin"`
	Unit         string        `json:"unit"` // the name of the origin's cgroup; "": not known
	Terminations uint64        `json:"deaths,string"`
}

// LostCounts counts what was lost, by cause. MemoryFull counts facts that could not be kept; the others count terminations, but Missed also
// the exits of threads.
type LostCounts struct {
	RingFull    uint64 `json:"ring_full,string"`
	MemoryFull  uint64 `json:"memory_full,string"`
	Missed      uint64 `json:"missed,string"`
	Undecodable uint64 `json:"undecodable,string"`
}

// Status holds the counters and the state of the ring. ReadSeq and AckedSeq are positions: what the consumer was sent, and acknowledged.
type Status struct {
	Counters
	ClockOffsetNs int64        `json:"clock_offset_ns,string"`
	RingBytes     uint64       `json:"ring_bytes"`
	RingUsedBytes uint64       `json:"ring_used_bytes"`
	ReadSeq       uint64       `json:"read_seq,string"`
	AckedSeq      uint64       `json:"acked_seq,string"`
	Crashes       *CrashCounts `json:"crashes"` // nil: no stacks are taken
}

// CrashCounts counts crashes since the probes were first attached: those whose stack was copied, and those for which all slots, or the share of
// their origin, were in use.
type CrashCounts struct {
	Captured uint64 `json:"captured,string"`
	NoSlot   uint64 `json:"no_slot,string"`
}

// What becomes of the terminations that are counted under an armed key.
const (
	AsAggregated = "aggregated"
	AsFiltered   = "filtered"
)

// Repeat is the total of a key since it was armed first. It only grows. Key is that of record.Repeat; times are CLOCK_BOOTTIME, 0 while Total
// is 0.
type Repeat struct {
	ID            uint64 `json:"id,string"`
	Key           string `json:"key"`
	As            string `json:"as"` // AsAggregated or AsFiltered
	Total         uint64 `json:"total,string"`
	FirstNs       uint64 `json:"first_ns,string"`
	LastNs        uint64 `json:"last_ns,string"`
	ClockOffsetNs int64  `json:"clock_offset_ns,string"`
}

// Repeats names all entries that exist. The totals of others are final and acknowledged.
type Repeats struct {
	IDs []string `json:"ids"`
}

// The codes of Error (docs/wire.md).
const (
	CodeConsumerTaken = "CONSUMER_TAKEN"
	CodeNotConsumer   = "NOT_CONSUMER"
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

// EncodeLine returns message, a struct, as one line with its newline. For the types of this package it fails only if the line would exceed
// LineBytesMax.
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
