// SPDX-License-Identifier: Apache-2.0

package probes

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"whodunit/loader/internal/abi"
	"whodunit/loader/internal/record"
	"whodunit/loader/internal/record/recordtest"
	"whodunit/loader/internal/ring"
)

// asked is what the test compares of a request.
type asked struct {
	pid                      uint32
	tool, script, exe, args  string
	env                      map[string]string
	owner, realUID, loginUID *uint32
	ended                    bool
	status                   uint32
}

// requestsOf reads the requests of these processes, with their ends.
func requestsOf(t *testing.T, ring *ring.Ring, pids ...int) map[int]*asked {
	t.Helper()
	found := map[int]*asked{}
	eachRecord(t, ring, 0, recordtest.Symbols{}, func(event *record.Event) {
		for _, pid := range pids {
			if event.Process.Pid != uint32(pid) {
				continue
			}
			if event.Tool != nil {
				found[pid] = copyOf(event)
			}
			if event.RequestEnd && found[pid] != nil {
				found[pid].ended, found[pid].status = true, event.StatusRaw
			}
		}
	})
	return found
}

func copyOf(event *record.Event) *asked {
	text := func(pointed *string) string {
		if pointed == nil {
			return ""
		}
		return strings.Clone(*pointed)
	}
	number := func(pointed *uint32) *uint32 {
		if pointed == nil {
			return nil
		}
		copied := *pointed
		return &copied
	}
	out := &asked{
		pid: event.Process.Pid, tool: strings.Clone(event.Tool.Name), script: text(event.Tool.Script), exe: text(event.Process.Exe), args: strings.Join(event.Process.Args, " "),
		owner: number(event.Tool.Owner), realUID: number(event.Process.RealUID), loginUID: number(event.Process.LoginUID), env: map[string]string{},
	}
	for name, value := range event.Process.Env {
		out.env[name] = strings.Clone(value)
	}
	return out
}

// toolAt copies a program to a new directory, under a name.
func toolAt(t *testing.T, program, name string) string {
	t.Helper()
	raw, err := os.ReadFile(program)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, raw, 0o755); err != nil {
		t.Fatal(err)
	}
	return path
}

func runTool(t *testing.T, command *exec.Cmd) (pid int) {
	t.Helper()
	_ = command.Run() // Some fail on purpose.
	if command.ProcessState == nil {
		t.Fatalf("%s did not run", command.Path)
	}
	return command.Process.Pid
}

func TestARequestIsTheExecutedFileNotWhatItsArgumentsSay(t *testing.T) {
	_, ring := attachedWith(t, 4<<20)
	link := func(name, target string) string {
		path := filepath.Join(t.TempDir(), name)
		if err := os.Symlink(target, path); err != nil {
			t.Fatal(err)
		}
		return path
	}
	script := filepath.Join(t.TempDir(), "supervisorctl")
	if err := os.WriteFile(script, []byte("#!/bin/sh\nexit 3\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	systemctl, pgrep := toolAt(t, "/bin/true", "systemctl"), toolAt(t, "/bin/true", "pgrep")
	for _, test := range []struct {
		name    string
		command *exec.Cmd
		tool    string // "": no request
		script  string
		status  uint32
	}{
		{"an executable", exec.Command(systemctl, "stop", "web"), "systemctl", "", 0},
		{"one that fails", exec.Command(toolAt(t, "/bin/false", "docker"), "stop", "web"), "docker", "", 1 << 8},
		{"a script", exec.Command(script, "stop", "web"), "supervisorctl", script, 3 << 8},
		{"a link to a program that is many tools", exec.Command(link("shutdown", systemctl), "now"), "shutdown", "", 0},
		{"a link to a program that is many tools and none itself", exec.Command(link("pkill", pgrep), "now"), "pkill", "", 0},
		{"a program that is many tools and none itself", exec.Command(pgrep, "pkill"), "", "", 0},
		{"another link to it", exec.Command(link("other", systemctl), "stop"), "systemctl", "", 0},
		{"a name in the arguments", &exec.Cmd{Path: "/bin/true", Args: []string{"systemctl", "stop", "web"}}, "", "", 0},
		{"a link to a program that is no tool", exec.Command(link("kubectl", "/bin/true"), "delete", "pod"), "", "", 0},
		{"a name that begins like one", exec.Command(toolAt(t, "/bin/true", "docker-compose-x"), "down"), "", "", 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			test.command.Env = []string{"PATH=/bin", "SUDO_USER=alice", "SECRET=x", "SSH_CONNECTION=198.51.100.7 52144 192.0.2.1 22", "SUDO_UID=5"}
			pid := runTool(t, test.command)
			request := requestsOf(t, ring, pid)[pid]
			if test.tool == "" {
				if request != nil {
					t.Fatalf("%+v", request)
				}
				return
			}
			if request == nil {
				t.Fatal("no request")
			}
			if request.tool != test.tool || request.script != test.script || !request.ended || request.status != test.status {
				t.Errorf("%+v", request)
			}
			if !strings.HasSuffix(request.args, strings.Join(test.command.Args[1:], " ")) {
				t.Errorf("arguments %q", request.args)
			}
			if len(request.env) != 2 || request.env["SUDO_USER"] != "alice" || !strings.HasPrefix(request.env["SSH_CONNECTION"], "198.51.100.7 ") {
				t.Errorf("environment %v", request.env)
			}
			if request.realUID == nil || *request.realUID != uint32(os.Getuid()) {
				t.Errorf("real uid %v", request.realUID)
			}
		})
	}
}

func TestTheRequestsOfAnOriginAreLimitedAndCounted(t *testing.T) {
	probes, ring := attachedWith(t, 4<<20)
	systemctl, calls := toolAt(t, "/bin/true", "systemctl"), 200
	var pids []int
	for range calls {
		pids = append(pids, runTool(t, exec.Command(systemctl, "status")))
	}
	reported := len(requestsOf(t, ring, pids...))
	counters, err := probes.Counters()
	if err != nil {
		t.Fatal(err)
	}
	if reported == 0 || reported+int(counters.RequestsRefused) < calls {
		t.Errorf("%d calls: %d reported, %d refused", calls, reported, counters.RequestsRefused)
	}
}

func TestAListOfToolsIsRead(t *testing.T) {
	tools, err := readTools("# comment\nsystemctl # the manager\n\n- busybox\n+ init\n")
	if err != nil || len(tools) != 3 {
		t.Fatalf("%v, %v", tools, err)
	}
	for i, want := range []abi.ToolKind{abi.ToolKindTOOL_ASKS, abi.ToolKindTOOL_MANY, abi.ToolKindTOOL_ASKS | abi.ToolKindTOOL_MANY} {
		if tools[i].Value != uint32(want) {
			t.Errorf("%d: %v, want %v", i, tools[i].Value, want)
		}
	}
	if _, err := readTools("a-name-of-15-by"); err == nil {
		t.Error("a name that the probes would cut is accepted")
	}
	if _, err := readTools(toolsFile); err != nil {
		t.Error(err)
	}
}

// waiter starts a process that blocks SIGRTMIN+3, and waits. Its pid is the one in the initial namespace, also of the init of another one.
func waiter(t *testing.T, isInit bool, block string) (pid int) {
	t.Helper()
	script := fmt.Sprintf(`use POSIX; %s; print "ready\n"; close STDOUT; sleep 1000`, block)
	command := exec.Command("perl", "-e", script)
	if isInit {
		command.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWPID}
	}
	output, err := command.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = command.Process.Kill()
		_ = command.Wait()
	})
	if !bufio.NewScanner(output).Scan() {
		t.Fatal("perl did not start")
	}
	return command.Process.Pid
}

func TestASignalToAnInitIsARequestOfItsSender(t *testing.T) {
	_, ring := attachedWith(t, 4<<20)
	const blocked = "sigprocmask(SIG_BLOCK, POSIX::SigSet->new(37))"
	for _, test := range []struct {
		name   string
		isInit bool
		block  string
		signo  int
		want   bool
	}{
		{"an init that reads it later", true, blocked, 37, true},
		{"another process", false, blocked, 37, false},
		{"an init that does not block it ignores it", true, "1", 37, false},
		{"a signal that asks for nothing", true, "sigprocmask(SIG_BLOCK, POSIX::SigSet->new(63))", 63, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			pid := waiter(t, test.isInit, test.block)
			sender := exec.Command("sh", "-c", fmt.Sprintf("kill -%d %d", test.signo, pid))
			if output, err := sender.CombinedOutput(); err != nil && test.isInit {
				t.Fatalf("%v: %s", err, output)
			}
			found := 0
			eachRecord(t, ring, 0, recordtest.Symbols{}, func(event *record.Event) {
				if event.Tool == nil || event.Tool.Signal == nil || event.Process.Pid != uint32(sender.Process.Pid) {
					return
				}
				found++
				signal := event.Tool.Signal
				if event.Tool.Name != "" || signal.Signo != uint32(test.signo) || signal.Pid != uint32(pid) || signal.StartBoottimeNs == 0 {
					t.Errorf("%+v of %+v", *signal, *event.Tool)
				}
				if args := strings.Join(event.Process.Args, " "); args != strings.Join(sender.Args, " ") {
					t.Errorf("arguments %q", args)
				}
			})
			if (found == 1) != test.want || found > 1 {
				t.Errorf("%d requests", found)
			}
		})
	}
}
