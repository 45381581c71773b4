// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
#include <rdma/ib_verbs.h>

struct ib_mr *probe(struct ib_device *dev, struct ib_pd *pd,
		    struct ib_dmah *dmah, struct ib_udata *udata);

struct ib_mr *probe(struct ib_device *dev, struct ib_pd *pd,
		    struct ib_dmah *dmah, struct ib_udata *udata)
{
	return dev->ops.reg_user_mr(pd, 0, 0, 0, 0, dmah, udata);
}
