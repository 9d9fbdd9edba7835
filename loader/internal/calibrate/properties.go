// SPDX-License-Identifier: Apache-2.0

package calibrate

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"runtime"
	"runtime/debug"
	"strconv"
	"sync/atomic"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Command is the command of this program that becomes a child with known properties.
const Command = "calibration-child"

// Signals of a child. Go handles none of them by itself.
const (
	handledSignal = 50 // and the next one: at addresses that are known, and never called
	threadSignal  = 60 // blocked, sent to the first thread
	groupSignal   = 61 // blocked, sent to the process
	blockedBits   = 1<<(threadSignal-1) | 1<<(groupSignal-1)
	handlerStep   = 0x1000
)

// rlimitMsgqueue is the limit that has a value of its own in each child: RLIMIT_MSGQUEUE.
const rlimitMsgqueue = 12

// init keeps the main goroutine of a child on the first thread of the process.
func init() {
	if len(os.Args) > 1 && os.Args[1] == Command {
		runtime.LockOSThread()
	}
}

// properties are those of the child with a number.
type properties struct{ number int }

func (p properties) name() string    { return fmt.Sprintf("calib%d-%04x", p.number, 0x5eed+p.number*977) }
func (p properties) limit() uint64   { return 612_345 + 1_111*uint64(p.number) }
func (p properties) user() uint32    { return 4_294_000_000 + 100*uint32(p.number) } // no one's
func (p properties) handler() uint64 { return 0x5100_0000 + 0x10_000*uint64(p.number) }
func (p properties) blocked() uint64 { return blockedBits | 1<<(51+p.number) }
func (p properties) pdeath() int     { return 35 + p.number }
func (p properties) threads() int    { return 1 + 2*p.number }
func (p properties) exitCode() int   { return 17 * (p.number + 1) }
func (p properties) score() int      { return 311 + 101*p.number }

// executions is how many more programs it has executed than the first child.
func (p properties) executions() int { return []int{0, 2, 1, 3}[p.number] }

// mode is that of the directory of its cgroup.
func (p properties) mode() uint32 { return []uint32{0o755, 0o700, 0o711, 0o750}[p.number] }

// isolated: the child is PID 1 of a pid namespace.
func (p properties) isolated() bool { return p.number >= 3 }

// filtered: its first thread has a seccomp filter, which permits everything.
func (p properties) filtered() bool { return p.number&1 != 0 }

// seccomp is the mode of its first thread; those of the others are 0.
func (p properties) seccomp() uint64 {
	if p.filtered() {
		return unix.SECCOMP_MODE_FILTER
	}
	return 0
}

// fault is the trap of x86-64 that the first thread had last, with its error code: a read or write of an address that is not mapped, or of one
// that cannot be (a general protection fault).
func (p properties) fault() (trap, code uint64) {
	return []uint64{14, 14, 13, 14}[p.number], []uint64{4, 6, 0, 6}[p.number]
}

// Unprepared is the number of executions of a child that has not executed this program again.
const Unprepared = -1

// Run makes this process a child. executions: how often it still has to execute this program. It returns if it fails, or the loader has ended.
func Run(n, executions int) error {
	known := properties{n}
	if n >= children {
		return known.turnOff()
	}
	switch {
	case executions == Unprepared: // All threads of the next program have the blocked signals of this one.
		return known.prepare()
	case executions > 0:
		return known.execute(executions - 1)
	}
	if err := known.adopt(); err != nil {
		return err
	}
	fmt.Println(unix.Gettid())
	if _, err := bufio.NewReader(os.Stdin).ReadString('\n'); err != nil {
		return nil
	}
	os.Exit(known.exitCode())
	return nil
}

// ends are how PID 1 of a pid namespace turns that off, with pid_namespace.reboot afterwards (reboot_pid_ns()).
var ends = []struct {
	command int
	reboot  uint64
}{{unix.LINUX_REBOOT_CMD_RESTART, uint64(unix.SIGHUP)}, {unix.LINUX_REBOOT_CMD_POWER_OFF, uint64(unix.SIGINT)}}

// turnOff ends this process and its pid namespace. That of the machine has another PID 1, which started the loader.
func (p properties) turnOff() error {
	if os.Getpid() != 1 {
		return errors.New("this is not PID 1 of a pid namespace")
	}
	return unix.Reboot(ends[p.number-children].command)
}

func (p properties) prepare() error {
	if err := unix.Setrlimit(rlimitMsgqueue, &unix.Rlimit{Cur: p.limit(), Max: p.limit() + 7}); err != nil {
		return fmt.Errorf("set a limit: %w", err)
	}
	blocked := unix.Sigset_t{Val: [16]uint64{p.blocked()}}
	if err := unix.PthreadSigmask(unix.SIG_SETMASK, &blocked, nil); err != nil {
		return fmt.Errorf("block signals: %w", err)
	}
	return p.execute(p.executions())
}

func (p properties) execute(executions int) error {
	return unix.Exec("/proc/self/exe", []string{os.Args[0], Command, "--number", strconv.Itoa(p.number), "--executions", strconv.Itoa(executions)}, []string{})
}

func (p properties) adopt() error {
	for range p.threads() {
		started := make(chan bool)
		go func() {
			runtime.LockOSThread()
			started <- true
			select {}
		}()
		<-started
	}
	for i := range uint64(2) {
		action := [4]uint64{p.handler() + i*handlerStep, 0x0400_0000 /* SA_RESTORER */, p.handler() + 8, 0}
		if _, _, errno := unix.RawSyscall6(unix.SYS_RT_SIGACTION, uintptr(handledSignal+i), uintptr(unsafe.Pointer(&action)), 0, 8, 0, 0); errno != 0 {
			return fmt.Errorf("handle a signal: %w", errno)
		}
	}
	if err := os.WriteFile("/proc/thread-self/comm", []byte(p.name()), 0); err != nil { // before its files belong to root
		return err
	}
	p.provokeFault()
	if p.filtered() {
		allow := unix.SockFilter{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_ALLOW}
		program := unix.SockFprog{Len: 1, Filter: &allow}
		if err := errors.Join(unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), unix.Prctl(unix.PR_SET_SECCOMP, unix.SECCOMP_MODE_FILTER, uintptr(unsafe.Pointer(&program)), 0, 0)); err != nil {
			return fmt.Errorf("filter system calls: %w", err)
		}
	}
	user := int(p.user())
	if err := syscall.Setresgid(user+4, user+5, user+6); err != nil {
		return fmt.Errorf("change the group: %w", err)
	}
	if err := syscall.Setresuid(user+1, user+2, user+3); err != nil {
		return fmt.Errorf("change the user: %w", err)
	}
	// Without CAP_SYS_RESOURCE, oom_score_adj_min stays as it is. Of a process that is not dumpable, the file belongs to root.
	if err := errors.Join(unix.Prctl(unix.PR_SET_DUMPABLE, 1, 0, 0, 0), os.WriteFile("/proc/self/oom_score_adj", fmt.Append(nil, p.score()), 0)); err != nil {
		return fmt.Errorf("set the score of the out-of-memory killer: %w", err)
	}
	if err := unix.Prctl(unix.PR_SET_PDEATHSIG, uintptr(p.pdeath()), 0, 0, 0); err != nil {
		return fmt.Errorf("set the signal of the parent's death: %w", err)
	}
	return nil
}

// provokeFault has the fault, and continues.
func (p properties) provokeFault() {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() { recover() }()
	address := uintptr(0x5f00_0000_0000) // not mapped
	switch trap, code := p.fault(); {
	case trap == 13:
		address = 1 << 62
		fallthrough
	case code&2 == 0:
		atomic.LoadUint32((*uint32)(*(*unsafe.Pointer)(unsafe.Pointer(&address)))) // a read that the compiler keeps
	default:
		*(*byte)(*(*unsafe.Pointer)(unsafe.Pointer(&address))) = 1
	}
}
