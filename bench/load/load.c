// SPDX-License-Identifier: Apache-2.0
/*
 * The loads of `npm run bench`. Each does one thing COUNT times and prints how long that took. They are written in C and linked
 * statically: the less a process itself costs, the larger is the share of the probes. They only read the clock; the caller decides
 * what observes them.
 *
 * Surplus arguments are ignored: with them, the caller makes processes with long arguments.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/sysinfo.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define NS_PER_S 1000000000LL
#define WORKERS_MAX 64

static void fail(const char *what)
{
	fprintf(stderr, "load: %s: %s\n", what, strerror(errno));
	exit(1);
}

static long long now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * NS_PER_S + now.tv_nsec;
}

static void print_result(long long count, long long since_ns)
{
	printf("{\"count\":%lld,\"wall_ns\":%lld}\n", count, now_ns() - since_ns);
}

/* Forks a child that is killed when its parent terminates. */
static pid_t fork_bound(void)
{
	pid_t parent = getpid(), child = fork();

	if (child < 0)
		fail("fork");
	if (child == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (getppid() != parent)
			_exit(1);
	}
	return child;
}

static void await(pid_t child)
{
	while (waitpid(child, NULL, 0) < 0)
		if (errno != EINTR)
			fail("waitpid");
}

static void fork_and_exit(int code)
{
	pid_t child = fork();

	if (child < 0)
		fail("fork");
	if (child == 0)
		_exit(code);
	await(child);
}

/* exit CODE COUNT */
static void exits(char **args)
{
	int code = atoi(args[0]);
	long long count = atoll(args[1]), start = now_ns();

	for (long long i = 0; i < count; i++)
		fork_and_exit(code);
	print_result(count, start);
}

/* number: an argument by which it differs from others; NULL: there is none. */
static void exec_and_exit(char *code, char *number)
{
	char *const nothing[] = {"load", "nothing", code, number, NULL};
	pid_t child = vfork();

	if (child < 0)
		fail("vfork");
	if (child == 0) {
		execve("/proc/self/exe", nothing, environ);
		_exit(127);
	}
	await(child);
}

/* exec COUNT: executes this program, which exits at once. */
static void execs(char **args)
{
	long long count = atoll(args[0]), start = now_ns();

	for (long long i = 0; i < count; i++)
		exec_and_exit("0", NULL);
	print_result(count, start);
}

static void *exit_at_once(void *unused)
{
	return unused;
}

/* threads COUNT */
static void threads(char **args)
{
	long long count = atoll(args[0]), start = now_ns();

	for (long long i = 0; i < count; i++) {
		pthread_t thread;

		errno = pthread_create(&thread, NULL, exit_at_once, NULL);
		if (errno || (errno = pthread_join(thread, NULL)))
			fail("pthread");
	}
	print_result(count, start);
}

static void handle(int unused)
{
	(void)unused;
}

/* pingpong SIGNAL COUNT: two processes handle SIGNAL, and send it to each other in turn. */
static void pingpong(char **args)
{
	int signo = atoi(args[0]);
	long long count = atoll(args[1]), start;
	struct sigaction action = {.sa_handler = handle};
	sigset_t blocked, waiting;
	pid_t child, parent = getpid();

	sigaction(signo, &action, NULL);
	sigemptyset(&blocked);
	sigaddset(&blocked, signo);
	sigprocmask(SIG_BLOCK, &blocked, &waiting);
	sigdelset(&waiting, signo);
	child = fork_bound();
	if (child == 0) {
		for (;;) {
			sigsuspend(&waiting);
			kill(parent, signo);
		}
	}
	start = now_ns();
	for (long long i = 0; i < count; i += 2) {
		kill(child, signo);
		sigsuspend(&waiting);
	}
	print_result(count, start);
	kill(child, SIGKILL);
	await(child);
}

/* send SIGNAL COUNT: sends it to itself. The action is the default. */
static void sends(char **args)
{
	int signo = atoi(args[0]);
	long long count = atoll(args[1]), start = now_ns();

	for (long long i = 0; i < count; i++)
		if (kill(getpid(), signo))
			fail("kill");
	print_result(count, start);
}

/* kill COUNT: kills children that wait. */
static void kills(char **args)
{
	long long count = atoll(args[0]), start = now_ns();

	for (long long i = 0; i < count; i++) {
		pid_t child = fork_bound();

		if (child == 0)
			for (;;)
				pause();
		if (kill(child, SIGKILL))
			fail("kill");
		await(child);
	}
	print_result(count, start);
}

static void sleep_until(long long due_ns)
{
	struct timespec due = {.tv_sec = due_ns / NS_PER_S, .tv_nsec = due_ns % NS_PER_S};

	while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &due, NULL) == EINTR)
		;
}

/* A worker of a storm: one termination every period_ns until end_ns, without a pause if it is late; period_ns 0: without pauses. */
static long long terminate_until(bool exec, long long start_ns, long long period_ns, long long end_ns)
{
	long long count = 0;

	for (long long due_ns = start_ns; now_ns() < end_ns; due_ns += period_ns) {
		if (due_ns >= end_ns)
			break;
		if (period_ns)
			sleep_until(due_ns);
		if (exec)
			exec_and_exit("3", NULL);
		else
			fork_and_exit(3);
		count++;
	}
	return count;
}

/* Where the scheduler puts a parent and its child changes the highest rate of forks by a third: then, each worker stays where it starts. */
static void stay_on(int processor)
{
	cpu_set_t one;

	CPU_ZERO(&one);
	CPU_SET(processor, &one);
	if (sched_setaffinity(0, sizeof(one), &one))
		fail("sched_setaffinity");
}

static void storm_of(bool exec, char **args)
{
	long long rate = atoll(args[0]), seconds = atoll(args[1]), total = 0, start = now_ns();
	int workers = atoi(args[2]);
	long long *counts;

	if (workers < 1 || workers > WORKERS_MAX) {
		errno = EINVAL;
		fail("WORKERS");
	}
	counts = mmap(NULL, sizeof(*counts) * workers, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (counts == MAP_FAILED)
		fail("mmap");
	for (int i = 0; i < workers; i++) {
		/* The workers start one after the other, so that the terminations are evenly spread. */
		long long period_ns = rate ? NS_PER_S * workers / rate : 0, first_ns = start + (rate ? NS_PER_S * i / rate : 0);

		if (fork_bound() == 0) {
			if (!rate)
				stay_on(i % get_nprocs());
			counts[i] = terminate_until(exec, first_ns, period_ns, start + seconds * NS_PER_S);
			_exit(0);
		}
	}
	while (wait(NULL) > 0 || errno == EINTR)
		;
	for (int i = 0; i < workers; i++)
		total += counts[i];
	print_result(total, start);
}

/* storm RATE SECONDS WORKERS: RATE processes per second exit with 3; 0: as many as possible. */
static void storm(char **args)
{
	storm_of(false, args);
}

/* storm-exec RATE SECONDS WORKERS: the same, and each process executes a program. */
static void storm_exec(char **args)
{
	storm_of(true, args);
}

/*
 * singles RATE COUNT: COUNT programs exit with 3, RATE per second, each with another argument, so that none is the same one started again. The
 * pauses differ, so that they fit the rhythm of no timer.
 */
static void singles(char **args)
{
	long long period_ns = NS_PER_S / atoll(args[0]), count = atoll(args[1]), start = now_ns();
	char number[24];

	for (long long i = 0; i < count; i++) {
		sleep_until(start + period_ns * i + period_ns / 2 * (i * 618 % 1000) / 1000);
		snprintf(number, sizeof(number), "%lld", start + i);
		exec_and_exit("3", number);
	}
	print_result(count, start);
}

/* sleepers COUNT: idle processes. Prints when all have started. They exit with 0, without a signal, when stdin is closed. */
static void sleepers(char **args)
{
	long long count = atoll(args[0]), start = now_ns();
	int held[2];
	char end;

	if (pipe(held))
		fail("pipe");
	for (long long i = 0; i < count; i++) {
		if (fork_bound() == 0) {
			close(held[1]);
			_exit(read(held[0], &end, 1) != 0);
		}
	}
	print_result(count, start);
	fflush(stdout);
	while (read(STDIN_FILENO, &end, 1) > 0)
		;
	close(held[1]);
	while (wait(NULL) > 0 || errno == EINTR)
		;
}

#define PLACE_BITS 12

static int *volatile nowhere;

/*
 * Crashes with a stack of its own for each place: at each level, a bit of the number decides which of two calls is made. What follows the
 * calls keeps the compiler from making jumps of them.
 */
static __attribute__((noinline)) int crash_at(unsigned int place, int level)
{
	int result;

	if (level == PLACE_BITS)
		return *nowhere;
	if (place >> level & 1)
		result = crash_at(place, level + 1) + 1;
	else
		result = crash_at(place, level + 1) + 2;
	__asm__ volatile("" : "+r"(result));
	return result;
}

static pid_t fork_and_crash(unsigned int place)
{
	pid_t child = fork();

	if (child < 0)
		fail("fork");
	if (child == 0)
		_exit(crash_at(place, 0));
	return child;
}

static void await_crash(pid_t child)
{
	int status;

	while (waitpid(child, &status, 0) < 0)
		if (errno != EINTR)
			fail("waitpid");
	if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGSEGV) {
		fprintf(stderr, "load: status %#x instead of a crash\n", status);
		exit(1);
	}
}

/* crash RATE COUNT PLACES: children crash by SIGSEGV, RATE of them per second, each in the next one of PLACES. 0: all at once. */
static void crashes(char **args)
{
	long long rate = atoll(args[0]), count = atoll(args[1]), start = now_ns();
	unsigned int places = atoi(args[2]);

	if (places < 1 || places > 1u << PLACE_BITS) {
		errno = EINVAL;
		fail("PLACES");
	}
	for (long long i = 0; i < count; i++) {
		pid_t child;

		if (rate)
			sleep_until(start + NS_PER_S * i / rate);
		child = fork_and_crash(i % places);
		if (rate)
			await_crash(child);
	}
	for (long long i = 0; i < count && !rate; i++)
		await_crash(-1);
	print_result(count, start);
}

/* crash-asked PLACES: for each byte of stdin, a child crashes in the next one of PLACES. Prints a line after each. */
static void asked_crashes(char **args)
{
	unsigned int places = atoi(args[0]);
	char asked;

	for (long long i = 0; read(STDIN_FILENO, &asked, 1) > 0; i++) {
		long long start = now_ns();

		await_crash(fork_and_crash(i % places));
		print_result(1, start);
		fflush(stdout);
	}
}

static sigjmp_buf after_fault;

static void leave_fault(int unused)
{
	(void)unused;
	siglongjmp(after_fault, 1);
}

/* fault COUNT: faults by a null pointer, and handles that, as virtual machines do. */
static void faults(char **args)
{
	long long count = atoll(args[0]), start = now_ns();
	struct sigaction action = {.sa_handler = leave_fault};

	sigaction(SIGSEGV, &action, NULL);
	for (volatile long long i = 0; i < count; i++)
		if (!sigsetjmp(after_fault, 1))
			*nowhere = 0;
	print_result(count, start);
}

static const struct {
	const char *name;
	int args;
	void (*run)(char **args);
} loads[] = {
	{"exit", 2, exits},      {"exec", 1, execs},        {"threads", 1, threads}, {"pingpong", 2, pingpong},
	{"send", 2, sends},      {"kill", 1, kills},        {"storm", 3, storm},     {"storm-exec", 3, storm_exec},
	{"singles", 2, singles}, {"sleepers", 1, sleepers}, {"crash", 3, crashes},   {"crash-asked", 1, asked_crashes},
	{"fault", 1, faults},
};

int main(int argc, char **argv)
{
	if (argc >= 3 && strcmp(argv[1], "nothing") == 0)
		return atoi(argv[2]);
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	for (size_t i = 0; i < sizeof(loads) / sizeof(loads[0]); i++) {
		if (argc - 2 >= loads[i].args && strcmp(argv[1], loads[i].name) == 0) {
			loads[i].run(argv + 2);
			return 0;
		}
	}
	fprintf(stderr, "usage: load exit CODE COUNT | exec COUNT | threads COUNT | pingpong SIGNAL COUNT | send SIGNAL COUNT | "
			"kill COUNT | storm RATE SECONDS WORKERS | storm-exec RATE SECONDS WORKERS | singles RATE COUNT | "
			"sleepers COUNT | crash RATE COUNT PLACES | crash-asked PLACES | fault COUNT\n");
	return 64;
}
