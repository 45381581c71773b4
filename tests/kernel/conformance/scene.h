/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/*
 * conformance: what can happen to memory under an on-demand region, a row an event.
 *
 * A row says how the event is caused, what the notifier is to hear of it, and what the memory is
 * afterwards. The driver (driver.c) does the rest, for each row that is not of a kind of its own:
 *
 *	idle					under load
 *	----					----------
 *	accesses, so that it is translated	traffic on the region by another thread, in
 *	the page that leaves is captured	  every direction, each byte checked
 *	cause					cause on a random part
 *	  what was heard			restore
 *	  what the wire sees is what the	  again, for some seconds
 *	  CPU sees; or the right refusal	at the end: every byte once more
 *	restore
 *	  reads, writes, atomics; neighbours
 *	  the captured page has been left alone
 *	at the end: no page is held, nothing is in the kernel log
 */
#ifndef SCENE_H
#define SCENE_H

#include <sys/mman.h>

#include "stage.h"
#include "traffic.h"

#define KIB	1024ul
#define MIB	(1024 * KIB)
#define HUGE	(2 * MIB)

#define PAGES_4K	1u
#define PAGES_THP	2u
#define PAGES_HUGETLB	4u
#define PAGES_ANY	(PAGES_4K | PAGES_THP | PAGES_HUGETLB)
#define PAGES_SMALL	(PAGES_4K | PAGES_THP)

enum backing {
	ON_ANON,
	ON_MEMFD,	/* shared; the same pages are mapped a second time at scene->peer */
	ON_TMPFS,	/* the same of a file */
	ON_DISK,	/* the same of a file on ext4 */
	ON_PRIVATE,	/* a private mapping of a file on ext4 */
	ON_DAX,		/* a file on ext4 on persistent memory */
	ON_DAX_REFLINK,	/* the same on XFS, where files can share blocks */
	ON_SYSV,	/* SysV shared memory, attached a second time at scene->peer */
	ON_HEAP,	/* between the old break and the new one */
};

/* What a part is after its event and before restore(). */
enum outcome {
	KEPT,		/* has its contents */
	ZEROS,		/* has lost them */
	CHANGED,	/* has others, which the CPU sees */
	OVERLAID,	/* the same, until restore() */
	READ_ONLY,	/* refuses writes */
	GONE,		/* refuses everything */
};

/* For a row that the driver runs: */
#define ROW_TAIL	0x1u	/* the event takes everything from a place to the end */
#define ROW_ALL		0x2u	/* always the whole memory */
#define ROW_PIN		0x4u	/* the page that leaves can be pinned to be looked at afterwards */
#define ROW_PEER	0x8u	/* the page that leaves stays mapped at scene->peer */
#define ROW_REUSE	0x10u	/* it is freed: fresh memory is filled to get it */
#define ROW_NO_LOAD	0x20u	/* not under load: it can come once only, or another row is that */
#define ROW_FEW		0x40u	/* causes little at a time: each costs the machine something */
#define ROW_READS	0x80u	/* the memory is never written, by nobody */
#define ROW_ZERO_AFTER	0x100u	/* restore() makes zeros of what was lost */
#define ROW_SLOW	0x200u	/* takes long: not in short runs under load */
#define ROW_HOLE	0x800u	/* while it is caused there is nothing for a moment */
#define ROW_HUGE_UNIT	0x1000u	/* transparent huge pages are taken whole */
#define ROW_OWNS_MEM	0x400u	/* ready() replaces the mapping: pages of it are not followed up */

struct scene;

struct row {
	int number;			/* in the table of events */
	const char *name;
	const char *event;		/* how it is caused, for the report */
	const char *notifier;		/* "unmap|clear": one of them; "": nothing; NULL: not judged */
	unsigned int pages;
	enum backing backing;
	enum outcome outcome;
	unsigned int flags;
	/* Before the memory is there: what the machine needs. False with scene->why: a skip. */
	bool (*prepare)(struct scene *s);
	/* With the memory, before the region. */
	bool (*ready)(struct scene *s);
	void (*cause)(struct scene *s, size_t at, size_t len);
	void (*restore)(struct scene *s, size_t at, size_t len);
	/* With everything quiet, before the end. */
	void (*check)(struct scene *s);
	/* After everything. */
	void (*finish)(struct scene *s);
	/* A row of its own kind; all of the above is its business. scene->mem is not there. */
	void (*run)(struct scene *s);
	/* Lines of the kernel log that belong to the event contain this; "*": all but reports of defects. */
	const char *log;
};

struct scene {
	const struct row *row;
	unsigned int pages;
	bool loaded;
	bool implicit;
	bool whole;			/* accesses of whole pages in one packet only */
	bool brief;			/* fewer parts */
	double seconds;			/* under load */
	uint64_t seed;

	struct rig *rig;
	struct stage stage;		/* idle */
	struct traffic *traffic;	/* under load */
	struct rig_mr *odp;
	uint8_t *mem;
	size_t len;
	size_t unit;			/* events begin and end at multiples of it */
	int fd;				/* what is mapped, or -1 */
	uint8_t *peer;
	int shm;			/* the SysV segment; of row 6 pkey, the key */
	bool spared;			/* by cause(): its event did not come to the part */
	struct rig_rand rnd;
	void *own;			/* the row's */
	unsigned int rounds;
	char why[240];
};

/* The table, by groups; each ends with number 0. */
extern const struct row *const row_groups[];

/* Is something refused from after the cause until it is restored? */
bool row_shuts(const struct row *row);
/* Or is there a moment without anything while it is caused? */
bool row_forbids(const struct row *row);
/* May the contents be others for a while, or for good? */
bool row_tells(const struct row *row);
/* The part is shut, with "wait" until the traffic has been refused there, if that comes in time. */
void row_hole(const struct row *row, struct traffic *t, size_t at, size_t len, bool wait);

/* ------------------------------------------------------------------ scene.c */

/* Memory of the row's kind, filled by rig_fill() with seed 1. False with scene->why. */
bool scene_map(struct scene *s);
/* Checks that no page of it is held by anybody when it is unmapped. */
void scene_unmap(struct scene *s);
/* The same without a look, for a row that is skipped. */
void scene_drop(struct scene *s);
/* Fresh mapping of the same kind over a part, with these rights. */
void scene_map_part(struct scene *s, size_t at, size_t len, int prot);
/* As MADV_HUGEPAGE or not, as the kind of pages asks. */
void scene_advise(struct scene *s, size_t at, size_t len);
int scene_madvise(struct scene *s, size_t at, size_t len, int advice, const char *name);
bool scene_is_huge(const uint8_t *at);

/* The whole run: one row, one kind of pages, idle or under load. False with s->why: skipped. */
bool scene_run(struct scene *s);
/* Says why, for "return scene_skip(s, ...)". */
bool scene_skip(struct scene *s, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* ------------------------------------------------------------------ capture.c */

#define CAPTURES	4
#define REUSE		0x0e5eull	/* the pattern of whoever gets a freed page */

/* The pages of a part as they were before its event. */
struct capture {
	uint8_t *mem;
	size_t len;
	uint64_t *pfn;
	size_t pages;
	int node;
	unsigned int kind;
	uint8_t *fresh[CAPTURES];
	unsigned int count;
	size_t got;		/* of the pages, by fresh memory */
};

/* Fresh memory filled with it, whichever pages it gets: for an event among many. */
uint8_t *take_freed(size_t len);
void capture_note(struct capture *c, uint8_t *mem, size_t len);
/* Whoever gets a freed page writes to it: fresh memory of that kind of pages is filled. */
void capture_take(struct capture *c, unsigned int kind);
/* And finds again what it wrote. */
void capture_kept(struct capture *c);
/* None of the pages is mapped nowhere and held by somebody. "what" has happened to them. */
void capture_end(struct capture *c, const char *what);

/* ------------------------------------------------------------------ machine.c */

/* For the parent, before all: what is changed is written down where every process sees it. */
void machine_init(void);
/* Everything that this process has changed is put back; in the parent, what its children left. */
void machine_put_back(void);
bool machine_set(struct scene *s, const char *path, const char *text);
bool machine_swap(struct scene *s, size_t bytes);
bool machine_cgroup(struct scene *s, size_t limit);
bool machine_hugetlb(struct scene *s, unsigned int pages);
bool machine_disk(struct scene *s, char *dir, size_t size);
bool machine_dax(struct scene *s, char *dir, size_t size, bool reflink);
bool machine_ksm(struct scene *s);
bool machine_two_nodes(struct scene *s);
/* The kernel's own moves of pages between nodes; true: as it was before. */
void machine_balancing(bool on);
int machine_run(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* ------------------------------------------------------------------ the rows */

extern const struct row map_rows[], drop_rows[], cow_rows[], huge_rows[], reclaim_rows[], file_rows[],
	uffd_rows[], others_rows[], owner_rows[], storm_rows[], race_rows[], edge_rows[];

/* Shared by groups. */
void cause_munmap(struct scene *s, size_t at, size_t len);
void restore_map(struct scene *s, size_t at, size_t len);
void cause_dontneed(struct scene *s, size_t at, size_t len);
void cause_mremap_away(struct scene *s, size_t at, size_t len);
void restore_mremap_back(struct scene *s, size_t at, size_t len);
void cause_fork_child_writes(struct scene *s, size_t at, size_t len);
void restore_fork(struct scene *s, size_t at, size_t len);
void cause_pageout(struct scene *s, size_t at, size_t len);
bool prepare_swap(struct scene *s);
void cause_fork_child_watches(struct scene *s, size_t at, size_t len);

#endif
