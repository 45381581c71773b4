// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * Work queues: a task for every item
 *
 * A work is pending from being queued until its function is called, and never
 * runs twice at the same time.  The function may free its work.
 */
#include <limits.h>
#include <stdlib.h>

#include <linux/list.h>
#include <linux/workqueue.h>

#include "mm.h"

struct workqueue_struct {
	const char *name;
};

int stub_max_active;

struct item {
	struct list_head	link;
	struct workqueue_struct	*wq;
	struct work_struct	*work;
	unsigned long		delay;
	unsigned long		deadline;
	bool			started;	/* the delay is over */
	bool			running;
	bool			cancelled;
};

static struct list_head items = { &items, &items };
static long items_n;

static bool item_cancelled(void *arg)
{
	return ((struct item *)arg)->cancelled;
}

static bool work_idle(void *arg)
{
	struct item *item;

	list_for_each_entry(item, &items, link)
		if (item->running && item->work == arg)
			return false;
	return true;
}

static bool queue_idle(void *arg)
{
	struct item *item;

	list_for_each_entry(item, &items, link)
		if (item->wq == arg && (item->started || item->cancelled))
			return false;
	return true;
}

static bool worker_free(void *arg)
{
	struct item *me = arg, *item;
	int running = 0;

	if (me->cancelled || !stub_max_active)
		return true;
	list_for_each_entry(item, &items, link)
		running += item->wq == me->wq && item->running;
	return running < stub_max_active;
}

static void item_end(struct item *item)
{
	list_del(&item->link);
	items_n--;
	free(item);
	stub_big_wake();
}

static void item_run(void *arg)
{
	struct item *item = arg;

	stub_big_lock();
	if (!item->started)
		stub_big_wait(item_cancelled, item, item->deadline, "delayed");
	item->started = true;
	if (!item->cancelled)
		stub_big_wait(work_idle, item->work, ULONG_MAX, "same work");
	if (!item->cancelled)
		stub_big_wait(worker_free, item, ULONG_MAX, "max_active");
	if (!item->cancelled) {
		item->running = true;
		item->work->item = NULL;
		stub_big_unlock();
		item->work->func(item->work);
		stub_big_lock();
	}
	item_end(item);
	stub_big_unlock();
}

static bool queue(struct workqueue_struct *wq, struct work_struct *work,
		  unsigned long delay)
{
	struct item *item = NULL;

	stub_point("queue_work");
	stub_big_lock();
	if (!work->disabled && !work->item) {
		item = calloc(1, sizeof(*item));
		if (!item)
			stub_bug("stub", "out of memory");
		item->wq = wq;
		item->work = work;
		item->started = !delay;
		item->deadline = stub_jiffies() + delay;
		work->item = item;
		list_add_tail(&item->link, &items);
		items_n++;
	}
	stub_big_unlock();
	if (item)
		stub_spawn("worker", NULL, item_run, item);
	stub_point("queue_work");
	return item;
}

bool queue_work(struct workqueue_struct *wq, struct work_struct *work)
{
	return queue(wq, work, 0);
}

bool queue_delayed_work(struct workqueue_struct *wq, struct delayed_work *work,
			unsigned long delay)
{
	return queue(wq, &work->work, delay);
}

bool disable_delayed_work_sync(struct delayed_work *dwork)
{
	struct work_struct *work = &dwork->work;
	struct item *item;

	stub_might_sleep("disable_delayed_work_sync");
	stub_point("disable_delayed_work_sync");
	stub_big_lock();
	work->disabled++;
	item = work->item;
	if (item)
		item->cancelled = true;
	work->item = NULL;
	stub_big_wake();
	stub_big_wait(work_idle, work, ULONG_MAX, "disable_delayed_work_sync");
	stub_big_unlock();
	return item;
}

struct workqueue_struct *alloc_workqueue(const char *name, unsigned int flags,
					 int max_active)
{
	struct workqueue_struct *wq;

	(void)flags;
	(void)max_active;
	if (stub_should_fail())
		return NULL;
	wq = calloc(1, sizeof(*wq));
	if (wq)
		wq->name = name;
	return wq;
}

void flush_workqueue(struct workqueue_struct *wq)
{
	stub_might_sleep("flush_workqueue");
	stub_big_lock();
	stub_big_wait(queue_idle, wq, ULONG_MAX, "flush_workqueue");
	stub_big_unlock();
}

void destroy_workqueue(struct workqueue_struct *wq)
{
	struct item *item;

	flush_workqueue(wq);
	list_for_each_entry(item, &items, link)
		if (item->wq == wq && !item->cancelled)
			stub_bug("work", "a queue is destroyed under a timer");
	free(wq);
}

long stub_works(void)
{
	long n;

	stub_big_lock();
	n = items_n;
	stub_big_unlock();
	return n;
}
