// A separate Docker daemon for each case, with an image of our own programs and a wrapper that logs each call of runc. No registry, no
// bridge.
//
// SPDX-License-Identifier: Apache-2.0
package main

import (
	"bytes"
	_ "embed"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
)

const (
	dockerImage   = "whodunit-deaths"
	ordersInside  = "/orders" // the directory of the undertaker's orders in a container
	dockerLogName = "dockerd.log"
)

//go:embed dockerd-alone.sh
var aloneScript string

// keptDocker is how another test reaches the daemon: arguments and environment of the client.
type keptDocker struct {
	Client []string `json:"client"`
	Env    []string `json:"env"`
	Image  string   `json:"image"`
}

// keepDocker starts a daemon, prints a keptDocker, and stops the daemon with its containers at the end of standard input.
func keepDocker() error {
	u, err := newUndertaker()
	if err != nil {
		return err
	}
	defer u.close()
	d, err := u.startDocker()
	if err != nil {
		return err
	}
	client := d.command()
	if err := json.NewEncoder(os.Stdout).Encode(keptDocker{client.Args, d.environment(), dockerImage}); err != nil {
		return err
	}
	_, err = io.Copy(io.Discard, os.Stdin)
	return err
}

type docker struct {
	u         *undertaker
	client    string
	runc      string
	directory string // everything that it writes
}

// startDocker starts the daemon and imports the image. All its files are below one directory, which close removes.
func (u *undertaker) startDocker() (*docker, error) {
	d := &docker{u: u, directory: filepath.Join(u.workDir, "docker")}
	var err error
	if d.client, err = findProgram("docker"); err != nil {
		return nil, err
	}
	if d.runc, err = findProgram("runc"); err != nil {
		return nil, err
	}
	for _, directory := range []string{d.directory, d.in("orders")} {
		if err := os.Mkdir(directory, 0o755); err != nil {
			return nil, err
		}
	}
	if err := d.writeRuncWrapper(); err != nil {
		return nil, err
	}
	if err := d.startDaemon(); err != nil {
		return nil, err
	}
	return d, d.importImage()
}

func (d *docker) in(name string) string { return filepath.Join(d.directory, name) }

// writeRuncWrapper writes the runtime that containerd-shim calls: a script that logs its pid and arguments and then executes runc.
func (d *docker) writeRuncWrapper() error {
	script := fmt.Sprintf("#!/bin/sh\necho $$ \"$@\" >> %s\nexec %s \"$@\"\n", d.in("runc.log"), d.runc)
	return os.WriteFile(d.in("noted-runc"), []byte(script), 0o755)
}

func (d *docker) startDaemon() error {
	if err := os.WriteFile(d.in("daemon.json"), []byte("{}"), 0o644); err != nil {
		return err
	}
	daemon, err := findProgram("dockerd")
	if err != nil {
		return err
	}
	log, err := os.Create(d.in(dockerLogName))
	if err != nil {
		return err
	}
	defer log.Close()
	cmd := exec.Command("/bin/sh", "-c", aloneScript, "dockerd-alone", daemon,
		"--config-file", d.in("daemon.json"), "--host", d.socket(), "--pidfile", d.in("pid"),
		"--data-root", d.in("data"), "--exec-root", d.in("exec"),
		"--bridge", "none", "--iptables=false", "--ip6tables=false", "--ip-forward=false", "--ip-masq=false",
		"--exec-opt", "native.cgroupdriver=cgroupfs",
		"--add-runtime", "noted="+d.in("noted-runc"), "--default-runtime", "noted")
	cmd.Env = append(os.Environ(), "PATH="+strings.Join(systemDirectories, ":"))
	cmd.Stdout, cmd.Stderr = log, log
	runtime.LockOSThread() // Pdeathsig follows the thread that forks
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGTERM, Unshareflags: syscall.CLONE_NEWNS}
	if err := cmd.Start(); err != nil {
		return err
	}
	d.u.atClose = append(d.u.atClose, func() {
		if all, err := d.call("ps", "--all", "--quiet"); err == nil && all != "" {
			_, _ = d.call(append([]string{"rm", "--force"}, strings.Fields(all)...)...)
		}
		_ = cmd.Process.Signal(syscall.SIGTERM)
		_ = cmd.Wait()
	})
	err = awaitTrue("the Docker daemon answers", func() error {
		_, err := d.call("version")
		return err
	})
	if err != nil {
		said, _ := os.ReadFile(d.in(dockerLogName))
		return fmt.Errorf("%w\n%s", err, said)
	}
	return nil
}

func (d *docker) socket() string { return "unix://" + d.in("socket") }

// importImage makes an image of mortal and busybox. Both are static and need nothing else.
func (d *docker) importImage() error {
	busybox, err := findProgram("busybox")
	if err != nil {
		return err
	}
	root := d.in("root")
	if err := os.MkdirAll(filepath.Join(root, "bin"), 0o755); err != nil {
		return err
	}
	for from, to := range map[string]string{d.u.mortal: "mortal", busybox: "bin/busybox"} {
		if err := copyProgram(from, filepath.Join(root, to)); err != nil {
			return err
		}
	}
	if err := os.Symlink("busybox", filepath.Join(root, "bin/sh")); err != nil {
		return err
	}
	archive, err := exec.Command("tar", "-C", root, "-cf", "-", ".").Output()
	if err != nil {
		return err
	}
	load := d.command("import", "-", dockerImage)
	load.Stdin = bytes.NewReader(archive)
	_, err = output(load)
	return err
}

func copyProgram(from, to string) error {
	content, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	return os.WriteFile(to, content, 0o755)
}

// command returns a docker client with these arguments, not started.
func (d *docker) command(args ...string) *exec.Cmd {
	cmd := exec.Command(d.client, append([]string{"--host", d.socket()}, args...)...)
	cmd.Env = append(os.Environ(), d.environment()...)
	return cmd
}

// environment makes the client ignore the configuration of the user.
func (d *docker) environment() []string {
	return []string{"DOCKER_CONFIG=" + d.directory, "DOCKER_CONTEXT="}
}

// call runs the client and returns its output.
func (d *docker) call(args ...string) (string, error) { return output(d.command(args...)) }

// runcThatSent returns the runc that sent this signal to the container, from the log of the wrapper. Its parent was the shim.
func (d *docker) runcThatSent(c *container, signal syscall.Signal) (*actor, error) {
	text, err := os.ReadFile(d.in("runc.log"))
	if err != nil {
		return nil, err
	}
	for line := range strings.Lines(string(text)) {
		words := strings.Fields(line)
		end := len(words) - 2
		if end < 0 || !slices.Contains(words, "kill") || words[end] != c.id || words[end+1] != strconv.Itoa(int(signal)) {
			continue
		}
		pid, err := strconv.Atoi(words[0])
		if err != nil {
			return nil, err
		}
		ancestors := append([]ancestor{c.shim.asAncestor()}, c.shim.Ancestors...)
		ancestors = ancestors[:min(len(ancestors), ancestorsMax)]
		return &actor{
			PID: pid, Comm: "runc", Exe: d.runc, Args: append([]string{d.runc}, words[1:]...), Ancestors: ancestors,
		}, nil
	}
	return nil, fmt.Errorf("runc was not called to send signal %d to the container %s:\n%s", signal, c.id, text)
}
