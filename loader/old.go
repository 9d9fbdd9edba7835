// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"net"
	"os"
	"runtime/debug"
	"time"

	"whodunit/loader/internal/exitcode"
	"whodunit/loader/internal/host"
	"whodunit/loader/internal/log"
	"whodunit/loader/internal/oldprobes"
	"whodunit/loader/internal/probes"
	"whodunit/loader/internal/record"
	"whodunit/loader/internal/server"
	"whodunit/loader/internal/wire"
)

// oldProbes of --probes selects the probes of kernels without a ring buffer on any kernel, for tests (docs/kernels.md).
const oldProbes = "old"

// classicProbes selects those of kernels without raw tracepoints, which oldProbes includes.
const classicProbes = "classic"

const (
	noStacks  = "the probes of kernels before 5.8 copy no stacks; where a program crashed is unknown"
	noRepeats = "this kernel has no BPF ring buffer"
	// What becomes of the probes when the loader ends.
	notPinned = "these probes end with the loader: terminations while it does not run have no record"
	isKept    = "systemd keeps these probes while the service is restarted, if its unit has FileDescriptorStoreMax=16 or more; else they end with the loader"
)

var errOldScope = exitcode.Errorf(exitcode.Unavailable, "--scope (WHODUNIT_SCOPE) needs Linux 5.8 or later: the probes of this kernel watch the whole machine; set it to %s", probes.ScopeHost)

// isOld reports whether this kernel needs the probes of old kernels, or is treated so: it has no ring buffer, or older types.
func isOld(config config, types probes.Types) bool {
	return config.probes != "" || !probes.HasRingBuffer() || types.AreOld()
}

// findTracepoints finds those of kernels without raw tracepoints, before the loader gives up what that needs. nil: there are raw tracepoints.
func findTracepoints(config config) *oldprobes.Tracepoints {
	attaches := config.command == "run" || config.command == "check" || config.command == "calibrate"
	if !attaches || config.probes != classicProbes && probes.HasRawTracepoints() {
		return nil
	}
	return oldprobes.FindTracepoints()
}

// serveOld is attachAndServe with the probes of old kernels.
func serveOld(ctx context.Context, config config, here machine, unwinder *unwinder, listener *net.UnixListener, log *log.Logger) (err error) {
	if err := unwinder.close(); err != nil { // It has no work.
		return err
	}
	if config.tracepoints != nil { // Before Linux 4.15, a tracepoint has one program: none can be replaced.
		if err := oldprobes.EndKept(here.kept); err != nil {
			return err
		}
		here.kept = nil
	}
	attached, err := oldprobes.Attach(oldprobes.Options{PinDirectory: config.pinDirectory, RingBytes: config.ringBytes, Types: here.types, Tracepoints: config.tracepoints, Kept: here.kept})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, attached.Close()) }()
	if err := attached.AddRunning(); err != nil {
		log.Warnf("programs that ran before are unknown: %v", err)
	}
	hello := wire.Hello{
		LoaderVersion: version, BootID: host.BootID(), KernelRelease: host.KernelRelease(), RingBytes: attached.Ring().Size(), Probes: attached.Status,
		Stacks: wire.Stacks{Copied: string(probes.StacksOff), Missing: []string{noStacks}}, Gap: attached.Gap,
	}
	if err := confine(log, attached.TryServing); err != nil {
		return err
	}
	debug.SetGCPercent(gcPercent)
	logStartOld(log, config, here, attached)
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	copied := make(chan error, 1)
	go func() { copied <- attached.Run(ctx); cancel() }()
	go func() { here.symbols.Load(); debug.FreeOSMemory() }()
	served := server.New(server.Config{
		Ring: attached.Ring(), Probes: attached, Repeats: uncounted{},
		Machine: record.Machine{PageBytes: uint64(os.Getpagesize()), Symbols: here.symbols}, Log: log, Hello: hello, ClockSteps: here.steps,
		SocketGID: uint32(config.socketGID), ConsumerUID: uint32(config.socketUID),
	}).Serve(ctx, listener)
	cancel()
	return errors.Join(served, <-copied)
}

// logStartOld logs what is attached, and what becomes of it when the loader ends.
func logStartOld(log *log.Logger, config config, here machine, attached *oldprobes.Probes) {
	if gap := attached.Gap; gap != nil {
		log.Warnf("no probe was attached for %v: terminations of that time may have no record", time.Duration(gap.ToNs-gap.FromNs).Round(time.Millisecond))
	}
	if here.kept == nil {
		log.Warnf("%s", notPinned)
	} else {
		log.Printf("%s", isKept)
	}
	verb := "attached"
	if attached.TookOver {
		verb = "took over"
	}
	log.Printf("%s the probes of kernels before 5.8, whose queue is pinned under %s; ready on %s", verb, config.pinDirectory, config.socket)
}

// takeKept takes over the probes that systemd kept while no loader ran. With --unload-on-exit, they end, and systemd keeps none. nil: nothing is
// to be kept.
func takeKept(config config) (oldprobes.Kept, error) {
	kept := host.TakeKept()
	switch {
	case kept == nil:
		return nil, nil
	case config.unloadOnExit:
		return nil, oldprobes.EndKept(kept)
	}
	return kept, nil
}

// uncounted arms no key: these probes report each termination.
type uncounted struct{}

func (uncounted) Arm(wire.Arm) (full string, err error) { return noRepeats, nil }
func (uncounted) Armed(string) (as string)              { return "" }
func (uncounted) Counted(uint64, uint64)                {}
func (uncounted) Retire() error                         { return nil }
func (uncounted) Entries() []wire.Repeat                { return nil }
