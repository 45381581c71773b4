// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/* One row: idle, each of the six checks after each event; or under load. */
#include "scene.h"

#define NEAR	(STAGE_WAY / 2)		/* what is looked at from either end of a part */
#define ENOUGH	20ul			/* operations of the traffic, at least */
#define PEER	0x9ee9ull

struct part {
	size_t at;
	size_t len;
};

static bool reads_only(const struct scene *s)
{
	return s->row->flags & ROW_READS;
}

static uint32_t near(size_t len)
{
	return (uint32_t)(len < NEAR ? len : NEAR);
}

static void works(struct scene *s, size_t at, size_t len, const char *when)
{
	if (!reads_only(s)) {
		stage_works(&s->stage, at, len, when);
		return;
	}
	stage_reads(&s->stage, at, near(len), when);
	stage_reads(&s->stage, at + len - near(len), near(len), when);
}

/* ------------------------------------------------------------------ idle */

/* The bytes that the part must have, by the CPU's view and, before that, by the wire's. */
static void has(struct scene *s, struct part p, uint8_t *want, bool write_first, const char *when)
{
	uint32_t n = near(p.len);
	size_t i;

	if (write_first && !reads_only(s)) {
		size_t from = p.at + (s->whole ? 0 : n / 3), end = p.at + n;

		stage_writes(&s->stage, from, (uint32_t)(end - from), when);
		memcpy(want, s->mem + p.at, n);
	}
	stage_reads(&s->stage, p.at, n, when);
	stage_reads(&s->stage, p.at + p.len - n, n, when);
	if (!memcmp(s->mem + p.at, want, p.len))
		return;
	for (i = 0; s->mem[p.at + i] == want[i]; i++)
		;
	ck_abort_msg("%s: the byte at %#zx is %#04x instead of %#04x", when, p.at + i,
		     s->mem[p.at + i], want[i]);
}

static void refuses(struct scene *s, struct part p)
{
	bool write_only = s->row->outcome == READ_ONLY;

	stage_refused(&s->stage, p.at, 100, write_only, "in the part, its first bytes");
	stage_refused(&s->stage, p.at + p.len - 100, 100, write_only,
		      "in the part, its last bytes");
	if (p.at && !s->whole)
		stage_refused(&s->stage, p.at - 50, 100, write_only, "from before into the part");
}

static void heard(struct scene *s)
{
	const char *want = s->row->notifier;
	int64_t count;

	if (!want)
		return;
	count = stage_heard(&s->stage, *want ? want : "any");
	if (count < 0)
		return;
	ck_assert_msg(*want || !count, "the region heard of something:%s",
		      stage_heard_text(&s->stage));
	ck_assert_msg(!*want || count, "the region did not hear of %s, but:%s", want,
		      stage_heard_text(&s->stage));
}

static void around(struct scene *s, struct part p, const char *when)
{
	if (p.at)
		works(s, p.at - RIG_PAGE, RIG_PAGE, when);
	if (p.at + p.len < s->len && !(s->row->flags & ROW_TAIL))
		works(s, p.at + p.len, RIG_PAGE, when);
}

static void captured(struct scene *s, struct part p, struct capture *c)
{
	if (s->row->flags & ROW_PIN)
		stage_ghost_is_gone(&s->stage, "after the event");
	if (s->row->flags & ROW_PEER) {
		rig_fill(s->peer + p.at, p.len, PEER, 0);
		works(s, p.at, p.len, "with the old pages rewritten");
		rig_expect(s->peer + p.at, p.len, PEER, 0, "the old pages, under their new owner");
	}
	capture_kept(c);
}

static void one_event(struct scene *s, struct part p, bool write_first)
{
	const struct row *row = s->row;
	uint8_t *want = malloc(p.len), *before = malloc(p.len);
	struct capture c;

	ck_assert(want && before);
	works(s, p.at, p.len, "before");
	if (row->flags & ROW_PIN)
		stage_ghost(&s->stage, p.at, (uint32_t)(p.len < STAGE_WAY ? p.len : STAGE_WAY));
	memcpy(want, s->mem + p.at, p.len);
	memcpy(before, want, p.len);
	capture_note(&c, s->mem + p.at, p.len);
	stage_mark(&s->stage);
	row->cause(s, p.at, p.len);
	heard(s);
	if (row->flags & ROW_REUSE)
		capture_take(&c, s->pages);
	if (row->outcome == ZEROS)
		memset(want, 0, p.len);
	if (row->outcome == READ_ONLY || row->outcome == GONE)
		refuses(s, p);
	if (row->outcome == CHANGED || row->outcome == OVERLAID)
		memcpy(want, s->mem + p.at, p.len);
	if (row->outcome != GONE)
		has(s, p, want, write_first && row->outcome != READ_ONLY, "after the event");
	around(s, p, "beside the event");
	if (row->restore)
		row->restore(s, p.at, p.len);
	if (row->outcome == OVERLAID)
		memcpy(want, before, p.len);
	if (row->flags & ROW_ZERO_AFTER)
		memset(want, 0, p.len);
	has(s, p, want, write_first, "when it was over");
	captured(s, p, &c);
	works(s, p.at, p.len, "at the end");
	around(s, p, "beside it, at the end");
	capture_end(&c, "the part has had its event");
	free(want);
	free(before);
	s->rounds++;
}

static void idle(struct scene *s)
{
	static const struct part small[] = {
		{ 100 * KIB, 64 * KIB },
		{ HUGE - 32 * KIB, 64 * KIB },		/* across two huge pages */
		{ HUGE, HUGE },
		{ 28 * KIB, 4 * KIB },
		{ 0, 2 * HUGE },
	};
	static const struct part large[] = { { 0, HUGE }, { HUGE, HUGE }, { 0, 2 * HUGE } };
	bool huge = s->unit == HUGE;
	const struct part *list = huge ? large : small;
	size_t count = huge ? 3 : 5, first = 0, i;

	if (s->row->flags & ROW_FEW)
		count = huge ? 1 : 3;
	else if (s->brief)
		first = huge ? 0 : 1;
	works(s, 0, s->len, "at the beginning");
	for (i = 0; i < count; i++) {
		struct part p = list[s->row->flags & ROW_FEW && !huge ? (i + 3) % 4 : i + first];

		if (s->row->flags & ROW_ALL)
			p = (struct part){ 0, s->len };
		if (s->row->flags & ROW_TAIL)
			p.len = s->len - p.at;
		if (s->row->flags & ROW_FEW && !huge)
			p.len = RIG_PAGE;
		one_event(s, p, i % 2);
		if (s->row->flags & ROW_ALL && i)
			break;
		if (s->brief && (i || s->implicit || s->pages != PAGES_4K))
			break;
	}
}

/* ------------------------------------------------------------------ under load */

static struct part some_part(struct scene *s)
{
	size_t units = s->len / s->unit, most = s->unit == HUGE ? 1 : s->row->flags & ROW_FEW ? 1 : 32;
	size_t count = 1 + rig_below(&s->rnd, most);
	struct part p = { rig_below(&s->rnd, units - count + 1) * s->unit, count * s->unit };

	if (s->row->flags & ROW_ALL)
		return (struct part){ 0, s->len };
	if (s->row->flags & ROW_TAIL)
		p.at = s->len - p.len;
	else if (s->pages == PAGES_THP && !rig_below(&s->rnd, 4) && !(s->row->flags & ROW_FEW))
		p = (struct part){ rig_below(&s->rnd, s->len / HUGE) * HUGE, HUGE };
	return p;
}

/* What an event left to others: looked at before the next one, with traffic all the time between. */
struct left {
	uint8_t *fresh;
	size_t len;
	bool peer;
};

#define LEFT_MOST	(64 * KIB)
#define GHOST_MOST	(2 * RIG_PAGE)

static bool frees(const struct scene *s)
{
	return s->row->outcome == ZEROS || s->row->flags & (ROW_REUSE | ROW_ZERO_AFTER);
}

/* After the cause: the pages that left have another owner, who fills them. */
static void give_away(struct scene *s, struct part p, struct left *left)
{
	if (s->stage.ghost)
		stage_ghost_fill(&s->stage);
	if (frees(s)) {
		left->len = p.len < LEFT_MOST ? p.len : LEFT_MOST;
		left->fresh = take_freed(left->len);
	}
	if (s->row->flags & ROW_PEER && !left->peer) {
		rig_fill(s->peer, s->len, PEER, 0);
		left->peer = true;
	}
}

static void look_at_left(struct scene *s, struct left *left)
{
	if (s->stage.ghost)
		stage_ghost_kept(&s->stage, "pinned, under load");
	if (left->fresh) {
		rig_expect(left->fresh, left->len, REUSE, 0, "whoever has the freed pages");
		rig_unmap(left->fresh, left->len);
	}
	left->fresh = NULL;
	if (left->peer)
		rig_expect(s->peer, s->len, PEER, 0, "the old pages, under their new owner");
}

static void event_under_load(struct scene *s, struct part p, struct left *left)
{
	struct traffic *t = s->traffic;
	bool tells = row_tells(s->row);

	traffic_aim(t, p.at / RIG_PAGE, p.len / RIG_PAGE);
	rig_sleep(1e-3);
	look_at_left(s, left);
	if (s->row->flags & ROW_PIN)
		stage_ghost(&s->stage, p.at, (uint32_t)(p.len < GHOST_MOST ? p.len : GHOST_MOST));
	if (tells)
		traffic_begin(t, p.at / RIG_PAGE, p.len / RIG_PAGE, row_forbids(s->row));
	s->spared = false;
	s->row->cause(s, p.at, p.len);
	give_away(s, p, left);
	if (row_shuts(s->row) && !s->spared)
		row_hole(s->row, t, p.at, p.len, true);
	else if (s->row->restore)
		rig_sleep(1e-3);
	if (s->row->restore)
		s->row->restore(s, p.at, p.len);
	if (tells)
		traffic_end(t, p.at / RIG_PAGE, p.len / RIG_PAGE, row_forbids(s->row));
	s->rounds++;
}

/* Everything by the wire again, now that nothing moves: a page in sixteen, and both ends. */
static void after_the_load(struct scene *s)
{
	size_t at;

	works(s, 0, s->len, "after the load");
	for (at = 0; at < s->len; at += 16 * RIG_PAGE)
		stage_reads(&s->stage, at, RIG_PAGE, "after the load");
}

static void verdict(struct scene *s)
{
	struct traffic *t = s->traffic;
	bool own = s->row->run;

	printf("%u events, %ju operations, %ju beside an event, %ju refused (%ju in a hole from "
	       "beginning to end), %ju bytes checked\n",
	       s->rounds, (uintmax_t)traffic_ops(t), (uintmax_t)t->raced, (uintmax_t)t->excused,
	       (uintmax_t)t->knocks, (uintmax_t)t->checked);
	ck_assert_msg(!t->bad, "%ju bad bytes; %s", (uintmax_t)t->bad, t->first);
	ck_assert_msg(!t->failed, "%ju operations failed, or came through; %s",
		      (uintmax_t)t->failed, t->first);
	ck_assert_msg((!own && row_forbids(s->row)) || !t->excused,
		      "%ju operations failed over an event that is transient",
		      (uintmax_t)t->excused);
	ck_assert_msg(traffic_ops(t) >= ENOUGH, "only %ju operations came through",
		      (uintmax_t)traffic_ops(t));
	ck_assert_msg(own || !row_shuts(s->row) || t->knocks,
		      "no operation began and ended in any of %u holes", s->rounds);
	/* By far the most events have one; of a few, each may have come between two. */
	ck_assert_msg(own || !row_tells(s->row) || s->rounds < 20 || t->raced,
		      "no operation was under way at any of %u events", s->rounds);
}

static void load_by_events(struct scene *s)
{
	double end = rig_now() + s->seconds;
	struct left left = { 0 };

	/* Some events take longer than that: let the traffic have its turn, and come into a hole. */
	while (s->rounds < 3 || rig_now() < end ||
	       ((traffic_ops(s->traffic) < ENOUGH || (row_shuts(s->row) && !atomic_load(&s->traffic->knocks))) &&
		rig_now() < end + 60 * rig_pace()))
		event_under_load(s, some_part(s), &left);
	/* One event more is looked at after the traffic has been there. */
	rig_sleep(5e-3);
	look_at_left(s, &left);
}

static void load(struct scene *s)
{
	double end;

	s->rnd = rig_rand(s->seed);
	s->traffic = traffic_over(s->rig, s->stage.odp, s->mem, s->len, 1);
	s->traffic->rnd = rig_rand(s->seed + 1);
	printf("random from %#jx: events, %#jx: traffic\n", (uintmax_t)s->rnd.state,
	       (uintmax_t)s->traffic->rnd.state);
	s->traffic->whole = s->whole;
	s->traffic->read_only = reads_only(s);
	if (s->row->outcome == OVERLAID)
		s->traffic->also = 0xcc;	/* the breakpoint of a uprobe */
	stage_mark(&s->stage);
	traffic_start(s->traffic);
	if (s->row->run)
		s->row->run(s);
	else
		load_by_events(s);
	end = rig_now() + 60 * rig_pace();
	while (traffic_ops(s->traffic) < ENOUGH && rig_now() < end)
		rig_sleep(0.01);
	traffic_stop(s->traffic);
	verdict(s);
	if (!s->row->run && s->row->notifier && *s->row->notifier)
		heard(s);
	if (!s->why[0])
		after_the_load(s);
	traffic_free(s->traffic);
	s->traffic = NULL;
}

/* ------------------------------------------------------------------ a row */

static struct rig *open_rig(const struct scene *s)
{
	struct rig_attr attr = rig_attr();

	if (s->whole)
		attr.mtu = RIG_PAGE;
	rig_set_implicit(s->implicit);
	return rig_open(&attr);
}

/* The stage has its memory checked for pages that are held, then the engine, then the log. */
static void perform(struct scene *s)
{
	stage_open_over(&s->stage, s->rig, s->mem, s->len, reads_only(s) ? RIG_READ_ONLY : RIG_RW,
			s->whole);
	s->stage.log = s->row->log;
	if (s->loaded) {
		load(s);
	} else if (s->row->run) {
		s->row->run(s);
		if (!s->why[0])
			stage_works(&s->stage, 0, s->len, "memory of others, afterwards");
	} else {
		idle(s);
	}
	if (s->row->check)
		s->row->check(s);
	scene_unmap(s);
	stage_close(&s->stage);
}

bool scene_run(struct scene *s)
{
	bool ok;

	/* What a row that failed has left: its process ended there. */
	machine_put_back();
	s->rig = open_rig(s);
	s->unit = s->pages == PAGES_HUGETLB || (s->pages == PAGES_THP &&
						s->row->flags & ROW_HUGE_UNIT) ?
		  HUGE : RIG_PAGE;
	s->len = s->row->run ? MIB : 2 * HUGE;
	if (!(s->rig->caps.odp_caps.general_caps & IBV_ODP_SUPPORT))
		return scene_skip(s, "the device has no on-demand paging");
	if (s->implicit && !rig_has_implicit(s->rig))
		return scene_skip(s, "the device has no implicit on-demand paging");
	if (s->pages == PAGES_HUGETLB && s->row->backing != ON_ANON &&
	    s->row->backing != ON_MEMFD &&
	    s->row->backing != ON_SYSV)
		return scene_skip(s, "no huge pages there");
	ok = (!s->row->prepare || s->row->prepare(s)) && scene_map(s) &&
	     (!s->row->ready || s->row->ready(s));
	if (ok)
		perform(s);
	else if (s->mem)
		scene_drop(s);
	if (s->row->finish)
		s->row->finish(s);
	machine_put_back();
	return ok && !s->why[0];
}
