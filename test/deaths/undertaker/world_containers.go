// Cases in a container. Its processes have containerd-shim for a parent: the status is the one that Docker received.
//
// SPDX-License-Identifier: Apache-2.0
package main

import (
	"fmt"
	"os"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"
)

// container is one that runs, with its process 1 as a victim.
type container struct {
	*victim
	d    *docker
	id   string
	shim *actor // of containerd: the parent of all that run in it
}

// inContainer starts a container and, as soon as it is ready to die, lets the rest happen.
func inContainer(happen func(d *docker, c *container) error, options []string, command ...string) func(u *undertaker) error {
	return func(u *undertaker) error {
		d, err := u.startDocker()
		if err != nil {
			return err
		}
		c, err := d.run(options, command...)
		if err != nil {
			return err
		}
		return happen(d, c)
	}
}

func (d *docker) run(options []string, command ...string) (*container, error) {
	if err := unix.Mkfifo(d.in("orders/go"), 0o600); err != nil {
		return nil, err
	}
	fixed := []string{"run", "--detach", "--network", "none", "--volume", d.in("orders") + ":" + ordersInside}
	args := append(append(append(fixed, options...), dockerImage), command...)
	id, err := d.call(args...)
	if err != nil {
		return nil, err
	}
	c := &container{d: d, id: id}
	err = awaitTrue("the container is ready", func() error {
		said, err := d.call("logs", id)
		if err == nil && said != "ready" {
			err = fmt.Errorf("it said %q", said)
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	text, err := d.call("inspect", "--format", "{{.State.Pid}}", id)
	if err != nil {
		return nil, err
	}
	pid, err := strconv.Atoi(text)
	if err != nil {
		return nil, err
	}
	c.victim, err = d.adopt(pid, id)
	if err != nil {
		return nil, err
	}
	c.shim, err = readActor(c.ParentPID)
	return c, err
}

func (d *docker) adopt(pid int, id string) (*victim, error) {
	v, err := adopt(pid)
	if err != nil {
		return nil, err
	}
	v.ContainerID = id
	return v, nil
}

// goAhead lets a container that reads the fifo go on.
func (c *container) goAhead() error {
	c.markBefore()
	return os.WriteFile(c.d.in("orders/go"), []byte("\n"), 0)
}

// wait returns the exit number that Docker reports for its process 1.
func (c *container) wait() (int, error) {
	text, err := c.d.call("wait", c.id)
	if err != nil {
		return 0, err
	}
	return strconv.Atoi(text)
}

// bury keeps the status that Docker received as the truth about its process 1.
func (c *container) bury(killer *actor) error {
	code, err := c.wait()
	if err != nil {
		return err
	}
	c.d.u.attest(c.victim, statusOfShell(code), killer)
	return nil
}

// thenDo is a command that says that it is ready, and does the rest after goAhead.
func thenDo(what string) []string { return afterOrder(ordersInside+"/go", what) }

func containerExits(_ *docker, c *container) error {
	if err := c.goAhead(); err != nil {
		return err
	}
	return c.bury(nil)
}

// ended lets Docker end it with a command of its own, and the witness tell which runc sent the last signal.
func ended(signal syscall.Signal, command ...string) func(d *docker, c *container) error {
	return func(d *docker, c *container) error {
		killer, err := c.end(signal, command...)
		if err != nil {
			return err
		}
		return c.bury(killer)
	}
}

func (c *container) end(signal syscall.Signal, command ...string) (*actor, error) {
	c.markBefore()
	if _, err := c.d.call(append(command, c.id)...); err != nil {
		return nil, err
	}
	return c.d.whoKilled(c, signal)
}

// containerOutOfMemory takes the kernel's word for it: Docker's own OOMKilled stays false where it hears of the exit first.
func containerOutOfMemory(d *docker, c *container) error {
	if err := c.goAhead(); err != nil {
		return err
	}
	c.Exe, c.Args = "/mortal", []string{"/mortal", "eat-memory"}
	if err := c.bury(nil); err != nil {
		return err
	}
	sizes, err := readOomLine(c.PID)
	d.u.deaths[len(d.u.deaths)-1].OOM = sizes
	return err
}

// containerInitExits lets process 1 end while another process is in the container: the kernel kills that one.
func containerInitExits(d *docker, c *container) error {
	other, err := c.exec("/mortal", "wait")
	if err != nil {
		return err
	}
	other.markBefore()
	if err := c.goAhead(); err != nil {
		return err
	}
	if err := other.bury(d.u, nil); err != nil {
		return err
	}
	return c.bury(nil)
}

// initForwards has an init that Docker puts before the program: it waits for signals, hands them on, and reports its child as a
// shell does.
func initForwards(d *docker, c *container) error {
	pid, err := onlyChild(c.PID)
	if err != nil {
		return err
	}
	v, err := d.adopt(pid, c.id)
	if err != nil {
		return err
	}
	forwarder, err := readActor(c.PID)
	if err != nil {
		return err
	}
	forwarder.ContainerID = c.id
	killer, err := c.end(unix.SIGTERM, "stop")
	if err != nil {
		return err
	}
	code, err := c.wait()
	if err != nil {
		return err
	}
	d.u.attest(v, statusOfShell(code), forwarder)
	d.u.attest(c.victim, syscall.WaitStatus(code<<8), killer)
	return nil
}

// killedInside has killer and victim in the container, each started by `docker exec`.
func killedInside(d *docker, c *container) error {
	v, err := c.exec("/mortal", "wait")
	if err != nil {
		return err
	}
	k, err := c.exec("/bin/sh", "-c", fmt.Sprintf("echo ready; read _; kill -KILL %d", v.VPID))
	if err != nil {
		return err
	}
	who, err := readActor(k.PID)
	if err != nil {
		return err
	}
	who.ContainerID = c.id
	v.markBefore()
	if _, err := fmt.Fprintln(k.input); err != nil {
		return err
	}
	return v.bury(d.u, who)
}
