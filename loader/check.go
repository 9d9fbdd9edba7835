// SPDX-License-Identifier: Apache-2.0

package main

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"
	"text/tabwriter"

	"whodunit/loader/internal/crash/helper"
	"whodunit/loader/internal/exitcode"
	"whodunit/loader/internal/host"
	"whodunit/loader/internal/oldprobes"
	"whodunit/loader/internal/probes"
)

// finding is one row of check's table. If it is not ok, the loader does not start (required) or reports less.
type finding struct {
	what, state, remedy string
	ok, required        bool
}

// check prints what this kernel supports, what will be missing, and what to do about it, as text or json. It fails if a required row is not
// ok. It uses pinDirectory, btf, calibration, probes and output of config.
func check(out io.Writer, config config) error {
	pinDirectory, output := config.pinDirectory, config.output
	types, unused, typesMissing := findTypes(config)
	old := isOld(config, types)
	kernel := kernelFinding(types, typesMissing)
	if typesMissing == nil && unused != nil {
		kernel.remedy += "; " + notUsed(config.calibration, unused)
	}
	findings := []finding{kernel, privilegeFinding(), confinementFinding(), lockdownFinding(), symbolsFinding(), pinFinding(pinDirectory), registersFinding(types)}
	if typesMissing == nil {
		findings = append(findings, stacksFinding(types, old))
	}
	findings = append(findings, filesFinding(), layersFinding())
	findings = append(findings, probeFindings(config, types, typesMissing, old)...)
	print := printTable
	if output == "json" {
		print = printJSON
	}
	if err := print(out, findings); err != nil {
		return err
	}
	missing := 0
	for _, finding := range findings {
		if finding.mark() == missingMark {
			missing++
		}
	}
	if missing > 0 {
		return exitcode.Errorf(exitcode.Unavailable, "%d requirements are not met; each has its remedy", missing)
	}
	return nil
}

const missingMark = "MISSING"

func (f finding) mark() string {
	switch {
	case f.ok:
		return "ok"
	case f.required:
		return missingMark
	default:
		return "degraded"
	}
}

func printTable(out io.Writer, findings []finding) error {
	table := tabwriter.NewWriter(out, 0, 4, 2, ' ', 0)
	for _, f := range findings {
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\n", f.mark(), f.what, f.state, f.remedy)
	}
	return table.Flush()
}

// printJSON prints an array with an object for each row.
func printJSON(out io.Writer, findings []finding) error {
	type row struct {
		Level    string `json:"level"` // ok, degraded or missing
		What     string `json:"what"`
		State    string `json:"state"`
		Remedy   string `json:"remedy"`
		Required bool   `json:"required"`
	}
	rows := make([]row, len(findings))
	for i, f := range findings {
		rows[i] = row{strings.ToLower(f.mark()), f.what, f.state, f.remedy, f.required}
	}
	return json.NewEncoder(out).Encode(rows)
}

func kernelFinding(types probes.Types, missing error) finding {
	f := finding{what: "kernel", state: fmt.Sprintf("%s, %s", host.KernelRelease(), types), ok: types.Own(), required: missing != nil}
	switch {
	case missing != nil:
		f.ok, f.state, f.remedy = false, host.KernelRelease()+", no BTF that describes it", explain(missing).Error()
	case !f.ok:
		f.remedy = lackOf(types)
	}
	return f
}

func privilegeFinding() finding {
	capabilities, err := host.EffectiveCapabilities()
	f := finding{what: "privileges", state: "CAP_BPF and CAP_PERFMON, or CAP_SYS_ADMIN", ok: err == nil && capabilities.AllowBPF(), required: true}
	if !f.ok {
		f.state, f.remedy = "neither CAP_BPF with CAP_PERFMON nor CAP_SYS_ADMIN", "run as root, for example with sudo"
	}
	return f
}

func confinementFinding() finding {
	confinement := host.ReadConfinement()
	remedy := confinement.Forbidden()
	return finding{what: "confinement", state: confinement.String(), remedy: remedy, ok: remedy == "", required: true}
}

func lockdownFinding() finding {
	f := finding{what: "lockdown", state: host.Lockdown(), ok: true, required: true}
	if f.state == probes.LockdownForbids {
		f.ok, f.remedy = false, "confidentiality forbids reading kernel memory; boot with lockdown=integrity at most"
	}
	return f
}

func symbolsFinding() finding {
	symbols, err := host.OpenSymbols()
	if err != nil {
		return finding{what: "kernel function names", state: "hidden", remedy: fmt.Sprintf("%v; without them some causes (cgroup.kill, timers, the scope of an OOM kill) are unknown", err)}
	}
	return finding{what: "kernel function names", state: fmt.Sprint(symbols.Count()), ok: true}
}

func pinFinding(pinDirectory string) finding {
	f := finding{what: "pins", ok: true, required: true}
	switch _, err := os.Stat(pinDirectory); {
	case !probes.IsBpffs(pinDirectory) && !host.MayMount():
		f.ok, f.state = false, "no BPF file system is mounted for "+pinDirectory
		f.remedy = "on the host: mount -t bpf bpf /sys/fs/bpf; in a container, mount that of the host (Docker: --volume /sys/fs/bpf:/sys/fs/bpf; Kubernetes: a hostPath volume)"
	case !probes.IsBpffs(pinDirectory):
		f.state = "no BPF file system is mounted for " + pinDirectory + " yet; `whodunit-loader run` mounts one"
	case err != nil:
		f.state = "none under " + pinDirectory
	default:
		f.state = "probes are pinned under " + pinDirectory
		if err := probes.CheckPins(pinDirectory); err != nil {
			f.ok, f.state, f.remedy = false, "of another version", err.Error()
			return f
		}
	}
	if err := probes.TryPinning(pinDirectory); err != nil && probes.IsBpffs(pinDirectory) {
		f.ok, f.state, f.remedy = false, "cannot be made under "+pinDirectory, explain(err).Error()
	}
	return f
}

func registersFinding(types probes.Types) finding {
	f := finding{what: "registers of a task", state: "readable", ok: true}
	const without = "without them, the instruction of a fault and the system call that sent a signal are unknown; "
	switch {
	case types.Observed():
		f.ok, f.state, f.remedy = false, "not readable", without+"they are not found by observation"
	case !probes.ReadsRegisters():
		f.ok, f.state, f.remedy = false, "not readable", without+"use Linux 5.15 or later, built with CONFIG_DEBUG_INFO_BTF=y"
	}
	return f
}

func stacksFinding(types probes.Types, old bool) finding {
	if old {
		return finding{what: "stacks of crashes", state: "not copied", remedy: noStacks}
	}
	stacks, err := probes.StacksHere(types)
	f := finding{what: "stacks of crashes", state: "copied " + string(stacks), ok: err == nil}
	if err != nil {
		f.state = "not copied"
		f.remedy = stacksNotHere(err.Error())
	}
	return f
}

// filesFinding says whether the process that unwinds stacks may read the executables of all users.
func filesFinding() finding {
	f := finding{what: "files of stacks", state: "of all users", ok: host.MayReadAllFiles()}
	if !f.ok {
		f.state = "those that this user may read"
		f.remedy = filesOfOthers
	}
	return f
}

// layersFinding says how the process that unwinds opens the files of containers.
func layersFinding() finding {
	layers := helper.FindLayers()
	f := finding{what: "layers of containers", state: "of all that this machine runs", remedy: layers.Missing(host.MayReadAllFiles())}
	f.ok = f.remedy == ""
	switch {
	case !f.ok:
		f.state = "not readable"
	case layers.InContainer && layers.ByPath != "":
		f.state = "below " + layers.ByPath
	case layers.InContainer:
		f.state = "by handle, in " + layers.ByHandle
	}
	return f
}

// probeFindings tries each probe, unless it is known that none can be attached.
func probeFindings(config config, types probes.Types, typesMissing error, old bool) (findings []finding) {
	if err := cmp.Or(probes.Require(), typesMissing); err != nil {
		return []finding{{what: "probes", state: "not tried", remedy: err.Error(), required: true}}
	}
	try := probes.TryHooks
	if old {
		try = func(types probes.Types) []probes.Trial { return oldprobes.TryHooks(types, config.tracepoints) }
	}
	for _, trial := range try(types) {
		findings = append(findings, trialFinding(trial))
	}
	return findings
}

func trialFinding(trial probes.Trial) finding {
	f := finding{what: "probe " + trial.Name, state: trial.Works, ok: trial.Failed == "", required: trial.Required}
	if !f.ok {
		f.state, f.remedy = trial.Failed, trial.Note
	}
	if trial.Err != nil {
		f.remedy = strings.ReplaceAll(explain(trial.Err).Error(), "\n", " ")
	}
	return f
}
