// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * What "rdma statistic show mr" and "rdma resource show mr" say of on-demand
 * regions, under the names that mlx5 gives them
 */
#include <net/netlink.h>
#include <rdma/rdma_netlink.h>
#include <rdma/restrack.h>

#include "binding.h"

/*
 * Both are called with a reference of the resource tracker, which
 * deregistration waits for before anything is taken down.
 */
int rxe_odp_fill_stat_mr_entry(struct sk_buff *msg, struct ib_mr *ibmr)
{
	struct odp_region *region = rxe_odp_region(to_rmr(ibmr));
	struct odp_region_stats stats;
	struct nlattr *table;

	if (!region)
		return 0;
	table = nla_nest_start(msg, RDMA_NLDEV_ATTR_STAT_HWCOUNTERS);
	if (!table)
		return -EMSGSIZE;

	odp_region_get_stats(region, &stats);
	if (rdma_nl_stat_hwcounter_entry(msg, "page_faults",
					 stats.page_faults) ||
	    rdma_nl_stat_hwcounter_entry(msg, "page_faults_handled",
					 stats.page_faults_handled) ||
	    rdma_nl_stat_hwcounter_entry(msg, "page_invalidations",
					 stats.page_invalidations) ||
	    rdma_nl_stat_hwcounter_entry(msg, "page_invalidations_handled",
					 stats.page_invalidations_handled) ||
	    rdma_nl_stat_hwcounter_entry(msg, "page_prefetch",
					 stats.page_prefetch)) {
		nla_nest_cancel(msg, table);
		return -EMSGSIZE;
	}
	nla_nest_end(msg, table);
	return 0;
}

int rxe_odp_fill_res_mr_entry(struct sk_buff *msg, struct ib_mr *ibmr)
{
	struct rxe_mr *mr = to_rmr(ibmr);
	struct nlattr *table;
	bool implicit;

	if (!rxe_odp_region(mr))
		return 0;
	table = nla_nest_start(msg, RDMA_NLDEV_ATTR_DRIVER);
	if (!table)
		return -EMSGSIZE;

	implicit = rxe_odp_is_implicit(mr->umem->address, mr->umem->length);
	if (rdma_nl_put_driver_string(msg, "odp",
				      implicit ? "implicit" : "explicit")) {
		nla_nest_cancel(msg, table);
		return -EMSGSIZE;
	}
	nla_nest_end(msg, table);
	return 0;
}
