// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * Between rxe's provider and libibverbs.
 *
 * rxe.c is compiled so that the one call by which it hands its table of verbs to
 * libibverbs comes here. libibverbs merges tables: what the second one has replaces
 * what the first one had. So rxe's goes first, then ours, and every verb that is not
 * about registration is rxe's own.
 */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "provider.h"

/* Of rxe's table, which is constant. */
static typeof(((struct verbs_context_ops *)0)->query_device_ex) rxe_query_device_ex;

/*
 * rdma_rxe uses rdma_odp exactly when it is ours. A stock one has no on-demand paging, or
 * one that loses data: nothing of ours is for it.
 */
static bool kernel_is_ours(void)
{
	return !access("/sys/module/rdma_odp/holders/rdma_rxe", F_OK);
}

static int query_device_ex(struct ibv_context *context,
			   const struct ibv_query_device_ex_input *input,
			   struct ibv_device_attr_ex *attr, size_t attr_size)
{
	int ret = rxe_query_device_ex(context, input, attr, attr_size);

	if (ret || odpreg_settings()->mode != ODPREG_NEVER)
		return ret;
	/* attr_size is what the application's own headers say: older ones end before these */
	if (attr_size >= offsetof(struct ibv_device_attr_ex, odp_caps) + sizeof(attr->odp_caps))
		memset(&attr->odp_caps, 0, sizeof(attr->odp_caps));
	if (attr_size >= offsetof(struct ibv_device_attr_ex, xrc_odp_caps) +
			 sizeof(attr->xrc_odp_caps))
		attr->xrc_odp_caps = 0;
	return 0;
}

static int advise_mr(struct ibv_pd *pd, enum ibv_advise_mr_advice advice, uint32_t flags,
		     struct ibv_sge *list, uint32_t count)
{
	if (odpreg_settings()->mode == ODPREG_NEVER)
		return EOPNOTSUPP;
	return ibv_cmd_advise_mr(pd, advice, flags, list, count);
}

static const struct verbs_context_ops odpreg_ops = {
	.advise_mr = advise_mr,
	.dereg_mr = odpreg_dereg_mr,
	.query_device_ex = query_device_ex,
	.reg_mr = odpreg_reg_mr,
#ifdef HAVE_REG_MR_EX
	.reg_mr_ex = odpreg_reg_mr_ex,
#endif
	.rereg_mr = odpreg_rereg_mr,
};

/* Stands where rxe.c calls verbs_set_ops(). */
void odpreg_set_ops(struct verbs_context *vctx, const struct verbs_context_ops *ops);
void odpreg_set_ops(struct verbs_context *vctx, const struct verbs_context_ops *ops)
{
	verbs_set_ops(vctx, ops);
	if (!kernel_is_ours())
		return;
	odpreg_settings();
	rxe_query_device_ex = ops->query_device_ex;
	verbs_set_ops(vctx, &odpreg_ops);
}
