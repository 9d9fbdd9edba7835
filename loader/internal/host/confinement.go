// SPDX-License-Identifier: Apache-2.0

package host

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
	"kernel.org/pub/linux/libs/security/libcap/cap"
)

const permitSeccomp = "permit it (Docker: --security-opt seccomp=unconfined; Kubernetes: seccompProfile: {type: Unconfined}; systemd: SystemCallFilter=bpf)"

// Confinement is what a platform lays over user and capabilities. Each of it can forbid a step of the loader.
type Confinement struct {
	AppArmor      string // the profile in force; "": none
	SELinux       string // the type in force, as container_t; "": none
	UID           int
	ObeysModes    bool // root without CAP_DAC_OVERRIDE, as in a container
	UserNamespace bool // not that of the host: its capabilities do not count for BPF
	Seccomp       bool // a seccomp filter is in force
	DeniesBPF     bool // it refuses bpf(2) altogether
}

// ReadConfinement returns the confinement of the calling thread.
func ReadConfinement() Confinement {
	c := Confinement{UID: os.Geteuid()}
	// From Linux 5.1 on, each security module has its own file; before, the first module has the common one.
	c.AppArmor = enforcedProfile(firstOf("/proc/self/attr/apparmor/current", "/proc/self/attr/current"))
	if firstOf("/sys/fs/selinux/enforce") != "0" { // Containers often do not see the file.
		c.SELinux = confinedType(firstOf("/proc/self/attr/current"))
	}
	ids := strings.Fields(firstOf("/proc/self/uid_map"))
	c.UserNamespace = len(ids) > 0 && !slices.Equal(ids, []string{"0", "0", "4294967295"})
	c.Seccomp = strings.Contains(firstOf("/proc/thread-self/status"), "\nSeccomp:\t2\n")
	if capabilities, err := EffectiveCapabilities(); err == nil {
		c.ObeysModes = c.UID == 0 && !capabilities.has(cap.DAC_OVERRIDE)
		c.DeniesBPF = capabilities.AllowBPF() && refusesBPF()
	}
	return c
}

// refusesBPF calls bpf(2) with a command that does not exist: the kernel answers EINVAL, a filter something else.
func refusesBPF() bool {
	const noCommand = 1 << 20
	_, _, errno := unix.Syscall(unix.SYS_BPF, noCommand, 0, 0)
	return errno == unix.EPERM || errno == unix.EACCES || errno == unix.ENOSYS
}

// Lockdown returns the kernel's lockdown mode, "none" if securityfs does not show it.
func Lockdown() string {
	_, mode, _ := strings.Cut(firstOf("/sys/kernel/security/lockdown"), "[")
	mode, _, found := strings.Cut(mode, "]")
	if !found {
		return "none"
	}
	return mode
}

// firstOf returns the text of the first file that can be read, without its end of line.
func firstOf(paths ...string) string {
	for _, path := range paths {
		if raw, err := os.ReadFile(path); err == nil {
			return strings.TrimRight(string(raw), "\x00\n")
		}
	}
	return ""
}

// enforcedProfile returns the profile of an AppArmor label, "NAME (MODE)", unless it forbids nothing.
func enforcedProfile(label string) string {
	name, mode, found := strings.Cut(label, " (")
	if !found || mode == "complain)" || mode == "unconfined)" {
		return ""
	}
	return name
}

// confinedType returns the type of an SELinux label, USER:ROLE:TYPE[:RANGE], unless it forbids nothing.
func confinedType(label string) string {
	parts := strings.Split(label, ":")
	if len(parts) < 3 || strings.Contains(label, " ") || parts[2] == "spc_t" || strings.HasPrefix(parts[2], "unconfined_") {
		return ""
	}
	return parts[2]
}

// Forbidden returns what forbids the probes whatever is tried, and the line that permits them; "": nothing does.
func (c Confinement) Forbidden() string {
	switch {
	case c.UserNamespace:
		return "this process is in a user namespace, where no capability counts for BPF; use the host's (Docker: --userns=host; Kubernetes: hostUsers: true; rootless engines cannot)"
	case c.DeniesBPF:
		return "a seccomp filter forbids bpf(2); " + permitSeccomp
	}
	return ""
}

// Explain returns what forbade the step that failed with err, and the line that permits it; "": unknown.
func (c Confinement) Explain(err error) string {
	denied, refused := errors.Is(err, unix.EACCES), errors.Is(err, unix.EPERM) || errors.Is(err, unix.ENOSYS)
	switch {
	case errors.Is(err, unix.EROFS):
		return "mount it writable (Docker: --volume /sys/fs/bpf:/sys/fs/bpf; Kubernetes: a hostPath volume without readOnly; systemd: ReadWritePaths=/sys/fs/bpf)"
	case !denied && !refused:
		return ""
	case c.Forbidden() != "":
		return c.Forbidden()
	case c.AppArmor != "":
		return fmt.Sprintf("the AppArmor profile %s forbids it; permit it (Docker: --security-opt apparmor=unconfined; Kubernetes: appArmorProfile: {type: Unconfined}, before 1.30 the annotation container.apparmor.security.beta.kubernetes.io/loader: unconfined)", c.AppArmor)
	case denied && c.SELinux != "":
		return fmt.Sprintf("the SELinux type %s forbids it; permit it (Docker: --security-opt label=type:spc_t; Kubernetes: seLinuxOptions: {type: spc_t})", c.SELinux)
	case denied && c.UID != 0:
		return fmt.Sprintf("user %d is not root, to whom the BPF file system belongs; use user 0 (Docker: --user 0; Kubernetes: runAsUser: 0), or give this user a directory there (systemd: as in examples/systemd/whodunit-loader.service)", c.UID)
	case denied && c.ObeysModes:
		return "it belongs to another user, as the pins of the packages' loader do, and this root has no CAP_DAC_OVERRIDE; on the host, give it to root (chown -hR root: /sys/fs/bpf/whodunit), or remove the pins with `whodunit-loader unload`"
	case refused && c.Seccomp:
		return "a seccomp filter is in force, and may forbid it; " + permitSeccomp
	}
	return ""
}

// String lists what is in force.
func (c Confinement) String() string {
	var inForce []string
	for _, layer := range []struct {
		text  string
		holds bool
	}{
		{"AppArmor profile " + c.AppArmor, c.AppArmor != ""},
		{"SELinux type " + c.SELinux, c.SELinux != ""},
		{"user namespace", c.UserNamespace},
		{"seccomp filter", c.Seccomp && !c.DeniesBPF},
		{"seccomp filter without bpf(2)", c.DeniesBPF},
	} {
		if layer.holds {
			inForce = append(inForce, layer.text)
		}
	}
	if inForce == nil {
		return "none"
	}
	return strings.Join(inForce, ", ")
}
