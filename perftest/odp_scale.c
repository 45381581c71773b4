// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * Do queue pairs wait for one another?
 *
 * share: queue pairs write to different parts of one region, or each to a region of its own; all
 *        is present.
 * fault: many queue pairs write to pages never touched, all at once. What the device had to send
 *        again, to refuse for a while or to wait for is read from its counters. With --slow, every
 *        page takes so long (userfaultfd), as if it came from a disk.
 */
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <poll.h>
#include <pthread.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <time.h>

#include "bench.h"

enum test { SHARE, FAULT };

#define MAX_PAIRS	256u
#define SHARE_SPAN	(4ul << 20)	/* of a queue pair: parts do not meet in 2 MiB */
#define FAULT_SPAN	(1ul << 20)

static const char *const test_words[] = { "share", "fault", NULL };
static const char *const verb_words[] = { "write", "read", NULL };

static unsigned int tests = 1u << SHARE | 1u << FAULT;
static unsigned int verbs = 1u << VERB_WRITE;
static struct bench_list share_pairs = { 2, { 1, 2 } };
static struct bench_list fault_pairs = { 4, { 1, 8, 32, 128 } };
static uint64_t size = 64ul << 10;
static uint64_t amount = 32ul << 20;
static uint64_t fault_pages = 16;
static uint64_t slow;

static const struct bench_option options[] = {
	{ "tests", BENCH_WORDS, &tests, "LIST", "what is measured", 0, 0, test_words },
	{ "verbs", BENCH_WORDS, &verbs, "LIST", "of share", 0, 0, verb_words },
	{ "share-pairs", BENCH_NUMBERS, &share_pairs, "LIST", "queue pairs that share", 1,
	  MAX_PAIRS, NULL },
	{ "size", BENCH_NUMBER, &size, "N", "bytes of their messages", 1, SHARE_SPAN, NULL },
	{ "bytes", BENCH_NUMBER, &amount, "N", "bytes of them all in a repetition", 1, 1ull << 40,
	  NULL },
	{ "fault-pairs", BENCH_NUMBERS, &fault_pairs, "LIST", "queue pairs that fault at once", 1,
	  MAX_PAIRS, NULL },
	{ "fault-pages", BENCH_NUMBER, &fault_pages, "N", "pages that each of them touches", 1,
	  FAULT_SPAN / PAGE, NULL },
	{ "slow", BENCH_NUMBER, &slow, "USEC", "how long each page takes", 0, 10000000, NULL },
};

/* The same things by the names of rxe and of mlx5. */
static const struct {
	const char *metric;
	const char *name[2];
} counters[] = {
	{ "packets", { "sent_pkts", "port_xmit_packets" } },
	{ "duplicates", { "duplicate_request", NULL } },
	{ "out of order", { "out_of_seq_request", "out_of_sequence" } },
	{ "rnr nak", { "send_rnr_err", "rnr_nak_retry_err" } },
	{ "sequence nak", { "rcvd_seq_err", "packet_seq_err" } },
	{ "retries", { "completer_retry_err", "local_ack_timeout_err" } },
	{ "given up", { "retry_exceeded_err", NULL } },
};

static struct bench_pair pairs[MAX_PAIRS];
static char *source;
static struct ibv_mr *source_mr;

/* What is read is kept by the kernel for 10 ms, and given out again meanwhile. */
static void read_counters(int64_t *value)
{
	unsigned int i;

	usleep(20000);
	for (i = 0; i < ARRAY_SIZE(counters); i++) {
		value[i] = bench_counter(counters[i].name[0]);
		if (value[i] < 0 && counters[i].name[1])
			value[i] = bench_counter(counters[i].name[1]);
	}
}

/* ------------------------------------------------------------------ share */

/* n queue pairs; regions: how many different ones they use, 1 or n. */
static double share_once(enum bench_verb verb, enum bench_memory memory, unsigned int n,
			 unsigned int regions, char *area)
{
	struct bench_flow flow[MAX_PAIRS];
	struct ibv_mr *mr[MAX_PAIRS];
	unsigned int i;
	double seconds;

	for (i = 0; i < regions; i++)
		mr[i] = regions == 1 ? bench_reg(area, n * SHARE_SPAN, memory) :
				       bench_reg(area + i * SHARE_SPAN, SHARE_SPAN, memory);
	for (i = 0; i < n; i++) {
		bench_flow_init(&flow[i], &pairs[i], verb, source, source_mr,
				area + i * SHARE_SPAN, mr[i % regions]);
		flow[i].size = size;
		flow[i].remote_span = SHARE_SPAN;
		flow[i].depth = 16;
		flow[i].count = SHARE_SPAN / size;
	}
	/* once to have all pages there */
	bench_run(flow, n);
	for (i = 0; i < n; i++)
		flow[i].count = amount / n / size ? amount / n / size : 1;
	seconds = bench_run(flow, n);
	for (i = 0; i < regions; i++)
		bench_dereg(mr[i]);
	return (double)flow[0].count * n * (double)size / seconds / 1e6;
}

static void share(enum bench_verb verb, enum bench_memory memory, unsigned int n)
{
	const char *name = bench_memory_name[memory];
	char *area = bench_map(n * SHARE_SPAN, false);
	double one, own;
	char label[40];

	memset(area, 1, n * SHARE_SPAN);
	if (bench_random(2)) {
		one = share_once(verb, memory, n, 1, area);
		own = share_once(verb, memory, n, n, area);
	} else {
		own = share_once(verb, memory, n, n, area);
		one = share_once(verb, memory, n, 1, area);
	}
	bench_unmap(area, n * SHARE_SPAN);
	snprintf(label, sizeof(label), "%s one region", bench_verb_name[verb]);
	bench_add(label, name, n, "rate", "MB/s", one);
	snprintf(label, sizeof(label), "%s own regions", bench_verb_name[verb]);
	bench_add(label, name, n, "rate", "MB/s", own);
	bench_add("one region to own regions", name, n, bench_verb_name[verb], "ratio", one / own);
}

/* ------------------------------------------------------------------ fault */

struct handler {
	pthread_t thread;
	int fd;
	int stop[2];
};

static void *serve(void *arg)
{
	struct handler *h = arg;
	struct pollfd fds[2] = { { h->fd, POLLIN, 0 }, { h->stop[0], POLLIN, 0 } };
	struct timespec pause = { (time_t)(slow / 1000000), (long)(slow % 1000000 * 1000) };
	struct uffd_msg msg;

	while (poll(fds, 2, -1) > 0 && !fds[1].revents) {
		struct uffdio_zeropage zero = { .range = { .len = PAGE } };

		if (read(h->fd, &msg, sizeof(msg)) != sizeof(msg) ||
		    msg.event != UFFD_EVENT_PAGEFAULT)
			continue;
		nanosleep(&pause, NULL);
		zero.range.start = msg.arg.pagefault.address & ~(PAGE - 1);
		if (ioctl(h->fd, UFFDIO_ZEROPAGE, &zero) && errno != EEXIST)
			bench_die("UFFDIO_ZEROPAGE: %s", strerror(errno));
	}
	return NULL;
}

static void handle(struct handler *h, void *area, size_t len)
{
	struct uffdio_api api = { .api = UFFD_API };
	struct uffdio_register range = {
		.range = { .start = (uintptr_t)area, .len = len },
		.mode = UFFDIO_REGISTER_MODE_MISSING,
	};

	h->fd = (int)syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK);
	if (h->fd < 0 || ioctl(h->fd, UFFDIO_API, &api) || ioctl(h->fd, UFFDIO_REGISTER, &range))
		bench_die("--slow needs userfaultfd of the kernel's own faults (root): %s",
			  strerror(errno));
	if (pipe(h->stop) || pthread_create(&h->thread, NULL, serve, h))
		bench_die("cannot start a thread");
}

static void end_handler(struct handler *h)
{
	if (write(h->stop[1], "", 1) != 1)
		bench_die("write: %s", strerror(errno));
	pthread_join(h->thread, NULL);
	close(h->stop[0]);
	close(h->stop[1]);
	close(h->fd);
}

static void fault(enum bench_memory memory, unsigned int n)
{
	int64_t before[ARRAY_SIZE(counters)], after[ARRAY_SIZE(counters)];
	struct bench_flow flow[MAX_PAIRS];
	size_t len = n * FAULT_SPAN;
	double cold, warm, touched = (double)(n * fault_pages * PAGE);
	const char *name = bench_memory_name[memory];
	char *area = bench_map(len, false);
	struct handler handler;
	struct ibv_mr *mr;
	unsigned int i;

	if (slow)
		handle(&handler, area, len);
	mr = bench_reg(area, len, memory);
	for (i = 0; i < n; i++) {
		bench_flow_init(&flow[i], &pairs[i], VERB_WRITE, source, source_mr,
				area + i * FAULT_SPAN, mr);
		flow[i].remote_span = FAULT_SPAN;
		flow[i].depth = 8;
		flow[i].count = fault_pages;
	}
	read_counters(before);
	cold = bench_run(flow, n);
	read_counters(after);
	for (i = 0; i < ARRAY_SIZE(counters); i++)
		if (before[i] >= 0)
			bench_add("fault", name, n, counters[i].metric, "each",
				  (double)(after[i] - before[i]));
	warm = bench_run(flow, n);
	bench_add("fault", name, n, "cold", "MB/s", touched / cold / 1e6);
	bench_add("fault", name, n, "warm", "MB/s", touched / warm / 1e6);
	bench_add("fault", name, n, "page", "us", cold / (double)(n * fault_pages) * 1e6);
	bench_dereg(mr);
	if (slow)
		end_handler(&handler);
	bench_unmap(area, len);
}

/* ------------------------------------------------------------------ both */

static void measure(enum bench_memory memory)
{
	unsigned int i, verb;

	for (verb = 0; (tests & 1u << SHARE) && verb_words[verb]; verb++)
		for (i = 0; (verbs & 1u << verb) && i < share_pairs.n; i++)
			share((enum bench_verb)verb, memory, (unsigned int)share_pairs.value[i]);
	/* the pages of pinned memory are there before; userfaultfd would have to bring them */
	if (!(tests & 1u << FAULT) || (slow && memory == MEM_PINNED))
		return;
	for (i = 0; i < fault_pairs.n; i++)
		fault(memory, (unsigned int)fault_pairs.value[i]);
}

static unsigned int most_pairs(void)
{
	uint64_t most = 0;
	unsigned int i;

	for (i = 0; (tests & 1u << SHARE) && i < share_pairs.n; i++)
		if (share_pairs.value[i] > most)
			most = share_pairs.value[i];
	for (i = 0; (tests & 1u << FAULT) && i < fault_pairs.n; i++)
		if (fault_pairs.value[i] > most)
			most = fault_pairs.value[i];
	return (unsigned int)most;
}

static const struct bench_program program = {
	.name = "odp_scale",
	.purpose = "Queue pairs that share a region, and many that fault at once.",
	.baseline = "pinned",
	.options = options, .noptions = ARRAY_SIZE(options),
	.memory = MEM_BIT(MEM_PINNED) | MEM_ODP,
	.reps = 5,
};

int main(int argc, char **argv)
{
	unsigned int i, memory, most, order[MEM_KINDS];
	uint64_t rep;

	bench_start(argc, argv, &program);
	bench_open();
	most = most_pairs();
	source = bench_map(size > PAGE ? size : PAGE, false);
	memset(source, 3, size > PAGE ? size : PAGE);
	source_mr = bench_reg(source, size > PAGE ? size : PAGE, MEM_PINNED);
	for (i = 0; i < most; i++)
		bench_connect(&pairs[i], 16);
	for (rep = 0; rep < bench.reps; rep++) {
		bench_shuffle(order, MEM_KINDS);
		for (memory = 0; memory < MEM_KINDS; memory++)
			if (order[memory] != MEM_NONE && bench_has((enum bench_memory)order[memory]))
				measure((enum bench_memory)order[memory]);
	}
	for (i = 0; i < most; i++)
		bench_disconnect(&pairs[i]);
	bench_dereg(source_mr);
	bench_close();
	return bench_finish();
}
