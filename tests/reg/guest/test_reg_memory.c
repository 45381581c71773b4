// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * Memory changes behind keys that were given back; keys for it are asked for again, and what a
 * peer writes by them must be what the CPU reads. Beside it a registration is kept that nobody
 * looks after: what is written by that must not be seen, or the row proves nothing.
 */
#include <sys/shm.h>
#include <sys/wait.h>

#include "guest.h"
#include "place.h"

static char *map_at(void *at, size_t size)
{
	char *a = mmap(at ? at : place_of_its_own(), size, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);

	ck_assert_ptr_ne(a, MAP_FAILED);
	return a;
}

static void unmap_and_map(char *a)
{
	ck_assert_int_eq(munmap(a, REG_SIZE), 0);
	map_at(a, REG_SIZE);
}

static void map_over(char *a)
{
	map_at(a, REG_SIZE);
}

static void move_away(char *a)
{
	char *to = map_at(NULL, REG_SIZE);

	ck_assert_ptr_eq(mremap(a, REG_SIZE, REG_SIZE, MREMAP_MAYMOVE | MREMAP_FIXED, to), to);
	map_at(a, REG_SIZE);
}

static void move_here(char *a)
{
	char *from = map_at(NULL, REG_SIZE);

	memset(from, 1, REG_SIZE);
	ck_assert_ptr_eq(mremap(from, REG_SIZE, REG_SIZE, MREMAP_MAYMOVE | MREMAP_FIXED, a), a);
}

static void move_pages_only(char *a)
{
	ck_assert_ptr_ne(mremap(a, REG_SIZE, REG_SIZE, MREMAP_MAYMOVE | MREMAP_DONTUNMAP, NULL),
			 MAP_FAILED);
}

static void dontneed(char *a)
{
	ck_assert_int_eq(madvise(a, REG_SIZE, MADV_DONTNEED), 0);
}

static void shrink_and_grow(char *a)
{
	ck_assert_ptr_eq(sbrk(-(intptr_t)REG_SIZE), a + REG_SIZE);
	ck_assert_ptr_eq(sbrk((intptr_t)REG_SIZE), a);
}

static void detach(char *a)
{
	ck_assert_int_eq(shmdt(a), 0);
	map_at(a, REG_SIZE);
}

static char *fresh(void)
{
	return map_at(NULL, REG_SIZE);
}

/* The heap's end, which no allocation moves in between. */
static char *heap(void)
{
	char *end = sbrk(0);

	sbrk((intptr_t)(REG_SIZE + (-(uintptr_t)end & (RIG_PAGE - 1))));
	return (char *)(((uintptr_t)end + RIG_PAGE - 1) & ~(RIG_PAGE - 1));
}

static char *segment(void)
{
	int id = shmget(IPC_PRIVATE, REG_SIZE, IPC_CREAT | 0600);
	char *a = shmat(id, place_of_its_own(), 0);

	ck_assert_ptr_ne(a, (void *)-1);
	shmctl(id, IPC_RMID, NULL);
	return a;
}

static const struct row {
	const char *name;
	char *(*memory)(void);
	void (*change)(char *a);
	bool shared;		/* cannot be watched */
} row[] = {
	{ "munmap, mmap", fresh, unmap_and_map, false },
	{ "mmap over it", fresh, map_over, false },
	{ "mremap away", fresh, move_away, false },
	{ "mremap over it", fresh, move_here, false },
	{ "mremap of the pages only", fresh, move_pages_only, false },
	{ "MADV_DONTNEED", fresh, dontneed, false },
	{ "brk", heap, shrink_and_grow, false },
	{ "shmdt", segment, detach, true },
};

#define ROWS	(sizeof(row) / sizeof(row[0]))

static void run_row(const struct row *r, enum odpreg_policy policy)
{
	struct reg reg = reg_begin(policy);
	struct odpreg_mem m;
	struct rig_mr *stale;
	char *a = r->memory();

	memset(a, 0, REG_SIZE);
	m = reg_get(&reg, a, REG_SIZE, REG_ALL);
	if (policy == ODPREG_CACHED || !rig_has_odp(reg.rig))
		ck_assert_str_eq(odpreg_kind_name(m.kind), r->shared ? "uncached" : "cached");
	reg_write(&reg, a, REG_SIZE, m.rkey, 1);
	rig_expect(a, REG_SIZE, 1, 0, "%s: before it", r->name);
	reg_put(&reg, &m);
	stale = rig_reg(reg.rig, a, REG_SIZE, RIG_IOVA_SAME, RIG_RW, false);

	r->change(a);
	memset(a, 0, REG_SIZE);
	reg_write(&reg, a, REG_SIZE, stale->mr->rkey, 2);
	ck_assert_msg(rig_diff_byte(a, REG_SIZE, 0) < 0,
		      "%s: a registration of before it is as good as new: this row shows nothing",
		      r->name);
	m = reg_get(&reg, a, REG_SIZE, REG_ALL);
	reg_write(&reg, a, REG_SIZE, m.rkey, 3);
	rig_expect(a, REG_SIZE, 3, 0, "%s: written by %s keys", r->name, odpreg_kind_name(m.kind));
	rig_fill(a, REG_SIZE, 4, 0);
	reg_read(&reg, a, REG_SIZE, m.rkey, 4, r->name);
	reg_put(&reg, &m);
	rig_dereg(stale);
	reg_end(&reg);
}

START_TEST(changed_under_the_cache)
{
	const struct row *r = &row[_i];

	/* What cannot be watched is refused when the cache is forced. */
	if (r->shared)
		return;
	run_row(r, ODPREG_CACHED);
}
END_TEST

START_TEST(changed_under_the_best)
{
	run_row(&row[_i], ODPREG_AUTO);
}
END_TEST

START_TEST(unchanged_is_found_again)
{
	struct reg reg = reg_begin(ODPREG_CACHED);
	struct odpreg_mem m;
	char *a = fresh();
	int i;

	memset(a, 0, REG_SIZE);
	for (i = 1; i < 20; i++) {
		m = reg_get(&reg, a + i, REG_SIZE - 40, REG_ALL);
		reg_write(&reg, a + i, REG_SIZE - 40, m.rkey, (uint64_t)i);
		rig_expect(a + i, REG_SIZE - 40, (uint64_t)i, 0, "round %d", i);
		reg_put(&reg, &m);
	}
	ck_assert_uint_eq(reg_stats(&reg).registered, 1);
	ck_assert_uint_eq(reg_stats(&reg).hits, 18);
	reg_end(&reg);
}
END_TEST

/* What the child found: it has no other way to tell. */
enum { CHILD_GOOD, CHILD_NOT_TOLD, CHILD_SAW_IT };

static int in_the_child(struct reg *reg, char *a, int go)
{
	struct odpreg_mem m;
	char byte;

	if (odpreg_get(reg->domain, a, REG_SIZE, REG_ALL, &m) != ECHILD)
		return CHILD_NOT_TOLD;
	if (odpreg_invalidate(reg->domain, NULL, SIZE_MAX) != ECHILD ||
	    odpreg_close(reg->domain) != ECHILD)
		return CHILD_NOT_TOLD;
	a[0]++;
	if (read(go, &byte, 1) != 1)
		return CHILD_NOT_TOLD;
	return rig_diff_byte(a + 1, REG_SIZE - 1, 7) < 0 ? CHILD_GOOD : CHILD_SAW_IT;
}

static void run_fork(enum odpreg_policy policy)
{
	struct reg reg = reg_begin(policy);
	struct odpreg_mem m;
	int go[2], status;
	char *a = fresh();
	pid_t pid;

	memset(a, 7, REG_SIZE);
	m = reg_get(&reg, a, REG_SIZE, REG_ALL);
	reg_put(&reg, &m);
	ck_assert_int_eq(pipe(go), 0);
	pid = fork();
	if (!pid)
		_exit(in_the_child(&reg, a, go[0]));
	memset(a, 8, REG_SIZE);
	m = reg_get(&reg, a, REG_SIZE, REG_ALL);
	reg_write(&reg, a, REG_SIZE, m.rkey, 5);
	rig_expect(a, REG_SIZE, 5, 0, "written while a child shares the memory");
	ck_assert_int_eq(write(go[1], "", 1), 1);
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == CHILD_GOOD,
		      "the child ended with %#x", status);
	reg_put(&reg, &m);
	reg_end(&reg);
}

START_TEST(fork_keeps_the_parents_memory)
{
	run_fork(_i ? ODPREG_CACHED : ODPREG_AUTO);
}
END_TEST

/* ------------------------------------------------------------------ threads */

#define THREADS	2
#define ROUNDS	40

struct worker {
	pthread_t thread;
	struct reg *reg;
	struct rig_pair *pair;
	unsigned int number;
	const char *trouble;
};

/* What one thread unmaps the other is given: addresses go round between them. */
static const char *one_round(struct worker *w, char *buffer, struct rig_mr *local, uint64_t seed)
{
	size_t size = (1 + seed % 3) * RIG_PAGE;
	char *a = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	const char *trouble = NULL;
	struct odpreg_mem m;

	if (a == MAP_FAILED)
		return "mmap";
	memset(a, 0, size);
	if (odpreg_get(w->reg->domain, a, size, REG_ALL, &m))
		return "odpreg_get";
	rig_fill(buffer, size, seed, 0);
	if (!rig_res_ok(rig_write(w->pair, rig_at(local, 0, (uint32_t)size),
				  rig_raw((uintptr_t)a, (uint32_t)size, m.rkey))))
		trouble = "write";
	else if (rig_diff(a, size, seed, 0) >= 0)
		trouble = "bytes went to pages that are not there any more";
	odpreg_put(w->reg->domain, &m);
	munmap(a, size);
	return trouble;
}

static void *work(void *arg)
{
	struct worker *w = arg;
	char *buffer = rig_map(REG_SIZE, 0, RIG_ANON);
	struct rig_mr *local = rig_reg(w->reg->rig, buffer, REG_SIZE, RIG_IOVA_SAME, RIG_RW, false);
	unsigned int i;

	for (i = 0; i < ROUNDS && !w->trouble; i++)
		w->trouble = one_round(w, buffer, local, w->number * 1000ull + i);
	rig_dereg(local);
	rig_unmap(buffer, REG_SIZE);
	return NULL;
}

START_TEST(addresses_go_round_between_threads)
{
	struct reg reg = reg_begin(_i ? ODPREG_CACHED : ODPREG_AUTO);
	struct worker w[THREADS];
	unsigned int i;

	for (i = 0; i < THREADS; i++) {
		w[i] = (struct worker){
			.reg = &reg, .number = i + 1, .pair = rig_pair(reg.rig, IBV_QPT_RC),
		};
		ck_assert_int_eq(pthread_create(&w[i].thread, NULL, work, &w[i]), 0);
	}
	for (i = 0; i < THREADS; i++) {
		pthread_join(w[i].thread, NULL);
		ck_assert_msg(!w[i].trouble, "thread %u: %s", i, w[i].trouble);
		rig_unpair(w[i].pair);
	}
	reg_end(&reg);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("reg_memory");
	TCase *tc = rig_tcase(suite, "memory", 0);

	tcase_add_loop_test(tc, changed_under_the_cache, 0, (int)ROWS);
	tcase_add_loop_test(tc, changed_under_the_best, 0, (int)ROWS);
	tcase_add_test(tc, unchanged_is_found_again);
	tcase_add_loop_test(tc, fork_keeps_the_parents_memory, 0, 2);
	tcase_add_loop_test(tc, addresses_go_round_between_threads, 0, 2);
	return rig_main(&suite, 1);
}
