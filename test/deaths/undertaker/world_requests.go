// Commands by which someone asks systemd or Docker to stop a process: through sudo, in a script, denied.
//
// SPDX-License-Identifier: Apache-2.0
package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// stoppedThroughSudo: a user stops the service with sudo, in a mount namespace with other rules for sudo.
func stoppedThroughSudo(u *undertaker) error {
	s, v, who, err := u.startService(nil, "wait")
	if err != nil {
		return err
	}
	rules := filepath.Join(u.workDir, "sudoers")
	if err := os.WriteFile(rules, []byte("nobody ALL=(ALL) NOPASSWD: ALL\n"), 0o440); err != nil {
		return err
	}
	const script = `mount --bind "$1" /etc/sudoers && exec setpriv --reuid=65534 --regid=65534 --clear-groups --inh-caps=-all ` +
		`sh -c 'sudo -n nsenter --target "$1" --pid --mount --cgroup -- systemctl stop "$2"; true' sh "$2" "$3"`
	if _, err := output(exec.Command("unshare", "--mount", "sh", "-c", script, "sh", rules, strconv.Itoa(s.PID), systemdUnit)); err != nil {
		return err
	}
	return s.reap(v, who)
}

// timeoutBesideDenied: systemd stops a service that runs for too long, while another user is denied to stop it, again and again.
func timeoutBesideDenied(u *undertaker) error {
	s, v, who, err := u.startService([]string{"RuntimeMaxSec=2"}, "wait")
	if err != nil {
		return err
	}
	ended := make(chan struct{})
	denied := make(chan error, 1)
	go func() {
		for {
			select {
			case <-ended:
				denied <- nil
				return
			case <-time.After(100 * time.Millisecond):
			}
			asNobody := exec.Command("nsenter", "--target", strconv.Itoa(s.PID), "--mount", "--",
				"setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "systemctl", "stop", systemdUnit)
			if err := asNobody.Run(); err == nil {
				denied <- fmt.Errorf("systemd obeyed another user")
				return
			}
		}
	}()
	err = s.reap(v, who)
	close(ended)
	if err := <-denied; err != nil {
		return err
	}
	return err
}

// startService returns the service with the process that will send its signal.
func (u *undertaker) startService(properties []string, way ...string) (*systemd, *victim, *actor, error) {
	s, err := u.startSystemd()
	if err != nil {
		return nil, nil, nil, err
	}
	v, err := s.service(properties, append([]string{u.mortal}, way...)...)
	if err != nil {
		return nil, nil, nil, err
	}
	who, err := readActor(s.PID)
	return s, v, who, err
}

// stoppedByScript: a script stops the container by its name.
func stoppedByScript(d *docker, c *container) error {
	script := filepath.Join(d.u.workDir, "deploy.sh")
	stop := d.command("stop", dockerImage)
	text := "#!/bin/sh\n" + d.client + " --host " + d.socket() + " stop " + dockerImage + "\ntrue\n"
	if err := os.WriteFile(script, []byte(text), 0o755); err != nil {
		return err
	}
	c.markBefore()
	run := exec.Command(script)
	run.Env = stop.Env
	if _, err := output(run); err != nil {
		return err
	}
	killer, err := d.runcThatSent(c, syscall.Signal(unix.SIGTERM))
	if err != nil {
		return err
	}
	return c.reap(killer)
}

// pkilledByAgent: an agent in Node.js has a shell execute pkill, which finds the victim by its command line.
func pkilledByAgent(u *undertaker) error {
	v, err := u.startReady("as", "0", "wait")
	if err != nil {
		return err
	}
	pkill := []string{"/usr/bin/pkill", "-KILL", "-P", strconv.Itoa(os.Getpid()), "-f", "[m]ortal.as.0"}
	const script = "require('child_process').spawnSync('bash', ['-c', process.argv[2]], { stdio: 'inherit' });\n"
	agent := filepath.Join(u.workDir, "agent.js")
	if err := os.WriteFile(agent, []byte(script), 0o644); err != nil {
		return err
	}
	command := "dash -c '" + killScript + "exec " + strings.Join(pkill, " ") + "'; true"
	return u.killWith(v, []string{"node", agent, command}, pkill)
}
