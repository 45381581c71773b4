// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/* What the library asks of libibverbs: public calls only. */
#include <errno.h>

#include "reg.h"

static struct ibv_mr *verbs_reg(struct ibv_pd *pd, void *addr, size_t len, int access)
{
	/* Not the macro: it looks at the access at compile time. */
	return (ibv_reg_mr)(pd, addr, len, access);
}

static int verbs_advise(struct ibv_pd *pd, enum ibv_advise_mr_advice advice, uint32_t flags,
			struct ibv_sge *sge)
{
	return ibv_advise_mr(pd, advice, flags, sge, 1);
}

static int verbs_query(struct ibv_pd *pd, struct ibv_odp_caps *caps)
{
	struct ibv_device_attr_ex attr = { 0 };
	int err = ibv_query_device_ex(pd->context, NULL, &attr);

	*caps = attr.odp_caps;
	return err < 0 ? -err : err;
}

const struct reg_ops reg_verbs = {
	.reg = verbs_reg,
	.dereg = ibv_dereg_mr,
	.advise = verbs_advise,
	.query = verbs_query,
};
