/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/*
 * bench: what the benchmarks share. One process, one device, queue pairs connected to one another
 * by loopback. A program says what its options are, measures, and adds values:
 *
 *	bench_start(argc, argv, &program);
 *	for (rep = 0; rep < bench.reps; rep++)		repetitions outside, cases inside:
 *		for (...)				what disturbs one disturbs all
 *			bench_add("write", "explicit", 4096, "bandwidth", "MB/s", value);
 *	return bench_finish();
 *
 * Values of the same case, memory, x and metric are repetitions of one another. bench_finish()
 * prints their median and quartiles and, beside those of the baseline's memory, the median of the
 * ratios of values that were added in the same repetition.
 *
 * Whatever goes wrong ends the program with a message (bench_die()); what had been measured until
 * then is printed. What a device cannot do is noted by bench_note() and is no error.
 */
#ifndef BENCH_H
#define BENCH_H

#include <errno.h>
#include <infiniband/verbs.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define PAGE		4096ul
#define HUGE		(2ul << 20)
#define ARRAY_SIZE(a)	(sizeof(a) / sizeof((a)[0]))

/* ------------------------------------------------------------------ options */

#define BENCH_LIST	32	/* values that one option takes */

struct bench_list {
	unsigned int n;
	uint64_t value[BENCH_LIST];
};

enum bench_type {
	BENCH_NUMBER,	/* uint64_t: with K, M, G, T; within min and max */
	BENCH_NUMBERS,	/* struct bench_list: several of them, separated by commas */
	BENCH_WORDS,	/* unsigned int: a bit for each of words[] */
	BENCH_TEXT,	/* const char * */
	BENCH_FLAG,	/* bool */
};

struct bench_option {
	const char *name;
	enum bench_type type;
	void *to;
	const char *argument;	/* its name in the help */
	const char *help;
	uint64_t min;
	uint64_t max;
	const char *const *words;
};

struct bench_program {
	const char *name;
	const char *purpose;
	const char *baseline;	/* memory that ratios are taken to, NULL: none */
	const struct bench_option *options;
	unsigned int noptions;
	unsigned int memory;	/* bits of enum bench_memory that are measured unless told */
	uint64_t reps;
	/* Called after the options are read: whatever does not fit together. NULL: all right */
	const char *(*check)(void);
};

/* ------------------------------------------------------------------ the program's state */

enum bench_memory { MEM_NONE, MEM_PINNED, MEM_EXPLICIT, MEM_IMPLICIT, MEM_KINDS };

#define MEM_BIT(m)	(1u << (m))
#define MEM_ODP		(MEM_BIT(MEM_EXPLICIT) | MEM_BIT(MEM_IMPLICIT))

extern const char *const bench_memory_name[];

struct bench {
	const struct bench_program *program;
	const char *device;	/* NULL: the first */
	uint64_t port;
	uint64_t gid_index;	/* UINT64_MAX: RoCE v2 over IPv4, if there is one */
	uint64_t mtu;
	uint64_t seed;
	uint64_t reps;
	unsigned int memory;	/* which of enum bench_memory */
	bool csv;
	bool polls;		/* completions are polled for, not slept for */
	struct ibv_context *ctx;
	struct ibv_pd *pd;
	struct ibv_device_attr_ex caps;
	struct ibv_port_attr port_attr;
	union ibv_gid gid;
	uint64_t max_message;
	uint64_t rand;
};

extern struct bench bench;

/* Completion queues of all queue pairs that one thread makes. */
struct bench_queues {
	struct ibv_comp_channel *channel;
	struct ibv_cq *scq;
	struct ibv_cq *rcq;
};

extern _Thread_local struct bench_queues bench_queues;

void bench_start(int argc, char **argv, const struct bench_program *program);
int bench_finish(void);
void bench_die(const char *fmt, ...) __attribute__((format(printf, 1, 2), noreturn));

/* Opens the device. Programs that measure in processes of their own open it in each. */
void bench_open(void);
void bench_close(void);
/* bench_open() makes those of its thread; another thread that has transfers makes its own. */
void bench_queues_make(void);
void bench_queues_destroy(void);
/* Whether the kind of memory was asked for and the device has it. */
bool bench_has(enum bench_memory memory);

/* ------------------------------------------------------------------ results */

void bench_add(const char *what, const char *memory, double x, const char *metric,
	       const char *unit, double value);
/* What could not be measured, and why. */
void bench_note(const char *what, const char *memory, double x, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));
void bench_print(FILE *out);

double bench_quantile(const double *sorted, size_t n, double q);
void bench_sort(double *v, size_t n);
double bench_median(double *v, size_t n);	/* sorts v */
/* Mean, p50, p90, p99 and max of samples (seconds, get sorted) as values in microseconds. */
void bench_add_latency(const char *what, const char *memory, double x, double *v, size_t n);

double bench_now(void);		/* seconds, monotonic */
uint64_t bench_random(uint64_t below);
/* The numbers 0 ... n - 1 in an order of chance. */
void bench_shuffle(unsigned int *order, unsigned int n);

/* ------------------------------------------------------------------ memory */

/* Address space of small pages (huge: of huge ones), untouched, reserved for nobody. */
void *bench_map(size_t len, bool huge);
void bench_unmap(void *addr, size_t len);
/* NULL and errno. addr and len say nothing for implicit regions. */
struct ibv_mr *bench_try_reg(void *addr, size_t len, enum bench_memory memory);
struct ibv_mr *bench_reg(void *addr, size_t len, enum bench_memory memory);
void bench_dereg(struct ibv_mr *mr);
/* By each kind of memory that is measured: mr[MEM_KINDS]. */
void bench_reg_kinds(void *addr, size_t len, struct ibv_mr **mr);
void bench_dereg_kinds(struct ibv_mr **mr);
/* Also where the provider has no ibv_advise_mr and the kernel has. 0 or an errno. */
int bench_prefetch(struct ibv_mr *mr, void *addr, size_t len, bool write);

int64_t bench_meminfo(const char *name);	/* bytes, -1: no such line */
int64_t bench_rss(void);
/* A counter of the device's port, -1: it has none of that name. */
int64_t bench_counter(const char *name);

/* ------------------------------------------------------------------ transfers */

enum bench_verb { VERB_WRITE, VERB_READ, VERB_SEND, VERB_ATOMIC, VERBS };

extern const char *const bench_verb_name[];

struct bench_pair {
	struct ibv_qp *a;	/* requester */
	struct ibv_qp *b;
};

void bench_connect(struct bench_pair *pair, unsigned int depth);
void bench_disconnect(struct bench_pair *pair);

/* count messages of size bytes; message i is at (i * stride) % span of both sides. */
struct bench_flow {
	struct bench_pair *pair;
	enum bench_verb verb;
	uint64_t local;
	uint64_t remote;
	uint32_t lkey;
	uint32_t rkey;
	uint64_t size;
	uint64_t local_span;
	uint64_t remote_span;
	uint64_t count;
	unsigned int depth;
	/* private */
	uint64_t posted;
	uint64_t done;
};

void bench_flow_init(struct bench_flow *f, struct bench_pair *pair, enum bench_verb verb,
		     const void *local, const struct ibv_mr *lmr, const void *remote,
		     const struct ibv_mr *rmr);
/* All flows at once, from their beginning; seconds until the last message is done. */
double bench_run(struct bench_flow *flows, unsigned int n);
/* One message; seconds until its completion. */
double bench_one(struct bench_flow *flow);

/* ------------------------------------------------------------------ a process of its own */

/*
 * Run fn in a new process with the device opened there (with: whether at all), and bring home the n
 * numbers that it leaves in out.
 */
void bench_fork(void (*fn)(void *arg, double *out), void *arg, double *out, size_t n, bool with);
/* Of lib/ alone: what has been measured is the parent's to print. */
void bench_is_child(void);

#endif
