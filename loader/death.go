// SPDX-License-Identifier: Apache-2.0

// The lines of one death and of one restart, written by hand to the very bytes that encoding/json would give (a test compares): they are the ones of
// which there are a hundred thousand, and reflection took most of the loader's time. The other lines are left to wire.go.
package main

import (
	"encoding/base64"
	"fmt"
	"strconv"
	"unicode/utf8"
)

// appendDeath appends the line, with its newline. It fails, and appends nothing, only if the line were longer than lineBytesMax.
func appendDeath(out []byte, event *Event) ([]byte, error) {
	start := len(out)
	w := writer{out}
	w.head("death", event)
	w.text(`,"status_raw":`)
	w.uint(uint64(event.StatusRaw))
	w.process(&event.Process)
	w.text(`,"signal":`)
	w.signal(event.Signal)
	w.text(`,"request":`)
	w.signal(event.Request)
	w.text(`,"fault":`)
	w.fault(event.Fault)
	w.text(`,"handled_fault":`)
	w.fault(event.HandledFault)
	w.text(`,"oom":`)
	w.oom(event.Oom)
	w.flag(`,"oom_victim":`, event.OomVictim)
	w.number(`,"seccomp_mode":`, event.SeccompMode)
	w.number(`,"pdeath_signal":`, event.PdeathSignal)
	w.flag(`,"ptraced":`, event.Ptraced)
	w.number(`,"threads":`, event.Threads)
	w.flag(`,"shrunk":`, event.Shrunk)
	w.text(`,"thread_context":`)
	w.threadContext(event.ThreadContext)
	w.text("}\n")
	return w.line("death", start)
}

// appendRestart appends the line of an event that is a restart. It fails as appendDeath does.
func appendRestart(out []byte, event *Event) ([]byte, error) {
	start := len(out)
	w := writer{out}
	w.head("restart", event)
	w.process(&event.Process)
	w.number(`,"dead":{"pid":`, event.Dead.Pid)
	w.quotedUint(`,"start_boottime_ns":`, event.Dead.StartBoottimeNs)
	w.quotedUint(`,"time_ns":`, event.Dead.TimeNs)
	w.text("}}\n")
	return w.line("restart", start)
}

// writer appends JSON. Its methods write what their names say; a key comes with the comma before it.
type writer struct{ out []byte }

func (w *writer) head(messageType string, event *Event) {
	w.text(`{"v":`)
	w.int(wireVersion)
	w.text(`,"type":"`)
	w.text(messageType)
	w.quotedUint(`","seq":`, event.Seq)
	w.quotedUint(`,"time_ns":`, event.TimeNs)
	w.quotedInt(`,"clock_offset_ns":`, event.ClockOffsetNs)
}

// line ends the line that began at start; too long a one is taken back.
func (w *writer) line(messageType string, start int) ([]byte, error) {
	if length := len(w.out) - start; length > lineBytesMax {
		return w.out[:start], fmt.Errorf("encode %s: the line has %d bytes, more than the limit of %d", messageType, length, lineBytesMax)
	}
	return w.out, nil
}

func (w *writer) text(raw string)                 { w.out = append(w.out, raw...) }
func (w *writer) int(value int64)                 { w.out = strconv.AppendInt(w.out, value, 10) }
func (w *writer) uint(value uint64)               { w.out = strconv.AppendUint(w.out, value, 10) }
func (w *writer) number(key string, value uint32) { w.text(key); w.uint(uint64(value)) }
func (w *writer) string(key string, value string) { w.text(key); w.quoted(value) }
func (w *writer) flag(key string, value bool)     { w.text(key); w.out = strconv.AppendBool(w.out, value) }
func (w *writer) quotedInt(key string, value int64) {
	w.text(key)
	w.text(`"`)
	w.int(value)
	w.text(`"`)
}
func (w *writer) quotedUint(key string, value uint64) {
	w.text(key)
	w.text(`"`)
	w.uint(value)
	w.text(`"`)
}

func (w *writer) stringOrNull(key string, value *string) {
	w.text(key)
	if value == nil {
		w.text("null")
		return
	}
	w.quoted(*value)
}

func (w *writer) base64OrNull(key string, value []byte) {
	w.text(key)
	if value == nil {
		w.text("null")
		return
	}
	w.text(`"`)
	w.out = base64.StdEncoding.AppendEncode(w.out, value)
	w.text(`"`)
}

func numberOrNull[T int32 | uint32 | uint64](w *writer, key string, value *T) {
	w.text(key)
	switch {
	case value == nil:
		w.text("null")
	case *value < 0:
		w.int(int64(*value))
	default:
		w.uint(uint64(*value))
	}
}

func (w *writer) process(p *Process) {
	w.number(`,"process":{"pid":`, p.Pid)
	w.number(`,"vpid":`, p.Vpid)
	w.quotedUint(`,"start_boottime_ns":`, p.StartBoottimeNs)
	w.number(`,"parent_pid":`, p.ParentPid)
	w.number(`,"tid":`, p.Tid)
	w.string(`,"comm":`, p.Comm)
	w.string(`,"thread_comm":`, p.ThreadComm)
	w.number(`,"uid":`, p.UID)
	w.number(`,"gid":`, p.GID)
	w.stringOrNull(`,"exe":`, p.Exe)
	w.stringOrNull(`,"build_id":`, p.BuildID)
	w.base64OrNull(`,"otel_context":`, p.OtelContext)
	w.strings(`,"args":`, p.Args)
	w.flag(`,"args_truncated":`, p.ArgsTruncated)
	w.environment(`,"env":`, p.Env)
	w.stringOrNull(`,"cgroup":`, p.Cgroup)
	w.ancestors(`,"ancestors":`, p.Ancestors)
	w.text("}")
}

func (w *writer) signal(s *Signal) {
	if s == nil {
		w.text("null")
		return
	}
	w.number(`{"signo":`, s.Signo)
	w.text(`,"code":`)
	w.int(int64(s.Code))
	w.string(`,"info":`, s.Info)
	numberOrNull(w, `,"siginfo_pid":`, s.SiginfoPid)
	numberOrNull(w, `,"siginfo_uid":`, s.SiginfoUID)
	w.number(`,"result":`, s.Result)
	w.string(`,"action":`, s.Action)
	w.flag(`,"committed":`, s.Committed)
	w.flag(`,"group":`, s.Group)
	w.number(`,"target_tid":`, s.TargetTid)
	w.quotedUint(`,"time_ns":`, s.TimeNs)
	numberOrNull(w, `,"syscall":`, s.Syscall)
	w.number(`,"sender":{"pid":`, s.Sender.Pid)
	w.number(`,"tid":`, s.Sender.Tid)
	w.quotedUint(`,"start_boottime_ns":`, s.Sender.StartBoottimeNs)
	w.string(`,"comm":`, s.Sender.Comm)
	w.number(`,"uid":`, s.Sender.UID)
	w.flag(`,"exiting":`, s.Sender.Exiting)
	w.flag(`,"kthread":`, s.Sender.Kthread)
	w.stringOrNull(`,"exe":`, s.Sender.Exe)
	w.strings(`,"args":`, s.Sender.Args)
	w.flag(`,"args_truncated":`, s.Sender.ArgsTruncated)
	w.stringOrNull(`,"cgroup":`, s.Sender.Cgroup)
	w.ancestors(`,"ancestors":`, s.Sender.Ancestors)
	w.strings(`},"kernel_stack":`, s.KernelStack)
	w.text("}")
}

func (w *writer) fault(f *Fault) {
	if f == nil {
		w.text("null")
		return
	}
	w.number(`{"signo":`, f.Signo)
	w.text(`,"code":`)
	w.int(int64(f.Code))
	w.stringOrNull(`,"address":`, f.Address)
	w.stringOrNull(`,"instruction_pointer":`, f.InstructionPointer)
	w.stringOrNull(`,"stack_pointer":`, f.StackPointer)
	w.number(`,"tid":`, f.Tid)
	w.string(`,"thread_comm":`, f.ThreadComm)
	numberOrNull(w, `,"trap_nr":`, f.TrapNr)
	numberOrNull(w, `,"error_code":`, f.ErrorCode)
	numberOrNull(w, `,"syscall":`, f.Syscall)
	numberOrNull(w, `,"syscall_arch":`, f.SyscallArch)
	w.quotedUint(`,"time_ns":`, f.TimeNs)
	w.text("}")
}

func (w *writer) oom(o *Oom) {
	if o == nil {
		w.text("null")
		return
	}
	w.quotedUint(`{"total_vm":`, o.TotalVM)
	w.quotedInt(`,"anon_rss":`, o.AnonRss)
	w.quotedInt(`,"file_rss":`, o.FileRss)
	w.quotedInt(`,"shmem_rss":`, o.ShmemRss)
	w.text(`,"score_adj":`)
	w.int(int64(o.ScoreAdj))
	w.stringOrNull(`,"cgroup":`, o.Cgroup)
	w.stringOrNull(`,"limit":`, o.Limit)
	w.quotedUint(`,"time_ns":`, o.TimeNs)
	w.text("}")
}

func (w *writer) threadContext(c *ThreadContext) {
	if c == nil {
		w.text("null")
		return
	}
	w.string(`{"trace_id":`, c.TraceID)
	w.string(`,"span_id":`, c.SpanID)
	w.number(`,"trace_flags":`, uint32(c.TraceFlags))
	w.text("}")
}

func (w *writer) strings(key string, values []string) {
	w.text(key)
	if values == nil {
		w.text("null")
		return
	}
	before := "["
	for _, value := range values {
		w.string(before, value)
		before = ","
	}
	if len(values) == 0 {
		w.text(before)
	}
	w.text("]")
}

func (w *writer) ancestors(key string, ancestors []Ancestor) {
	w.text(key)
	before := `[{"pid":`
	for _, ancestor := range ancestors {
		w.number(before, ancestor.Pid)
		w.string(`,"comm":`, ancestor.Comm)
		before = `},{"pid":`
	}
	if len(ancestors) == 0 {
		w.text("[]")
		return
	}
	w.text("}]")
}

func (w *writer) environment(key string, variables map[string]string) {
	w.text(key)
	if variables == nil {
		w.text("null")
		return
	}
	before := "{"
	for _, allowed := range allowedEnvironment {
		if value, set := variables[allowed]; set {
			w.string(before, allowed)
			w.string(":", value)
			before = ","
		}
	}
	if before == "{" {
		w.text(before)
	}
	w.text("}")
}

// quoted writes a JSON string of text that is UTF-8 already, as encoding/json does without HTML escapes.
func (w *writer) quoted(value string) {
	const digits = "0123456789abcdef"
	w.out = append(w.out, '"')
	written := 0
	for i := 0; i < len(value); i++ {
		c := value[i]
		if c >= ' ' && c != '"' && c != '\\' && c < utf8.RuneSelf {
			continue
		}
		var escaped [6]byte
		length := 6
		switch c {
		case '"', '\\':
			escaped[0], escaped[1], length = '\\', c, 2
		case '\b', '\t', '\n', '\f', '\r':
			escaped[0], escaped[1], length = '\\', "btn-fr"[c-'\b'], 2
		case 0xe2: // U+2028 and U+2029 end a line in JavaScript
			if i+2 >= len(value) || value[i+1] != 0x80 || value[i+2]&^1 != 0xa8 {
				continue
			}
			copy(escaped[:], `\u2028`)
			escaped[5] += value[i+2] & 1
		default:
			if c >= utf8.RuneSelf {
				continue
			}
			copy(escaped[:], `\u00`)
			escaped[4], escaped[5] = digits[c>>4], digits[c&15]
		}
		w.out = append(append(w.out, value[written:i]...), escaped[:length]...)
		if c == 0xe2 {
			i += 2
		}
		written = i + 1
	}
	w.out = append(append(w.out, value[written:]...), '"')
}
