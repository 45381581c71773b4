// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * The rxe device as it is registered: true capabilities, our verbs over stock
 */
#include <linux/module.h>

#include "binding.h"

static const struct ib_device_ops rxe_odp_ops = {
	.advise_mr = rxe_odp_advise_mr,
	.fill_res_mr_entry = rxe_odp_fill_res_mr_entry,
	.fill_stat_mr_entry = rxe_odp_fill_stat_mr_entry,
};

static void rxe_odp_set_caps(struct rxe_dev *rxe)
{
	struct ib_odp_caps *caps = &rxe->attr.odp_caps;

	rxe->attr.kernel_cap_flags |= IBK_ON_DEMAND_PAGING;
	caps->general_caps = IB_ODP_SUPPORT | IB_ODP_SUPPORT_IMPLICIT;
	caps->per_transport_caps.rc_odp_caps =
		IB_ODP_SUPPORT_SEND | IB_ODP_SUPPORT_RECV |
		IB_ODP_SUPPORT_WRITE | IB_ODP_SUPPORT_READ |
		IB_ODP_SUPPORT_ATOMIC | IB_ODP_SUPPORT_SRQ_RECV |
		ODP_CAP_FLUSH_ATOMIC_WRITE;
	caps->per_transport_caps.uc_odp_caps =
		IB_ODP_SUPPORT_SEND | IB_ODP_SUPPORT_RECV |
		IB_ODP_SUPPORT_WRITE;
	caps->per_transport_caps.ud_odp_caps =
		IB_ODP_SUPPORT_SEND | IB_ODP_SUPPORT_RECV |
		IB_ODP_SUPPORT_SRQ_RECV;
}

/* Stands where stock rxe calls ib_register_device(). */
int rxe_odp_register_device(struct ib_device *dev, const char *name,
			    struct device *dma_device)
{
	rxe_odp_set_caps(container_of(dev, struct rxe_dev, ib_dev));
	/* Fills what stock has left empty ... */
	ib_set_device_ops(dev, &rxe_odp_ops);
	/* ... and this puts ours over what it has set. */
	rxe_odp_set_mr_ops(dev);
	rxe_odp_set_qp_ops(dev);
	rxe_odp_set_srq_ops(dev);
	/* The core allocates them, and finds the ib_qp at their beginning. */
	static_assert(!offsetof(struct rxe_odp_qp, qp.ibqp));
	dev->ops.size_ib_qp = sizeof(struct rxe_odp_qp);
	return ib_register_device(dev, name, dma_device);
}

/* How a user tells this module from stock rxe: modinfo -F odpreg. */
MODULE_INFO(odpreg, ODPREG_VERSION);
