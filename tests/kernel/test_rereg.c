// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * ibv_rereg_mr() where on-demand paging comes into it: another range, other rights, another domain,
 * from pinned to on-demand memory and back. Afterwards the old keys are worth nothing, what was
 * forbidden is forbidden, and what failed has changed nothing.
 */
#include "rig.h"

#define LEN	(64 * RIG_PAGE)
#define ODP	IBV_ACCESS_ON_DEMAND
#define TRANS	IBV_REREG_MR_CHANGE_TRANSLATION
#define ACCESS	IBV_REREG_MR_CHANGE_ACCESS
#define PD	IBV_REREG_MR_CHANGE_PD

static struct rig *rig;
static struct rig_pair *pair;
static uint8_t *a, *b, *c;
static struct rig_mr *ma, *mr;

static void setup(void)
{
	rig = rig_open(NULL);
	if (!rig_has_odp(rig))
		return;
	rig_dmesg_mark();
	pair = rig_pair(rig, IBV_QPT_RC);
	a = rig_map(LEN, 0, RIG_ANON);
	b = rig_map(LEN, 0, RIG_ANON);
	c = rig_map(LEN, 0, RIG_ANON);
	rig_fill(a, LEN, 1, 0);
	rig_fill(b, LEN, 2, 0);
	rig_fill(c, LEN, 3, 0);
	ma = rig_reg(rig, a, LEN, RIG_IOVA_SAME, RIG_RW, false);
	mr = rig_reg(rig, b, LEN, RIG_IOVA_SAME, RIG_RW, true);
}

static void teardown(void)
{
	if (ma) {
		rig_dereg(mr);
		rig_dereg(ma);
		rig_unpair(pair);
		rig_odp_settles("regions", 0);
		rig_dmesg_clean();
	}
	rig_close(rig);
}

static void works(const uint8_t *mem, const char *when)
{
	RIG_OK(rig_write(pair, rig_at(ma, 0, 5000), rig_at(mr, 100, 5000)));
	rig_expect(mem + 100, 5000, 1, 0, "%s: written", when);
	RIG_OK(rig_send(pair, rig_at(mr, 100, 5000), rig_at(ma, LEN / 2, 5000)));
	rig_expect(a + LEN / 2, 5000, 1, 0, "%s: sent", when);
}

static void refused(struct rig_span there, const char *what)
{
	struct rig_res res = rig_write(pair, rig_at(ma, 0, there.len), there);

	ck_assert_msg(res.status == IBV_WC_REM_ACCESS_ERR, "%s: %s", what,
		      rig_status_name(res.status));
	rig_reconnect(pair);
}

START_TEST(test_range)
{
	struct rig_span old;

	RIG_NEEDS_ODP(rig);
	works(b, "before");
	old = rig_at(mr, 100, 64);
	ck_assert_int_eq(rig_rereg(mr, TRANS, NULL, c, LEN, RIG_IOVA_SAME, 0), 0);
	works(c, "after");
	rig_expect(b + 5100, LEN - 5100, 2, 5100, "the old range");
	refused(old, "the old key");
	refused(rig_raw((uintptr_t)b, 64, mr->mr->rkey), "the old range");
	refused(rig_at(mr, LEN - 4, 8), "beyond the new range");
}
END_TEST

START_TEST(test_iova)
{
	RIG_NEEDS_ODP(rig);
	ck_assert_int_eq(rig_rereg(mr, TRANS, NULL, c, LEN, 0x100000000, 0), 0);
	works(c, "at another iova");
	refused(rig_raw((uintptr_t)c, 64, mr->mr->rkey), "the address instead of the iova");
}
END_TEST

START_TEST(test_rights)
{
	struct rig_span old;

	RIG_NEEDS_ODP(rig);
	works(b, "before");
	old = rig_at(mr, 100, 64);
	ck_assert_int_eq(rig_rereg(mr, ACCESS, NULL, NULL, 0, 0, RIG_READ_ONLY | ODP), 0);
	refused(old, "the old key");
	refused(rig_at(mr, 100, 64), "a write without the right");
	RIG_OK(rig_read(pair, rig_at(ma, 0, 64), rig_at(mr, 100, 64)));
	ck_assert_int_eq(rig_rereg(mr, ACCESS, NULL, NULL, 0, 0, RIG_RW | ODP), 0);
	rig_fill(a, LEN, 1, 0);
	works(b, "with the right again");
}
END_TEST

START_TEST(test_domain)
{
	struct ibv_pd *pd;

	RIG_NEEDS_ODP(rig);
	pd = ibv_alloc_pd(rig->ctx);
	ck_assert_ptr_nonnull(pd);
	ck_assert_int_eq(rig_rereg(mr, PD, pd, NULL, 0, 0, 0), 0);
	refused(rig_at(mr, 100, 64), "a region of another domain");
	ck_assert_int_eq(rig_rereg(mr, PD, rig->pd, NULL, 0, 0, 0), 0);
	works(b, "back in the domain");
	ck_assert_int_eq(rig_rereg(mr, PD | TRANS, pd, c, LEN, RIG_IOVA_SAME, 0), 0);
	refused(rig_at(mr, 100, 64), "another range of another domain");
	ck_assert_int_eq(rig_rereg(mr, PD | TRANS | ACCESS, rig->pd, c, LEN, RIG_IOVA_SAME,
				   RIG_RW | ODP), 0);
	works(c, "all of it at once");
	ck_assert_int_eq(ibv_dealloc_pd(pd), 0);
}
END_TEST

START_TEST(test_pinned_and_back)
{
	int i;

	RIG_NEEDS_ODP(rig);
	for (i = 0; i < 5; i++) {
		ck_assert_int_eq(rig_rereg(mr, ACCESS, NULL, NULL, 0, 0, RIG_RW), 0);
		rig_odp_settles("regions", 0);
		works(b, "pinned");
		ck_assert_int_eq(rig_rereg(mr, ACCESS, NULL, NULL, 0, 0, RIG_RW | ODP), 0);
		ck_assert_int_eq(rig_odp_counter("regions"), 1);
		works(b, "on demand");
	}
	/* Only an on-demand region follows the map. */
	ck_assert_ptr_eq(mmap(b, LEN, PROT_READ | PROT_WRITE,
			      MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0), b);
	works(b, "new memory");
}
END_TEST

START_TEST(test_everything)
{
	RIG_NEEDS_ODP(rig);
	if (!rig_has_implicit(rig))
		RIG_SKIP("the device has no regions over the whole address space");
	ck_assert_int_eq(rig_rereg(mr, TRANS, NULL, NULL, SIZE_MAX, RIG_IOVA_SAME, 0), 0);
	RIG_OK(rig_write(pair, rig_at(ma, 0, 64), rig_at(mr, (uintptr_t)b, 64)));
	RIG_OK(rig_write(pair, rig_at(ma, 0, 64), rig_at(mr, (uintptr_t)c, 64)));
	rig_expect(b, 64, 1, 0, "one place");
	rig_expect(c, 64, 1, 0, "another");
	ck_assert_int_eq(rig_rereg(mr, TRANS, NULL, b, LEN, RIG_IOVA_SAME, 0), 0);
	works(b, "one range again");
	refused(rig_raw((uintptr_t)c, 64, mr->mr->rkey), "outside of it");
}
END_TEST

/* What is refused leaves region and keys as they were. */
START_TEST(test_refused)
{
	RIG_NEEDS_ODP(rig);
	works(b, "before");
	ck_assert_int_ne(rig_rereg(mr, TRANS, NULL, c, 0, RIG_IOVA_SAME, 0), 0);
	works(b, "no length");
	ck_assert_int_ne(rig_rereg(mr, TRANS, NULL, (void *)(uintptr_t)0xffff888000000000, LEN,
				   RIG_IOVA_SAME, 0), 0);
	works(b, "the kernel's memory");
	ck_assert_int_ne(rig_rereg(mr, TRANS, NULL, c, SIZE_MAX - 4096, RIG_IOVA_SAME, 0), 0);
	works(b, "a length that wraps");
	ck_assert_int_ne(rig_rereg(mr, TRANS, NULL, c, LEN, 0xfffffffffffff000, 0), 0);
	works(b, "an iova that wraps");
	ck_assert_int_ne(rig_rereg(mr, ACCESS, NULL, NULL, 0, 0,
				   IBV_ACCESS_REMOTE_WRITE | ODP), 0);
	works(b, "remote write without local write");
	ck_assert_int_ne(rig_rereg(mr, 0, NULL, NULL, 0, 0, 0), 0);
	works(b, "no change at all");
}
END_TEST

/* The newest command registers as the oldest does; memory of a device it does not take. */
START_TEST(test_newest_command)
{
	const int access[] = { RIG_RW, RIG_RW | ODP };
	struct rig_mr *old = mr;
	int i, err, fd;

	RIG_NEEDS_ODP(rig);
	err = rig_reg_ex(rig, b, LEN, RIG_IOVA_SAME, RIG_RW | ODP, -1, &mr);
	if (err == EPROTONOSUPPORT) {
		mr = old;
		RIG_SKIP("the kernel has no such command");
	}
	ck_assert_msg(!err, "%s", strerror(err));
	ck_assert_int_eq(rig_dereg_handle(rig, mr->mr->handle), 0);
	free(mr);
	for (i = 0; i < 2; i++) {
		/* At another iova than its address: that must be kept. */
		ck_assert_int_eq(rig_reg_ex(rig, b, LEN, 16 * RIG_PAGE, access[i], -1, &mr), 0);
		works(b, i ? "on demand" : "pinned");
		ck_assert_int_eq(rig_dereg_handle(rig, mr->mr->handle), 0);
		refused(rig_at(mr, 0, 64), "deregistered");
		free(mr);
	}
	mr = old;
	fd = memfd_create("not a dma-buf", 0);
	ck_assert_int_eq(rig_reg_ex(rig, b, LEN, 0, RIG_RW, fd, &old), EOPNOTSUPP);
	ck_assert_int_eq(rig_reg_ex(rig, b, LEN, 0, RIG_RW | ODP, fd, &old), EOPNOTSUPP);
	ck_assert_ptr_null(ibv_reg_dmabuf_mr(rig->pd, 0, LEN, 0, fd, RIG_RW));
	ck_assert_int_eq(errno, EOPNOTSUPP);
	ck_assert_ptr_null(ibv_reg_dmabuf_mr(rig->pd, 0, LEN, 0, fd, RIG_RW | ODP));
	ck_assert_int_eq(errno, EOPNOTSUPP);
	close(fd);
	works(b, "afterwards");
}
END_TEST

int main(void)
{
	Suite *s = suite_create("rereg");
	TCase *tc = rig_tcase(s, "rereg", 0);

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, test_range);
	tcase_add_test(tc, test_iova);
	tcase_add_test(tc, test_rights);
	tcase_add_test(tc, test_domain);
	tcase_add_test(tc, test_pinned_and_back);
	tcase_add_test(tc, test_everything);
	tcase_add_test(tc, test_refused);
	tcase_add_test(tc, test_newest_command);
	return rig_main(&s, 1);
}
