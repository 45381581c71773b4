// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * What does the first touch cost?
 *
 * cold: a buffer never touched is filled by messages as large as the device takes; warm: the same
 * once more. populate is MADV_POPULATE_WRITE of such a buffer, without any RDMA: whoever faults
 * ahead of the copy needs max(warm, populate), who faults in between needs their sum.
 * fault: one page at a time, places chosen by chance.
 * A write fills the responder's memory, a read the requester's; the other side is pinned and warm.
 */
#include <signal.h>
#include <sys/wait.h>

#include "bench.h"

enum kind { ZERO, SHARED, SWAPPED, THP, COW, KINDS };

static const char *const kind_words[] = { "zero", "file", "swapped", "thp", "cow", NULL };
static const char *const verb_words[] = { "write", "read", "send", NULL };

static unsigned int kinds = (1u << KINDS) - 1;
static unsigned int verbs = 1u << VERB_WRITE | 1u << VERB_READ;
static uint64_t bytes = 32ul << 20;
static uint64_t message;
static uint64_t samples = 100;

static const struct bench_option options[] = {
	{ "kinds", BENCH_WORDS, &kinds, "LIST", "kinds of pages", 0, 0, kind_words },
	{ "verbs", BENCH_WORDS, &verbs, "LIST", "what touches them", 0, 0, verb_words },
	{ "bytes", BENCH_NUMBER, &bytes, "N", "size of the buffer", HUGE, 1ull << 40, NULL },
	{ "message", BENCH_NUMBER, &message, "N", "size of a message (0: the device's largest)", 0,
	  1ull << 31, NULL },
	{ "samples", BENCH_NUMBER, &samples, "N", "single pages of each repetition (0: none)", 0,
	  1000000, NULL },
};

static struct bench_pair pair;
static void *source;
static struct ibv_mr *source_mr;

struct buffer {
	enum kind kind;
	void *addr;
	int fd;
	pid_t sharer;	/* a process that shares the pages: each write has to copy */
};

static size_t pages_in_core(void *addr, size_t len)
{
	size_t n = len / PAGE, i, in = 0;
	unsigned char *map = malloc(n);

	if (!map || mincore(addr, len, map))
		bench_die("mincore: %s", strerror(errno));
	for (i = 0; i < n; i++)
		in += map[i] & 1;
	free(map);
	return in;
}

static void share(struct buffer *b)
{
	b->sharer = fork();
	if (b->sharer < 0)
		bench_die("fork: %s", strerror(errno));
	if (b->sharer)
		return;
	pause();
	_exit(0);
}

static void make_shared(struct buffer *b)
{
	b->fd = memfd_create("odp_fault", MFD_CLOEXEC);
	if (b->fd < 0 || ftruncate(b->fd, (off_t)bytes))
		bench_die("cannot make a file of %llu bytes in memory: %s",
			  (unsigned long long)bytes, strerror(errno));
	b->addr = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, b->fd, 0);
	if (b->addr == MAP_FAILED)
		bench_die("cannot map a file: %s", strerror(errno));
	/* in the page cache, but in nobody's page table */
	memset(b->addr, 1, bytes);
	munmap(b->addr, bytes);
	b->addr = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, b->fd, 0);
	if (b->addr == MAP_FAILED)
		bench_die("cannot map a file: %s", strerror(errno));
}

/* false: this machine has no such pages */
static bool make_buffer(struct buffer *b, enum kind kind)
{
	*b = (struct buffer){ .kind = kind, .fd = -1 };
	if (kind == SHARED) {
		make_shared(b);
		return true;
	}
	b->addr = bench_map(bytes, kind == THP);
	if (kind == COW || kind == SWAPPED)
		memset(b->addr, 1, bytes);
	if (kind == COW)
		share(b);
	if (kind == SWAPPED) {
		madvise(b->addr, bytes, MADV_PAGEOUT);
		if (pages_in_core(b->addr, bytes) > bytes / PAGE / 10) {
			bench_unmap(b->addr, bytes);
			return false;
		}
	}
	return true;
}

static void drop_buffer(struct buffer *b)
{
	bench_unmap(b->addr, bytes);
	if (b->fd >= 0)
		close(b->fd);
	if (b->sharer) {
		kill(b->sharer, SIGKILL);
		waitpid(b->sharer, NULL, 0);
	}
}

static void set_flow(struct bench_flow *f, enum bench_verb verb, void *to, struct ibv_mr *mr)
{
	if (verb == VERB_READ)
		bench_flow_init(f, &pair, verb, to, mr, source, source_mr);
	else
		bench_flow_init(f, &pair, verb, source, source_mr, to, mr);
}

static double fill(enum bench_verb verb, void *to, struct ibv_mr *mr)
{
	struct bench_flow f;

	set_flow(&f, verb, to, mr);
	f.size = message;
	f.count = bytes / message;
	f.depth = f.count < 16 ? (unsigned int)f.count : 16;
	if (verb == VERB_READ)
		f.local_span = bytes;
	else
		f.remote_span = bytes;
	return bench_run(&f, 1);
}

static double rate(double seconds)
{
	return (double)bytes / seconds / 1e6;
}

/* Seconds of MADV_POPULATE_WRITE; 0: there is none. */
static double populate(enum kind kind, const char *label)
{
	double seconds = 0, start;
	struct buffer b;
	size_t i;

	if (!make_buffer(&b, kind))
		return 0;
	start = bench_now();
	if (!madvise(b.addr, bytes, MADV_POPULATE_WRITE)) {
		seconds = bench_now() - start;
		bench_add(label, "populate", (double)bytes, "rate", "MB/s", rate(seconds));
	}
	drop_buffer(&b);
	if (!make_buffer(&b, kind))
		return 0;
	start = bench_now();
	for (i = 0; i < bytes; i += PAGE)
		((volatile char *)b.addr)[i] = 1;
	bench_add(label, "cpu", (double)bytes, "rate", "MB/s", rate(bench_now() - start));
	drop_buffer(&b);
	return seconds;
}

static void measure_rate(enum kind kind, enum bench_verb verb, enum bench_memory memory,
			 double populated)
{
	const char *name = bench_memory_name[memory];
	double cold, warm, longest;
	char label[40];
	struct ibv_mr *mr;
	struct buffer b;

	if (!make_buffer(&b, kind))
		return;
	mr = bench_reg(b.addr, bytes, memory);
	cold = fill(verb, b.addr, mr);
	warm = fill(verb, b.addr, mr);
	bench_dereg(mr);
	drop_buffer(&b);
	snprintf(label, sizeof(label), "warm %s %s", verb_words[verb], kind_words[kind]);
	bench_add(label, name, (double)bytes, "rate", "MB/s", rate(warm));
	if (memory == MEM_PINNED)
		return;
	snprintf(label, sizeof(label), "cold %s %s", verb_words[verb], kind_words[kind]);
	bench_add(label, name, (double)bytes, "rate", "MB/s", rate(cold));
	bench_add(label, name, (double)bytes, "of warm", "ratio", warm / cold);
	if (populated <= 0)
		return;
	longest = warm > populated ? warm : populated;
	bench_add(label, name, (double)bytes, "time:max", "ratio", cold / longest);
	bench_add(label, name, (double)bytes, "time:sum", "ratio", cold / (warm + populated));
}

static void measure_latency(enum kind kind, enum bench_verb verb, enum bench_memory memory)
{
	unsigned int n = (unsigned int)(samples < bytes / PAGE ? samples : bytes / PAGE), i;
	unsigned int *order = malloc(bytes / PAGE * sizeof(*order));
	double *cold = malloc(n * sizeof(*cold)), *warm = malloc(n * sizeof(*warm));
	struct bench_flow f;
	struct ibv_mr *mr;
	struct buffer b;
	char label[40];

	if (!order || !cold || !warm)
		bench_die("out of memory");
	if (make_buffer(&b, kind)) {
		mr = bench_reg(b.addr, bytes, memory);
		bench_shuffle(order, (unsigned int)(bytes / PAGE));
		for (i = 0; i < n; i++) {
			set_flow(&f, verb, (char *)b.addr + order[i] * PAGE, mr);
			cold[i] = bench_one(&f);
			warm[i] = bench_one(&f);
		}
		bench_dereg(mr);
		drop_buffer(&b);
		snprintf(label, sizeof(label), "page %s %s", verb_words[verb], kind_words[kind]);
		if (memory != MEM_PINNED)
			bench_add_latency(label, bench_memory_name[memory], PAGE, cold, n);
		snprintf(label, sizeof(label), "warm page %s %s", verb_words[verb],
			 kind_words[kind]);
		bench_add_latency(label, bench_memory_name[memory], PAGE, warm, n);
	}
	free(order);
	free(cold);
	free(warm);
}

static void measure(enum kind kind, enum bench_verb verb)
{
	enum bench_memory memory;
	double populated;
	struct buffer b;
	char label[40];

	snprintf(label, sizeof(label), "%s", kind_words[kind]);
	if (!make_buffer(&b, kind)) {
		bench_note(label, "-", (double)bytes, "could not be paged out: is there swap?");
		return;
	}
	drop_buffer(&b);
	populated = populate(kind, label);
	for (memory = MEM_PINNED; memory < MEM_KINDS; memory++) {
		if (!bench_has(memory))
			continue;
		measure_rate(kind, verb, memory, populated);
		if (samples)
			measure_latency(kind, verb, memory);
	}
}

static const char *check(void)
{
	if (bytes % HUGE)
		return "--bytes: a multiple of 2M is needed";
	if (message && bytes % message)
		return "--message: it does not divide --bytes";
	return NULL;
}

static const struct bench_program program = {
	.name = "odp_fault",
	.purpose = "First touch of on-demand memory: bandwidth of a whole buffer, latency of a page.",
	.options = options, .noptions = ARRAY_SIZE(options),
	.memory = MEM_BIT(MEM_PINNED) | MEM_ODP,
	.reps = 5,
	.check = check,
};

int main(int argc, char **argv)
{
	unsigned int order[KINDS], i, verb;
	uint64_t rep;

	bench_start(argc, argv, &program);
	bench_open();
	if (!message) {
		message = bench.max_message < bytes ? bench.max_message : bytes;
		while (bytes % message)
			message--;
	}
	source = bench_map(message, false);
	memset(source, 7, message);
	source_mr = bench_reg(source, message, MEM_PINNED);
	bench_connect(&pair, 16);
	for (rep = 0; rep < bench.reps; rep++) {
		bench_shuffle(order, KINDS);
		for (i = 0; i < KINDS; i++)
			for (verb = 0; verb_words[verb]; verb++)
				if ((kinds & 1u << order[i]) && (verbs & 1u << verb))
					measure((enum kind)order[i], (enum bench_verb)verb);
	}
	bench_disconnect(&pair);
	bench_dereg(source_mr);
	bench_close();
	return bench_finish();
}
