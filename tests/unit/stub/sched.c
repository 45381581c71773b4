// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * Tasks as fibres, and virtual time
 *
 * There is no scheduler fibre: whoever stops running picks the next one and
 * switches to it.  main() is the first task.  Time stands still while anybody
 * can run, and jumps to the next deadline when nobody can.
 */
#define _GNU_SOURCE
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "context.h"
#include "stub.h"

#define FIBRES		512
#define TRAIL		96

enum fibre_state { FIBRE_FREE, FIBRE_READY, FIBRE_BLOCKED, FIBRE_DONE };

struct fibre {
	struct task_struct	task;		/* first: tasks are fibres */
	struct context		context;	/* kept for the next task */
	enum fibre_state	state;
	void			(*fn)(void *arg);
	void			*arg;
	bool			(*ready)(void *arg);
	void			*ready_arg;
	unsigned long		deadline;	/* ULONG_MAX: none */
	const char		*where;
	bool			joined;		/* somebody will collect it */
};

static struct fibre fibres[FIBRES] = {
	[0] = { .task.name = "main", .state = FIBRE_READY },
};
static struct fibre *running = &fibres[0];
static int fibres_used = 1;
static unsigned long now = 1000;

int (*stub_chooser)(int n, bool free);
void (*stub_reporter)(void);

static struct {
	const char *task;
	const char *what;
} trail[TRAIL];
static unsigned int trail_n;

struct task_struct *stub_current(void)
{
	return &running->task;
}

void stub_trail_clear(void)
{
	trail_n = 0;
}

static void trail_add(const char *what)
{
	trail[trail_n % TRAIL].task = running->task.name;
	trail[trail_n++ % TRAIL].what = what;
}

/* Of "call path/file.c:12" print the call and the file's own name. */
static void print_place(const char *what)
{
	const char *space = strchr(what, ' ');
	const char *slash = strrchr(what, '/');

	if (space && slash)
		fprintf(stderr, "%.*s %s", (int)(space - what), what, slash + 1);
	else
		fprintf(stderr, "%s", what);
}

void stub_print_trail(void)
{
	unsigned int i = trail_n > TRAIL ? trail_n - TRAIL : 0;

	fprintf(stderr, "last steps (task: call, place):\n");
	for (; i < trail_n; i++) {
		fprintf(stderr, "  %-10s ", trail[i % TRAIL].task);
		print_place(trail[i % TRAIL].what);
		fputc('\n', stderr);
	}
}

void stub_bug(const char *kind, const char *what)
{
	fflush(stdout);
	fprintf(stderr, "stub: %s: %s (task %s)\n", kind, what,
		running->task.name);
	if (stub_reporter)
		stub_reporter();
	else
		stub_print_trail();
	fflush(stderr);
	abort();
}

/* Switching */

static void switch_to(struct fibre *to)
{
	struct fibre *from = running;

	if (to == from)
		return;
	running = to;
	context_switch(&from->context, &to->context);
}

static bool fibre_enabled(struct fibre *f)
{
	if (f->state == FIBRE_READY)
		return true;
	return f->state == FIBRE_BLOCKED &&
	       (f->deadline <= now || f->ready(f->ready_arg));
}

static int enabled_list(struct fibre **list, bool current_last)
{
	bool current_can = fibre_enabled(running);
	int i, n = 0, at = running - fibres;

	if (current_can && !current_last)
		list[n++] = running;
	for (i = 1; i < fibres_used; i++) {
		struct fibre *f = &fibres[(at + i) % fibres_used];

		if (fibre_enabled(f))
			list[n++] = f;
	}
	if (current_can && current_last)
		list[n++] = running;
	return n;
}

static void print_blocked(void)
{
	int i;

	for (i = 0; i < fibres_used; i++) {
		if (fibres[i].state != FIBRE_BLOCKED)
			continue;
		fprintf(stderr, "  %s waits in ", fibres[i].task.name);
		print_place(fibres[i].where);
		fputc('\n', stderr);
	}
}

/* Nobody can run: go to the next deadline.  False: there is none. */
static bool time_jump(void)
{
	unsigned long next = ULONG_MAX;
	int i;

	for (i = 0; i < fibres_used; i++)
		if (fibres[i].state == FIBRE_BLOCKED &&
		    fibres[i].deadline < next)
			next = fibres[i].deadline;
	if (next == ULONG_MAX)
		return false;
	now = next;
	return true;
}

static void schedule(bool yield)
{
	static struct fibre *list[FIBRES];
	bool free = !fibre_enabled(running);
	int n, i = 0;

	do {
		n = enabled_list(list, yield);
	} while (!n && time_jump());
	if (!n) {
		print_blocked();
		stub_bug("deadlock", "no task can ever run again");
	}
	if (n > 1 && stub_chooser)
		i = stub_chooser(n, free);
	list[i]->state = FIBRE_READY;
	switch_to(list[i]);
}

void stub_point(const char *what)
{
	trail_add(what);
	if (stub_chooser)
		schedule(false);
}

void stub_yield(const char *what)
{
	stub_might_sleep(what);
	trail_add(what);
	schedule(true);
}

static void block(bool (*ready)(void *), void *arg, unsigned long deadline,
		  const char *what)
{
	trail_add(what);
	running->ready = ready;
	running->ready_arg = arg;
	running->deadline = deadline;
	running->where = what;
	running->state = FIBRE_BLOCKED;
	schedule(false);
}

/* Fibres come and go */

/* One task after the other: the fibre that has run one waits for the next. */
static void fibre_main(void)
{
	context_entered(&running->context);
	for (;;) {
		trail_add("starts");
		running->fn(running->arg);
		if (running->task.atomic || running->task.rcu)
			stub_bug("lock", "a task ends with a lock held");
		trail_add("ends");
		running->state = running->joined ? FIBRE_DONE : FIBRE_FREE;
		schedule(false);
	}
}

static struct fibre *fibre_find_free(void)
{
	int i;

	for (i = 1; i < FIBRES; i++)
		if (fibres[i].state == FIBRE_FREE && &fibres[i] != running)
			break;
	if (i == FIBRES)
		stub_bug("stub", "out of fibres");
	if (i >= fibres_used)
		fibres_used = i + 1;
	return &fibres[i];
}

struct task_struct *stub_spawn(const char *name, struct mm_struct *mm,
			       void (*fn)(void *), void *arg)
{
	struct fibre *f = fibre_find_free();
	struct context kept = f->context;

	if (!kept.stack && context_make(&kept, fibre_main))
		stub_bug("stub", "no memory for a stack");
	memset(f, 0, sizeof(*f));
	f->task.name = name;
	f->task.mm = mm;
	f->task.worker = !mm;
	f->fn = fn;
	f->arg = arg;
	f->joined = mm;
	f->context = kept;
	f->state = FIBRE_READY;
	return &f->task;
}

static bool fibre_is_done(void *arg)
{
	return ((struct fibre *)arg)->state == FIBRE_DONE;
}

void stub_join(struct task_struct *task)
{
	struct fibre *f = (struct fibre *)task;

	if (f->state != FIBRE_DONE)
		block(fibre_is_done, f, ULONG_MAX, "join");
	f->state = FIBRE_FREE;
	while (fibres_used > 1 && fibres[fibres_used - 1].state == FIBRE_FREE &&
	       &fibres[fibres_used - 1] != running)
		fibres_used--;
}

static bool never(void *arg)
{
	(void)arg;
	return false;
}

static bool others_idle(void *arg)
{
	int i;

	for (i = 0; i < fibres_used; i++)
		if (&fibres[i] != arg && fibre_enabled(&fibres[i]))
			return false;
	return true;
}

void stub_run_all(void)
{
	if (!others_idle(running))
		block(others_idle, running, ULONG_MAX, "run all");
}

void stub_kill(struct task_struct *task)
{
	task->killed = true;
}

bool stub_killed(void)
{
	return running->task.killed;
}

/* Time */

unsigned long stub_jiffies(void)
{
	return now;
}

unsigned long stub_deadline(long timeout)
{
	return timeout == LONG_MAX ? ULONG_MAX : now + timeout;
}

long stub_left(unsigned long deadline)
{
	return deadline == ULONG_MAX ? LONG_MAX : (long)(deadline - now);
}

void stub_advance(unsigned long ticks)
{
	now += ticks;
}

void stub_sleep(long ticks, const char *what)
{
	stub_might_sleep(what);
	block(never, NULL, now + ticks, what);
}

void stub_might_sleep(const char *what)
{
	const struct task_struct *t = &running->task;

	if (t->callback)
		stub_bug("a notifier callback sleeps", what);
	if (t->atomic)
		stub_bug("sleeping with a spinlock held", what);
	if (t->rcu)
		stub_bug("sleeping in an RCU read section", what);
}

void stub_big_lock(void)
{
}

void stub_big_unlock(void)
{
}

void stub_big_wake(void)
{
}

void stub_big_wait(bool (*ready)(void *), void *arg, unsigned long deadline,
		   const char *what)
{
	if (!ready(arg))
		block(ready, arg, deadline, what);
}

bool stub_rcu_section_before(unsigned long number)
{
	int i;

	for (i = 0; i < fibres_used; i++)
		if (fibres[i].task.rcu && fibres[i].task.rcu_since < number)
			return true;
	return false;
}
