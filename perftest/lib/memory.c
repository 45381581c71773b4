// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/* Memory, its registration in all ways, and what the system tells of it. */
#include <fcntl.h>
#include <rdma/ib_user_ioctl_cmds.h>
#include <rdma/rdma_user_ioctl_cmds.h>
#include <sys/ioctl.h>

#include "bench.h"

#define ACCESS	(IBV_ACCESS_LOCAL_WRITE | IBV_ACCESS_REMOTE_WRITE | IBV_ACCESS_REMOTE_READ |	\
		 IBV_ACCESS_REMOTE_ATOMIC)

/* What lies in front of the next multiple of 2 MiB, and behind the end, is given back. */
void *bench_map(size_t len, bool huge)
{
	size_t whole = len + HUGE;
	uintptr_t start;
	char *p;

	p = mmap(NULL, whole, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE,
		 -1, 0);
	if (p == MAP_FAILED)
		bench_die("cannot map %zu bytes: %s", whole, strerror(errno));
	start = ((uintptr_t)p + HUGE - 1) & ~(HUGE - 1);
	if (start > (uintptr_t)p)
		munmap(p, start - (uintptr_t)p);
	len = (len + PAGE - 1) & ~(PAGE - 1);
	if (start + len < (uintptr_t)p + whole)
		munmap((void *)(start + len), (uintptr_t)p + whole - start - len);
	madvise((void *)start, len, huge ? MADV_HUGEPAGE : MADV_NOHUGEPAGE);
	return (void *)start;
}

void bench_unmap(void *addr, size_t len)
{
	if (munmap(addr, (len + PAGE - 1) & ~(PAGE - 1)))
		bench_die("munmap: %s", strerror(errno));
}

struct ibv_mr *bench_try_reg(void *addr, size_t len, enum bench_memory memory)
{
	switch (memory) {
	case MEM_PINNED:
		return ibv_reg_mr(bench.pd, addr, len, ACCESS);
	case MEM_EXPLICIT:
		return ibv_reg_mr(bench.pd, addr, len, ACCESS | IBV_ACCESS_ON_DEMAND);
	case MEM_IMPLICIT:
		return ibv_reg_mr(bench.pd, NULL, SIZE_MAX, ACCESS | IBV_ACCESS_ON_DEMAND);
	default:
		errno = EINVAL;
		return NULL;
	}
}

struct ibv_mr *bench_reg(void *addr, size_t len, enum bench_memory memory)
{
	struct ibv_mr *mr = bench_try_reg(addr, len, memory);

	if (!mr)
		bench_die("%s registration of %zu bytes on %s: %s", bench_memory_name[memory], len,
			  bench.device, strerror(errno));
	return mr;
}

void bench_dereg(struct ibv_mr *mr)
{
	if (ibv_dereg_mr(mr))
		bench_die("cannot deregister: %s", strerror(errno));
}

void bench_reg_kinds(void *addr, size_t len, struct ibv_mr **mr)
{
	enum bench_memory memory;

	for (memory = MEM_PINNED; memory < MEM_KINDS; memory++)
		if (bench_has(memory))
			mr[memory] = bench_reg(addr, len, memory);
}

void bench_dereg_kinds(struct ibv_mr **mr)
{
	enum bench_memory memory;

	for (memory = MEM_PINNED; memory < MEM_KINDS; memory++)
		if (bench_has(memory))
			bench_dereg(mr[memory]);
}

/*
 * The command itself, for providers of rdma-core that do not hand it on (rxe's, up to 56). The
 * kernel refuses it if the device is not one of rxe's.
 */
static int advise_by_ioctl(struct ib_uverbs_sge *sge, uint64_t advice, uint32_t flags)
{
	struct {
		struct ib_uverbs_ioctl_hdr hdr;
		struct ib_uverbs_attr attr[4];
	} cmd = {
		.hdr = {
			.length = sizeof(cmd), .object_id = UVERBS_OBJECT_MR,
			.method_id = UVERBS_METHOD_ADVISE_MR, .num_attrs = 4,
			.driver_id = RDMA_DRIVER_RXE,
		},
		.attr = {
			{ UVERBS_ATTR_ADVISE_MR_PD_HANDLE, 0, UVERBS_ATTR_F_MANDATORY, { .reserved = 0 },
			  { .data = bench.pd->handle } },
			{ UVERBS_ATTR_ADVISE_MR_ADVICE, sizeof(advice), UVERBS_ATTR_F_MANDATORY,
			  { .reserved = 0 }, { .data = advice } },
			{ UVERBS_ATTR_ADVISE_MR_FLAGS, sizeof(flags), UVERBS_ATTR_F_MANDATORY,
			  { .reserved = 0 }, { .data = flags } },
			{ UVERBS_ATTR_ADVISE_MR_SGE_LIST, sizeof(*sge), UVERBS_ATTR_F_MANDATORY,
			  { .reserved = 0 }, { .data = (uintptr_t)sge } },
		},
	};

	return ioctl(bench.ctx->cmd_fd, RDMA_VERBS_IOCTL, &cmd) ? errno : 0;
}

static int prefetch_piece(struct ibv_mr *mr, void *addr, uint32_t len, bool write)
{
	enum ibv_advise_mr_advice advice = write ? IBV_ADVISE_MR_ADVICE_PREFETCH_WRITE :
						   IBV_ADVISE_MR_ADVICE_PREFETCH;
	struct ibv_sge sge = { (uintptr_t)addr, len, mr->lkey };
	struct ib_uverbs_sge raw = { .addr = (uintptr_t)addr, .length = len, .lkey = mr->lkey };
	int err;

	err = ibv_advise_mr(bench.pd, advice, IB_UVERBS_ADVISE_MR_FLAG_FLUSH, &sge, 1);
	if (err != EOPNOTSUPP)
		return err;
	return advise_by_ioctl(&raw, advice, IB_UVERBS_ADVISE_MR_FLAG_FLUSH);
}

int bench_prefetch(struct ibv_mr *mr, void *addr, size_t len, bool write)
{
	size_t piece, at;
	int err = 0;

	for (at = 0; at < len && !err; at += piece) {
		piece = len - at < 1ul << 30 ? len - at : 1ul << 30;
		err = prefetch_piece(mr, (char *)addr + at, (uint32_t)piece, write);
	}
	return err;
}

int64_t bench_meminfo(const char *name)
{
	FILE *f = fopen("/proc/meminfo", "re");
	size_t n = strlen(name);
	int64_t value = -1;
	char line[128];

	if (!f)
		bench_die("cannot read /proc/meminfo: %s", strerror(errno));
	while (fgets(line, sizeof(line), f))
		if (!strncmp(line, name, n) && line[n] == ':')
			value = strtoll(line + n + 1, NULL, 10) * 1024;
	fclose(f);
	return value;
}

int64_t bench_rss(void)
{
	FILE *f = fopen("/proc/self/statm", "re");
	long size, pages;

	if (!f || fscanf(f, "%ld %ld", &size, &pages) != 2)
		bench_die("cannot read /proc/self/statm: %s", strerror(errno));
	fclose(f);
	return pages * (int64_t)PAGE;
}

int64_t bench_counter(const char *name)
{
	char path[256], text[32];
	ssize_t n;
	int fd;

	snprintf(path, sizeof(path), "/sys/class/infiniband/%s/ports/%llu/hw_counters/%s",
		 bench.device, (unsigned long long)bench.port, name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -1;
	n = read(fd, text, sizeof(text) - 1);
	close(fd);
	if (n <= 0)
		return -1;
	text[n] = '\0';
	return strtoll(text, NULL, 10);
}
