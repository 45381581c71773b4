/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
#ifndef STUB_LINUX_SLAB_H
#define STUB_LINUX_SLAB_H

#include <linux/kernel.h>

#define __GFP_DIRECT_RECLAIM	(1U << 0)
#define __GFP_ACCOUNT		(1U << 1)
#define __GFP_NOWARN		(1U << 2)
#define __GFP_NORETRY		(1U << 3)
#define __GFP_NOFAIL		(1U << 4)
#define GFP_KERNEL		__GFP_DIRECT_RECLAIM
#define GFP_KERNEL_ACCOUNT	(GFP_KERNEL | __GFP_ACCOUNT)
#define GFP_NOWAIT		0U

struct kmem_cache;

struct kmem_cache *kmem_cache_create(const char *name, size_t size);
void kmem_cache_destroy(struct kmem_cache *cache);
void *kmem_cache_zalloc(struct kmem_cache *cache, gfp_t gfp);
void kmem_cache_free(struct kmem_cache *cache, void *obj);
void *kzalloc(size_t size, gfp_t gfp);
void *kcalloc(size_t n, size_t size, gfp_t gfp);
void kfree(const void *obj);

#define KMEM_CACHE(name, flags)	kmem_cache_create(#name, sizeof(struct name))

#endif /* STUB_LINUX_SLAB_H */
