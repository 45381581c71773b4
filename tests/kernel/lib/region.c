// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/* Registration, and advice by the uverbs method itself. */
#include <rdma/ib_user_ioctl_cmds.h>
#include <rdma/ib_user_ioctl_verbs.h>
#include <rdma/ib_user_verbs.h>
#include <rdma/rdma_user_ioctl.h>
#include <sys/ioctl.h>

#include "rig.h"

/* Where the iova is to be another than the address, a region of the address space is of no use. */
static bool by_implicit(const void *addr, uint64_t iova, bool odp)
{
	return odp && rig_by_implicit() &&
	       (iova == RIG_IOVA_SAME || iova == (uintptr_t)addr);
}

static struct ibv_mr *reg(struct rig *rig, void *addr, size_t len, uint64_t iova, int access)
{
	return ibv_reg_mr_iova(rig->pd, addr, len, iova, (unsigned int)access);
}

int rig_try_reg(struct rig *rig, void *addr, size_t len, uint64_t iova, int access, bool odp,
		struct rig_mr **out)
{
	struct rig_mr *mr = calloc(1, sizeof(*mr));

	*out = NULL;
	if (!mr)
		return ENOMEM;
	mr->rig = rig;
	mr->addr = addr;
	mr->len = len;
	mr->iova = iova == RIG_IOVA_SAME ? (uint64_t)(uintptr_t)addr : iova;
	mr->access = access | (odp ? IBV_ACCESS_ON_DEMAND : 0);
	mr->odp = odp;
	errno = 0;
	if (by_implicit(addr, iova, odp))
		mr->mr = reg(rig, NULL, SIZE_MAX, 0, mr->access);
	else
		mr->mr = reg(rig, addr, len, mr->iova, mr->access);
	if (!mr->mr) {
		int err = errno ? errno : EIO;

		free(mr);
		return err;
	}
	*out = mr;
	return 0;
}

struct rig_mr *rig_reg(struct rig *rig, void *addr, size_t len, uint64_t iova, int access, bool odp)
{
	struct rig_mr *mr;
	int err = rig_try_reg(rig, addr, len, iova, access, odp, &mr);

	if (err)
		ck_abort_msg("registration of %zu bytes at %p, iova %#jx, access %#x%s: %s", len, addr,
			     (uintmax_t)iova, (unsigned int)access, odp ? ", on demand" : "",
			     strerror(err));
	return mr;
}

void rig_dereg(struct rig_mr *mr)
{
	int err = ibv_dereg_mr(mr->mr);

	if (err)
		ck_abort_msg("deregistration of %zu bytes at %p: %s", mr->len, mr->addr,
			     strerror(err));
	free(mr);
}

struct rig_span rig_at(const struct rig_mr *mr, uint64_t offset, uint32_t len)
{
	return (struct rig_span){
		.addr = mr->iova + offset,
		.len = len,
		.lkey = mr->mr->lkey,
		.rkey = mr->mr->rkey,
	};
}

struct rig_span rig_raw(uint64_t addr, uint32_t len, uint32_t key)
{
	return (struct rig_span){ .addr = addr, .len = len, .lkey = key, .rkey = key };
}

#define MR_ATTRS	9	/* as many as any method here takes */

static void set_attr(struct ib_uverbs_attr *attr, uint16_t id, uint16_t len, uint64_t data)
{
	*attr = (struct ib_uverbs_attr){
		.attr_id = id, .len = len, .flags = UVERBS_ATTR_F_MANDATORY, .data = data,
	};
}

/* A method of the object "MR" with these attributes; what it answers is put into them. 0 or an errno. */
static int mr_ioctl(struct rig *rig, uint16_t method, struct ib_uverbs_attr *attrs, uint16_t count)
{
	struct {
		struct ib_uverbs_ioctl_hdr hdr;
		struct ib_uverbs_attr attrs[MR_ATTRS];
	} cmd = {
		.hdr = {
			.length = (uint16_t)(sizeof(cmd.hdr) + count * sizeof(*attrs)),
			.object_id = UVERBS_OBJECT_MR,
			.method_id = method,
			.num_attrs = count,
			.driver_id = RDMA_DRIVER_RXE,
		},
	};

	memcpy(cmd.attrs, attrs, count * sizeof(*attrs));
	if (ioctl(rig->ctx->cmd_fd, RDMA_VERBS_IOCTL, &cmd))
		return errno;
	memcpy(attrs, cmd.attrs, count * sizeof(*attrs));
	return 0;
}

int rig_dereg_handle(struct rig *rig, uint32_t handle)
{
	struct ib_uverbs_attr attr;

	set_attr(&attr, UVERBS_ATTR_DESTROY_MR_HANDLE, 0, handle);
	return mr_ioctl(rig, UVERBS_METHOD_MR_DESTROY, &attr, 1);
}

/* UVERBS_METHOD_REG_MR and its attributes, as Linux 7.2 has them. */
enum { REG_MR = UVERBS_METHOD_REG_DMABUF_MR + 1 };
enum {
	REG_HANDLE, REG_PD, REG_DMA_HANDLE, REG_IOVA, REG_ADDR, REG_LENGTH, REG_ACCESS, REG_FD,
	REG_FD_OFFSET, REG_LKEY, REG_RKEY,
};

int rig_reg_ex(struct rig *rig, void *addr, size_t len, uint64_t iova, int access, int fd,
	       struct rig_mr **out)
{
	struct ib_uverbs_attr attrs[MR_ATTRS], *attr = attrs;
	uint32_t lkey = 0, rkey = 0;
	struct rig_mr *mr;
	int err;

	if (iova == RIG_IOVA_SAME)
		iova = (uintptr_t)addr;
	set_attr(attr++, REG_HANDLE, 0, 0);
	set_attr(attr++, REG_PD, 0, rig->pd->handle);
	set_attr(attr++, REG_IOVA, sizeof(uint64_t), iova);
	set_attr(attr++, REG_LENGTH, sizeof(uint64_t), len);
	set_attr(attr++, REG_ACCESS, sizeof(uint32_t), (uint32_t)access);
	set_attr(attr++, REG_LKEY, sizeof(lkey), (uintptr_t)&lkey);
	set_attr(attr++, REG_RKEY, sizeof(rkey), (uintptr_t)&rkey);
	if (fd < 0) {
		set_attr(attr++, REG_ADDR, sizeof(uint64_t), (uintptr_t)addr);
	} else {
		set_attr(attr++, REG_FD, 0, (uint64_t)fd);
		set_attr(attr++, REG_FD_OFFSET, sizeof(uint64_t), iova % RIG_PAGE);
	}
	err = mr_ioctl(rig, REG_MR, attrs, (uint16_t)(attr - attrs));
	if (err)
		return err;

	mr = calloc(1, sizeof(*mr) + sizeof(*mr->mr));
	*mr = (struct rig_mr){
		.rig = rig, .addr = addr, .len = len, .iova = iova, .access = access,
		.odp = access & IBV_ACCESS_ON_DEMAND, .mr = (struct ibv_mr *)(mr + 1),
	};
	mr->mr->handle = (uint32_t)attrs[0].data;
	mr->mr->lkey = lkey;
	mr->mr->rkey = rkey;
	*out = mr;
	return 0;
}

int rig_rereg(struct rig_mr *mr, int flags, struct ibv_pd *pd, void *addr, size_t len, uint64_t iova,
	      int access)
{
	struct ib_uverbs_rereg_mr_resp resp;
	struct {
		struct ib_uverbs_cmd_hdr hdr;
		struct ib_uverbs_rereg_mr cmd;
	} req = {
		.hdr = {
			.command = IB_USER_VERBS_CMD_REREG_MR,
			.in_words = sizeof(req) / 4,
			.out_words = sizeof(resp) / 4,
		},
		.cmd = {
			.response = (uintptr_t)&resp,
			.mr_handle = mr->mr->handle,
			.flags = (uint32_t)flags,
			.start = (uintptr_t)addr,
			.length = len,
			.hca_va = iova == RIG_IOVA_SAME ? (uintptr_t)addr : iova,
			.pd_handle = pd ? pd->handle : 0,
			.access_flags = (uint32_t)access,
		},
	};

	if (write(mr->rig->ctx->cmd_fd, &req, sizeof(req)) != sizeof(req))
		return errno;
	mr->mr->lkey = resp.lkey;
	mr->mr->rkey = resp.rkey;
	if (flags & IBV_REREG_MR_CHANGE_TRANSLATION) {
		mr->addr = addr;
		mr->len = len;
		mr->iova = req.cmd.hca_va;
	}
	if (flags & IBV_REREG_MR_CHANGE_ACCESS)
		mr->access = access;
	return 0;
}

/* One SGE of 16 bytes is longer than the 8 that travel inside the attribute: always a pointer. */
static int advise_ioctl(struct rig *rig, uint32_t advice, uint32_t flags, struct ib_uverbs_sge *sge,
			unsigned int count)
{
	struct ib_uverbs_attr attrs[4];

	set_attr(&attrs[0], UVERBS_ATTR_ADVISE_MR_PD_HANDLE, 0, rig->pd->handle);
	set_attr(&attrs[1], UVERBS_ATTR_ADVISE_MR_ADVICE, sizeof(uint64_t), advice);
	set_attr(&attrs[2], UVERBS_ATTR_ADVISE_MR_FLAGS, sizeof(uint32_t), flags);
	set_attr(&attrs[3], UVERBS_ATTR_ADVISE_MR_SGE_LIST, (uint16_t)(count * sizeof(*sge)),
		 (uintptr_t)sge);
	return mr_ioctl(rig, UVERBS_METHOD_ADVISE_MR, attrs, 4);
}

int rig_advise(struct rig *rig, enum ib_uverbs_advise_mr_advice advice, uint32_t flags,
	       const struct rig_span *list, unsigned int count)
{
	struct ibv_sge sge[64];
	struct ib_uverbs_sge raw[64];
	unsigned int i;
	int err;

	if (count > 64)
		ck_abort_msg("rig_advise: %u spans, 64 at most", count);
	for (i = 0; i < count; i++) {
		sge[i] = (struct ibv_sge){ list[i].addr, list[i].len, list[i].lkey };
		raw[i] = (struct ib_uverbs_sge){
			.addr = list[i].addr, .length = list[i].len, .lkey = list[i].lkey,
		};
	}
	err = ibv_advise_mr(rig->pd, (enum ibv_advise_mr_advice)advice, flags, sge, count);
	if (err == EOPNOTSUPP)
		err = advise_ioctl(rig, advice, flags, raw, count);
	return err;
}
