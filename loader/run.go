// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"os"
	"runtime/debug"
	"sync"

	"github.com/coreos/go-systemd/v22/daemon"

	"whodunit/loader/internal/crash"
	"whodunit/loader/internal/exitcode"
	"whodunit/loader/internal/host"
	"whodunit/loader/internal/log"
	"whodunit/loader/internal/oldprobes"
	"whodunit/loader/internal/probes"
	"whodunit/loader/internal/record"
	"whodunit/loader/internal/repeats"
	"whodunit/loader/internal/ring"
	"whodunit/loader/internal/server"
	"whodunit/loader/internal/wire"
)

// gcPercent is the loader's GOGC. A collection starts when garbage has this percentage of the live heap, and 4 MiB × gcPercent / 100.
const gcPercent = 20

// run starts the process that unwinds, attaches the probes and serves the socket until the context ends.
func run(ctx context.Context, config config, log *log.Logger) (err error) {
	defer func() { err = explain(err) }()
	kept, err := takeKept(config)
	if err != nil {
		return err
	}
	unwinder, err := startUnwinder(config.stacks)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, unwinder.close()) }()
	return attachAndServe(ctx, config, kept, unwinder, log)
}

func attachAndServe(ctx context.Context, config config, kept oldprobes.Kept, unwinder *unwinder, log *log.Logger) (err error) {
	here, err := findMachine(config, kept, log)
	if err != nil {
		return err
	}
	// First the socket: if another program serves it, no probe is attached.
	listener, err := server.Listen(config.socket, config.socketGID)
	if err != nil {
		return err
	}
	defer listener.Close()
	unload, err := prepareUnload(config)
	if err != nil {
		return err
	}
	if here.old {
		return errors.Join(serveOld(ctx, config, here, unwinder, listener, log), unload())
	}
	if err := oldprobes.EndKept(kept); err != nil {
		return err
	}
	attached, err := probes.Attach(probes.Options{
		PinDirectory: config.pinDirectory, RingBytes: config.ringBytes, Scope: here.scope, ThreadContext: config.threadContext, Stacks: config.stacks, Types: here.types,
	})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, attached.Close(), unload()) }()
	ring, err := attached.Ring()
	if err != nil {
		return err
	}
	defer ring.Close()
	keys, err := attached.Repeats()
	if err != nil {
		return err
	}
	crashes, closeCrashes, err := takeCrashes(attached, unwinder, log)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, closeCrashes()) }()
	if _, err := attached.AddRunning(); err != nil {
		log.Warnf("programs that ran before are unknown as ancestors: %v", err)
	}
	hello := helloOf(ring, attached, stacksStatus(config.stacks, attached, unwinder.mayReadAll))
	if err := confine(log, attached.TryServing); err != nil {
		return err
	}
	// Starting needs far more memory than serving, for the kernel's BTF. finishStart returns it with FreeOSMemory.
	debug.SetGCPercent(gcPercent)
	logStart(log, config, here, attached, ring)
	defer finishStart(ctx, log, attached, here.symbols)()
	return server.New(server.Config{
		Ring: ring, Probes: attached, Repeats: keys, Crashes: crashes,
		Machine: record.Machine{PageBytes: uint64(os.Getpagesize()), Symbols: here.symbols, EnvironmentKeys: attached.EnvironmentKeys, ActorEnvironmentKeys: attached.ActorEnvironmentKeys, NoCgroups: !here.types.FindCgroups()}, Log: log, Hello: hello, ClockSteps: here.steps,
		SocketGID: uint32(config.socketGID), ConsumerUID: uint32(config.socketUID),
	}).Serve(ctx, listener)
}

// machine is what the loader finds before it attaches a probe.
type machine struct {
	types   probes.Types
	symbols *host.Symbols // nil: they are hidden
	scope   probes.Scope
	steps   *host.ClockSteps // nil: they are not watched
	old     bool             // isOld
	kept    oldprobes.Kept   // nil: nothing keeps old probes while no loader runs
}

func findMachine(config config, kept oldprobes.Kept, log *log.Logger) (here machine, err error) {
	here.kept = kept
	if err := probes.Require(); err != nil {
		return here, err
	}
	var unused error
	if here.types, unused, err = findTypes(config); err != nil {
		return here, err
	}
	here.old = isOld(config, here.types)
	if unused != nil {
		log.Warnf("%s; the types of this kernel were found again", notUsed(config.calibration, unused))
	}
	if here.symbols, err = host.OpenSymbols(); err != nil {
		log.Warnf("no kernel function names: %v; causes that only a kernel stack shows will be unknown", err)
	}
	if here.steps, err = host.OpenClockSteps(); err != nil {
		log.Warnf("%v; after it is set, times of terminations may be wrong for some seconds", err)
	}
	if here.scope, err = probes.FindScope(config.scope); err != nil || here.scope.IsHost() {
		return here, err
	}
	switch {
	case here.old:
		err = errOldScope
	case !here.types.FindCgroups():
		err = exitcode.Errorf(exitcode.Unavailable, "--scope (WHODUNIT_SCOPE) is %s, but this kernel has no BTF, and its cgroups were not found by observation; watch the host, or name a file with the kernel's types (--btf, WHODUNIT_BTF)", config.scope)
	}
	return here, err
}

func helloOf(ring *ring.Ring, attached *probes.Probes, stacks wire.Stacks) wire.Hello {
	return wire.Hello{
		LoaderVersion: version, BootID: host.BootID(), KernelRelease: host.KernelRelease(), RingBytes: ring.Size(),
		OriginKeysMax: repeats.OriginKeysMax, Probes: attached.Status, Stacks: stacks,
	}
}

// unwinder is the process that unwinds stacks, and the memory that it shares with the loader. Both are nil where no stack is wanted.
type unwinder struct {
	arena      *crash.Arena
	helper     *crash.Helper
	mayReadAll bool // with CAP_DAC_READ_SEARCH
}

// startUnwinder starts the process that unwinds, which keeps CAP_DAC_READ_SEARCH, and drops that from this one: before a probe is loaded, so that
// no process has both.
func startUnwinder(stacks probes.Stacks) (*unwinder, error) {
	if stacks == probes.StacksOff {
		return &unwinder{}, host.DropFileReading()
	}
	arena, err := crash.NewArena()
	if err != nil {
		return nil, err
	}
	helper, err := crash.StartHelper(arena)
	if err != nil {
		return nil, errors.Join(err, arena.Close())
	}
	started := &unwinder{arena, helper, host.MayReadAllFiles()}
	if err := host.DropFileReading(); err != nil {
		return nil, errors.Join(err, started.close())
	}
	return started, nil
}

// close ends the process. It may be called again.
func (u *unwinder) close() error {
	helper, arena := u.helper, u.arena
	if u.helper, u.arena = nil, nil; helper == nil {
		return nil
	}
	return errors.Join(helper.Close(), arena.Close())
}

// takeCrashes takes over the slots of crashes. Where the probes copy none, the loader serves records without stacks, and needs no unwinder.
func takeCrashes(attached *probes.Probes, unwinder *unwinder, log *log.Logger) (_ server.Crashes, closeAll func() error, _ error) {
	if attached.Crashes == nil {
		return nil, func() error { return nil }, unwinder.close()
	}
	if err := host.RunSoon(); err != nil { // The unwinder does not inherit it.
		log.Warnf("on a busy machine, stacks of crashes may be lost: %v", err)
	}
	crashes, err := crash.Open(attached.Crashes, unwinder.arena, unwinder.helper, log)
	if err != nil {
		return nil, nil, err
	}
	return crashes, crashes.Close, nil
}

// explain adds to an error what forbade the step, and the line that permits it. Where an error has an exit code, its text has that already.
func explain(err error) error {
	var coded *exitcode.Error
	if err == nil || errors.As(err, &coded) {
		return err
	}
	if why := host.ReadConfinement().Explain(err); why != "" {
		return exitcode.Errorf(exitcode.Permission, "%w; %s", err, why)
	}
	return err
}

// confine gives up what only the start needs: the capabilities and, after systemd was notified, most system calls. serve makes the system calls
// that the loader makes from then on. What it opens, it must have opened before.
func confine(log *log.Logger, serve func() error) error {
	if err := host.DropPrivileges(serve); err != nil {
		return err
	}
	notifyReady(log)
	err := host.FilterSystemCalls()
	if errors.Is(err, host.ErrNoFilters) {
		log.Warnf("system calls are not filtered: %v", err)
		return nil
	}
	return err
}

// logStart logs what is attached, and where that differs from the configuration.
func logStart(log *log.Logger, config config, here machine, attached *probes.Probes, ring *ring.Ring) {
	for _, probe := range attached.Status {
		if probe.Note != nil {
			log.Warnf("probe %s is not attached: %s", probe.Name, *probe.Note)
		}
	}
	if !here.types.Own() {
		log.Printf("the probes use %s: %s", here.types, lackOf(here.types))
	}
	if size := int(ring.Size()); size != config.ringBytes {
		log.Warnf("the pinned ring buffer keeps its size of %d bytes; --ring-bytes (WHODUNIT_RING_BYTES) is %d; to change it, run `whodunit-loader unload` first", size, config.ringBytes)
	}
	if !here.scope.IsHost() {
		log.Printf("watching only the cgroup %s", here.scope.Directory)
	}
	if crashes := attached.Crashes; crashes != nil && crashes.NoPages != nil {
		log.Printf("%s: %v", filesNotCopied, crashes.NoPages)
	}
	if config.threadContext && !attached.ReadsContexts {
		log.Warnf("--thread-context (WHODUNIT_THREAD_CONTEXT) has no effect: it needs Linux 6.7 or later, and the kernel's own BTF")
	}
	if config.stacks != probes.StacksOff && attached.StacksLack != "" {
		log.Warnf("stacks of crashes are not copied: %s", attached.StacksLack)
	}
	for _, older := range attached.Replaced {
		log.Printf("replaced the probes of an older loader (ABI %d); its records, pending facts and counters are kept", older)
	}
	verb := "attached"
	if attached.TookOver {
		verb = "took over"
	}
	log.Printf("%s the probes, pinned under %s; ready on %s", verb, config.pinDirectory, config.socket)
}

// notifyReady notifies systemd that the probes are attached, if it set NOTIFY_SOCKET (sd_notify(3)).
func notifyReady(log *log.Logger) {
	if _, err := daemon.SdNotify(false, daemon.SdNotifyReady); err != nil {
		log.Warnf("could not notify systemd that the probes are attached: %v", err)
	}
}

// finishStart runs the slow parts of the start in the background. stop cancels them and waits until they have returned.
func finishStart(ctx context.Context, log *log.Logger, attached *probes.Probes, symbols *host.Symbols) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	var running sync.WaitGroup
	running.Go(func() {
		if err := attached.EndOverlap(ctx); err != nil {
			log.Warnf("could not end the overlap with the replaced probes: %v; each exit costs more until the loader is restarted", err)
		}
	})
	running.Go(func() { symbols.Load(); debug.FreeOSMemory() })
	return func() { cancel(); running.Wait() }
}
