// SPDX-License-Identifier: Apache-2.0

// `whodunit-loader check`: what this kernel offers, what will be missing, what to do about it. It attaches nothing that stays.
package main

import (
	"fmt"
	"io"
	"os"
	"strings"
	"text/tabwriter"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/btf"
	"github.com/cilium/ebpf/features"
)

// finding is one row of the table. A remedy without `required` only degrades.
type finding struct {
	what, state, remedy string
	ok, required        bool
}

// check prints the table, and fails if a required row is not ok.
func check(out io.Writer, pinDirectory string) error {
	findings := []finding{kernelFinding(), privilegeFinding(), lockdownFinding(), symbolsFinding(), pinFinding(pinDirectory)}
	findings = append(findings, registersFinding())
	findings = append(findings, hookFindings()...)
	table := tabwriter.NewWriter(out, 0, 4, 2, ' ', 0)
	missing := 0
	for _, finding := range findings {
		mark := "ok"
		if !finding.ok {
			mark = "degraded"
			if finding.required {
				mark = "MISSING"
				missing++
			}
		}
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\n", mark, finding.what, finding.state, finding.remedy)
	}
	if err := table.Flush(); err != nil {
		return err
	}
	if missing > 0 {
		return &usageError{exitUnavailable, fmt.Sprintf("%d required things are missing; the table says what to do", missing)}
	}
	return nil
}

func kernelFinding() finding {
	f := finding{what: "kernel", state: kernelRelease() + ", BTF", ok: true, required: true}
	if _, err := os.Stat(kernelBTF); err != nil {
		f.ok, f.state, f.remedy = false, kernelRelease()+", no BTF", "use a kernel from 5.8 on, built with CONFIG_DEBUG_INFO_BTF=y"
	}
	return f
}

func privilegeFinding() finding {
	capabilities, err := effectiveCapabilities()
	f := finding{what: "privileges", state: "CAP_BPF and CAP_PERFMON, or CAP_SYS_ADMIN", ok: err == nil && mayLoad(capabilities), required: true}
	if !f.ok {
		f.state, f.remedy = "neither CAP_BPF with CAP_PERFMON nor CAP_SYS_ADMIN", "run it as root, with sudo"
	}
	return f
}

func lockdownFinding() finding {
	f := finding{what: "lockdown", state: "none", ok: true, required: true}
	raw, err := os.ReadFile("/sys/kernel/security/lockdown")
	if err != nil {
		return f
	}
	_, mode, _ := strings.Cut(string(raw), "[")
	f.state, _, _ = strings.Cut(mode, "]")
	if f.state == "confidentiality" {
		f.ok, f.remedy = false, "confidentiality forbids reading kernel memory; boot with lockdown=integrity at most"
	}
	return f
}

func symbolsFinding() finding {
	symbols, err := openKernelSymbols()
	if err != nil {
		return finding{what: "kernel function names", state: "hidden", remedy: fmt.Sprintf("%v; without them some reasons (cgroup.kill, timers, the OOM's scope) are unknown", err)}
	}
	return finding{what: "kernel function names", state: fmt.Sprint(symbols.count()), ok: true}
}

// registersFinding asks for bpf_task_pt_regs(), which came with Linux 5.15.
func registersFinding() finding {
	f := finding{what: "registers of a task", state: "readable", ok: true}
	if err := features.HaveProgramHelper(ebpf.RawTracepoint, asm.FnTaskPtRegs); err != nil {
		f.ok, f.state = false, "not readable"
		f.remedy = "without them the instruction of a fault and the system call that sent a signal are unknown; Linux 5.15 has what is needed"
	}
	return f
}

func pinFinding(pinDirectory string) finding {
	f := finding{what: "pins", ok: true, required: true}
	switch _, err := os.Stat(pinDirectory); {
	case !isBpffs(pinDirectory):
		f.state = "no BPF file system at " + bpffsPath + " yet: `run` mounts one"
	case err != nil:
		f.state = "none under " + pinDirectory
	default:
		f.state = "probes are pinned under " + pinDirectory
		if err := refuseOtherABI(pinDirectory); err != nil {
			f.ok, f.state, f.remedy = false, "of another version", err.Error()
		}
	}
	return f
}

// hookFindings loads the probes and attaches each for a moment: the only sure answer.
func hookFindings() []finding {
	var findings []finding
	types := btf.NewCache()
	collection, notes, err := loadForCheck(types)
	if err == nil {
		defer collection.Close()
	}
	for _, hook := range hooksHere(types) {
		f := finding{what: "probe " + hook.name, state: "attaches", ok: true, required: hook.required}
		note, left := notes[hook.name]
		switch {
		case err != nil:
			f.ok, f.state, f.remedy = false, "does not load", firstLine(err)
		case left:
			f.ok, f.state, f.remedy = false, "left out", note
		default:
			attached, attachErr := hook.attach(collection.Programs[hook.program])
			if attachErr != nil {
				f.ok, f.state, f.remedy = false, "does not attach", firstLine(attachErr)
			} else {
				attached.Close()
			}
		}
		findings = append(findings, f)
	}
	return findings
}

func loadForCheck(types *btf.Cache) (*ebpf.Collection, map[string]string, error) {
	spec, err := loadBpf()
	if err != nil {
		return nil, nil, err
	}
	spec.Maps[bpfMapEvents].MaxEntries = ringBytesMin
	return newCollection(spec, ebpf.CollectionOptions{Cache: types})
}

func firstLine(err error) string {
	line, _, _ := strings.Cut(err.Error(), "\n")
	return line
}
