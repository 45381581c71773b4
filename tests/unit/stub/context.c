// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * Switching between stacks
 *
 * swapcontext() saves the signal mask, which is a system call per switch.  No
 * signal mask differs here, so on x86-64 a switch of our own saves just what
 * the ABI calls callee-saved.  STUB_UCONTEXT selects swapcontext() there too.
 */
#define _GNU_SOURCE
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "context.h"

#if defined(__SANITIZE_ADDRESS__)
#define STUB_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define STUB_ASAN 1
#endif
#endif

#ifdef STUB_ASAN
#include <sanitizer/common_interface_defs.h>
#endif

#define STACK_SIZE	(96 * 1024)

#if defined(__x86_64__) && !defined(STUB_UCONTEXT)

/* Saves registers on the stack, the stack pointer in *@from; loads those of @to. */
void stub_switch_stack(void **from, void *to);

__asm__(".pushsection .text\n"
	".globl	stub_switch_stack\n"
	".type	stub_switch_stack, @function\n"
	"stub_switch_stack:\n"
	"	pushq	%rbp\n"
	"	pushq	%rbx\n"
	"	pushq	%r12\n"
	"	pushq	%r13\n"
	"	pushq	%r14\n"
	"	pushq	%r15\n"
	"	movq	%rsp, (%rdi)\n"
	"	movq	%rsi, %rsp\n"
	"	popq	%r15\n"
	"	popq	%r14\n"
	"	popq	%r13\n"
	"	popq	%r12\n"
	"	popq	%rbx\n"
	"	popq	%rbp\n"
	"	ret\n"
	".size	stub_switch_stack, . - stub_switch_stack\n"
	".popsection\n");

static int registers_make(struct context *c, void (*fn)(void))
{
	uintptr_t *sp = (uintptr_t *)(c->stack + c->size);

	/* @fn finds the stack aligned as after a call, from nowhere. */
	*--sp = 0;
	*--sp = (uintptr_t)fn;
	/* All registers are 0: a chain of frame pointers ends here. */
	c->sp = sp - 6;
	return 0;
}

static void registers_switch(struct context *from, struct context *to)
{
	stub_switch_stack(&from->sp, to->sp);
}

#else

#include <ucontext.h>

static int registers_make(struct context *c, void (*fn)(void))
{
	ucontext_t *u = calloc(1, sizeof(*u));

	if (!u)
		return -1;
	getcontext(u);
	u->uc_stack.ss_sp = c->stack;
	u->uc_stack.ss_size = c->size;
	makecontext(u, fn, 0);
	c->sp = u;
	return 0;
}

static void registers_switch(struct context *from, struct context *to)
{
	static ucontext_t of_main;

	if (!from->sp)
		from->sp = &of_main;
	swapcontext(from->sp, to->sp);
}

#endif

int context_make(struct context *c, void (*fn)(void))
{
	void *stack = mmap(NULL, STACK_SIZE, PROT_READ | PROT_WRITE,
			   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (stack == MAP_FAILED)
		return -1;
	*c = (struct context){ .stack = stack, .size = STACK_SIZE };
	return registers_make(c, fn);
}

#ifdef STUB_ASAN

/* The bounds of main()'s stack, which the first switch of all leaves. */
static const void *main_stack;
static size_t main_size;

void context_entered(struct context *c)
{
	const void *old;
	size_t size;

	__sanitizer_finish_switch_fiber(c->fake_stack, &old, &size);
	if (!main_stack) {
		main_stack = old;
		main_size = size;
	}
}

void context_switch(struct context *from, struct context *to)
{
	__sanitizer_start_switch_fiber(&from->fake_stack,
				       to->stack ? to->stack : main_stack,
				       to->stack ? to->size : main_size);
	registers_switch(from, to);
	context_entered(from);
}

#else

void context_entered(struct context *c)
{
	(void)c;
}

void context_switch(struct context *from, struct context *to)
{
	registers_switch(from, to);
}

#endif
