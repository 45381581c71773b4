/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
#ifndef STUB_LINUX_WORKQUEUE_H
#define STUB_LINUX_WORKQUEUE_H

#include <linux/kernel.h>

struct work_struct;
typedef void (*work_func_t)(struct work_struct *work);

struct work_struct {
	work_func_t	func;
	void		*item;		/* what carries it when it is pending */
	int		disabled;
};

struct delayed_work {
	struct work_struct work;
};

struct workqueue_struct;

#define WQ_UNBOUND	(1U << 1)
#define WQ_MAX_ACTIVE	2048

#define INIT_WORK(w, f) \
	(*(w) = (struct work_struct){ .func = (f) })
#define INIT_DELAYED_WORK(w, f)	INIT_WORK(&(w)->work, f)

static inline struct delayed_work *to_delayed_work(struct work_struct *work)
{
	return container_of(work, struct delayed_work, work);
}

struct workqueue_struct *alloc_workqueue(const char *name, unsigned int flags,
					 int max_active);
void destroy_workqueue(struct workqueue_struct *wq);
void flush_workqueue(struct workqueue_struct *wq);
bool queue_work(struct workqueue_struct *wq, struct work_struct *work);
bool queue_delayed_work(struct workqueue_struct *wq, struct delayed_work *work,
			unsigned long delay);
bool disable_delayed_work_sync(struct delayed_work *work);

#endif /* STUB_LINUX_WORKQUEUE_H */
