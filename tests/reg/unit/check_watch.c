// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * Changes of memory under the cache, by the real userfaultfd, on a device that is not there: what
 * a registration holds is the word that was at the start of each page when it was made.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <linux/userfaultfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/shm.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "check_reg.h"
#include "fake.h"
#include "place.h"

#define PAGE	4096ul
#define SIZE	(8 * PAGE)
#define ALL	(IBV_ACCESS_LOCAL_WRITE | IBV_ACCESS_REMOTE_WRITE | IBV_ACCESS_REMOTE_READ)

static struct fake fake;
static struct odpreg_domain *dom;
static uint64_t word = 1000;

static bool begin(enum odpreg_check check)
{
	struct odpreg_attr attr = ODPREG_ATTR_INIT;
	struct process *p = process_get();

	if (!p || watch_start(p)) {
		printf("skipped: no userfaultfd on this machine\n");
		return false;
	}
	attr.check = check;
	fake_init(&fake, false, false);
	ck_assert_int_eq(reg_open(&fake.pd, &attr, &fake.ops, &dom), 0);
	return true;
}

static void end(void)
{
	ck_assert_int_eq(odpreg_close(dom), 0);
	ck_assert_int_eq(fake.alive, 0);
}

static char *map(void *at, size_t size)
{
	char *a = mmap(at ? at : place_of_its_own(), size, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);

	ck_assert_ptr_ne(a, MAP_FAILED);
	return a;
}

/* Another word in every page: whoever holds the old pages holds old words. */
static void fill(char *a, size_t size)
{
	size_t i;

	for (i = 0; i < size; i += PAGE)
		*(uint64_t *)(a + i) = ++word;
}

static struct odpreg_mem get(char *a, size_t size)
{
	struct odpreg_mem m = { 0 };
	int err = odpreg_get(dom, a, size, ALL, &m);

	ck_assert_msg(!err, "odpreg_get: %s", strerror(err));
	return m;
}

/* The keys are of the pages that are there now. */
static void check_fresh(const struct odpreg_mem *m, char *a, size_t size, const char *what)
{
	size_t i;

	for (i = 0; i < size; i += PAGE)
		ck_assert_msg(fake_holds(m, (uintptr_t)a + i) == *(uint64_t *)(a + i),
			      "%s: page %zu of a region handed out again is not the one there now",
			      what, i / PAGE);
}

static void expect_cached(char *a, size_t size)
{
	struct odpreg_mem m = get(a, size);

	ck_assert_str_eq(odpreg_kind_name(m.kind), "cached");
	ck_assert_int_eq(odpreg_put(dom, &m), 0);
}

/* ------------------------------------------------------------------ the matrix */

static void by_unmap_and_map(char *a)
{
	munmap(a, SIZE);
	map(a, SIZE);
}

static void by_map_over(char *a)
{
	map(a, SIZE);
}

static void by_hole(char *a)
{
	munmap(a + 3 * PAGE, PAGE);
	map(a + 3 * PAGE, PAGE);
}

static void by_move_away(char *a)
{
	char *to = map(NULL, SIZE);

	ck_assert_ptr_eq(mremap(a, SIZE, SIZE, MREMAP_MAYMOVE | MREMAP_FIXED, to), to);
	map(a, SIZE);
	munmap(to, SIZE);
}

static void by_move_here(char *a)
{
	char *from = map(NULL, SIZE);

	fill(from, SIZE);
	ck_assert_ptr_eq(mremap(from, SIZE, SIZE, MREMAP_MAYMOVE | MREMAP_FIXED, a), a);
}

static void by_move_pages_only(char *a)
{
	char *to = mremap(a, SIZE, SIZE, MREMAP_MAYMOVE | MREMAP_DONTUNMAP, NULL);

	ck_assert_ptr_ne(to, MAP_FAILED);
	munmap(to, SIZE);
}

static void by_shrink(char *a)
{
	ck_assert_ptr_eq(mremap(a, SIZE, SIZE / 2, 0), a);
	map(a + SIZE / 2, SIZE / 2);
}

static void by_dontneed(char *a)
{
	ck_assert_int_eq(madvise(a, SIZE, MADV_DONTNEED), 0);
}

static void by_dontneed_one(char *a)
{
	ck_assert_int_eq(madvise(a + 5 * PAGE, PAGE, MADV_DONTNEED), 0);
}

static void by_other_thread_fn(void *a)
{
	munmap(a, SIZE);
}

static void *other_thread(void *a)
{
	by_other_thread_fn(a);
	return NULL;
}

static void by_other_thread(char *a)
{
	pthread_t thread;

	ck_assert_int_eq(pthread_create(&thread, NULL, other_thread, a), 0);
	pthread_join(thread, NULL);
	map(a, SIZE);
}

static const struct {
	const char *name;
	void (*change)(char *a);
} change[] = {
	{ "munmap, mmap", by_unmap_and_map },
	{ "mmap over it", by_map_over },
	{ "a hole that is mapped again", by_hole },
	{ "mremap away", by_move_away },
	{ "mremap over it", by_move_here },
	{ "mremap that leaves the mapping", by_move_pages_only },
	{ "mremap that shrinks", by_shrink },
	{ "MADV_DONTNEED", by_dontneed },
	{ "MADV_DONTNEED of one page", by_dontneed_one },
	{ "munmap by another thread", by_other_thread },
};

static void check_change(int i, enum odpreg_check check)
{
	struct odpreg_mem m;
	char *a;

	if (!begin(check))
		return;
	a = map(NULL, SIZE);
	fill(a, SIZE);
	expect_cached(a, SIZE);
	expect_cached(a, SIZE);
	ck_assert_int_eq(fake.made, 1);
	change[i].change(a);
	fill(a, SIZE);
	m = get(a, SIZE);
	check_fresh(&m, a, SIZE, change[i].name);
	ck_assert_int_eq(fake.made, 2);
	ck_assert_int_eq(odpreg_put(dom, &m), 0);
	munmap(a, SIZE);
	end();
}

START_TEST(change_is_seen)
{
	check_change(_i, ODPREG_CHECK_FULL);
}
END_TEST

START_TEST(change_is_seen_by_one_load)
{
	check_change(_i, ODPREG_CHECK_LOAD);
}
END_TEST

START_TEST(heap_shrinks_and_grows)
{
	struct odpreg_mem m;
	char *a;

	if (!begin(ODPREG_CHECK_FULL))
		return;
	/* Page by page, so that no allocation of ours comes in between. */
	a = sbrk(0);
	a = sbrk((intptr_t)(SIZE + (-(uintptr_t)a & (PAGE - 1))));
	a = (char *)(((uintptr_t)a + PAGE - 1) & ~(PAGE - 1));
	fill(a, SIZE);
	expect_cached(a, SIZE);
	ck_assert_ptr_eq(sbrk(-(intptr_t)SIZE), a + SIZE);
	ck_assert_ptr_eq(sbrk((intptr_t)SIZE), a);
	fill(a, SIZE);
	m = get(a, SIZE);
	check_fresh(&m, a, SIZE, "brk");
	ck_assert_int_eq(odpreg_put(dom, &m), 0);
	sbrk(-(intptr_t)SIZE);
	end();
}
END_TEST

/* ------------------------------------------------------------------ what is not cached */

static void expect_uncached(char *a, size_t size, enum odpreg_why why)
{
	struct odpreg_mem m = get(a, size);

	ck_assert_msg(m.kind == ODPREG_UNCACHED && m.why == why, "%s: %s", odpreg_kind_name(m.kind),
		      odpreg_why_text(m.why));
	ck_assert_int_eq(odpreg_put(dom, &m), 0);
	ck_assert_int_eq(fake.alive, 0);
}

START_TEST(shared_memory_is_not_cached)
{
	char *a;
	int id, fd;

	if (!begin(ODPREG_CHECK_FULL))
		return;
	id = shmget(IPC_PRIVATE, SIZE, IPC_CREAT | 0600);
	a = shmat(id, NULL, 0);
	shmctl(id, IPC_RMID, NULL);
	expect_uncached(a, SIZE, ODPREG_WHY_UNWATCHABLE);
	ck_assert_int_eq(shmdt(a), 0);

	a = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	expect_uncached(a, SIZE, ODPREG_WHY_UNWATCHABLE);
	munmap(a, SIZE);

	fd = memfd_create("odpreg", MFD_CLOEXEC);
	ck_assert_int_eq(ftruncate(fd, SIZE), 0);
	a = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	expect_uncached(a, SIZE, ODPREG_WHY_UNWATCHABLE);
	munmap(a, SIZE);
	a = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
	expect_uncached(a, SIZE, ODPREG_WHY_UNWATCHABLE);
	/* Half of it is. */
	map(a, SIZE / 2);
	expect_uncached(a, SIZE, ODPREG_WHY_UNWATCHABLE);
	expect_cached(a, SIZE / 2);
	munmap(a, SIZE);
	close(fd);
	end();
}
END_TEST

START_TEST(another_userfaultfd_has_it)
{
	struct uffdio_api api = { .api = UFFD_API };
	struct uffdio_register what = { .mode = UFFDIO_REGISTER_MODE_WP };
	char *a;
	int fd;

	if (!begin(ODPREG_CHECK_FULL))
		return;
	a = map(NULL, SIZE);
	fill(a, SIZE);
	fd = (int)syscall(SYS_userfaultfd, O_CLOEXEC | 1);
	ck_assert_int_eq(ioctl(fd, UFFDIO_API, &api), 0);
	what.range.start = (uintptr_t)a;
	what.range.len = SIZE;
	ck_assert_int_eq(ioctl(fd, UFFDIO_REGISTER, &what), 0);
	expect_uncached(a, SIZE, ODPREG_WHY_UNWATCHABLE);
	close(fd);
	expect_cached(a, SIZE);
	/* And the other way round: it is free after odpreg_invalidate(). */
	fd = (int)syscall(SYS_userfaultfd, O_CLOEXEC | 1);
	ck_assert_int_eq(ioctl(fd, UFFDIO_API, &api), 0);
	ck_assert_int_eq(ioctl(fd, UFFDIO_REGISTER, &what), -1);
	ck_assert_int_eq(errno, EBUSY);
	ck_assert_int_eq(odpreg_invalidate(dom, a, SIZE), 0);
	ck_assert_int_eq(ioctl(fd, UFFDIO_REGISTER, &what), 0);
	close(fd);
	munmap(a, SIZE);
	end();
}
END_TEST

START_TEST(forced_cache_refuses_what_it_cannot_watch)
{
	struct odpreg_attr attr = ODPREG_ATTR_INIT;
	struct odpreg_mem m;
	char *a;

	if (!begin(ODPREG_CHECK_FULL))
		return;
	end();
	attr.policy = ODPREG_CACHED;
	ck_assert_int_eq(reg_open(&fake.pd, &attr, &fake.ops, &dom), 0);
	a = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	ck_assert_int_eq(odpreg_get(dom, a, SIZE, ALL, &m), EOPNOTSUPP);
	ck_assert_int_eq(fake.alive, 0);
	munmap(a, SIZE);
	end();
}
END_TEST

/* ------------------------------------------------------------------ in the middle of things */

static void drop_it(void *a)
{
	fake.meanwhile = NULL;
	ck_assert_int_eq(madvise(a, SIZE, MADV_DONTNEED), 0);
	fill(a, SIZE);
}

START_TEST(change_during_registration)
{
	struct odpreg_mem m;
	char *a;

	if (!begin(ODPREG_CHECK_FULL))
		return;
	a = map(NULL, SIZE);
	fill(a, SIZE);
	fake.meanwhile = drop_it;
	fake.arg = a;
	m = get(a, SIZE);
	ck_assert_int_eq(m.kind, ODPREG_UNCACHED);
	ck_assert_int_eq(m.why, ODPREG_WHY_CHANGING);
	ck_assert_int_eq(odpreg_put(dom, &m), 0);
	m = get(a, SIZE);
	check_fresh(&m, a, SIZE, "MADV_DONTNEED during the registration");
	ck_assert_int_eq(odpreg_put(dom, &m), 0);
	munmap(a, SIZE);
	end();
}
END_TEST

/* madvise() tells first and drops afterwards: nothing of it is cached for a while. */
START_TEST(dropped_memory_is_cached_later)
{
	char *a;

	if (!begin(ODPREG_CHECK_FULL))
		return;
	a = map(NULL, SIZE);
	fill(a, SIZE);
	expect_cached(a, SIZE);
	by_dontneed(a);
	fill(a, SIZE);
	expect_uncached(a, SIZE, ODPREG_WHY_CHANGING);
	usleep(1100000);
	expect_cached(a, SIZE);
	munmap(a, SIZE);
	end();
}
END_TEST

START_TEST(more_drops_than_are_remembered)
{
	struct process *p = process_get();
	uint64_t i;
	char *a;

	if (!begin(ODPREG_CHECK_FULL))
		return;
	a = map(NULL, SIZE);
	fill(a, SIZE);
	for (i = 0; i < DROPS; i++)
		watch_tell(p, i * PAGE, (i + 1) * PAGE, true);
	ck_assert(!watch_dropping(p, (uintptr_t)a, (uintptr_t)a + SIZE));
	ck_assert(watch_dropping(p, 0, 1));
	watch_tell(p, i * PAGE, (i + 1) * PAGE, true);
	ck_assert(watch_dropping(p, (uintptr_t)a, (uintptr_t)a + SIZE));
	expect_uncached(a, SIZE, ODPREG_WHY_CHANGING);
	munmap(a, SIZE);
	end();
}
END_TEST

static bool soon(int want)
{
	int tries = 2000;

	while (fake.alive != want && tries--)
		usleep(5000);
	return fake.alive == want;
}

START_TEST(unmapped_memory_is_unpinned_by_itself)
{
	char *a;

	if (!begin(ODPREG_CHECK_FULL))
		return;
	a = map(NULL, SIZE);
	fill(a, SIZE);
	expect_cached(a, SIZE);
	ck_assert_int_eq(fake.alive, 1);
	munmap(a, SIZE);
	ck_assert(soon(0));
	ck_assert_uint_eq(fake.pinned, 0);
	end();
}
END_TEST

START_TEST(two_domains_watch_the_same)
{
	struct odpreg_domain *first;
	struct odpreg_mem m;
	char *a;

	if (!begin(ODPREG_CHECK_FULL))
		return;
	first = dom;
	a = map(NULL, SIZE);
	fill(a, SIZE);
	expect_cached(a, SIZE);
	ck_assert_int_eq(reg_open(&fake.pd, NULL, &fake.ops, &dom), 0);
	expect_cached(a, 3 * PAGE);
	ck_assert_int_eq(odpreg_close(dom), 0);
	dom = first;
	/* A page that both had, alone. */
	munmap(a + PAGE, PAGE);
	map(a + PAGE, PAGE);
	fill(a, SIZE);
	m = get(a, SIZE);
	check_fresh(&m, a, SIZE, "munmap after another domain has gone");
	ck_assert_int_eq(odpreg_put(dom, &m), 0);
	munmap(a, SIZE);
	end();
}
END_TEST

/*
 * A child's copy of the descriptor must not hold up the parent, and its changes are its own.
 */
START_TEST(fork_changes_nothing_for_the_parent)
{
	int status, ready[2];
	char *a, byte = 0;
	pid_t pid;

	if (!begin(ODPREG_CHECK_FULL))
		return;
	a = map(NULL, SIZE);
	fill(a, SIZE);
	expect_cached(a, SIZE);
	ck_assert_int_eq(pipe(ready), 0);
	pid = fork();
	if (!pid) {
		by_unmap_and_map(a);
		close(ready[1]);
		while (read(ready[0], &byte, 1) > 0)
			;
		_exit(0);
	}
	expect_cached(a, SIZE);
	ck_assert_int_eq(fake.made, 1);
	by_unmap_and_map(a);
	fill(a, SIZE);
	expect_cached(a, SIZE);
	ck_assert_int_eq(fake.made, 2);
	end();
	munmap(a, SIZE);
	close(ready[1]);
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	close(ready[0]);
}
END_TEST

/* The parent's watch tells the child nothing: it has one of its own. */
static int child_with_a_watch(void)
{
	struct odpreg_mem m;
	uint64_t is;
	char *a;

	if (reg_open(&fake.pd, NULL, &fake.ops, &dom))
		return 1;
	a = map(NULL, SIZE);
	fill(a, SIZE);
	if (odpreg_get(dom, a, SIZE, ALL, &m) || m.kind != ODPREG_CACHED || odpreg_put(dom, &m))
		return 2;
	by_unmap_and_map(a);
	fill(a, SIZE);
	if (odpreg_get(dom, a, SIZE, ALL, &m) || m.kind != ODPREG_CACHED)
		return 3;
	is = fake_holds(&m, (uintptr_t)a);
	return odpreg_put(dom, &m) || is != *(uint64_t *)a ? 4 : 0;
}

/*
 * Not under AddressSanitizer: it remembers what a thread is to run by the thread's handle, and in a
 * child handles of the parent's threads come again. The watch ran the reaper's function then.
 */
START_TEST(child_watches_for_itself)
{
	int status;
	pid_t pid;

#ifdef __SANITIZE_ADDRESS__
	printf("skipped: a child's watch cannot run under AddressSanitizer\n");
	return;
#endif
	if (!begin(ODPREG_CHECK_FULL))
		return;
	pid = fork();
	if (!pid)
		_exit(child_with_a_watch());
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert_msg(WIFEXITED(status) && !WEXITSTATUS(status), "child ended with %#x", status);
	end();
}
END_TEST

Suite *watch_suite(void)
{
	Suite *suite = suite_create("watch");
	TCase *tc = tcase_create("watch");
	int n = sizeof(change) / sizeof(change[0]);

	tcase_set_timeout(tc, 120);
	tcase_add_loop_test(tc, change_is_seen, 0, n);
	tcase_add_loop_test(tc, change_is_seen_by_one_load, 0, n);
	tcase_add_test(tc, heap_shrinks_and_grows);
	tcase_add_test(tc, shared_memory_is_not_cached);
	tcase_add_test(tc, another_userfaultfd_has_it);
	tcase_add_test(tc, forced_cache_refuses_what_it_cannot_watch);
	tcase_add_test(tc, change_during_registration);
	tcase_add_test(tc, dropped_memory_is_cached_later);
	tcase_add_test(tc, more_drops_than_are_remembered);
	tcase_add_test(tc, unmapped_memory_is_unpinned_by_itself);
	tcase_add_test(tc, two_domains_watch_the_same);
	tcase_add_test(tc, fork_changes_nothing_for_the_parent);
	tcase_add_test(tc, child_watches_for_itself);
	suite_add_tcase(suite, tc);
	return suite;
}
