// Attacks that try to make a record name an innocent process as the sender of a signal, and the innocent processes.
//
// SPDX-License-Identifier: Apache-2.0
package main

import (
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"strconv"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

const (
	timerNs   = 300_000 // long enough for the bystander to run again
	fSetSig   = 10      // F_SETSIG, which the package unix lacks
	sigevTid  = 4       // SIGEV_THREAD_ID
	fileMode  = 0o666
	beatNs    = 300_000
	cpuClock  = 2 // CPUCLOCK_SCHED: the time that a process ran (include/linux/posix-timers_types.h)
	spinsOnce = 1000

	unreadMax   = 16 // more messages than a bystander sends between two victims
	bufferBytes = 4096

	messageBytes = 8192 // of a queue, by default
)

// sigevent is struct sigevent, in the layout of both word sizes.
type sigevent struct {
	_      uintptr // sigev_value
	signo  int32
	notify int32
	tid    uintptr
	_      [48]byte
}

// bystander is an innocent process: it has a name and goes about its business. bystander NAME spin CALL · bystander NAME use KIND PATH.
func bystander(args []string) error {
	if len(args) < 3 {
		return fmt.Errorf("usage: bystander NAME spin CALL | bystander NAME use KIND PATH")
	}
	if err := os.WriteFile("/proc/self/comm", []byte(args[0]), 0); err != nil {
		return err
	}
	runtime.LockOSThread()
	if args[1] == "use" {
		return use(args[2], args[3])
	}
	return spin(args[2])
}

// spin makes one harmless system call again and again.
func spin(name string) error {
	var zero unix.Timespec
	at := hold(&zero)
	calls := map[string]call{
		"pselect6":  {number: unix.SYS_PSELECT6, args: [6]uintptr{0, 0, 0, 0, at, 0}},
		"ppoll":     {number: unix.SYS_PPOLL, args: [6]uintptr{0, 0, at, 0, 0, 0}},
		"getpid":    {number: unix.SYS_GETPID},
		"getgid":    {number: unix.SYS_GETGID},
		"kill":      {number: unix.SYS_KILL, args: [6]uintptr{uintptr(os.Getpid()), 0}},
		"sigqueue":  {number: unix.SYS_RT_SIGQUEUEINFO, args: [6]uintptr{uintptr(os.Getpid()), 0, hold(&siginfo{code: -1})}},
		"write":     {number: unix.SYS_WRITE, args: [6]uintptr{1, at, 0}},
		"getdents":  {number: unix.SYS_GETDENTS64, args: [6]uintptr{^uintptr(0), at, 0}},
		"getrandom": {number: unix.SYS_GETRANDOM, args: [6]uintptr{hold(&[4096]byte{}), 4096, 0}},
	}
	c, ok := calls[name]
	if !ok {
		return fmt.Errorf("no system call %q", name)
	}
	fmt.Println("spinning")
	for {
		for range spinsOnce {
			syscall.RawSyscall6(c.number, c.args[0], c.args[1], c.args[2], c.args[3], c.args[4], c.args[5])
		}
	}
}

// use writes to a queue, pipe, socket or directory that its owner lets everyone write to.
func use(kind, path string) error {
	act, err := userOf(kind, path)
	if err != nil {
		return err
	}
	fmt.Println("in use")
	for {
		act()
		time.Sleep(beatNs)
	}
}

func userOf(kind, path string) (act func(), err error) {
	one := []byte{1}
	switch kind {
	case "mqueue": // The kernel wants the name without the slash of mq_open(3).
		fd, _, failed := syscall.Syscall6(unix.SYS_MQ_OPEN, text(path), unix.O_RDWR|unix.O_NONBLOCK, 0, 0, 0, 0)
		if failed != 0 {
			return nil, failed
		}
		buffer := make([]byte, messageBytes)
		return func() {
			syscall.Syscall6(unix.SYS_MQ_TIMEDSEND, fd, uintptr(unsafe.Pointer(&one[0])), 1, 0, 0, 0)
			syscall.Syscall6(unix.SYS_MQ_TIMEDRECEIVE, fd, uintptr(unsafe.Pointer(&buffer[0])), uintptr(len(buffer)), 0, 0, 0)
		}, nil
	case "fifo":
		fd, err := unix.Open(path, unix.O_RDWR|unix.O_NONBLOCK, 0)
		return func() { _, _ = unix.Write(fd, one); _, _ = unix.Read(fd, make([]byte, 1)) }, err
	case "unix":
		fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_NONBLOCK, 0)
		return func() { _ = unix.Sendto(fd, one, 0, &unix.SockaddrUnix{Name: path}) }, err
	case "udp":
		port, _ := strconv.Atoi(path)
		fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_NONBLOCK, 0)
		return func() { _ = unix.Sendto(fd, one, 0, &unix.SockaddrInet4{Port: port, Addr: [4]byte{127, 0, 0, 1}}) }, err
	case "directory":
		return func() { _ = os.WriteFile(filepath.Join(path, "file"), one, fileMode) }, nil
	}
	return nil, fmt.Errorf("no kind %q", kind)
}

// timers: children that their own POSIX timer terminates. timers COUNT SIGNAL CLOCK process|thread; CLOCK may be the pid of another process,
// whose CPU clock it then is.
func timers(args []string) error {
	count, signo := number(args[0]), syscall.Signal(number(args[1]))
	clock := uintptr(unix.CLOCK_MONOTONIC)
	if pid := number(args[2]); pid > 1 {
		clock = ^uintptr(pid)<<3 | cpuClock
	}
	event := sigevent{signo: int32(signo)}
	calls := []call{defaultAction(signo)}
	if args[3] == "thread" {
		event.notify = sigevTid
		calls = append(calls, call{number: unix.SYS_GETTID, into: &event.tid})
	}
	var id uintptr
	due := struct{ interval, value unix.Timespec }{value: unix.NsecToTimespec(timerNs)}
	calls = append(calls,
		call{number: unix.SYS_TIMER_CREATE, args: [6]uintptr{clock, hold(&event), hold(&id)}},
		call{number: unix.SYS_TIMER_SETTIME, args: [6]uintptr{0, 0, hold(&due), 0}}) // a process's first timer has the id 0
	fmt.Println("ready")
	return victims(count, calls, nil)
}

// notified: children that a notification terminates, of a descriptor (F_SETSIG) or a queue (mq_notify) that another process uses.
// notified COUNT SIGNAL KIND PATH
func notified(args []string) error {
	count, signo, kind, path := number(args[0]), syscall.Signal(number(args[1])), args[2], args[3]
	calls, err := notifiedBy(kind, path, signo)
	if err != nil {
		return err
	}
	fmt.Println("ready")
	fmt.Scanln()          // until the bystander uses it
	if kind == "mqueue" { // Else it would count against the user's limit after the test (RLIMIT_MSGQUEUE).
		syscall.Syscall(unix.SYS_MQ_UNLINK, text(path), 0, 0)
	}
	return victims(count, calls, nil)
}

func notifiedBy(kind, path string, signo syscall.Signal) ([]call, error) {
	unix.Umask(0)
	fd, err := openShared(kind, path)
	if err != nil {
		return nil, err
	}
	if kind == "mqueue" {
		request := call{number: unix.SYS_MQ_NOTIFY, args: [6]uintptr{uintptr(fd), hold(&sigevent{signo: int32(signo)})}}
		return []call{defaultAction(signo), request}, nil
	}
	calls := []call{
		defaultAction(signo),
		{number: unix.SYS_GETPID},
		{number: unix.SYS_FCNTL, args: [6]uintptr{uintptr(fd), unix.F_SETOWN}},
		{number: unix.SYS_FCNTL, args: [6]uintptr{uintptr(fd), unix.F_SETFL, unix.O_NONBLOCK}}, // The last child left O_ASYNC.
	}
	buffer := hold(&[bufferBytes]byte{})
	for range unreadMax { // A full queue notifies no more.
		calls = append(calls, call{number: unix.SYS_READ, args: [6]uintptr{uintptr(fd), buffer, bufferBytes}})
	}
	calls = append(calls,
		call{number: unix.SYS_FCNTL, args: [6]uintptr{uintptr(fd), fSetSig, uintptr(signo)}},
		call{number: unix.SYS_FCNTL, args: [6]uintptr{uintptr(fd), unix.F_SETFL, unix.O_ASYNC | unix.O_NONBLOCK}})
	calls[1].into = &calls[2].args[2]
	return calls, nil
}

// openShared opens what everyone may use.
func openShared(kind, path string) (fd int, err error) {
	switch kind {
	case "mqueue":
		result, _, failed := syscall.Syscall6(unix.SYS_MQ_OPEN, text(path), unix.O_RDWR|unix.O_CREAT, fileMode, 0, 0, 0)
		if failed != 0 {
			return 0, failed
		}
		return int(result), nil
	case "fifo":
		if err := unix.Mkfifo(path, fileMode); err != nil {
			return 0, err
		}
		return unix.Open(path, unix.O_RDWR|unix.O_NONBLOCK, 0)
	case "unix":
		fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_NONBLOCK, 0)
		if err != nil {
			return 0, err
		}
		return fd, unix.Bind(fd, &unix.SockaddrUnix{Name: path})
	case "udp":
		fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_NONBLOCK, 0)
		if err != nil {
			return 0, err
		}
		return fd, unix.Bind(fd, &unix.SockaddrInet4{Port: number(path), Addr: [4]byte{127, 0, 0, 1}})
	case "directory":
		if err := os.Mkdir(path, 0o777); err != nil {
			return 0, err
		}
		fd, err := unix.InotifyInit1(unix.IN_NONBLOCK)
		if err != nil {
			return 0, err
		}
		_, err = unix.InotifyAddWatch(fd, path, unix.IN_MODIFY)
		return fd, err
	}
	return 0, fmt.Errorf("no kind %q", kind)
}

// siginfo is struct siginfo of a queued signal, in the layout of 64 bits.
type siginfo struct {
	signo, _, code, _, pid int32
	_                      uint32 // si_uid
	_                      [104]byte
}

// forge sends a signal with a code of the kernel and a false sender to its own child, or lets the child send it to itself.
// forge SIGNAL other|itself CODE...
func forge(args []string) error {
	signo := syscall.Signal(number(args[0]))
	fmt.Println("ready")
	for _, code := range args[2:] {
		info := siginfo{signo: int32(signo), code: int32(number(code)), pid: 1}
		calls := []call{defaultAction(signo)}
		send := func(pid int) error {
			_, _, failed := syscall.RawSyscall(unix.SYS_RT_SIGQUEUEINFO, uintptr(pid), uintptr(signo), hold(&info))
			if failed != 0 {
				return fmt.Errorf("rt_sigqueueinfo with code %d: %w", info.code, failed)
			}
			return nil
		}
		if args[1] == "itself" {
			calls = append(calls, call{number: unix.SYS_GETPID}, call{number: unix.SYS_RT_SIGQUEUEINFO, args: [6]uintptr{0, uintptr(signo), hold(&info)}})
			calls[1].into = &calls[2].args[0]
			send = nil
		}
		if err := victims(1, calls, send); err != nil {
			return err
		}
	}
	return nil
}

// killer sends a signal to a child by kill(2) and to another by tgkill(2).
func killer(args []string) error {
	signo := syscall.Signal(number(args[0]))
	fmt.Println("ready")
	calls := []call{defaultAction(signo)}
	if err := victims(1, calls, func(pid int) error { return unix.Kill(pid, signo) }); err != nil {
		return err
	}
	return victims(1, calls, func(pid int) error { return unix.Tgkill(pid, pid, signo) })
}

// orphan starts a child with PR_SET_PDEATHSIG in a thread that ends, while the process goes on.
func orphan(args []string) error {
	signo := syscall.Signal(number(args[0]))
	calls := []call{defaultAction(signo), {number: unix.SYS_PRCTL, args: [6]uintptr{unix.PR_SET_PDEATHSIG, uintptr(signo)}}}
	started := make(chan int)
	runtime.LockOSThread() // The first thread of a Go program never ends: another one must start the child.
	go func() {
		runtime.LockOSThread() // and never unlocked: the thread ends with the goroutine
		started <- fork(unix.SIGCHLD, calls)
		time.Sleep(100 * time.Millisecond) // until the child has called prctl
	}()
	pid := <-started
	if _, err := unix.Wait4(pid, nil, 0, nil); err != nil {
		return err
	}
	fmt.Println("ready")
	time.Sleep(time.Minute)
	return nil
}

// blocked blocks SIGTERM, waits for it and executes another program, which unblocks it: the signal is then delivered.
func blocked([]string) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	wait := unix.NsecToTimespec(time.Second.Nanoseconds())
	argv := [...]uintptr{text(self), text("unblocked"), 0}
	fmt.Println("ready")
	return victims(1, []call{
		blockOnly(unix.SIGTERM),
		{number: unix.SYS_NANOSLEEP, args: [6]uintptr{hold(&wait)}},
		{number: unix.SYS_EXECVE, args: [6]uintptr{argv[0], hold(&argv), hold(new([1]uintptr))}},
	}, func(pid int) error {
		time.Sleep(100 * time.Millisecond) // until the child has blocked it
		return exec.Command("kill", "-TERM", strconv.Itoa(pid)).Run()
	})
}

// unblocked lets a pending SIGTERM terminate the process.
func unblocked([]string) error {
	runtime.LockOSThread()
	for _, c := range []call{defaultAction(unix.SIGTERM), blockOnly()} {
		syscall.RawSyscall6(c.number, c.args[0], c.args[1], c.args[2], c.args[3], c.args[4], c.args[5])
	}
	time.Sleep(time.Minute)
	return nil
}

// replaced handles a SIGTERM or a fault, and then executes a shell's command in a worker thread. replaced request|fault COMMAND
func replaced(args []string) error {
	requests := make(chan os.Signal, 1)
	signal.Notify(requests, unix.SIGTERM)
	if args[0] == "fault" {
		handleFault()
	}
	fmt.Println("ready")
	if args[0] == "request" {
		<-requests
	}
	failed := make(chan error)
	go func() {
		runtime.LockOSThread()
		failed <- unix.Exec("/bin/sh", []string{"sh", "-c", args[1]}, os.Environ())
	}()
	return <-failed
}

// handleFault causes a SIGSEGV, which Go's runtime handles.
func handleFault() {
	defer func() { _ = recover() }()
	var nowhere *int
	fmt.Println(*nowhere)
}

func number(text string) int {
	value, err := strconv.Atoi(text)
	if err != nil {
		fail(err)
	}
	return value
}
