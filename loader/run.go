// SPDX-License-Identifier: Apache-2.0

// `whodunit-loader run`: puts the parts together, in the order that keeps each failure clear.
package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"runtime/debug"
	"sync"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/features"
	"github.com/coreos/go-systemd/v22/daemon"
	"golang.org/x/sys/unix"
)

// gcPercent of the live heap may be garbage, but 4 MiB × gcPercent / 100 in any case.
const gcPercent = 20

func run(ctx context.Context, config config, log *logger) (err error) {
	if err := requireKernel(); err != nil {
		return err
	}
	symbols, err := openKernelSymbols()
	if err != nil {
		log.printf("no kernel function names: %v; reasons that only the kernel's stack tells will be unknown", err)
	}
	watched, err := findScope(config.scope)
	if err != nil {
		return err
	}
	// The socket comes first: if it is taken, nothing was attached.
	listener, err := listenSocket(config.socket, config.socketGID)
	if err != nil {
		return err
	}
	defer listener.Close()
	probes, err := attachProbes(config.pinDirectory, config.ringBytes, _BpfBytes, settings{watched, config.threadContext})
	if err != nil {
		return err
	}
	defer func() {
		err = errors.Join(err, probes.Close())
		if config.unloadOnExit {
			_, unloadErr := unload(config.pinDirectory)
			err = errors.Join(err, unloadErr)
		}
	}()
	ring, err := probes.Ring()
	if err != nil {
		return err
	}
	defer ring.Close()
	if err := dropPrivileges(probes.tryServing); err != nil {
		return err
	}
	// The start needed far more memory than serving does, for the kernel's types: FreeOSMemory, below, gives it back.
	debug.SetGCPercent(gcPercent)
	verb := "attached"
	if probes.TookOver {
		verb = "took over"
	}
	for _, probe := range probes.Status {
		if probe.Note != nil {
			log.printf("without the probe %s: %s", probe.Name, *probe.Note)
		}
	}
	if size := int(ring.size); size != config.ringBytes {
		log.printf("the pinned ring of %d bytes is kept, not the %d asked for; `whodunit-loader unload` removes it", size, config.ringBytes)
	}
	if watched != wholeHost {
		log.printf("watching the cgroup %s alone", watched.directory)
	}
	if config.threadContext && !probes.ReadsContexts {
		log.printf("without the context of threads (--thread-context): before Linux 6.7, published contexts cannot be found")
	}
	log.printf("%s the probes, pinned under %s; ready on %s", verb, config.pinDirectory, config.socket)
	tellReady(log)
	later, cancel := context.WithCancel(ctx)
	var doing sync.WaitGroup
	doing.Go(func() {
		if err := probes.EndOverlap(later); err != nil {
			log.printf("each exit goes on costing more than it must, until the next start: %v", err)
		}
	})
	doing.Go(func() { symbols.names(nil, nil); debug.FreeOSMemory() })
	defer doing.Wait()
	defer cancel()
	server := &Server{
		ring: ring, shared: probes.shared, sweep: probes.Sweep, counters: probes.Counters, log: log, socketGID: uint32(config.socketGID),
		pageBytes: uint64(os.Getpagesize()), symbols: symbols,
		hello: Hello{LoaderVersion: version, BootID: bootID(), KernelRelease: kernelRelease(), RingBytes: ring.size, Probes: probes.Status},
	}
	return server.Serve(ctx, listener)
}

// tellReady says to systemd, where it asked (NOTIFY_SOCKET of sd_notify(3)), that whoever dies from now on is seen.
func tellReady(log *logger) {
	if _, err := daemon.SdNotify(false, daemon.SdNotifyReady); err != nil {
		log.printf("systemd is not told that the probes are attached: %v", err)
	}
}

// requireKernel fails, with the remedy, where the probes cannot be loaded at all.
func requireKernel() error {
	capabilities, err := effectiveCapabilities()
	if err != nil {
		return err
	}
	if !mayLoad(capabilities) {
		return &usageError{exitPermission, "attaching probes needs root (or CAP_BPF and CAP_PERFMON, and CAP_SYSLOG for the kernel's function names): run it with sudo"}
	}
	if _, err := os.Stat(kernelBTF); err != nil {
		return &usageError{exitUnavailable, fmt.Sprintf("this kernel (%s) has no BTF at %s; whodunit needs Linux 5.8 or later, built with CONFIG_DEBUG_INFO_BTF=y, as the big distributions' kernels are", kernelRelease(), kernelBTF)}
	}
	if err := features.HaveMapType(ebpf.RingBuf); errors.Is(err, ebpf.ErrNotSupported) {
		return &usageError{exitUnavailable, fmt.Sprintf("this kernel (%s) is too old: it has no BPF ring buffer; whodunit needs Linux 5.8 or later", kernelRelease())}
	}
	return nil
}

func bootID() string {
	id, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return ""
	}
	return string(bytes.TrimSpace(id))
}

func kernelRelease() string {
	var name unix.Utsname
	if unix.Uname(&name) != nil {
		return "unknown"
	}
	return unix.ByteSliceToString(name.Release[:])
}
