// SPDX-License-Identifier: Apache-2.0

package wire

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"whodunit/loader/internal/record"
)

// restart is the message as encoding/json writes it.
type restart struct {
	Seq           uint64             `json:"seq,string"`
	TimeNs        uint64             `json:"time_ns,string"`
	ClockOffsetNs int64              `json:"clock_offset_ns,string"`
	Origin        record.Origin      `json:"origin"`
	Process       record.Process     `json:"process"`
	Dead          record.Predecessor `json:"dead"`
}

// request is the message as encoding/json writes it.
type request struct {
	Seq           uint64        `json:"seq,string"`
	TimeNs        uint64        `json:"time_ns,string"`
	ClockOffsetNs int64         `json:"clock_offset_ns,string"`
	Origin        record.Origin `json:"origin"`
	record.Tool
	Process record.Actor `json:"process"`
}

func (r *request) event() *record.Event {
	p := r.Process
	return &record.Event{
		Seq: r.Seq, TimeNs: r.TimeNs, ClockOffsetNs: r.ClockOffsetNs, Origin: r.Origin, Tool: &r.Tool,
		Process: record.Process{
			Pid: p.Pid, Tid: p.Tid, StartBoottimeNs: p.StartBoottimeNs, Comm: p.Comm, UID: p.UID, RealUID: p.RealUID, LoginUID: p.LoginUID, Session: p.Session,
			Exe: p.Exe, ExeFlags: p.ExeFlags, Args: p.Args, ArgsTruncated: p.ArgsTruncated, Env: p.Env, Cgroup: p.Cgroup, CgroupClaimed: p.CgroupClaimed,
			UserNamespace: p.UserNamespace, Ancestors: p.Ancestors,
		},
	}
}

// requestEnd is the message as encoding/json writes it.
type requestEnd struct {
	Seq             uint64        `json:"seq,string"`
	TimeNs          uint64        `json:"time_ns,string"`
	ClockOffsetNs   int64         `json:"clock_offset_ns,string"`
	Origin          record.Origin `json:"origin"`
	Pid             uint32        `json:"pid"`
	StartBoottimeNs uint64        `json:"start_boottime_ns,string"`
	StatusRaw       uint32        `json:"status_raw"`
}

// equal is the message as encoding/json writes it.
type equal struct {
	Seq             uint64 `json:"seq,string"`
	TimeNs          uint64 `json:"time_ns,string"`
	ClockOffsetNs   int64  `json:"clock_offset_ns,string"`
	Key             string `json:"key"`
	As              string `json:"as"`
	Pid             uint32 `json:"pid"`
	StartBoottimeNs uint64 `json:"start_boottime_ns,string"`
}

// gap is the message as encoding/json writes it.
type gap struct {
	Seq           uint64 `json:"seq,string"`
	TimeNs        uint64 `json:"time_ns,string"`
	ClockOffsetNs int64  `json:"clock_offset_ns,string"`
	FromNs        uint64 `json:"from_ns,string"`
}

// clientMessages are those of the golden lines that a client sends.
var clientMessages = map[string]ClientMessage{
	"ack":     Ack{Seq: 4096},
	"arm":     Arm{Key: strings.Repeat("00", 87) + "ff", As: AsFiltered, UntilNs: 12345678901234, Equal: true},
	"counted": Counted{ID: 12345678901234, Total: 18446744073709551615},
}

// Both twins are tested with the golden lines. For the same values, the loader must write exactly these bytes.
func TestTheLoaderWritesTheGoldenLinesByteForByte(t *testing.T) {
	files, err := filepath.Glob("../../../test/wire/*.json")
	if err != nil || len(files) < 10 {
		t.Fatalf("%d golden lines found, %v", len(files), err)
	}
	for _, file := range files {
		name := strings.TrimSuffix(filepath.Base(file), ".json")
		t.Run(name, func(t *testing.T) {
			golden, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			messageType, _, _ := strings.Cut(name, "-")
			if want := clientMessages[messageType]; want != nil {
				if message, err := DecodeClient(golden); err != nil || message != want {
					t.Fatalf("DecodeClient: %v, %v; want %v", message, err, want)
				}
				return
			}
			message := map[string]any{"hello": &Hello{}, "death": &record.Event{}, "restart": &restart{}, "request": &request{}, "request_end": &requestEnd{}, "gap": &gap{}, "equal": &equal{}, "status": &Status{}, "error": &Error{}, "repeat": &Repeat{}, "repeats": &Repeats{}}[messageType]
			if message == nil {
				t.Fatalf("no message type %q: name the file after its type", messageType)
			}
			decoder := json.NewDecoder(bytes.NewReader(withoutHead(t, golden)))
			decoder.DisallowUnknownFields()
			if err := decoder.Decode(message); err != nil {
				t.Fatal(err)
			}
			line, err := encode(messageType, message)
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(line, golden) {
				t.Errorf("wrote\n%swant\n%s", line, golden)
			}
		})
	}
}

// encode writes a message as the loader does, which has faster ways for frequent ones.
func encode(messageType string, message any) ([]byte, error) {
	switch message := message.(type) {
	case *record.Event:
		return appendDeath(nil, message)
	case *restart:
		return appendRestart(nil, &record.Event{
			Seq: message.Seq, TimeNs: message.TimeNs, ClockOffsetNs: message.ClockOffsetNs, Origin: message.Origin, Process: message.Process,
			Predecessor: &message.Dead,
		})
	case *request:
		return AppendEvent(nil, message.event())
	case *requestEnd:
		return AppendEvent(nil, &record.Event{
			Seq: message.Seq, TimeNs: message.TimeNs, ClockOffsetNs: message.ClockOffsetNs, Origin: message.Origin, StatusRaw: message.StatusRaw, RequestEnd: true,
			Process: record.Process{Pid: message.Pid, StartBoottimeNs: message.StartBoottimeNs},
		})
	case *gap:
		return AppendEvent(nil, &record.Event{Seq: message.Seq, TimeNs: message.TimeNs, ClockOffsetNs: message.ClockOffsetNs, GapFromNs: message.FromNs})
	case *equal:
		return AppendEqual(nil, &record.Event{
			Seq: message.Seq, TimeNs: message.TimeNs, ClockOffsetNs: message.ClockOffsetNs, Repeat: &record.Repeat{Key: message.Key},
			Process: record.Process{Pid: message.Pid, StartBoottimeNs: message.StartBoottimeNs},
		}, message.As), nil
	default:
		return EncodeLine(messageType, message)
	}
}

func withoutHead(t *testing.T, line []byte) []byte {
	t.Helper()
	_, rest, found := bytes.Cut(line, []byte(`"type":"`))
	_, rest, closed := bytes.Cut(rest, []byte(`",`))
	if !found || !closed {
		t.Fatalf("no head: %s", line)
	}
	return append([]byte("{"), rest...)
}

func TestALineOverTheLimitIsAnError(t *testing.T) {
	if _, err := EncodeLine("error", &Error{"BAD_LINE", strings.Repeat("x", LineBytesMax)}); err == nil {
		t.Fatal("no error")
	}
}

func TestOnlyTheMessagesOfAClientInThisVersionAreAccepted(t *testing.T) {
	for _, test := range []struct{ name, line, code string }{
		{"an ack", `{"v":1,"type":"ack","seq":"7"}`, ""},
		{"garbage", `\x00garbage`, "BAD_LINE"},
		{"half a line", `{"v":1,"type":"ack"`, "BAD_LINE"},
		{"another version", `{"v":2,"type":"ack","seq":"7"}`, "BAD_VERSION"},
		{"another message", `{"v":1,"type":"nack","seq":"7"}`, "BAD_LINE"},
		{"a number for seq", `{"v":1,"type":"ack","seq":7}`, "BAD_LINE"},
		{"a negative seq", `{"v":1,"type":"ack","seq":"-7"}`, "BAD_LINE"},
		{"an empty line", ``, "BAD_LINE"},
		{"an arm", `{"v":1,"type":"arm","key":"00","as":"aggregated","until_ns":"7"}`, ""},
		{"an arm as reported", `{"v":1,"type":"arm","key":"00","as":"reported","until_ns":"7"}`, "BAD_LINE"},
		{"an arm without an end", `{"v":1,"type":"arm","key":"00","as":"aggregated"}`, "BAD_LINE"},
		{"a counted total", `{"v":1,"type":"counted","id":"7","total":"8"}`, ""},
		{"a negative total", `{"v":1,"type":"counted","id":"7","total":"-8"}`, "BAD_LINE"},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, err := DecodeClient([]byte(test.line))
			var wireError *Error
			switch {
			case test.code == "" && err != nil:
				t.Fatal(err)
			case test.code != "" && (!errors.As(err, &wireError) || wireError.Code != test.code):
				t.Fatalf("%v, want %s", err, test.code)
			}
		})
	}
}
