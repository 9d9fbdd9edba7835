// SPDX-License-Identifier: Apache-2.0

package oldprobes

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"unsafe"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"

	"whodunit/loader/internal/exitcode"
	"whodunit/loader/internal/host"
)

// The probes of kernels without raw tracepoints (bpf/classic.bpf.c). A tracepoint is opened as a performance event, by the number that tracefs shows.

// Tracepoints are those of these probes, as tracefs shows them.
type Tracepoints struct {
	numbers map[string]uint64
	err     error // why they are not known
}

// FindTracepoints reads tracefs, for which a process that is not root needs CAP_DAC_READ_SEARCH.
func FindTracepoints() *Tracepoints {
	found := &Tracepoints{numbers: map[string]uint64{}}
	for _, hook := range classicObject(nil).hooks {
		if found.numbers[hook.name], found.err = readTracepoint(hook); found.err != nil {
			break
		}
	}
	return found
}

func classicObject(tracepoints *Tracepoints) object {
	return object{
		load: loadClassic,
		hooks: []hook{
			{"signal", "signal_generate", "classic_signal_generate"},
			{"signal", "signal_deliver", "classic_signal_deliver"},
			{"sched", exitHook, "classic_sched_process_exit"},
		},
		attach:    tracepoints.open,
		isClassic: true,
		works:     "attaches (probes of kernels before 4.17)",
	}
}

// classicFields are the offsets that bpf/classic.bpf.c has of what tracepoints record.
var classicFields = map[string]map[string]int{
	"signal_generate": {"sig": 8, "errno": 12, "code": 16, "pid": 36, "group": 40, "result": 44},
	"signal_deliver":  {"sig": 8, "errno": 12, "code": 16, "sa_handler": 24},
}

// seenOfCPU is more than OLD_ENDED of bpf/old_maps.h, after which a process is forgotten.
const seenOfCPU = 512

// setClassicSizes sets the sizes of the maps that these probes use otherwise, or not at all.
func setClassicSizes(spec *ebpf.CollectionSpec, cpus int) {
	spec.Maps[oldMapSeen].MaxEntries = uint32(cpus) * seenOfCPU
	spec.Maps[oldMapTexts].MaxEntries, spec.Maps[oldMapSenders].MaxEntries = 1, 1
}

// open attaches a program. The last close of the file detaches it.
func (t *Tracepoints) open(hook hook, program *ebpf.Program) (*os.File, error) {
	if t.err != nil {
		return nil, t.err
	}
	event := unix.PerfEventAttr{Type: unix.PERF_TYPE_TRACEPOINT, Config: t.numbers[hook.name], Size: uint32(unsafe.Sizeof(unix.PerfEventAttr{}))}
	// The program runs on all processors, whichever the event is for.
	fd, err := unix.PerfEventOpen(&event, -1, 0, -1, unix.PERF_FLAG_FD_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("open the tracepoint: %w", err)
	}
	file := os.NewFile(uintptr(fd), hook.name)
	err = unix.IoctlSetInt(fd, unix.PERF_EVENT_IOC_SET_BPF, program.FD())
	if errors.Is(err, unix.EEXIST) {
		err = fmt.Errorf("another program has it, and before Linux 4.15 there is one for each tracepoint: %w", err)
	}
	if err == nil {
		err = unix.IoctlSetInt(fd, unix.PERF_EVENT_IOC_ENABLE, 0)
	}
	if err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return file, nil
}

// readTracepoint returns the number of a tracepoint, whose fields must be where the program reads them. It mounts tracefs where no other process
// sees it: on a thread with mounts of its own, which ends then.
func readTracepoint(hook hook) (number uint64, err error) {
	if !host.MayMount() {
		return 0, exitcode.Errorf(exitcode.Permission, "finding the kernel's tracepoints needs CAP_SYS_ADMIN, as tracefs is mounted for it: run as root, or see \"Before 4.17\" in docs/privileges.md")
	}
	read := make(chan error)
	go func() {
		runtime.LockOSThread()
		read <- func() error {
			const directory = "/sys/kernel"
			err := unix.Unshare(unix.CLONE_NEWNS)
			if err == nil {
				err = unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, "")
			}
			if err == nil {
				err = unix.Mount("whodunit", directory, "tracefs", unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC, "")
			}
			if err != nil {
				return fmt.Errorf("mount tracefs: %w", err)
			}
			number, err = readTracepointIn(filepath.Join(directory, "events", hook.group, hook.name), classicFields[hook.name])
			return err
		}()
	}()
	return number, <-read
}

func readTracepointIn(directory string, fields map[string]int) (uint64, error) {
	format, err := os.ReadFile(filepath.Join(directory, "format"))
	if err != nil {
		return 0, err
	}
	offsets := offsetsOf(string(format))
	for name, want := range fields {
		if got, known := offsets[name]; !known || got != want {
			return 0, fmt.Errorf("%s records %s at %d, not at %d, where the probe reads it", directory, name, got, want)
		}
	}
	number, err := os.ReadFile(filepath.Join(directory, "id"))
	if err != nil {
		return 0, err
	}
	return strconv.ParseUint(strings.TrimSpace(string(number)), 10, 64)
}

var fieldLine = regexp.MustCompile(`^\s*field:.*?(\w+)(?:\[\w*\])?;\s*offset:(\d+);`)

// offsetsOf returns the offsets of the fields of a format file of tracefs.
func offsetsOf(format string) map[string]int {
	offsets := map[string]int{}
	for lines := bufio.NewScanner(strings.NewReader(format)); lines.Scan(); {
		if found := fieldLine.FindStringSubmatch(lines.Text()); found != nil {
			offsets[found[1]], _ = strconv.Atoi(found[2])
		}
	}
	return offsets
}
