// SPDX-License-Identifier: Apache-2.0

package wire

import (
	"bytes"
	"encoding/json"

	"whodunit/loader/internal/record"
)

// AppendEvent appends the line of the event, with its newline: `restart` if it has a predecessor, `request` if it has a tool, `request_end`
// at its end, `gap` if it is one, else `death`. It fails, and appends
// nothing, only if the line would exceed LineBytesMax.
//
// These lines are written by hand, byte for byte as encoding/json writes them (a fuzzer compares both): there can be a hundred thousand of
// them, and reflection took most of the loader's time.
func AppendEvent(out []byte, event *record.Event) ([]byte, error) {
	switch {
	case event.Predecessor != nil:
		return appendRestart(out, event)
	case event.Tool != nil:
		return appendRequest(out, event)
	case event.RequestEnd:
		return appendRequestEnd(out, event)
	case event.GapFromNs != 0:
		return appendGap(out, event), nil
	}
	return appendDeath(out, event)
}

func appendDeath(out []byte, event *record.Event) ([]byte, error) {
	start := len(out)
	w := writer{out}
	w.head("death", event)
	w.text(`,"status_raw":`)
	w.uint(uint64(event.StatusRaw))
	w.origin(event.Origin)
	w.process(&event.Process)
	w.text(`,"signal":`)
	w.signal(event.Signal)
	w.text(`,"request":`)
	w.signal(event.Request)
	w.text(`,"stop":`)
	w.stop(event.Stop)
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
	w.flag(`,"facts_refused":`, event.FactsRefused)
	w.text(`,"thread_context":`)
	w.threadContext(event.ThreadContext)
	w.text(`,"repeat":`)
	w.repeat(event.Repeat)
	w.text(`,"crash":`)
	w.crash(event.Crash)
	w.text("}\n")
	return w.line("death", start)
}

func appendRestart(out []byte, event *record.Event) ([]byte, error) {
	start := len(out)
	w := writer{out}
	w.head("restart", event)
	w.origin(event.Origin)
	w.process(&event.Process)
	w.number(`,"dead":{"pid":`, event.Predecessor.Pid)
	w.quotedUint(`,"start_boottime_ns":`, event.Predecessor.StartBoottimeNs)
	w.quotedUint(`,"time_ns":`, event.Predecessor.TimeNs)
	w.text("}}\n")
	return w.line("restart", start)
}

func appendGap(out []byte, event *record.Event) []byte {
	w := writer{out}
	w.head("gap", event)
	w.quotedUint(`,"from_ns":`, event.GapFromNs)
	w.text("}\n")
	return w.out
}

// AppendEqual appends the line of a termination with an armed key, which needs nothing but a count: `equal`.
func AppendEqual(out []byte, event *record.Event, as string) []byte {
	w := writer{out}
	w.head("equal", event)
	w.string(`,"key":`, event.Repeat.Key)
	w.string(`,"as":`, as)
	w.number(`,"pid":`, event.Process.Pid)
	w.quotedUint(`,"start_boottime_ns":`, event.Process.StartBoottimeNs)
	w.text("}\n")
	return w.out
}

func (w *writer) head(messageType string, event *record.Event) {
	w.text(`{"v":`)
	w.int(Version)
	w.text(`,"type":"`)
	w.text(messageType)
	w.quotedUint(`","seq":`, event.Seq)
	w.quotedUint(`,"time_ns":`, event.TimeNs)
	w.quotedInt(`,"clock_offset_ns":`, event.ClockOffsetNs)
}

// line returns what was written since start as one line, or removes it if it is too long.
func (w *writer) line(messageType string, start int) ([]byte, error) {
	if length := len(w.out) - start; length > LineBytesMax {
		return w.out[:start], tooLong(messageType, length)
	}
	return w.out, nil
}

func (w *writer) origin(o record.Origin) {
	w.quotedUint(`,"origin":{"cgroup":`, o.Cgroup)
	w.number(`,"uid":`, o.UID)
	w.text("}")
}

func (w *writer) process(p *record.Process) {
	w.number(`,"process":{"pid":`, p.Pid)
	w.number(`,"vpid":`, p.Vpid)
	w.quotedUint(`,"start_boottime_ns":`, p.StartBoottimeNs)
	w.number(`,"parent_pid":`, p.ParentPid)
	w.number(`,"tid":`, p.Tid)
	w.string(`,"comm":`, p.Comm)
	w.string(`,"thread_comm":`, p.ThreadComm)
	w.number(`,"uid":`, p.UID)
	w.number(`,"gid":`, p.GID)
	numberOrNull(w, `,"real_uid":`, p.RealUID)
	numberOrNull(w, `,"login_uid":`, p.LoginUID)
	numberOrNull(w, `,"session":`, p.Session)
	w.stringOrNull(`,"exe":`, p.Exe)
	w.strings(`,"exe_flags":`, p.ExeFlags)
	w.stringOrNull(`,"build_id":`, p.BuildID)
	w.stringOrNull(`,"go_build_id":`, p.GoBuildID)
	w.base64OrNull(`,"otel_context":`, p.OtelContext)
	w.strings(`,"args":`, p.Args)
	w.flag(`,"args_truncated":`, p.ArgsTruncated)
	w.environment(`,"env":`, p.Env)
	w.stringOrNull(`,"cgroup":`, p.Cgroup)
	w.text(`,"pipes":`)
	w.pipes(p.Pipes)
	w.number(`,"cgroup_claimed":`, p.CgroupClaimed)
	w.flag(`,"user_namespace":`, p.UserNamespace)
	w.stringOrNull(`,"uts_hostname":`, p.UtsHostname)
	w.ancestors(`,"ancestors":`, p.Ancestors)
	w.text("}")
}

func (w *writer) pipes(p *record.Pipes) {
	if p == nil {
		w.text("null")
		return
	}
	numberOrNull(w, `{"input":`, p.Input)
	numberOrNull(w, `,"output":`, p.Output)
	w.number(`,"output_readers":`, p.OutputReaders)
	w.text("}")
}

func (w *writer) signal(s *record.Signal) {
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
	w.flag(`,"victim_stopped":`, s.VictimStopped)
	w.number(`,"target_tid":`, s.TargetTid)
	w.quotedUint(`,"time_ns":`, s.TimeNs)
	numberOrNull(w, `,"syscall":`, s.Syscall)
	numberOrNull(w, `,"syscall_arch":`, s.SyscallArch)
	w.actor(`,"sender":{"pid":`, &s.Sender)
	w.strings(`,"kernel_stack":`, s.KernelStack)
	w.text("}")
}

func (w *writer) stop(s *record.Stop) {
	if s == nil {
		w.text("null")
		return
	}
	w.stringOrNull(`{"since_ns":`, s.SinceNs)
	w.stringOrNull(`,"continued_ns":`, s.ContinuedNs)
	w.text(`,"signal":`)
	w.signal(&s.Signal)
	w.text("}")
}

func (w *writer) fault(f *record.Fault) {
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

func (w *writer) oom(o *record.Oom) {
	if o == nil {
		w.text("null")
		return
	}
	w.stringOrNull(`{"total_vm":`, o.TotalVM)
	w.stringOrNull(`,"anon_rss":`, o.AnonRss)
	w.stringOrNull(`,"file_rss":`, o.FileRss)
	w.stringOrNull(`,"shmem_rss":`, o.ShmemRss)
	w.text(`,"score_adj":`)
	w.int(int64(o.ScoreAdj))
	w.stringOrNull(`,"cgroup":`, o.Cgroup)
	w.stringOrNull(`,"limit":`, o.Limit)
	w.quotedUint(`,"time_ns":`, o.TimeNs)
	w.text("}")
}

func (w *writer) threadContext(c *record.ThreadContext) {
	if c == nil {
		w.text("null")
		return
	}
	w.string(`{"trace_id":`, c.TraceID)
	w.string(`,"span_id":`, c.SpanID)
	w.number(`,"trace_flags":`, uint32(c.TraceFlags))
	w.base64OrNull(`,"attributes":`, c.Attributes)
	w.text("}")
}

func (w *writer) repeat(r *record.Repeat) {
	if r == nil {
		w.text("null")
		return
	}
	w.string(`{"key":`, r.Key)
	w.flag(`,"file":`, r.File)
	w.flag(`,"claims":`, r.Claims)
	w.text("}")
}

// crash is rare enough for encoding/json.
func (w *writer) crash(c *record.Crash) {
	if c == nil {
		w.text("null")
		return
	}
	var text bytes.Buffer
	encoder := json.NewEncoder(&text)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(c); err != nil {
		panic(err) // The type has nothing that cannot be encoded.
	}
	w.out = append(w.out, bytes.TrimSuffix(text.Bytes(), []byte{'\n'})...)
}
