// Starts the loader where something forbids what it needs: under each AppArmor profile of the root directory, and under lockdown.
//
// SPDX-License-Identifier: Apache-2.0
package main

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"time"

	"golang.org/x/sys/unix"
)

const (
	confinedSocket = "/run/confined.sock"
	confinedPins   = "/sys/fs/bpf/confined"
	securityfs     = "/sys/kernel/security"
	roleConfined   = "confined"
	// startLongest is how long the loader may take to serve or to exit: on a busy machine, emulation took more than two minutes.
	startLongest = 8 * time.Minute
	// deployed are the capabilities of the loader in every deployment (docs/deployment.md), classic those before Linux 4.17 (docs/privileges.md).
	deployed = 1<<unix.CAP_BPF | 1<<unix.CAP_PERFMON | 1<<unix.CAP_SYSLOG
	classic  = 1<<unix.CAP_SYS_ADMIN | 1<<unix.CAP_SYSLOG | 1<<unix.CAP_DAC_READ_SEARCH
)

// confinedStart is the output of one start.
type confinedStart struct {
	By     string   `json:"by"`    // what confines it
	Check  string   `json:"check"` // output of `check`
	Run    string   `json:"run"`   // output of `run`
	Code   int      `json:"code"`  // exit code of `run`; 0 if it served
	Served bool     `json:"served"`
	Left   []string `json:"left"` // pins afterwards, if it did not serve
}

// startUnderProfiles loads each profile of /apparmor into the kernel and starts the loader under it. It does nothing without AppArmor.
func startUnderProfiles() error {
	if err := unix.Mount("bpf", "/sys/fs/bpf", "bpf", 0, "mode=0700"); err != nil { // As on a host: a container may not mount it.
		return err
	}
	defer unix.Unmount("/sys/fs/bpf", 0) // The next loader mounts it.
	if err := unix.Mount("securityfs", securityfs, "securityfs", 0, ""); err != nil {
		return err
	}
	load := filepath.Join(securityfs, "apparmor/.replace")
	if _, err := os.Stat(load); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	profiles, err := filepath.Glob("/apparmor/*")
	if err != nil {
		return err
	}
	for _, path := range profiles {
		policy, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		if err := os.WriteFile(load, policy, 0); err != nil {
			return err
		}
		emitJSON("confined", startConfined(filepath.Base(path)))
	}
	return nil
}

// startUnderLockdown raises the kernel's lockdown mode, which stays. Then it hides the mode, as a container does not see it.
func startUnderLockdown() error {
	if err := os.WriteFile(filepath.Join(securityfs, "lockdown"), []byte("confidentiality"), 0); err != nil {
		return err
	}
	emitJSON("confined", startConfined("lockdown"))
	if err := unix.Unmount(securityfs, 0); err != nil {
		return err
	}
	emitJSON("confined", startConfined("lockdown, hidden"))
	return nil
}

// startConfined runs the loader until it serves or exits. by names a profile, or something that confines every process.
func startConfined(by string) confinedStart {
	start := confinedStart{By: by}
	checked, _ := exec.Command("/init", roleConfined, by, "/loader", "check", "--pin-dir", confinedPins).CombinedOutput()
	start.Check = string(checked)
	loader := exec.Command("/init", roleConfined, by, "/loader", "run", "--socket", confinedSocket, "--pin-dir", confinedPins)
	var output bytes.Buffer
	loader.Stdout, loader.Stderr = &output, &output
	if err := loader.Start(); err != nil {
		start.Run = err.Error()
		return start
	}
	exited := make(chan error, 1)
	go func() { exited <- loader.Wait() }()
	start.Served = servesWithin(startLongest, exited)
	if start.Served {
		loader.Process.Signal(unix.SIGTERM)
	} else {
		loader.Process.Kill() // It has exited, or hangs.
	}
	<-exited
	start.Run, start.Code = output.String(), loader.ProcessState.ExitCode()
	if !start.Served {
		start.Left, _ = filepath.Glob(confinedPins + "/*/*")
	}
	exec.Command("/loader", "unload", "--pin-dir", confinedPins).Run()
	return start
}

// servesWithin reports whether the loader answers a client before it exits. It accepts connections before it has attached the probes.
func servesWithin(longest time.Duration, exited chan error) bool {
	for begin := time.Now(); time.Since(begin) < longest; time.Sleep(connectPause) {
		select {
		case err := <-exited:
			exited <- err
			return false
		default:
		}
		if exec.Command("/loader", "health", "--socket", confinedSocket).Run() == nil {
			return true
		}
	}
	return false
}

// execConfined replaces this process: `/init confined PROFILE PROGRAM …`. The program has the capabilities of a deployment, and the profile if
// there is one of that name.
func execConfined(arguments []string) error {
	runtime.LockOSThread()
	if _, err := os.Stat(filepath.Join("/apparmor", arguments[0])); err == nil {
		if err := os.WriteFile("/proc/thread-self/attr/exec", []byte("exec "+arguments[0]), 0); err != nil {
			return err
		}
	}
	// As the units and the engines of containers set it: before Linux 5.11, it limits BPF maps.
	if err := unix.Setrlimit(unix.RLIMIT_MEMLOCK, &unix.Rlimit{Cur: unix.RLIM_INFINITY, Max: unix.RLIM_INFINITY}); err != nil {
		return err
	}
	capabilities := uint64(deployed)
	if os.Getenv("WHODUNIT_PROBES") == "classic" {
		capabilities = classic
	}
	for capability := range uintptr(unix.CAP_LAST_CAP + 1) {
		if capabilities&(1<<capability) == 0 {
			// Fails for a capability that this kernel does not have.
			unix.Prctl(unix.PR_CAPBSET_DROP, capability, 0, 0, 0)
		}
	}
	return unix.Exec(arguments[1], arguments[1:], os.Environ())
}
