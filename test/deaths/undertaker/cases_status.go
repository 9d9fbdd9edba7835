// Cases of processes that exit by themselves.
//
// SPDX-License-Identifier: Apache-2.0
package main

import (
	"strings"

	"golang.org/x/sys/unix"
)

var statusCases = []deathCase{
	{"exit-0", byItself("exit", "0")},
	{"exit-1", byItself("exit", "1")},
	{"exit-2", byItself("exit", "2")},
	{"exit-3", byItself("exit", "3")},
	{"exit-126", byItself("exit", "126")},
	{"exit-127", byItself("exit", "127")},
	{"exit-255", byItself("exit", "255")},
	{"exit-256", byBareProcess(func(*undertaker) []call { return []call{exitGroup(256)} })},
	{"exit-259", byBareProcess(func(*undertaker) []call { return []call{exitGroup(259)} })},
	{"thread-exit-alone", byBareProcess(func(*undertaker) []call { return []call{exitThread(5)} })},
	{"exit-in-thread", byItself("exit-in-thread", "6")},
	{"leader-first", byItself("leader-first", "5", "7")},
	{"leader-0-worker-group-7", byBareProcess(leaderThenWorker(exitThread(0), exitGroup(7)))},
	{"leader-5-worker-group-0", byBareProcess(leaderThenWorker(exitThread(5), exitGroup(0)))},
	{"leader-5-worker-9", byBareProcess(leaderThenWorker(exitThread(5), exitThread(9)))},
	{"worker-9-leader-5", byBareProcess(workerThenLeader)},
	{"leader-5-worker-killed", leaderGoneThenKilled},
	{"many-threads-exit", byBareProcess(manyThreadsExit)},
	{"exit-race", exitRace},
	{"exec-in-thread", execInThread("exit", "4")},
	{"exec-in-thread-lives-on", execInThread("exit", "0")},
	{"vfork-exit", vforked(func(*undertaker) []call { return []call{exitGroup(3)} })},
	{"vfork-no-such-program", vforked(noSuchProgram)},
	{"double-fork", doubleFork},
	{"setuid-program", setuidVictim},
	{"bare-program", bareProgram},
	{"dynamic-program", dynamicProgram},
	{"script", script},
	{"broken-program", brokenProgram},
	{"odd-arguments", byItself("exit", "3", "ü", "two words", "a\nline and a \"quote\"", "")},
	{"long-arguments", byItself("exit", "3", strings.Repeat("a", 120), strings.Repeat("b", 120), strings.Repeat("c", 120), strings.Repeat("d", 120))},
	{"pid-reuse", pidReuse(byItself("exit", "3"))},
	{"pid-reuse-after-request", pidReuse(killed("kill", unix.SIGTERM, "exit-on", "SIGTERM", "3"))},
	{"under-a-millisecond", underAMillisecond},
}
