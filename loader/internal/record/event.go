// SPDX-License-Identifier: Apache-2.0

// Package record decodes one record of the ring: bytes → Event. Pure: no clock, no I/O, no classification. The layout is that of
// bpf/event.h, by package abi. Package wire encodes events.
package record

// Event is one termination, one restart, the beginning or end of a request, or a gap. The JSON names are the keys of the wire; docs/wire.md describes each. Fields that end in Ns are
// nanoseconds, timestamps are CLOCK_BOOTTIME. Process and thread ids are those of the initial pid namespace, but for Vpid. Texts are valid
// UTF-8; a nil pointer or slice: not known. The caller of Decode sets Seq, and ClockOffsetNs where it is 0: the probes did not know it.
type Event struct {
	Seq           uint64         `json:"seq,string"`
	TimeNs        uint64         `json:"time_ns,string"`
	ClockOffsetNs int64          `json:"clock_offset_ns,string"`
	StatusRaw     uint32         `json:"status_raw"`
	Origin        Origin         `json:"origin"`
	Process       Process        `json:"process"`
	Signal        *Signal        `json:"signal"`
	Request       *Signal        `json:"request"`
	Stop          *Stop          `json:"stop"`
	Fault         *Fault         `json:"fault"`
	HandledFault  *Fault         `json:"handled_fault"`
	Oom           *Oom           `json:"oom"`
	OomVictim     bool           `json:"oom_victim"`
	SeccompMode   uint32         `json:"seccomp_mode"`
	PdeathSignal  uint32         `json:"pdeath_signal"`
	Ptraced       bool           `json:"ptraced"`
	Threads       uint32         `json:"threads"`
	Shrunk        bool           `json:"shrunk"`
	FactsRefused  bool           `json:"facts_refused"` // no facts of it are kept, and memory was full for its origin since it started
	ThreadContext *ThreadContext `json:"thread_context"`
	Repeat        *Repeat        `json:"repeat"`
	Crash         *Crash         `json:"crash"` // set by the caller of Decode, from CrashReference

	// CrashReference names what was copied of a crash; nil: nothing was to be copied.
	CrashReference *CrashReference `json:"-"`

	// Tool is set for a request: Process executed this tool, or sent its Signal. nil: neither.
	Tool *Tool `json:"-"`
	// RequestEnd: the tool in Process, of which only Pid and StartBoottimeNs are known, ended.
	RequestEnd bool `json:"-"`

	// GapFromNs is set for a gap: no probe was attached from then until TimeNs. 0: it is none.
	GapFromNs uint64 `json:"-"`

	// Predecessor is set for a restart: Process executes the program that the predecessor executed. nil: Process terminated.
	Predecessor *Predecessor `json:"-"`
}

// Origin is to whom the process counts where something is bounded and shared (bpf/origin.h).
type Origin struct {
	Cgroup uint64 `json:"cgroup,string"` // the id of the outermost unit, container, pod or user slice; 0: the root
	UID    uint32 `json:"uid"`           // the real user or, in a user namespace, the owner of the outermost one
}

// ThreadContext is the span that was open in the thread that triggered the termination, as that thread published it (OTEP 4947).
type ThreadContext struct {
	TraceID    string `json:"trace_id"` // hex
	SpanID     string `json:"span_id"`  // hex
	TraceFlags uint8  `json:"trace_flags"`
	Attributes []byte `json:"attributes"` // attrs-data of its record, as it was in memory
}

// Repeat identifies terminations that are equal, to the kernel's facts (struct repeat_key in bpf/).
type Repeat struct {
	Key    string `json:"key"`    // hex
	File   bool   `json:"file"`   // Key has the executable's inode; false: only its comm
	Claims bool   `json:"claims"` // Key has what the process claims of its service, or that it claims nothing; false: that was not readable
	Caused bool   `json:"-"`      // another process, the kernel or a fault caused the termination, which has a reserve of records then (bpf/repeats.h)
}

// Predecessor is the terminated process that the process of a restart may replace.
type Predecessor struct {
	Pid             uint32 `json:"pid"`
	StartBoottimeNs uint64 `json:"start_boottime_ns,string"`
	TimeNs          uint64 `json:"time_ns,string"`
}

// Tool is a program by which people ask others to act (bpf/requests.h).
type Tool struct {
	Name   string      `json:"tool"`        // "": no program was executed, but Signal sent
	Script *string     `json:"script"`      // the path that execve(2) was given, if it is a script; nil: the executable is the tool
	Owner  *uint32     `json:"file_owner"`  // of the executable; nil: its file system is not one whose owners count
	Signal *InitSignal `json:"init_signal"` // nil: a program was executed
}

// InitSignal is a signal to an init by which it is asked to turn its machine or container off (bpf/init_signals.h).
type InitSignal struct {
	Signo           uint32 `json:"signo"`
	Pid             uint32 `json:"pid"` // of the init, like the next one
	StartBoottimeNs uint64 `json:"start_boottime_ns,string"`
}

// Process is the process that terminated or, for a restart, the new one.
type Process struct {
	Pid             uint32            `json:"pid"`
	Vpid            uint32            `json:"vpid"`
	StartBoottimeNs uint64            `json:"start_boottime_ns,string"`
	ParentPid       uint32            `json:"parent_pid"`
	Tid             uint32            `json:"tid"`
	Comm            string            `json:"comm"`
	ThreadComm      string            `json:"thread_comm"`
	UID             uint32            `json:"uid"`
	GID             uint32            `json:"gid"`
	RealUID         *uint32           `json:"real_uid"`
	LoginUID        *uint32           `json:"login_uid"`
	Session         *uint32           `json:"session"` // of the login
	Exe             *string           `json:"exe"`
	ExeFlags        []string          `json:"exe_flags"` // see exeFlags
	BuildID         *string           `json:"build_id"`
	GoBuildID       *string           `json:"go_build_id"`
	OtelContext     []byte            `json:"otel_context"` // a serialized opentelemetry.proto.resource.v1.Resource
	Args            []string          `json:"args"`
	ArgsTruncated   bool              `json:"args_truncated"`
	Env             map[string]string `json:"env"` // keys: Machine.EnvironmentKeys
	Cgroup          *string           `json:"cgroup"`
	Pipes           *Pipes            `json:"pipes"`          // nil: neither standard input nor output is a pipe
	CgroupClaimed   uint32            `json:"cgroup_claimed"` // names at the end of Cgroup that another user than root chose
	UserNamespace   bool              `json:"user_namespace"` // not the initial one
	UtsHostname     *string           `json:"uts_hostname"`   // of its UTS namespace; nil: the machine's
	Ancestors       []Ancestor        `json:"ancestors"`
}

// Pipes are the pipes of standard input and output, by inode. nil: it is none.
type Pipes struct {
	Input         *uint64 `json:"input"`
	Output        *uint64 `json:"output"`
	OutputReaders uint32  `json:"output_readers"`
}

// Actor returns the process of a request, as the wire has it.
func (event *Event) Actor() *Actor {
	p := &event.Process
	return &Actor{
		Pid: p.Pid, Tid: p.Tid, StartBoottimeNs: p.StartBoottimeNs, Comm: p.Comm, UID: p.UID, RealUID: p.RealUID, LoginUID: p.LoginUID, Session: p.Session,
		Exe: p.Exe, ExeFlags: p.ExeFlags, Args: p.Args, ArgsTruncated: p.ArgsTruncated, Env: p.Env, Cgroup: p.Cgroup, CgroupClaimed: p.CgroupClaimed,
		UserNamespace: p.UserNamespace, UtsHostname: p.UtsHostname, Ancestors: p.Ancestors,
	}
}

// Ancestor is the parent of a process, or the parent of another ancestor. Lists begin with the parent.
type Ancestor struct {
	Pid             uint32   `json:"pid"`
	StartBoottimeNs uint64   `json:"start_boottime_ns,string"`
	Comm            string   `json:"comm"`
	Exe             *string  `json:"exe"` // nil, like the following: its program is not known
	Args            []string `json:"args"`
	ArgsTruncated   bool     `json:"args_truncated"`
	UID             *uint32  `json:"uid"` // effective, when it executed its program
	LoginUID        *uint32  `json:"login_uid"`
}

// Signal is one signal, from the tracepoint signal_generate.
type Signal struct {
	Signo         uint32   `json:"signo"`
	Code          int32    `json:"code"`
	Info          string   `json:"info"` // siginfo, noinfo or kernel (SEND_SIG_PRIV)
	SiginfoPid    *int32   `json:"siginfo_pid"`
	SiginfoUID    *uint32  `json:"siginfo_uid"`
	Result        uint32   `json:"result"`
	Action        string   `json:"action"` // default, ignored or handled
	Committed     bool     `json:"committed"`
	Group         bool     `json:"group"`
	VictimStopped bool     `json:"victim_stopped"` // or began to stop
	TargetTid     uint32   `json:"target_tid"`
	TimeNs        uint64   `json:"time_ns,string"`
	Syscall       *int32   `json:"syscall"`
	SyscallArch   *uint32  `json:"syscall_arch"` // AUDIT_ARCH_*: the table of Syscall
	Sender        Actor    `json:"sender"`
	KernelStack   []string `json:"kernel_stack"` // function names, innermost first
}

// Stop is the last stop of the process by a signal that took effect.
type Stop struct {
	SinceNs     *string `json:"since_ns"`     // the signal was delivered; nil: that was not seen
	ContinuedNs *string `json:"continued_ns"` // SIGCONT was sent; nil: it was still stopped at its end
	Signal      Signal  `json:"signal"`
}

// Actor is the task that ran (current) when a signal was generated. It is not always the sender: a timer fires in any task.
type Actor struct {
	Pid             uint32            `json:"pid"`
	Tid             uint32            `json:"tid"`
	StartBoottimeNs uint64            `json:"start_boottime_ns,string"`
	Comm            string            `json:"comm"`
	UID             uint32            `json:"uid"`
	RealUID         *uint32           `json:"real_uid"`
	LoginUID        *uint32           `json:"login_uid"`
	Session         *uint32           `json:"session"`
	Exiting         bool              `json:"exiting"`
	Kthread         bool              `json:"kthread"`
	ProcessLives    bool              `json:"process_lives"` // of an exiting thread: other threads of its process go on
	Exe             *string           `json:"exe"`
	ExeFlags        []string          `json:"exe_flags"`
	Args            []string          `json:"args"`
	ArgsTruncated   bool              `json:"args_truncated"`
	Env             map[string]string `json:"env"` // keys: Machine.ActorEnvironmentKeys
	Cgroup          *string           `json:"cgroup"`
	CgroupClaimed   uint32            `json:"cgroup_claimed"` // as in Process
	UserNamespace   bool              `json:"user_namespace"`
	UtsHostname     *string           `json:"uts_hostname"`
	Ancestors       []Ancestor        `json:"ancestors"`
}

// Fault is a signal that the processor or seccomp raised, from the tracepoint signal_deliver. Addresses are hexadecimal, with 0x.
type Fault struct {
	Signo              uint32  `json:"signo"`
	Code               int32   `json:"code"`
	Address            *string `json:"address"`
	InstructionPointer *string `json:"instruction_pointer"`
	StackPointer       *string `json:"stack_pointer"`
	Tid                uint32  `json:"tid"`
	ThreadComm         string  `json:"thread_comm"`
	TrapNr             *uint64 `json:"trap_nr"`
	ErrorCode          *uint64 `json:"error_code"`
	Syscall            *int32  `json:"syscall"`
	SyscallArch        *uint32 `json:"syscall_arch"`
	TimeNs             uint64  `json:"time_ns,string"`
}

// Oom holds the sizes of the OOM killer's victim, in bytes; nil: they are not known. Limit and Cgroup are those of the memory cgroup at its
// limit, nil if none is.
type Oom struct {
	TotalVM  *string `json:"total_vm"`
	AnonRss  *string `json:"anon_rss"`
	FileRss  *string `json:"file_rss"`
	ShmemRss *string `json:"shmem_rss"`
	ScoreAdj int32   `json:"score_adj"`
	Cgroup   *string `json:"cgroup"`
	Limit    *string `json:"limit"`
	TimeNs   uint64  `json:"time_ns,string"`
}
