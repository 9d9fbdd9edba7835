// SPDX-License-Identifier: Apache-2.0

package wire

import (
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
)

// ClientMessage is an Ack, an Arm or a Counted: what a client may send.
type ClientMessage any

// Ack acknowledges all records up to the position Seq.
type Ack struct{ Seq uint64 }

// Arm asks to only count the terminations with this key until a time of CLOCK_BOOTTIME.
type Arm struct {
	Key     string
	As      string // AsAggregated or AsFiltered
	UntilNs uint64
	Equal   bool // the client reads `equal`
}

// Counted acknowledges the total of a Repeat.
type Counted struct{ ID, Total uint64 }

// DecodeClient decodes a message of a client. The error is an *Error.
func DecodeClient(line []byte) (ClientMessage, error) {
	var raw struct {
		Version int    `json:"v"`
		Type    string `json:"type"`
		Seq     string `json:"seq"`
		Key     string `json:"key"`
		As      string `json:"as"`
		UntilNs string `json:"until_ns"`
		ID      string `json:"id"`
		Total   string `json:"total"`
		Equal   bool   `json:"equal"`
	}
	var syntax *json.SyntaxError
	if err := json.Unmarshal(line, &raw); errors.As(err, &syntax) {
		return nil, &Error{CodeBadLine, "the line is not JSON"}
	}
	if raw.Version != Version {
		return nil, &Error{CodeBadVersion, fmt.Sprintf("protocol version %d; this loader supports version %d", raw.Version, Version)}
	}
	numbers := numbers{of: raw.Type}
	var message ClientMessage
	switch raw.Type {
	case "ack":
		message = Ack{numbers.parse("seq", raw.Seq)}
	case "arm":
		if raw.As != AsAggregated && raw.As != AsFiltered {
			return nil, &Error{CodeBadLine, fmt.Sprintf("as of an arm must be %s or %s", AsAggregated, AsFiltered)}
		}
		message = Arm{Key: raw.Key, As: raw.As, UntilNs: numbers.parse("until_ns", raw.UntilNs), Equal: raw.Equal}
	case "counted":
		message = Counted{ID: numbers.parse("id", raw.ID), Total: numbers.parse("total", raw.Total)}
	default:
		return nil, &Error{CodeBadLine, "a client may send only messages of type ack, arm and counted"}
	}
	if numbers.failed != nil {
		return nil, numbers.failed
	}
	return message, nil
}

// numbers parses the numbers of one message, and keeps the first failure.
type numbers struct {
	of     string // the message's type
	failed error
}

func (n *numbers) parse(name, text string) uint64 {
	value, err := strconv.ParseUint(text, 10, 64)
	if err != nil && n.failed == nil {
		n.failed = &Error{CodeBadLine, fmt.Sprintf("%s of %s must be an unsigned 64-bit number, as a decimal string", name, n.of)}
	}
	return value
}
