// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/* The six checks of a memory event. */
#include "stage.h"

static const char *const gauge[] = {
	"regions", "windows", "leaves", "entries", "faults_in_flight",
};

#define GAUGES	((int)(sizeof(gauge) / sizeof(gauge[0])))

static const char *const cause[STAGE_EVENTS] = {
	"unmap", "clear", "protection_vma", "protection_page", "soft_dirty", "release", "migrate",
	"exclusive",
};

void stage_open_over(struct stage *s, struct rig *rig, uint8_t *mem, size_t len, int access,
		     bool whole)
{
	int i;

	memset(s, 0, sizeof(*s));
	s->rig = rig;
	s->given = true;
	s->whole = whole;
	s->mem = mem;
	s->len = len;
	for (i = 0; i < GAUGES; i++)
		s->baseline[i] = rig_odp_counter(gauge[i]);
	rig_dmesg_mark();
	s->pair = rig_pair(rig, IBV_QPT_RC);
	s->other = rig_pair(rig, IBV_QPT_RC);
	s->odp = rig_reg(rig, mem, len, RIG_IOVA_SAME, access, true);
	s->buf = rig_map(2 * STAGE_WAY, 0, RIG_ANON);
	s->pinned = rig_reg(rig, s->buf, 2 * STAGE_WAY, RIG_IOVA_SAME, RIG_RW, false);
	s->nonce = 1000;
}

bool stage_open(struct stage *s, bool huge)
{
	struct rig *rig = rig_open(NULL);
	uint8_t *mem;

	memset(s, 0, sizeof(*s));
	s->rig = rig;
	if (!rig_has_odp(rig))
		return false;
	mem = rig_map(STAGE_LEN, 2ul << 20, RIG_ANON);
	madvise(mem, STAGE_LEN, huge ? MADV_HUGEPAGE : MADV_NOHUGEPAGE);
	rig_fill(mem, STAGE_LEN, 1, 0);
	stage_open_over(s, rig, mem, STAGE_LEN, RIG_RW, false);
	s->given = false;
	s->huge = huge;
	return true;
}

/* The engine frees what it no longer needs a little later: give it that. */
static void expect_gauges(const struct stage *s)
{
	int i;

	for (i = 0; i < GAUGES; i++)
		rig_odp_settles(gauge[i], s->baseline[i]);
}

static bool excused(const struct stage *s, const char *line)
{
	if (!s->log)
		return false;
	if (!strcmp(s->log, "*"))
		return !rig_is_defect(line) && !strstr(line, "unable to reap");
	return strcasestr(line, s->log);
}

void stage_close(struct stage *s)
{
	const char *line;

	if (s->odp) {
		rig_unpair(s->pair);
		rig_unpair(s->other);
		if (s->ghost)
			rig_dereg(s->ghost);
		rig_dereg(s->odp);
		rig_dereg(s->pinned);
		expect_gauges(s);
		while ((line = rig_dmesg_new()))
			ck_assert_msg(excused(s, line), "kernel log: %s", line);
		if (!s->given)
			rig_unmap(s->mem, s->len);
		rig_unmap(s->buf, 2 * STAGE_WAY);
	}
	rig_close(s->rig);
}

static struct rig_span result(const struct stage *s, uint32_t len)
{
	return rig_at(s->pinned, STAGE_WAY, len);
}

/* What the wire brought against what the CPU sees. */
static void same(const struct stage *s, size_t at, uint32_t len, const char *verb, const char *when)
{
	const uint8_t *have = s->buf + STAGE_WAY, *want = s->mem + at;
	uint32_t i;

	if (!memcmp(have, want, len))
		return;
	for (i = 0; have[i] == want[i]; i++)
		;
	ck_abort_msg("%s: %s of %u bytes at %#zx: byte %u is %#04x, the CPU sees %#04x", when, verb,
		     len, at, i, have[i], want[i]);
}

static void must(struct rig_res res, const char *verb, size_t at, uint32_t len, const char *when)
{
	ck_assert_msg(rig_res_ok(res), "%s: %s of %u bytes at %#zx: %s, receive: %s", when, verb, len,
		      at, rig_status_name(res.status), rig_status_name(res.peer));
}

/* The whole pages of a piece, at least one and at most four, go one by one. */
static uint32_t whole_pages(size_t *at, uint32_t len)
{
	size_t end = *at + len;

	*at = *at / RIG_PAGE * RIG_PAGE;
	end = (end + RIG_PAGE - 1) / RIG_PAGE * RIG_PAGE;
	return (uint32_t)(end - *at > 4 * RIG_PAGE ? 4 : (end - *at) / RIG_PAGE);
}

static void read_piece(struct stage *s, size_t at, uint32_t len, const char *when)
{
	memset(s->buf + STAGE_WAY, 0x5a, len);
	must(rig_read(s->pair, result(s, len), rig_at(s->odp, at, len)), "read", at, len, when);
	same(s, at, len, "read", when);
	memset(s->buf + STAGE_WAY, 0x5a, len);
	must(rig_send(s->pair, rig_at(s->odp, at, len), result(s, len)), "send", at, len, when);
	same(s, at, len, "send", when);
}

void stage_reads(struct stage *s, size_t at, uint32_t len, const char *when)
{
	uint32_t i, pages;

	if (!s->whole) {
		read_piece(s, at, len, when);
		return;
	}
	pages = whole_pages(&at, len);
	for (i = 0; i < pages; i++)
		read_piece(s, at + i * RIG_PAGE, RIG_PAGE, when);
}

static void arrived(struct stage *s, size_t at, uint32_t len, const char *verb, const char *when)
{
	rig_expect(s->mem + at, len, s->nonce, 0, "%s: %s of %u bytes at %#zx", when, verb, len, at);
}

static void write_piece(struct stage *s, size_t at, uint32_t len, const char *when)
{
	struct rig_span operand = rig_at(s->pinned, 0, len);
	size_t word_at = (at + 7) & ~7ul;
	uint64_t before, after;

	rig_fill(s->buf, len, ++s->nonce, 0);
	must(rig_write(s->pair, operand, rig_at(s->odp, at, len)), "write", at, len, when);
	arrived(s, at, len, "write", when);
	rig_fill(s->buf, len, ++s->nonce, 0);
	must(rig_send(s->pair, operand, rig_at(s->odp, at, len)), "receive", at, len, when);
	arrived(s, at, len, "receive", when);
	if (word_at + 8 > s->len || !rig_odp_atomics(s->rig))
		return;
	memcpy(&before, s->mem + word_at, 8);
	must(rig_fadd(s->pair, result(s, 8), rig_at(s->odp, word_at, 8), s->nonce),
	     "fetch and add", word_at, 8, when);
	memcpy(&after, s->mem + word_at, 8);
	ck_assert_msg(after == before + s->nonce, "%s: fetch and add at %#zx", when, word_at);
	ck_assert_msg(!memcmp(s->buf + STAGE_WAY, &before, 8),
		      "%s: old value of fetch and add at %#zx", when, word_at);
}

void stage_writes(struct stage *s, size_t at, uint32_t len, const char *when)
{
	uint32_t i, pages;

	if (!s->whole) {
		write_piece(s, at, len, when);
		return;
	}
	pages = whole_pages(&at, len);
	for (i = 0; i < pages; i++)
		write_piece(s, at + i * RIG_PAGE, RIG_PAGE, when);
}

void stage_works(struct stage *s, size_t at, size_t len, const char *when)
{
	uint32_t most = (uint32_t)(len < STAGE_WAY / 2 ? len : STAGE_WAY / 2);

	stage_reads(s, at, most, when);
	stage_reads(s, at + len - most, most, when);
	stage_writes(s, at + most / 3, most - most / 3, when);
	stage_writes(s, at + len - most, most - 1, when);
	stage_reads(s, at, most, when);
}

static void fails(struct stage *s, struct rig_res res, int want, const char *what, const char *when)
{
	ck_assert_msg(res.status == want, "%s: %s: %s instead of %s", when, what,
		      rig_status_name(res.status), rig_status_name(want));
	rig_reconnect(s->pair);
	/* The neighbour never noticed. */
	memset(s->buf, 0x11, 8);
	must(rig_write(s->other, rig_at(s->pinned, 0, 8), rig_at(s->pinned, STAGE_WAY, 8)),
	     "write by another queue pair", 0, 8, when);
}

int stage_local_refusal(const struct stage *s, struct rig_res res)
{
	return s->whole && res.status == IBV_WC_WR_FLUSH_ERR ? IBV_WC_WR_FLUSH_ERR :
	       IBV_WC_LOC_PROT_ERR;
}

void stage_refused(struct stage *s, size_t at, uint32_t len, bool write_only, const char *when)
{
	struct rig_span mem = rig_at(s->odp, at, len), operand = rig_at(s->pinned, 0, len);
	struct rig_res res;

	fails(s, rig_write(s->pair, operand, mem), IBV_WC_REM_ACCESS_ERR, "write", when);
	if (rig_odp_atomics(s->rig))
		fails(s, rig_fadd(s->pair, result(s, 8), rig_at(s->odp, (at + len - 8) & ~7ul, 8), 1),
		      IBV_WC_REM_ACCESS_ERR, "fetch and add", when);
	if (!write_only) {
		fails(s, rig_read(s->pair, operand, mem), IBV_WC_REM_ACCESS_ERR, "read", when);
		res = rig_send(s->pair, mem, operand);
		fails(s, res, stage_local_refusal(s, res), "send", when);
	}
	/*
	 * A receive buffer that cannot be written is a local protection error there and a remote
	 * operation error here. rxe's responder says "local QP operation error" there, as it does for
	 * a bad lkey: taken for the same.
	 */
	res = rig_send(s->pair, operand, mem);
	ck_assert_msg(res.peer == IBV_WC_LOC_PROT_ERR || res.peer == IBV_WC_LOC_QP_OP_ERR ||
		      (s->whole && res.peer == IBV_WC_WR_FLUSH_ERR),
		      "%s: the receive: %s instead of %s", when, rig_status_name(res.peer),
		      rig_status_name(IBV_WC_LOC_PROT_ERR));
	fails(s, res, IBV_WC_REM_OP_ERR, "send into the region", when);
}

void stage_ghost(struct stage *s, size_t at, uint32_t len)
{
	ck_assert_uint_le(len, STAGE_WAY);
	s->ghost_at = at;
	s->ghost = rig_reg(s->rig, s->mem + at, len, RIG_IOVA_SAME, RIG_RW, false);
}

#define GHOST	0x6705704eull

void stage_ghost_fill(struct stage *s)
{
	uint32_t len = (uint32_t)s->ghost->len;

	rig_fill(s->buf, len, GHOST, 0);
	must(rig_write(s->other, rig_at(s->pinned, 0, len), rig_at(s->ghost, 0, len)),
	     "write to the old pages", 0, len, "after the event");
}

void stage_ghost_kept(struct stage *s, const char *when)
{
	uint32_t len = (uint32_t)s->ghost->len;

	must(rig_read(s->other, result(s, len), rig_at(s->ghost, 0, len)), "read of the old pages", 0,
	     len, when);
	rig_expect(s->buf + STAGE_WAY, len, GHOST, 0, "%s: the old pages, after access to the new",
		   when);
	rig_dereg(s->ghost);
	s->ghost = NULL;
}

void stage_ghost_is_gone(struct stage *s, const char *when)
{
	uint32_t len = (uint32_t)s->ghost->len;

	stage_ghost_fill(s);
	ck_assert_msg(rig_diff(s->mem + s->ghost_at, len, GHOST, 0) >= 0,
		      "%s: the pages are still the old ones", when);
	stage_reads(s, s->ghost_at, len, when);
	stage_writes(s, s->ghost_at, len, when);
	stage_ghost_kept(s, when);
}

/* What the regions of the device count by themselves, as rdma(8) shows it: mlx5 has it, and ours. */
static int64_t device_counts(void)
{
	const char *name = " page_invalidations ";
	char line[512], *found;
	int64_t sum = -1;
	FILE *f = popen("rdma statistic show mr 2>/dev/null", "re");

	if (!f)
		return -1;
	while (fgets(line, sizeof(line), f)) {
		found = strstr(line, name);
		if (found)
			sum = (sum < 0 ? 0 : sum) + strtoll(found + strlen(name), NULL, 10);
	}
	pclose(f);
	return sum;
}

static int64_t invalidations(void)
{
	int64_t count = rig_odp_counter("page_invalidations");

	return count < 0 ? device_counts() : count;
}

static int64_t count_of(int i)
{
	char name[64];

	snprintf(name, sizeof(name), "invalidations_%s", cause[i]);
	return rig_odp_counter(name);
}

void stage_mark(struct stage *s)
{
	int i;

	for (i = 0; i < STAGE_EVENTS; i++)
		s->heard[i] = count_of(i);
	s->invalidations = invalidations();
}

bool stage_invalidated(struct stage *s)
{
	return s->invalidations < 0 || invalidations() > s->invalidations;
}

int64_t stage_heard(struct stage *s, const char *causes)
{
	char list[96], *name, *rest = list;
	int64_t sum = 0;
	int i;

	if (!strcmp(causes, "any") || s->heard[0] < 0)
		return s->invalidations < 0 ? -1 : invalidations() - s->invalidations;
	snprintf(list, sizeof(list), "%s", causes);
	while ((name = strsep(&rest, "|")))
		for (i = 0; i < STAGE_EVENTS; i++)
			if (!strcmp(name, cause[i]))
				sum += count_of(i) - s->heard[i];
	return sum;
}

const char *stage_heard_text(struct stage *s)
{
	static char text[200];
	size_t used = 0;
	int64_t n;
	int i;

	text[0] = '\0';
	for (i = 0; i < STAGE_EVENTS; i++) {
		n = count_of(i) - s->heard[i];
		if (s->heard[i] >= 0 && n && used < sizeof(text))
			used += (size_t)snprintf(text + used, sizeof(text) - used, " %s %jd", cause[i],
						 (intmax_t)n);
	}
	return used ? text : " nothing";
}
