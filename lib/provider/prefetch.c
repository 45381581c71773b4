// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * Pages ahead of the first access, where ODPREG_PREFETCH asks for it. This is advice: a
 * registration is as good without.
 */
#include <errno.h>

#include "provider.h"

/* An element's length has 32 bits. */
#define PIECE	(1ul << 30)
#define PIECES	16

static int advise(struct ibv_pd *pd, uint64_t iova, size_t length, uint32_t lkey, bool writable,
		  bool wait)
{
	enum ibv_advise_mr_advice advice = writable ? IBV_ADVISE_MR_ADVICE_PREFETCH_WRITE
						    : IBV_ADVISE_MR_ADVICE_PREFETCH;
	struct ibv_sge list[PIECES];
	uint32_t count;
	int ret = 0;

	while (length && !ret) {
		for (count = 0; length && count < PIECES; count++) {
			list[count].addr = iova;
			list[count].length = (uint32_t)(length < PIECE ? length : PIECE);
			list[count].lkey = lkey;
			iova += list[count].length;
			length -= list[count].length;
		}
		ret = ibv_cmd_advise_mr(pd, advice, wait ? IBV_ADVISE_MR_FLAG_FLUSH : 0, list,
					count);
	}
	return ret;
}

const char *odpreg_prefetch(struct ibv_pd *pd, const struct odpreg_mr *mr, uint32_t lkey,
			    size_t length)
{
	enum odpreg_prefetch how = odpreg_settings()->prefetch;
	bool wait = how == ODPREG_PREFETCH_SYNC;
	int saved = errno;
	int ret;

	/* There is no prefetching all that a process may ever map. */
	if (how == ODPREG_PREFETCH_NONE || length == SIZE_MAX)
		return "";
	ret = advise(pd, mr->iova, length, lkey, mr->access & IBV_ACCESS_LOCAL_WRITE, wait);
	errno = saved;
	if (ret)
		return ", prefetch failed";
	return wait ? ", prefetched" : ", prefetching";
}
