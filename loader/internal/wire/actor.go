// SPDX-License-Identifier: Apache-2.0

package wire

import (
	"slices"

	"whodunit/loader/internal/record"
)

// The lines of requests, and what the lines of event.go have of processes that act.

func appendRequest(out []byte, event *record.Event) ([]byte, error) {
	start := len(out)
	w := writer{out}
	w.head("request", event)
	w.origin(event.Origin)
	w.string(`,"tool":`, event.Tool.Name)
	w.stringOrNull(`,"script":`, event.Tool.Script)
	numberOrNull(&w, `,"file_owner":`, event.Tool.Owner)
	if signal := event.Tool.Signal; signal != nil {
		w.number(`,"init_signal":{"signo":`, signal.Signo)
		w.number(`,"pid":`, signal.Pid)
		w.quotedUint(`,"start_boottime_ns":`, signal.StartBoottimeNs)
		w.text("}")
	}
	w.actor(`,"process":{"pid":`, event.Actor())
	w.text("}\n")
	return w.line("request", start)
}

func appendRequestEnd(out []byte, event *record.Event) ([]byte, error) {
	start := len(out)
	w := writer{out}
	w.head("request_end", event)
	w.origin(event.Origin)
	w.number(`,"pid":`, event.Process.Pid)
	w.quotedUint(`,"start_boottime_ns":`, event.Process.StartBoottimeNs)
	w.number(`,"status_raw":`, event.StatusRaw)
	w.text("}\n")
	return w.line("request_end", start)
}

// actor writes an Actor. before ends in the key of its first field.
func (w *writer) actor(before string, a *record.Actor) {
	w.number(before, a.Pid)
	w.number(`,"tid":`, a.Tid)
	w.quotedUint(`,"start_boottime_ns":`, a.StartBoottimeNs)
	w.string(`,"comm":`, a.Comm)
	w.number(`,"uid":`, a.UID)
	numberOrNull(w, `,"real_uid":`, a.RealUID)
	numberOrNull(w, `,"login_uid":`, a.LoginUID)
	numberOrNull(w, `,"session":`, a.Session)
	w.flag(`,"exiting":`, a.Exiting)
	w.flag(`,"kthread":`, a.Kthread)
	w.flag(`,"process_lives":`, a.ProcessLives)
	w.stringOrNull(`,"exe":`, a.Exe)
	w.strings(`,"exe_flags":`, a.ExeFlags)
	w.strings(`,"args":`, a.Args)
	w.flag(`,"args_truncated":`, a.ArgsTruncated)
	w.environment(`,"env":`, a.Env)
	w.stringOrNull(`,"cgroup":`, a.Cgroup)
	w.number(`,"cgroup_claimed":`, a.CgroupClaimed)
	w.flag(`,"user_namespace":`, a.UserNamespace)
	w.stringOrNull(`,"uts_hostname":`, a.UtsHostname)
	w.ancestors(`,"ancestors":`, a.Ancestors)
	w.text("}")
}

func (w *writer) ancestors(key string, ancestors []record.Ancestor) {
	w.text(key)
	before := `[{"pid":`
	for _, ancestor := range ancestors {
		w.number(before, ancestor.Pid)
		w.quotedUint(`,"start_boottime_ns":`, ancestor.StartBoottimeNs)
		w.string(`,"comm":`, ancestor.Comm)
		w.stringOrNull(`,"exe":`, ancestor.Exe)
		w.strings(`,"args":`, ancestor.Args)
		w.flag(`,"args_truncated":`, ancestor.ArgsTruncated)
		numberOrNull(w, `,"uid":`, ancestor.UID)
		numberOrNull(w, `,"login_uid":`, ancestor.LoginUID)
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
	keys := make([]string, 0, 8) // with more variables it would allocate
	for name := range variables {
		keys = append(keys, name)
	}
	slices.Sort(keys)
	before := "{"
	for _, name := range keys {
		w.string(before, name)
		w.string(":", variables[name])
		before = ","
	}
	if before == "{" {
		w.text(before)
	}
	w.text("}")
}
