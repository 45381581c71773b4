// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * What a remote peer can make a process use is the process's own: its memory cgroup is charged for
 * the pages and for the engine's memory, and where that has a limit the peer meets it.
 */
#include <signal.h>
#include <sys/wait.h>

#include "rig.h"

#define MIB	(1ul << 20)
#define LIMIT	(64 * MIB)
#define BIG	(256 * MIB)
#define CHUNK	MIB
#define LEAF	(2 * MIB)
#define LEAVES	4000ul

struct owner {
	pid_t pid;
	uint8_t *mem;
	volatile uint32_t rkey;
	volatile uint32_t handle;
	volatile int ready;
	volatile int failed;
	bool spared;		/* by the OOM killer */
};

static struct rig *rig;
static struct rig_pair *pair;
static uint8_t *a;
static struct rig_mr *ma;
static struct owner *owner;

static void setup(void)
{
	struct rig_attr attr = rig_attr();

	/* A receiver that is never ready is an error, some time. */
	attr.rnr_retry = 6;
	rig = rig_open(&attr);
	if (!rig_has_odp(rig))
		return;
	rig_dmesg_mark();
	pair = rig_pair(rig, IBV_QPT_RC);
	a = rig_map(CHUNK, 0, RIG_ANON);
	rig_fill(a, CHUNK, 1, 0);
	ma = rig_reg(rig, a, CHUNK, RIG_IOVA_SAME, RIG_RW, false);
	owner = mmap(NULL, RIG_PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
}

static void teardown(void)
{
	const char *line;

	if (ma) {
		kill(owner->pid, SIGKILL);
		waitpid(owner->pid, NULL, 0);
		rig_dereg_handle(rig, owner->handle);
		rig_dereg(ma);
		rig_unpair(pair);
		/* The OOM killer's report is no defect. */
		while ((line = rig_dmesg_new()))
			ck_assert_msg(!strstr(line, "WARNING") && !strstr(line, "BUG"),
				      "kernel log: %s", line);
	}
	rig_close(rig);
}

static void cgroup_path(char *path, size_t len, const char *name)
{
	snprintf(path, len, "/sys/fs/cgroup/odpreg-%d/%s", (int)owner->pid, name);
}

/* A number of the owner's cgroup: a file, or a line of memory.stat. */
static int64_t charged(const char *name)
{
	char path[120], key[64];
	int64_t value;
	FILE *file;

	cgroup_path(path, sizeof(path), strncmp(name, "memory.", 7) ? "memory.stat" : name);
	file = fopen(path, "r");
	ck_assert_msg(file, "%s: %s", path, strerror(errno));
	if (!strncmp(name, "memory.", 7)) {
		ck_assert_int_eq(fscanf(file, "%jd", (intmax_t *)&value), 1);
	} else {
		while (fscanf(file, "%63s %jd", key, (intmax_t *)&value) == 2)
			if (!strcmp(key, name))
				break;
		ck_assert_str_eq(key, name);
	}
	fclose(file);
	return value;
}

static void be_owner(size_t len, size_t limit)
{
	char why[200], path[120];
	struct rig_mr *mr;

	owner->pid = getpid();
	if (!rig_memcg(limit, why, sizeof(why))) {
		printf("%s\n", why);
		owner->failed = 1;
		_exit(2);
	}
	cgroup_path(path, sizeof(path), "memory.swap.max");
	if (rig_write_file(path, "0"))
		_exit(2);
	if (owner->spared && rig_write_file("/proc/self/oom_score_adj", "-1000"))
		_exit(2);
	mr = rig_reg(rig, owner->mem, len, RIG_IOVA_SAME, RIG_RW, true);
	owner->rkey = mr->mr->rkey;
	owner->handle = mr->mr->handle;
	owner->ready = 1;
	for (;;)
		pause();
}

static void start_owner(size_t len, size_t limit)
{
	pid_t pid;

	owner->mem = rig_map_bare(len, LEAF, true);
	madvise(owner->mem, len, MADV_NOHUGEPAGE);
	pid = fork();
	if (!pid)
		be_owner(len, limit);
	owner->pid = pid;
	while (!owner->ready) {
		ck_assert_msg(!waitpid(pid, NULL, WNOHANG), "the owner ended too early");
		rig_sleep(0.01);
	}
}

static struct rig_span theirs(size_t at, uint32_t len)
{
	return rig_raw((uintptr_t)owner->mem + at, len, owner->rkey);
}

START_TEST(test_peer_meets_the_limit)
{
	double start, took, worst = 0;
	struct rig_res res = {};
	int64_t peak, free_before;
	size_t done;

	RIG_NEEDS_ODP(rig);
	start_owner(BIG, LIMIT);
	free_before = rig_meminfo("MemAvailable");
	for (done = 0; done < BIG; done += CHUNK) {
		start = rig_now();
		res = rig_write(pair, rig_at(ma, 0, CHUNK), theirs(done, CHUNK));
		took = rig_now() - start;
		if (took > worst)
			worst = took;
		if (!rig_res_ok(res))
			break;
	}
	peak = charged("memory.peak");
	printf("a peer wrote %zu of %lu MiB to an owner limited to %lu MiB, then: %s; peak %jd KiB, longest "
	       "write %.1f s\n", done / MIB, BIG / MIB, LIMIT / MIB, rig_status_name(res.status),
	       (intmax_t)peak / 1024, worst);
	ck_assert_msg(done < BIG, "the peer wrote four times the limit");
	ck_assert_msg(done >= LIMIT / 4, "the peer could write %zu MiB only", done / MIB);
	ck_assert_msg(res.status == IBV_WC_REM_ACCESS_ERR || res.status == IBV_WC_RNR_RETRY_EXC_ERR,
		      "%s", rig_status_name(res.status));
	ck_assert_int_le(peak, (int64_t)LIMIT);
	/* A kernel that looks for late users needs memory of its own for each page. */
	if (!rig_keeps_freed())
		ck_assert_int_lt(free_before - rig_meminfo("MemAvailable"),
				 (int64_t)(LIMIT + 64 * MIB));
	/* The machine lives, and so do we. */
	rig_reconnect(pair);
	RIG_OK(rig_write(pair, rig_at(ma, 0, 4096), rig_at(ma, 8192, 4096)));
}
END_TEST

/* Has @p's write ended within some seconds? */
static bool ends(struct rig_pair *p, double within)
{
	struct ibv_wc wc;

	if (!rig_try_reap(p->end[RIG_A].scq, &wc, 1, within))
		return false;
	ck_assert_msg(wc.status == IBV_WC_SUCCESS, "%s", rig_status_name(wc.status));
	return true;
}

/* Memory that is short for longer than a fault tries is no error: the peer waits for it. */
START_TEST(test_peer_waits_for_memory)
{
	struct rig_span here = rig_at(ma, 0, CHUNK);
	struct rig_op op = { .verb = RIG_WRITE, .sg = &here, .nsg = 1 };
	struct rig_pair *p;
	char path[120];
	size_t done;

	RIG_NEEDS_ODP(rig);
	owner->spared = true;
	start_owner(BIG, LIMIT);
	rig->attr.rnr_retry = 7;
	p = rig_pair(rig, IBV_QPT_RC);
	for (done = 0; done < BIG; done += CHUNK) {
		op.remote = theirs(done, CHUNK);
		ck_assert_int_eq(rig_post(p, &op), 0);
		if (!ends(p, 16))
			break;
	}
	ck_assert_msg(done < BIG, "the peer wrote four times the limit");
	cgroup_path(path, sizeof(path), "memory.max");
	ck_assert_int_eq(rig_write_file(path, "max"), 0);
	ck_assert_msg(ends(p, 40), "there is memory, and the write does not end");
	rig_unpair(p);
}
END_TEST

START_TEST(test_engine_memory_is_the_owners)
{
	const size_t len = LEAVES * LEAF;
	int64_t slab, pages, leaves, entries, want;
	size_t i;

	RIG_NEEDS_ODP(rig);
	start_owner(len, 0x7ffffffffffff000);
	leaves = rig_odp_counter("leaves");
	slab = charged("slab");
	pages = charged("anon");
	for (i = 0; i < LEAVES; i++)
		RIG_OK(rig_write(pair, rig_at(ma, 0, 8), theirs(i * LEAF, 8)));
	/* The charges of a processor are folded into the sum every two seconds. */
	rig_sleep(3);
	slab = charged("slab") - slab;
	pages = charged("anon") - pages;
	leaves = rig_odp_counter("leaves") - leaves;
	entries = rig_odp_counter("entries");
	printf("%lu pages, each in a leaf of its own: the owner is charged %jd KiB of pages, %jd KiB of "
	       "slab\n", LEAVES, (intmax_t)pages / 1024, (intmax_t)slab / 1024);
	ck_assert_int_eq(leaves, (int64_t)LEAVES);
	ck_assert_int_ge(entries, (int64_t)LEAVES);
	want = (int64_t)(LEAVES * RIG_PAGE);
	ck_assert_msg(pages > want * 9 / 10, "the pages: %jd of %jd bytes", (intmax_t)pages,
		      (intmax_t)want);
	/* A page of entries for each leaf, and the leaf. */
	ck_assert_msg(slab > want * 9 / 10, "the engine's memory: %jd of %jd bytes", (intmax_t)slab,
		      (intmax_t)want);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("limits");
	TCase *tc = rig_tcase(s, "limits", 240);

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, test_peer_meets_the_limit);
	tcase_add_test(tc, test_peer_waits_for_memory);
	tcase_add_test(tc, test_engine_memory_is_the_owners);
	return rig_main(&s, 1);
}
