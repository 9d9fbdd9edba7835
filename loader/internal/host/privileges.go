// SPDX-License-Identifier: Apache-2.0

package host

import (
	"errors"
	"fmt"
	"slices"

	"golang.org/x/sys/unix"
	"kernel.org/pub/linux/libs/security/libcap/cap"
)

// Capabilities is what the calling thread has in effect.
type Capabilities struct{ set *cap.Set }

// EffectiveCapabilities returns the effective set of the calling thread.
func EffectiveCapabilities() (Capabilities, error) {
	set, err := cap.GetPID(0)
	if err != nil {
		return Capabilities{}, fmt.Errorf("read capabilities: %w", err)
	}
	return Capabilities{set}, nil
}

// has reports whether all of them are in effect. A capability that the kernel does not know is not.
func (c Capabilities) has(values ...cap.Value) bool {
	for _, value := range values {
		if set, err := c.set.GetFlag(cap.Effective, value); err != nil || !set {
			return false
		}
	}
	return true
}

// AllowBPF reports whether the set suffices to load and attach the probes: CAP_BPF and CAP_PERFMON, or CAP_SYS_ADMIN.
func (c Capabilities) AllowBPF() bool {
	return c.has(cap.SYS_ADMIN) || c.has(cap.BPF, cap.PERFMON)
}

// MayObserve reports whether this process may have children with properties of every kind: of other users, traced, in a namespace of their own that they turn off.
func MayObserve() bool {
	capabilities, err := EffectiveCapabilities()
	return err == nil && capabilities.has(cap.KILL, cap.SETGID, cap.SETUID, cap.SYS_PTRACE, cap.SYS_BOOT, cap.SYS_ADMIN)
}

// MayMount reports whether this process may mount a file system, as far as its capabilities decide that.
func MayMount() bool {
	capabilities, err := EffectiveCapabilities()
	return err == nil && capabilities.has(cap.SYS_ADMIN)
}

// MayReadAllFiles reports whether this process may read the files of all users.
func MayReadAllFiles() bool {
	capabilities, err := EffectiveCapabilities()
	return err == nil && capabilities.has(cap.DAC_READ_SEARCH)
}

// DropPrivileges sets PR_SET_NO_NEW_PRIVS and drops the capabilities of all threads. It calls serve once without effective capabilities: serve
// makes the system calls that the loader makes from then on. If serve fails, all threads keep CAP_BPF and CAP_PERFMON, or CAP_SYS_ADMIN where
// that stands for them: before Linux 5.19, every bpf(2) call needs one if unprivileged BPF is disabled. It needs a program without cgo.
func DropPrivileges(serve func() error) error {
	if succeedsWithout(serve) {
		return keepOnly()
	}
	now, err := EffectiveCapabilities()
	if err == nil && !now.has(cap.BPF, cap.PERFMON) {
		return keepOnly(cap.SYS_ADMIN)
	}
	return keepOnly(cap.BPF, cap.PERFMON)
}

// DropAllButFileAccess is DropPrivileges for a process that removes files, which may be those of another user.
func DropAllButFileAccess() error { return keepOnly(cap.DAC_OVERRIDE) }

// DropFileReading drops CAP_DAC_READ_SEARCH from all threads: a process of its own has it. Root keeps what else lets it read files until
// DropPrivileges.
func DropFileReading() error {
	kept := cap.GetProc()
	if held, err := kept.GetFlag(cap.Permitted, cap.DAC_READ_SEARCH); err != nil || !held {
		return err
	}
	// What is not inheritable is not ambient either.
	err := errors.Join(kept.SetFlag(cap.Inheritable, false, cap.DAC_READ_SEARCH), kept.SetFlag(cap.Effective, false, cap.DAC_READ_SEARCH), kept.SetFlag(cap.Permitted, false, cap.DAC_READ_SEARCH))
	if err := errors.Join(err, kept.SetProc()); err != nil {
		return fmt.Errorf("drop CAP_DAC_READ_SEARCH: %w", err)
	}
	return nil
}

// KeepOnlyReading is DropPrivileges for a process that reads files, which may be those of another user. The processes that it executes keep that,
// too.
func KeepOnlyReading() error {
	if err := keepOnly(cap.DAC_READ_SEARCH); err != nil || !MayReadAllFiles() {
		return err
	}
	kept := cap.GetProc()
	if err := errors.Join(kept.SetFlag(cap.Inheritable, true, cap.DAC_READ_SEARCH), kept.SetProc(), cap.SetAmbient(true, cap.DAC_READ_SEARCH)); err != nil {
		return fmt.Errorf("pass on CAP_DAC_READ_SEARCH: %w", err)
	}
	return nil
}

var errCgo = errors.New("this loader was built with cgo: the C library cannot start threads once the loader is confined; build it with CGO_ENABLED=0, as `npm run build` does")

// RequireNoCgo fails in a program that was built with cgo, which would abort once it is confined.
func RequireNoCgo() error {
	if hasCgo {
		return errCgo
	}
	return nil
}

// keepOnly sets PR_SET_NO_NEW_PRIVS and drops the capabilities of all threads but these, of those that are in effect.
func keepOnly(values ...cap.Value) error {
	if _, err := cap.Prctlw(unix.PR_SET_NO_NEW_PRIVS, 1); err != nil {
		return fmt.Errorf("forbid new privileges: %w", err)
	}
	now, err := EffectiveCapabilities()
	if err != nil {
		return err
	}
	values = slices.DeleteFunc(values, func(value cap.Value) bool { return !now.has(value) })
	kept := cap.NewSet()
	if err := errors.Join(kept.SetFlag(cap.Permitted, true, values...), kept.SetFlag(cap.Effective, true, values...), kept.SetProc()); err != nil {
		return fmt.Errorf("drop capabilities: %w", err)
	}
	return nil
}

// succeedsWithout reports whether serve succeeds on a thread without effective capabilities, which ends then.
func succeedsWithout(serve func() error) bool {
	_, err := cap.FuncLauncher(func(any) error {
		without := cap.GetProc()
		if err := without.ClearFlag(cap.Effective); err != nil {
			return err
		}
		if err := without.SetProc(); err != nil {
			return err
		}
		return serve()
	}).Launch(nil)
	return err == nil
}
