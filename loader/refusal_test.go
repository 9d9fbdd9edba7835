// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"

	"whodunit/loader/internal/exitcode"
	"whodunit/loader/internal/probes"
)

// withoutBPF names a seccomp filter in the environment of this test program, started again: it installs the filter and becomes the loader.
const withoutBPF = "WHODUNIT_TEST_SECCOMP_ERRNO"

func init() {
	switch os.Getenv(withoutBPF) {
	case "EPERM":
		becomeFiltered(unix.EPERM, everyCommand)
	case "ENOSYS":
		becomeFiltered(unix.ENOSYS, everyCommand)
	case "EPERM for attaching":
		becomeFiltered(unix.EPERM, unix.BPF_RAW_TRACEPOINT_OPEN)
	}
}

const everyCommand = -1

// becomeFiltered executes the arguments under a filter in which bpf(2) fails, as those of container engines: every command of it, or one.
func becomeFiltered(errno unix.Errno, command int) {
	runtime.LockOSThread()
	const number, firstArgument = 0, 16 // offsets in seccomp_data, on a little-endian machine
	equal := uint16(unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K)
	if command == everyCommand {
		equal = unix.BPF_JMP | unix.BPF_JGE | unix.BPF_K
		command = 0
	}
	filter := []unix.SockFilter{
		{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, K: number},
		{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: unix.SYS_BPF, Jf: 3},
		{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, K: firstArgument},
		{Code: equal, K: uint32(command), Jf: 1},
		{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_ERRNO | uint32(errno)},
		{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_ALLOW},
	}
	program := unix.SockFprog{Len: uint16(len(filter)), Filter: &filter[0]}
	if err := unix.Prctl(unix.PR_SET_SECCOMP, unix.SECCOMP_MODE_FILTER, uintptr(unsafe.Pointer(&program)), 0, 0); err != nil {
		panic(err)
	}
	panic(unix.Exec(os.Args[1], os.Args[1:], []string{"PATH=" + os.Getenv("PATH")}))
}

// deployed gives the loader the capabilities that every deployment gives it (docs/deployment.md).
const deployed = "exec setpriv --bounding-set=-all,+bpf,+perfmon,+syslog --inh-caps=-all --no-new-privs -- "

// It runs the whole program where a platform forbids something. AppArmor and lockdown need a kernel of their own: test/kernels.
func TestRunAndCheckNameWhatForbidsTheProbesAndWhatPermitsThem(t *testing.T) {
	privileged(t)
	loader := build(t)
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	inMounts := func(prepare string) []string {
		return []string{"unshare", "--mount", "sh", "-c", prepare + ` && ` + deployed + `"$@"`, "sh"}
	}
	for _, test := range []struct {
		name       string
		command    []string
		seccomp    string
		code       int
		mechanism  string
		permission string
	}{
		{"/sys is read-only", inMounts("mount --bind /sys/fs/bpf /sys/fs/bpf && mount -o remount,ro,bind /sys/fs/bpf"), "", exitcode.Permission, "read-only", "--volume /sys/fs/bpf:/sys/fs/bpf"},
		{"no BPF file system is mounted", inMounts("umount --all --types bpf"), "", exitcode.Permission, "no BPF file system is mounted", "mount -t bpf bpf /sys/fs/bpf"},
		{"a user namespace", []string{"unshare", "--user", "--map-root-user"}, "", exitcode.Permission, "user namespace", "hostUsers: true"},
		{"a seccomp filter", []string{self}, "EPERM", exitcode.Permission, "seccomp filter", "seccompProfile: {type: Unconfined}"},
		{"a seccomp filter of an older engine", []string{self}, "ENOSYS", exitcode.Permission, "seccomp filter", "--security-opt seccomp=unconfined"},
		{"a seccomp filter that forbids attaching", []string{self}, "EPERM for attaching", exitcode.Permission, "seccomp filter", "--security-opt seccomp=unconfined"},
		{"a pod that may not have root's capabilities", []string{"setpriv", "--bounding-set=-all", "--"}, "", exitcode.Permission, "CAP_BPF", "in a container, add these"},
		{"a pod that may not have user 0", []string{"setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--inh-caps=+bpf,+perfmon", "--ambient-caps=+bpf,+perfmon", "--"}, "", exitcode.Permission, "user 65534 is not root", "runAsUser: 0"},
		{"probes of kernels before 4.17", inMounts("export WHODUNIT_PROBES=classic"), "", exitcode.Permission, "tracepoints needs CAP_SYS_ADMIN", "docs/privileges.md"},
		{"no BTF", inMounts("mount -t tmpfs none /sys/kernel/btf"), "", exitcode.Permission, "no BTF", "CONFIG_DEBUG_INFO_BTF=y"},
		{"a file of --btf that is none", []string{"env", "WHODUNIT_BTF=/proc/version"}, "", exitcode.Config, "no BTF that can be read", "of exactly this kernel"},
	} {
		t.Run(test.name, func(t *testing.T) {
			directory := t.TempDir()
			pins := filepath.Join(probes.DefaultPinDirectory, "test-refusal")
			start := func(arguments ...string) (string, int) {
				command := append(append(test.command, loader), arguments...)
				refused := exec.Command(command[0], command[1:]...)
				refused.Env = append(os.Environ(), withoutBPF+"="+test.seccomp)
				out, err := refused.CombinedOutput()
				var exit *exec.ExitError
				if !errors.As(err, &exit) {
					t.Fatalf("%v\n%s", err, out)
				}
				return string(out), exit.ExitCode()
			}
			out, code := start("run", "--socket", filepath.Join(directory, "s"), "--pin-dir", pins)
			lines := strings.Split(strings.TrimSpace(out), "\n")
			last := lines[len(lines)-1] // Kubernetes shows it in the pod's status.
			if code != test.code || !strings.Contains(last, test.mechanism) || !strings.Contains(last, test.permission) {
				t.Errorf("run: exit code %d, want %d, with %q and %q:\n%s", code, test.code, test.mechanism, test.permission, out)
			}
			if left, _ := filepath.Glob(pins + "*"); left != nil {
				t.Errorf("run has left %v", left)
			}
			checked, code := start("check", "--pin-dir", pins)
			if code != exitcode.Unavailable || !strings.Contains(checked, "MISSING") || !strings.Contains(checked, test.permission) {
				t.Errorf("check: exit code %d, want %d and %q:\n%s", code, exitcode.Unavailable, test.permission, checked)
			}
		})
	}
}
