// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * /sys/kernel/debug/rdma_odp_locks: every read of it measures once
 *
 * A line is "way question bytes value".  Questions:
 *
 *	alone		ns an access, one thread
 *	apart		accesses a ms, two threads, each with its own part
 *	together	the same, both with one part
 *	clear50, clear99	ns an invalidation while another processor
 *			accesses the same part: median, 99th percentile
 *
 * What needs two processors is left out where there is one.
 */
#include <linux/debugfs.h>
#include <linux/delay.h>
#include <linux/kthread.h>
#include <linux/ktime.h>
#include <linux/module.h>
#include <linux/seq_file.h>
#include <linux/slab.h>
#include <linux/sort.h>
#include <linux/workqueue.h>

#include "ways.h"

#define LOCKS_MS	50	/* an interval of measurement */
#define LOCKS_CLEARS	1000
#define LOCKS_BATCH	64	/* accesses between looks at the clock */

struct locks_thread {
	const struct locks_way	*way;
	struct locks_part	*part;
	unsigned int		len;
	void			*buf;
	u64			count;
	struct task_struct	*task;
};

struct locks_bench {
	struct locks_part	*part[2];
	void			*page;
	u64			*sample;
	struct locks_thread	thread[2];
};

static struct dentry *locks_file;
static DEFINE_MUTEX(locks_mutex);

/* Accesses to all slots in turn until it is told to stop. */
static int locks_thread_fn(void *data)
{
	struct locks_thread *thread = data;
	unsigned int i, slot = 0;

	while (!kthread_should_stop()) {
		for (i = 0; i < LOCKS_BATCH; i++, slot++)
			thread->way->access(thread->part, slot % LOCKS_ENTRIES,
					    thread->buf, thread->len);
		WRITE_ONCE(thread->count, thread->count + LOCKS_BATCH);
		cond_resched();
	}
	return 0;
}

static int locks_start(struct locks_thread *thread, int cpu)
{
	struct task_struct *task;

	task = kthread_create_on_node(locks_thread_fn, thread, cpu_to_node(cpu),
				      "odp_locks/%d", cpu);
	if (IS_ERR(task))
		return PTR_ERR(task);
	thread->count = 0;
	thread->task = task;
	kthread_bind(task, cpu);
	wake_up_process(task);
	return 0;
}

static void locks_stop(struct locks_thread *thread)
{
	if (thread->task)
		kthread_stop(thread->task);
	thread->task = NULL;
}

/* Accesses of the first @threads threads, and the ns that they took. */
static int locks_count(struct locks_bench *bench, int threads, u64 *count,
		       u64 *ns)
{
	u64 start, before[2], after[2];
	int i, ret = 0;

	for (i = 0; i < threads && !ret; i++)
		ret = locks_start(&bench->thread[i], i);
	msleep(LOCKS_MS / 5);
	for (i = 0; i < threads; i++)
		before[i] = READ_ONCE(bench->thread[i].count);
	start = ktime_get_ns();
	msleep(LOCKS_MS);
	for (i = 0; i < threads; i++)
		after[i] = READ_ONCE(bench->thread[i].count);
	*ns = ktime_get_ns() - start;
	for (i = 0, *count = 0; i < threads; i++) {
		*count += after[i] - before[i];
		locks_stop(&bench->thread[i]);
	}
	return ret ?: *count ? 0 : -EIO;
}

static int locks_compare(const void *a, const void *b)
{
	const u64 *x = a, *y = b;

	return *x < *y ? -1 : *x > *y;
}

/* On the first processor, while the second one accesses the same part. */
static long locks_clear_fn(void *data)
{
	struct locks_bench *bench = data;
	struct locks_part *part = bench->part[0];
	unsigned int i, slot;
	u64 start;

	for (i = 0; i < LOCKS_CLEARS; i++) {
		slot = i % LOCKS_ENTRIES;
		start = ktime_get_ns();
		bench->thread[1].way->clear(part, slot);
		bench->sample[i] = ktime_get_ns() - start;
		WRITE_ONCE(part->entry[slot], (unsigned long)bench->page);
		/* Let the other side in: it is the usual state of things. */
		udelay(20);
		cond_resched();
	}
	return 0;
}

static int locks_clears(struct locks_bench *bench)
{
	int ret;

	bench->thread[1].part = bench->part[0];
	ret = locks_start(&bench->thread[1], 1);
	if (ret)
		return ret;
	msleep(LOCKS_MS / 5);
	work_on_cpu(0, locks_clear_fn, bench);
	locks_stop(&bench->thread[1]);
	sort(bench->sample, LOCKS_CLEARS, sizeof(*bench->sample), locks_compare,
	     NULL);
	return 0;
}

static int locks_way_show(struct seq_file *m, struct locks_bench *bench,
			  const struct locks_way *way, unsigned int len)
{
	u64 count, ns;
	int i, ret;

	for (i = 0; i < 2; i++) {
		locks_part_init(bench->part[i], way, bench->page);
		bench->thread[i].way = way;
		bench->thread[i].part = bench->part[i];
		bench->thread[i].len = len;
	}
	ret = locks_count(bench, 1, &count, &ns);
	if (ret)
		return ret;
	seq_printf(m, "%s alone %u %llu\n", way->name, len,
		   div64_u64(ns, count));
	if (num_online_cpus() < 2)
		return 0;

	ret = locks_count(bench, 2, &count, &ns);
	if (ret)
		return ret;
	seq_printf(m, "%s apart %u %llu\n", way->name, len,
		   div64_u64(count * NSEC_PER_MSEC, ns));
	bench->thread[1].part = bench->part[0];
	ret = locks_count(bench, 2, &count, &ns);
	if (ret)
		return ret;
	seq_printf(m, "%s together %u %llu\n", way->name, len,
		   div64_u64(count * NSEC_PER_MSEC, ns));
	ret = locks_clears(bench);
	if (ret)
		return ret;
	seq_printf(m, "%s clear50 %u %llu\n%s clear99 %u %llu\n", way->name, len,
		   bench->sample[LOCKS_CLEARS / 2], way->name, len,
		   bench->sample[LOCKS_CLEARS * 99 / 100]);
	return 0;
}

static void locks_free(struct locks_bench *bench)
{
	int i;

	for (i = 0; i < 2; i++) {
		kfree(bench->part[i]);
		kfree(bench->thread[i].buf);
	}
	kfree(bench->page);
	kvfree(bench->sample);
}

static int locks_alloc(struct locks_bench *bench)
{
	int i;

	for (i = 0; i < 2; i++) {
		bench->part[i] = kzalloc(sizeof(*bench->part[i]), GFP_KERNEL);
		bench->thread[i].buf = kzalloc(PAGE_SIZE, GFP_KERNEL);
		if (!bench->part[i] || !bench->thread[i].buf)
			return -ENOMEM;
	}
	bench->page = kzalloc(PAGE_SIZE, GFP_KERNEL);
	bench->sample = kvcalloc(LOCKS_CLEARS, sizeof(*bench->sample),
				 GFP_KERNEL);
	return bench->page && bench->sample ? 0 : -ENOMEM;
}

static int locks_show(struct seq_file *m, void *unused)
{
	static const unsigned int lens[] = { 64, 4096 };
	struct locks_bench bench = {};
	unsigned int i, j;
	int ret;

	mutex_lock(&locks_mutex);
	ret = locks_alloc(&bench);
	for (i = 0; i < ARRAY_SIZE(lens); i++)
		for (j = 0; j < LOCKS_WAYS && !ret; j++)
			ret = locks_way_show(m, &bench, &locks_ways[j],
					     lens[i]);
	locks_free(&bench);
	mutex_unlock(&locks_mutex);
	return ret;
}
DEFINE_SHOW_ATTRIBUTE(locks);

static int __init locks_init(void)
{
	locks_file = debugfs_create_file("rdma_odp_locks", 0400, NULL, NULL,
					 &locks_fops);
	return PTR_ERR_OR_ZERO(locks_file);
}

static void __exit locks_exit(void)
{
	debugfs_remove(locks_file);
}

module_init(locks_init);
module_exit(locks_exit);

MODULE_DESCRIPTION("Ways to keep a page for the time of a copy, compared");
MODULE_AUTHOR("The odpreg maintainers");
MODULE_LICENSE("Dual BSD/GPL");
