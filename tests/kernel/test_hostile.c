// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * A program that writes to what the driver shares with it. rxe maps its queues into the program;
 * whatever it puts there, the kernel must not hang, and other queue pairs must not notice.
 */
#include "queues.h"

#define LEN	(8ul << 20)

static struct rig *rig;
static struct rig_pair *pair, *other;
static uint8_t *warm, *gone;
static struct rig_mr *pinned, *mw, *mg;

static void setup(void)
{
	rig = rig_open(NULL);
	if (!rig_has_odp(rig))
		return;
	rig_dmesg_mark();
	other = rig_pair(rig, IBV_QPT_RC);
	warm = rig_map(LEN, 0, RIG_ANON);
	gone = rig_map(RIG_PAGE, 0, RIG_ANON);
	rig_fill(warm, LEN, 1, 0);
	pinned = rig_reg(rig, warm, LEN, RIG_IOVA_SAME, RIG_RW, false);
	mw = rig_reg(rig, warm, LEN, RIG_IOVA_SAME, RIG_RW, true);
	mg = rig_reg(rig, gone, RIG_PAGE, RIG_IOVA_SAME, RIG_RW, true);
}

static void teardown(void)
{
	if (pinned) {
		rig_dereg(mg);
		rig_dereg(mw);
		rig_dereg(pinned);
		rig_unpair(pair);
		rig_unpair(other);
		rig_dmesg_clean();
	}
	rig_close(rig);
}

/*
 * A slow request, and one whose memory is not there. The send queue is the one whose producer moves
 * when they are posted. Returns it while the kernel still has the first in hand.
 */
static struct rxe_queue_buf *post_both(void)
{
	struct rig_span slow = rig_at(mw, 0, LEN / 2), fails = rig_at(mg, 0, 64);
	struct rig_span there = rig_at(pinned, LEN / 2, LEN / 2);
	struct rig_op op = { .verb = RIG_WRITE, .sg = &slow, .nsg = 1, .remote = there, .wr_id = 1 };
	struct rxe_queue_buf *queue[QUEUES_MOST], *found = NULL;
	uint32_t before[QUEUES_MOST];
	int i, n = queues_find(queue, QUEUES_MOST);

	ck_assert_msg(n >= 4, "only %d queues are mapped", n);
	for (i = 0; i < n; i++)
		before[i] = __atomic_load_n(&queue[i]->producer_index, __ATOMIC_ACQUIRE);
	ck_assert_int_eq(rig_post(pair, &op), 0);
	op.sg = &fails;
	op.remote.len = 64;
	op.wr_id = 2;
	ck_assert_int_eq(rig_post(pair, &op), 0);
	for (i = 0; i < n; i++)
		if (__atomic_load_n(&queue[i]->producer_index, __ATOMIC_ACQUIRE) == before[i] + 2)
			found = queue[i];
	ck_assert_msg(found, "the send queue was not found");
	return found;
}

static void neighbour_works(void)
{
	RIG_OK(rig_write(other, rig_at(pinned, 0, 9000), rig_at(mw, LEN / 2, 9000)));
	rig_expect(warm + LEN / 2, 9000, 1, 0, "another queue pair");
}

/* _i: the bits that the program turns in the producer's index. */
START_TEST(test_send_queue_producer)
{
	static const uint32_t bits[] = { 0x80000000u, 0xffff0000u };
	struct rxe_queue_buf *queue;
	struct ibv_wc wc[2];

	RIG_NEEDS_ODP(rig);
	pair = rig_pair(rig, IBV_QPT_RC);
	munmap(gone, RIG_PAGE);
	queue = post_both();
	__atomic_fetch_xor(&queue->producer_index, bits[_i], __ATOMIC_SEQ_CST);
	rig_sleep(1);
	neighbour_works();
	/* rxe's own requester goes round and round until this. */
	__atomic_fetch_xor(&queue->producer_index, bits[_i], __ATOMIC_SEQ_CST);
	rig_reap(rig, pair->end[RIG_A].scq, wc, 2, "requests in a queue with a wild index");
	ck_assert_int_eq((int)wc[0].wr_id, 1);
	ck_assert_int_eq((int)wc[1].wr_id, 2);
	ck_assert_msg(wc[1].status == IBV_WC_LOC_PROT_ERR, "memory that is gone: %s",
		      rig_status_name(wc[1].status));
	neighbour_works();
}
END_TEST

/* The error path walks the queue from its own index to the producer's, which never stands still. */
START_TEST(test_send_queue_producer_never_still)
{
	struct rxe_queue_buf *queue;
	double end = rig_now() + 0.3;
	uint32_t n = 0;

	RIG_NEEDS_ODP(rig);
	pair = rig_pair(rig, IBV_QPT_RC);
	munmap(gone, RIG_PAGE);
	queue = post_both();
	while (rig_now() < end)
		__atomic_fetch_add(&queue->producer_index, 0x10001u * ++n, __ATOMIC_SEQ_CST);
	neighbour_works();
	/* What comes of the queue is the program's own affair, but it comes to an end. */
	__atomic_store_n(&queue->producer_index,
			 __atomic_load_n(&queue->consumer_index, __ATOMIC_SEQ_CST), __ATOMIC_SEQ_CST);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("hostile program");
	TCase *tc = rig_tcase(s, "queues", 0);

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_loop_test(tc, test_send_queue_producer, 0, 2);
	tcase_add_test(tc, test_send_queue_producer_never_still);
	return rig_main(&s, 1);
}
