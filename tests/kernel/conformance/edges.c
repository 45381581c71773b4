// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/* Rows 24 and 30: memory that no device may use, and the edges of the address space. */
#include <fcntl.h>
#include <sys/auxv.h>
#include <sys/syscall.h>

#include "scene.h"

#define RW		(PROT_READ | PROT_WRITE)
#define TOP		0x7ffffffff000ull	/* the end of user addresses, with four levels of page tables */

#ifndef SYS_memfd_secret
#define SYS_memfd_secret	447
#endif

/* ------------------------------------------------------------------ access to any address */

static struct rig_span ours(struct scene *s, uint32_t len)
{
	return rig_at(s->stage.pinned, 0, len);
}

static void must_fail(struct scene *s, struct rig_res res, int want, const char *verb,
		      const char *what)
{
	ck_assert_msg(res.status == want, "%s of %s: %s instead of %s", verb, what,
		      rig_status_name(res.status), rig_status_name(want));
	rig_reconnect(s->stage.pair);
}

/* Remote accesses and, as the local side, a send: refused, and nothing else. */
static void refused(struct scene *s, const struct rig_mr *mr, uint64_t addr, uint32_t len,
		    bool reads,
		    const char *what)
{
	struct rig_span there = rig_raw(addr, len, mr->mr->rkey), here = there;
	struct rig_res res;

	here.lkey = mr->mr->lkey;
	stage_mark(&s->stage);
	must_fail(s, rig_write(s->stage.pair, ours(s, len), there), IBV_WC_REM_ACCESS_ERR, "write",
		  what);
	if (reads) {
		must_fail(s, rig_read(s->stage.pair, ours(s, len), there), IBV_WC_REM_ACCESS_ERR,
			  "read",
			  what);
		res = rig_send(s->stage.pair, here, ours(s, len));
		must_fail(s, res, stage_local_refusal(&s->stage, res), "send", what);
	}
	/* A region of the address space hears of the queue pairs; under load others hear too. */
	ck_assert_msg(s->implicit || s->loaded || stage_heard(&s->stage, "any") <= 0,
		      "%s: the region heard of it:%s",
		      what, stage_heard_text(&s->stage));
	RIG_OK(rig_write(s->stage.other, ours(s, 8), rig_at(s->stage.pinned, STAGE_WAY, 8)));
	s->rounds++;
}

/* A region there; where none can be registered, that is a refusal too, and NULL. */
static struct rig_mr *region(struct scene *s, uint64_t addr, size_t len, int access)
{
	struct rig_mr *mr;
	int err = rig_try_reg(s->rig, (void *)(uintptr_t)addr, len, RIG_IOVA_SAME, access, true,
			      &mr);

	ck_assert_msg(!err == !!mr, "registration: %d and %p", err, (void *)mr);
	return mr;
}

static void forbidden(struct scene *s, uint64_t addr, const char *what)
{
	struct rig_mr *mr = region(s, addr, RIG_PAGE, RIG_RW);

	if (!mr)
		return;
	refused(s, mr, addr, 8, true, what);
	refused(s, mr, addr + RIG_PAGE - 8, 8, true, what);
	rig_dereg(mr);
}

/* ------------------------------------------------------------------ row 24 */

/*
 * The clock's pages of every process: by newer kernels some of them are ordinary memory, or all.
 * 0 when none is a VM_PFNMAP mapping.
 */
static uint64_t clock_mapping(void)
{
	FILE *f = fopen("/proc/self/smaps", "re");
	unsigned long start = 0, from, to, found = 0;
	char line[400];

	while (f && fgets(line, sizeof(line), f)) {
		if (sscanf(line, "%lx-%lx ", &from, &to) == 2)
			start = strstr(line, "[vvar") ? from : 0;
		else if (start && !strncmp(line, "VmFlags:", 8) && strstr(line, " pf "))
			found = start;
	}
	if (f)
		fclose(f);
	return found;
}

/* Memory of the display, where there is none. */
#define DISPLAY	0xa0000

static void run_device_mapping(struct scene *s)
{
	uint64_t clock = clock_mapping();
	void *p;
	int fd;

	if (clock) {
		forbidden(s, clock, "a VM_PFNMAP mapping");
		return;
	}
	fd = open("/dev/mem", O_RDONLY | O_CLOEXEC);
	p = mmap(NULL, 2 * RIG_PAGE, PROT_READ, MAP_SHARED, fd, DISPLAY);
	if (p == MAP_FAILED) {
		scene_skip(s, "no mapping of a device: no [vvar] is one, and /dev/mem: %s",
			   strerror(errno));
	} else {
		forbidden(s, (uintptr_t)p, "a VM_PFNMAP mapping");
		munmap(p, 2 * RIG_PAGE);
	}
	if (fd >= 0)
		close(fd);
}

static void run_secret(struct scene *s)
{
	int fd = (int)syscall(SYS_memfd_secret, 0);
	uint8_t *p;

	if (fd < 0 || ftruncate(fd, RIG_PAGE)) {
		scene_skip(s, "the kernel has no memfd_secret: %s", strerror(errno));
		return;
	}
	p = mmap(NULL, RIG_PAGE, RW, MAP_SHARED, fd, 0);
	ck_assert_msg(p != MAP_FAILED, "mmap of secret memory: %s", strerror(errno));
	forbidden(s, (uintptr_t)p, "secret memory, not touched");
	memset(p, 0x5e, RIG_PAGE);
	forbidden(s, (uintptr_t)p, "secret memory");
	ck_assert_int_eq(rig_diff_byte(p, RIG_PAGE, 0x5e), -1);
	munmap(p, RIG_PAGE);
	close(fd);
}

static void run_no_access(struct scene *s)
{
	uint8_t *p = rig_map(3 * RIG_PAGE, 0, RIG_ANON);
	struct rig_mr *mr;

	memset(p, 1, 3 * RIG_PAGE);
	ck_assert_int_eq(mprotect(p + RIG_PAGE, RIG_PAGE, PROT_NONE), 0);
	forbidden(s, (uintptr_t)p + RIG_PAGE, "PROT_NONE memory");
	mr = region(s, (uintptr_t)p, 3 * RIG_PAGE, RIG_RW);
	ck_assert_ptr_nonnull(mr);
	refused(s, mr, (uintptr_t)p + RIG_PAGE - 4, 8, true, "from access to none");
	refused(s, mr, (uintptr_t)p + 2 * RIG_PAGE - 4, 8, true, "from no access to some");
	rig_dereg(mr);
	ck_assert_int_eq(munmap(p + RIG_PAGE, RIG_PAGE), 0);
	forbidden(s, (uintptr_t)p + RIG_PAGE, "what is not mapped");
	munmap(p, 3 * RIG_PAGE);
}

/* Readable text: reads are right, writes are refused. */
static void run_text(struct scene *s)
{
	uint64_t at = (uintptr_t)&ibv_get_device_list & ~(RIG_PAGE - 1);
	struct rig_mr *mr = region(s, at, RIG_PAGE, RIG_RW);
	uint64_t vdso = getauxval(AT_SYSINFO_EHDR);

	ck_assert_ptr_nonnull(mr);
	RIG_OK(rig_read(s->stage.pair, ours(s, RIG_PAGE), rig_raw(at, RIG_PAGE, mr->mr->rkey)));
	ck_assert_int_eq(memcmp(s->stage.buf, (void *)(uintptr_t)at, RIG_PAGE), 0);
	refused(s, mr, at, 8, false, "the program's text");
	rig_dereg(mr);
	if (!vdso)
		return;
	mr = region(s, vdso, RIG_PAGE, RIG_RW);
	if (!mr)
		return;
	refused(s, mr, vdso, 8, false, "the vdso");
	rig_dereg(mr);
}

static void run_kernel_range(struct scene *s)
{
	static const uint64_t addr[] = {
		0xffff888000000000ull, 0xffffffff81000000ull, 0xffffffffff600000ull /* vsyscall */,
		0x0000800000000000ull /* not canonical, or never mapped */, 0,
	};
	size_t i;

	for (i = 0; i < sizeof(addr) / sizeof(addr[0]); i++)
		forbidden(s, addr[i], "an address that is not user memory");
}

/* ------------------------------------------------------------------ row 30 */

static void run_top(struct scene *s)
{
	uint8_t *p = mmap((void *)(TOP - RIG_PAGE), RIG_PAGE, RW,
			  MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
	struct rig_mr *mr;

	if (p == MAP_FAILED) {
		scene_skip(s, "the last page of the address space cannot be mapped: %s",
			   strerror(errno));
		return;
	}
	mr = rig_reg(s->rig, p, RIG_PAGE, RIG_IOVA_SAME, RIG_RW, true);
	rig_fill(s->stage.buf, RIG_PAGE, 30, 0);
	RIG_OK(rig_write(s->stage.pair, ours(s, RIG_PAGE), rig_at(mr, 0, RIG_PAGE)));
	rig_expect(p, RIG_PAGE, 30, 0, "the last page");
	memset(s->stage.buf, 0, RIG_PAGE);
	RIG_OK(rig_read(s->stage.pair, ours(s, RIG_PAGE), rig_at(mr, 0, RIG_PAGE)));
	rig_expect(s->stage.buf, RIG_PAGE, 30, 0, "read from the last page");
	refused(s, mr, TOP - 4, 8, true, "beyond the last page");
	refused(s, mr, TOP, 8, true, "behind the last page");
	rig_dereg(mr);
	munmap(p, RIG_PAGE);
}

static void run_no_length(struct scene *s)
{
	uint8_t *p = rig_map(RIG_PAGE, 0, RIG_ANON);
	struct rig_mr *mr = region(s, (uintptr_t)p, 0, RIG_RW);

	memset(p, 7, RIG_PAGE);
	/* Refused, or a region that nothing fits into. */
	if (mr && !s->implicit)
		refused(s, mr, (uintptr_t)p, 1, true, "a region without length");
	ck_assert_int_eq(rig_diff_byte(p, RIG_PAGE, 7), -1);
	if (mr)
		rig_dereg(mr);
	rig_unmap(p, RIG_PAGE);
	s->rounds++;
}

static void long_region(struct scene *s, size_t len)
{
	uint8_t *p = rig_map_bare(len, HUGE, true);
	struct rig_mr *mr = rig_reg(s->rig, p, len, RIG_IOVA_SAME, RIG_RW, true);
	const size_t at[] = { 0, len / 2 - RIG_PAGE, len / 2, len - RIG_PAGE };
	size_t i;

	for (i = 0; i < 4; i++) {
		rig_fill(s->stage.buf, RIG_PAGE, 300 + i, 0);
		RIG_OK(rig_write(s->stage.pair, ours(s, RIG_PAGE), rig_at(mr, at[i], RIG_PAGE)));
		rig_expect(p + at[i], RIG_PAGE, 300 + i, 0, "written at %#zx of %#zx", at[i], len);
	}
	for (i = 0; i < 4; i++)
		rig_expect(p + at[i], RIG_PAGE, 300 + i, 0, "at %#zx of %#zx afterwards", at[i],
			   len);
	if (!s->implicit) {
		refused(s, mr, mr->iova + len, 8, true, "behind a long region");
		refused(s, mr, mr->iova - 8, 8, true, "before a long region");
	}
	rig_dereg(mr);
	munmap(p, len);
}

static void run_long(struct scene *s)
{
	long_region(s, 1ul << 31);
	long_region(s, 1ul << 32);
	long_region(s, (1ul << 32) + RIG_PAGE);
	long_region(s, 1ul << 40);
}

static void run_wrapping(struct scene *s)
{
	uint8_t *p = rig_map(RIG_PAGE, 0, RIG_ANON);
	struct rig_mr *mr;

	memset(p, 7, RIG_PAGE);
	/* Registrations that wrap are refused; an explicit one only, as implicit ones have no range. */
	if (!s->implicit) {
		ck_assert_msg(!region(s, (uintptr_t)p, SIZE_MAX - 4096, RIG_RW),
			      "a range that wraps was registered");
		ck_assert_msg(!region(s, UINT64_MAX - 4095, 2 * RIG_PAGE, RIG_RW),
			      "a range that wraps was registered");
	}
	mr = rig_reg(s->rig, p, RIG_PAGE, RIG_IOVA_SAME, RIG_RW, true);
	refused(s, mr, UINT64_MAX - 3, 8, true, "a range that wraps");
	refused(s, mr, UINT64_MAX - 7, 8, true, "the last bytes of 64 bits");
	ck_assert_int_eq(rig_diff_byte(p, RIG_PAGE, 7), -1);
	rig_dereg(mr);
	rig_unmap(p, RIG_PAGE);
}

static void run_unaligned(struct scene *s)
{
	uint8_t *p = rig_map(4 * RIG_PAGE, 0, RIG_ANON);
	struct rig_mr *mr = rig_reg(s->rig, p + 100, 9000, RIG_IOVA_SAME, RIG_RW, true);
	uint64_t base = (uintptr_t)p + 100;

	rig_fill(p, 4 * RIG_PAGE, 3, 0);
	rig_fill(s->stage.buf, 9000, 4, 0);
	RIG_OK(rig_write(s->stage.pair, ours(s, 9000), rig_at(mr, 0, 9000)));
	rig_expect(p, 100, 3, 0, "before the region");
	rig_expect(p + 100, 9000, 4, 0, "the region");
	rig_expect(p + 9100, 4 * RIG_PAGE - 9100, 3, 9100, "behind the region");
	if (!s->implicit) {
		refused(s, mr, base - 1, 8, true, "one byte before the region");
		refused(s, mr, base + 8993, 8, true, "one byte behind the region");
	}
	rig_expect(p + 100, 9000, 4, 0, "the region, after refusals");
	rig_dereg(mr);
	rig_unmap(p, 4 * RIG_PAGE);
}

#define FORBIDDEN(name, event, function)								\
	{ 24, name, event, "", PAGES_4K, ON_ANON, GONE, 0, .run = function }
#define EDGE(name, event, function)									\
	{ 30, name, event, "", PAGES_4K, ON_ANON, GONE, 0, .run = function }

const struct row edge_rows[] = {
	FORBIDDEN("device", "a VM_PFNMAP, VM_IO mapping", run_device_mapping),
	FORBIDDEN("secret", "memfd_secret", run_secret),
	FORBIDDEN("no-access", "PROT_NONE, never mapped", run_no_access),
	FORBIDDEN("text", "text of the program, vdso", run_text),
	FORBIDDEN("kernel", "kernel addresses, vsyscall, address 0", run_kernel_range),
	EDGE("top", "the last page of the address space", run_top),
	EDGE("no-length", "a region without length", run_no_length),
	EDGE("long", "2^31, 2^32, 2^40 bytes", run_long),
	EDGE("wrapping", "ranges that wrap", run_wrapping),
	EDGE("unaligned", "unaligned start and end", run_unaligned),
	{ 0 }
};
