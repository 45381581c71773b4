// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/* Row 29: the same pages in many regions. */
#include <sys/wait.h>

#include "scene.h"

#define LEN	(2 * MIB)
#define RW	(PROT_READ | PROT_WRITE)

/* ------------------------------------------------------------------ row 29 */

#define VIEWS	7

/* One way to the same memory. */
struct view {
	struct rig_mr *mr;
	struct rig_pair *pair;
	struct rig_mr *local;
	size_t skip;		/* where in the memory it begins */
	bool writes;
	const char *name;
};

struct views {
	struct view view[VIEWS];
	int count;
	uint8_t *mem;
	uint8_t *buf;
	struct rig *second;
	struct rig_pair *second_pair;
	struct rig_mr *second_local;
};

/* Also what a run that was killed has left. */
static void remove_second_device(void)
{
	machine_run("rdma link delete rxe29 2>/dev/null; ip link delete odpreg29 2>/dev/null");
}

static void add_view(struct views *v, const struct view *view)
{
	v->view[v->count++] = *view;
}

static void add_views(struct scene *s, struct views *v)
{
	struct view base = { .pair = s->stage.pair, .local = s->stage.pinned, .writes = true };
	size_t i;

	for (i = 0; i < 5; i++) {
		struct view view = base;
		size_t len = LEN;
		uint64_t iova = RIG_IOVA_SAME;

		view.name = "the same again";
		if (i == 1) {
			view.writes = false;
			view.name = "read-only";
		} else if (i == 2) {
			view.skip = 64 * KIB;
			len = LEN - 128 * KIB;
			view.name = "a part";
		} else if (i == 3) {
			iova = 0x1000;
			view.name = "another iova";
		}
		rig_set_implicit(s->implicit || (i == 4 && rig_has_implicit(s->rig)));
		view.mr = rig_reg(s->rig, v->mem + view.skip, len, iova,
				  view.writes ? RIG_RW : RIG_READ_ONLY, true);
		if (rig_by_implicit())
			view.name = "the address space";
		add_view(v, &view);
	}
	rig_set_implicit(s->implicit);
}

/* ODPREG_DEVICE2, or another device of rxe's on a network device of its own. */
static const char *second_device(struct scene *s)
{
	const char *name = getenv("ODPREG_DEVICE2");

	if (name)
		return name;
	if (strncmp(ibv_get_device_name(s->rig->ctx->device), "rxe", 3)) {
		scene_skip(s, "no second device: ODPREG_DEVICE2 names one");
		return NULL;
	}
	remove_second_device();
	if (!machine_run("ip link add odpreg29 type dummy && ip link set odpreg29 mtu 9000 up && "
			 "ip address add 10.77.29.1/24 dev odpreg29 && "
			 "rdma link add rxe29 type rxe netdev odpreg29"))
		return "rxe29";
	remove_second_device();
	scene_skip(s, "no second device can be made: ip link add (type dummy), rdma link add failed");
	return NULL;
}

static void add_second_device(struct scene *s, struct views *v, const char *name)
{
	struct rig_attr attr = s->rig->attr;
	struct view view = { .writes = true, .name = "another device" };

	attr.device = name;
	v->second = rig_open(&attr);
	v->second_pair = rig_pair(v->second, IBV_QPT_RC);
	v->buf = rig_map(STAGE_WAY, 0, RIG_ANON);
	v->second_local = rig_reg(v->second, v->buf, STAGE_WAY, RIG_IOVA_SAME, RIG_RW, false);
	view.pair = v->second_pair;
	view.local = v->second_local;
	view.mr = rig_reg(v->second, v->mem, LEN, RIG_IOVA_SAME, RIG_RW, true);
	add_view(v, &view);
}

static void remove_views(struct views *v)
{
	int i;

	for (i = 0; i < v->count; i++)
		rig_dereg(v->view[i].mr);
	if (!v->second)
		return;
	rig_unpair(v->second_pair);
	rig_dereg(v->second_local);
	rig_close(v->second);
	rig_unmap(v->buf, STAGE_WAY);
}

static void view_reads(const struct views *v, const struct view *view, size_t at, const char *when)
{
	uint8_t *buf = view->local->addr;

	memset(buf, 0x5a, RIG_PAGE);
	RIG_OK(rig_read(view->pair, rig_at(view->local, 0, RIG_PAGE),
			rig_at(view->mr, at - view->skip, RIG_PAGE)));
	ck_assert_msg(!memcmp(buf, v->mem + at, RIG_PAGE),
		      "%s: the region that is %s reads other bytes",
		      when, view->name);
}

/* What one writes all see. */
static void view_writes(struct views *v, struct view *view, size_t at, uint64_t seed,
			const char *when)
{
	struct rig_span local = rig_at(view->local, 0, RIG_PAGE);
	struct rig_span there = rig_at(view->mr, at - view->skip, RIG_PAGE);
	int i;

	rig_fill(view->local->addr, RIG_PAGE, seed, 0);
	if (!view->writes && !rig_by_implicit()) {
		RIG_FAILS(rig_write(view->pair, local, there), IBV_WC_REM_ACCESS_ERR);
		rig_reconnect(view->pair);
		return;
	}
	if (!view->writes)
		return;
	RIG_OK(rig_write(view->pair, local, there));
	rig_expect(v->mem + at, RIG_PAGE, seed, 0, "%s: written by the region that is %s", when,
		   view->name);
	for (i = 0; i < v->count; i++)
		view_reads(v, &v->view[i], at, when);
}

static void all_agree(struct views *v, size_t at, uint64_t *seed, const char *when)
{
	int i;

	for (i = 0; i < v->count; i++)
		view_reads(v, &v->view[i], at, when);
	for (i = 0; i < v->count; i++)
		view_writes(v, &v->view[i], at, ++*seed, when);
}

static void happen(uint8_t *mem, int event)
{
	switch (event) {
	case 0:
		madvise(mem, 64 * KIB, MADV_DONTNEED);
		break;
	case 1:
		mmap(mem, 64 * KIB, RW, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
		break;
	case 2:
		mprotect(mem, 64 * KIB, PROT_READ);
		mprotect(mem, 64 * KIB, RW);
		break;
	default:
		if (!fork())
			_exit(0);
		wait(NULL);
		memset(mem, 0x77, 64 * KIB);
	}
}

static void overlap(struct scene *s, const char *second)
{
	struct views v = { .mem = rig_map(LEN, HUGE, RIG_ANON) };
	size_t at = 512 * KIB;
	uint64_t seed = 290;
	int64_t heard;
	int event;

	rig_fill(v.mem, LEN, 29, 0);
	add_views(s, &v);
	if (second)
		add_second_device(s, &v, second);
	fflush(NULL);
	for (event = 0; event < 8; event++, s->rounds++) {
		all_agree(&v, at, &seed, "before");
		stage_mark(&s->stage);
		happen(v.mem + at, event % 4);
		heard = stage_heard(&s->stage, "any");
		ck_assert_msg(heard < 0 || heard >= v.count, "%jd invalidations for %d regions",
			      (intmax_t)heard, v.count);
		all_agree(&v, at, &seed, "after the event");
		at += 64 * KIB;
	}
	remove_views(&v);
	rig_unmap(v.mem, LEN);
}

static void run_overlap(struct scene *s)
{
	overlap(s, NULL);
}

static void run_overlap_devices(struct scene *s)
{
	const char *second = second_device(s);

	if (second)
		overlap(s, second);
}

static void finish_overlap_devices(struct scene *s)
{
	(void)s;
	if (!getenv("ODPREG_DEVICE2"))
		remove_second_device();
}

const struct row race_rows[] = {
	{ 29, "overlap", "the same pages in many regions", "clear", PAGES_4K, ON_ANON, ZEROS, 0,
	  .run = run_overlap },
	{ 29, "overlap-devices", "the same pages in regions of two devices", "clear", PAGES_4K,
	  ON_ANON, ZEROS, 0, .run = run_overlap_devices, .finish = finish_overlap_devices },
	{ 0 }
};
