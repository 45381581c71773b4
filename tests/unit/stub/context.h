/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/*
 * A stack, and where it left off
 *
 * Contexts are kept: the function of one never returns, but switches away, and
 * is given something else to do when it is switched to again.  ASan's fake
 * stack of a context, made at its first switch, is kept with it: to map and
 * unmap one costs more than all of a short task.
 */
#ifndef STUB_CONTEXT_H
#define STUB_CONTEXT_H

#include <stddef.h>

struct context {
	void	*sp;		/* saved registers (ucontext_t where not x86-64) */
	char	*stack;		/* NULL: that of main() */
	size_t	size;
	void	*fake_stack;	/* ASan's, for detect_stack_use_after_return */
};

/* Return: 0, or -1: no memory.  @fn begins with context_entered(). */
int context_make(struct context *c, void (*fn)(void));
void context_switch(struct context *from, struct context *to);
void context_entered(struct context *c);

#endif /* STUB_CONTEXT_H */
