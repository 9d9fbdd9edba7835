// SPDX-License-Identifier: Apache-2.0

package host

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// Process is what /proc has of a process that runs a program.
type Process struct {
	Pid        uint32
	Parent     uint32
	StartTicks uint64 // since the boot, USER_HZ
	Forked     bool   // it was forked, and has never executed a program
	Executable string // "": not known
	Args       []byte // as in memory, the first argsMax bytes
	ArgsCut    bool
	UID        uint32 // effective
	RealUID    uint32
	LoginUID   uint32 // unset: it belongs to no login
	Session    uint32 // of the login
}

// UnsetUID is the login user, and the session, of a process that belongs to no login.
const UnsetUID = 1<<32 - 1

// pfForkNoExec is PF_FORKNOEXEC of include/linux/sched.h.
const pfForkNoExec = 0x40

// ReadProcesses reads the processes of /proc that run a program, with at most argsMax bytes of their arguments. One that ends meanwhile, or that
// may not be read, is left out.
func ReadProcesses(argsMax int) ([]Process, error) {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil, fmt.Errorf("list the processes: %w", err)
	}
	var processes []Process
	for _, entry := range entries {
		if pid, err := strconv.ParseUint(entry.Name(), 10, 32); err == nil {
			if process, err := readProcess(uint32(pid), argsMax); err == nil {
				processes = append(processes, process)
			}
		}
	}
	return processes, nil
}

func readProcess(pid uint32, argsMax int) (Process, error) {
	directory := filepath.Join("/proc", strconv.FormatUint(uint64(pid), 10))
	process := Process{Pid: pid, UID: UnsetUID, RealUID: UnsetUID, LoginUID: readNumber(filepath.Join(directory, "loginuid")), Session: readNumber(filepath.Join(directory, "sessionid"))}
	stat, err := os.ReadFile(filepath.Join(directory, "stat"))
	if err != nil {
		return process, err
	}
	if err := process.parseStat(stat); err != nil {
		return process, err
	}
	args, err := os.ReadFile(filepath.Join(directory, "cmdline"))
	if err != nil || len(args) == 0 { // a kernel thread, or a zombie
		return process, errors.Join(errNoProgram, err)
	}
	process.ArgsCut = len(args) > argsMax
	process.Args = args[:min(len(args), argsMax)]
	if executable, err := os.Readlink(filepath.Join(directory, "exe")); err == nil { // may be forbidden
		process.Executable = strings.TrimSuffix(executable, " (deleted)")
	}
	status, err := os.ReadFile(filepath.Join(directory, "status"))
	process.parseStatus(status)
	return process, err
}

var errNoProgram = errors.New("it runs no program")

// parseStat reads the fields of proc_pid_stat(5). The second has the name, in which anything may be, and ends at the last parenthesis.
func (p *Process) parseStat(stat []byte) error {
	const parent, flags, start = 4, 9, 22
	fields := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:]))
	number := func(field int) (value uint64, err error) {
		if len(fields) <= field-3 {
			return 0, errNoProgram
		}
		return strconv.ParseUint(fields[field-3], 10, 64)
	}
	parentPid, err := number(parent)
	flagBits, err2 := number(flags)
	ticks, err3 := number(start)
	p.Parent, p.Forked, p.StartTicks = uint32(parentPid), flagBits&pfForkNoExec != 0, ticks
	return errors.Join(err, err2, err3)
}

// parseStatus reads the users of proc_pid_status(5).
func (p *Process) parseStatus(status []byte) {
	for line := range strings.Lines(string(status)) {
		if users, found := strings.CutPrefix(line, "Uid:"); found {
			fmt.Sscan(users, &p.RealUID, &p.UID) // what cannot be read stays unset
		}
	}
}

// readNumber returns UnsetUID if the file has no number, as where the kernel keeps no logins.
func readNumber(path string) uint32 {
	text, err := os.ReadFile(path)
	if err != nil {
		return UnsetUID
	}
	number, err := strconv.ParseUint(strings.TrimSpace(string(text)), 10, 32)
	if err != nil {
		return UnsetUID
	}
	return uint32(number)
}
