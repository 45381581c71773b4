// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * Server of the key-value example:
 *
 *	kv_server [-d DEVICE] [-p PORT] [-s SLOTS]
 *
 * Serves one client, then prints its statistics and ends. ODPREG_POLICY says how the table is
 * registered.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "kv.h"

struct server {
	struct kv kv;
	struct kv_slot *table;
	uint64_t slots;
	struct odpreg_mem table_mem;
	struct kv_slot *request;	/* a slot to store, and behind it the answer to the last */
	struct odpreg_mem request_mem;
};

static void *memory(size_t size)
{
	void *addr = mmap(NULL, size, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (addr == MAP_FAILED)
		kv_fail("memory for the table", errno);
	return addr;
}

static struct odpreg_mem get(struct server *s, void *addr, size_t len, int access)
{
	struct odpreg_mem mem;
	int err = odpreg_get(s->kv.domain, addr, len, access, &mem);

	if (err)
		kv_fail("odpreg_get", err);
	return mem;
}

/* Where the key is or may go; NULL when the table is full. */
static struct kv_slot *place(struct server *s, uint64_t key)
{
	uint64_t i, home = kv_home(key, s->slots);
	struct kv_slot *slot;

	for (i = 0; i < s->slots; i++) {
		slot = &s->table[(home + i) % s->slots];
		if (!slot->len || slot->key == key)
			return slot;
	}
	return NULL;
}

/* True until the client says goodbye, by a slot without a value. */
static bool serve(struct server *s)
{
	struct kv_slot *r = s->request, *slot;

	kv_wait(&s->kv, 1);
	if (!r->len)
		return false;
	slot = r->sum == kv_sum(r) ? place(s, r->key) : NULL;
	if (slot)
		memcpy(slot, r, KV_SLOT);
	r[1].len = !!slot;
	kv_receive(&s->kv, r, KV_SLOT, &s->request_mem);
	kv_send(&s->kv, &r[1].len, sizeof(r->len), &s->request_mem);
	kv_wait(&s->kv, 1);
	return true;
}

static int client_of(uint16_t port)
{
	struct sockaddr_in any = { .sin_family = AF_INET, .sin_port = htons(port) };
	int on = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), client;

	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (bind(fd, (struct sockaddr *)&any, sizeof(any)) || listen(fd, 1))
		kv_fail("listening", errno);
	client = accept(fd, NULL, NULL);
	if (client < 0)
		kv_fail("accept", errno);
	close(fd);
	return client;
}

static void report(struct server *s, uint64_t stored)
{
	struct odpreg_stats stats = { .size = sizeof(stats) };

	odpreg_query_stats(s->kv.domain, &stats);
	printf("stored %lu; registered %lu regions, %lu bytes pinned\n", (unsigned long)stored,
	       (unsigned long)stats.registered, (unsigned long)stats.bytes);
}

int main(int argc, char **argv)
{
	struct server s = { .slots = 1024 };
	const char *device = NULL;
	uint16_t port = 7471;
	uint64_t stored = 0;
	int option, socket;

	while ((option = getopt(argc, argv, "d:p:s:")) != -1) {
		switch (option) {
		case 'd': device = optarg; break;
		case 'p': port = (uint16_t)atoi(optarg); break;
		case 's': s.slots = strtoull(optarg, NULL, 0); break;
		default: return 2;
		}
	}
	if (!s.slots || s.slots > SIZE_MAX / KV_SLOT)
		kv_fail("-s SLOTS", EINVAL);
	kv_open(&s.kv, device);
	s.table = memory(s.slots * KV_SLOT);
	s.table_mem = get(&s, s.table, s.slots * KV_SLOT, IBV_ACCESS_REMOTE_READ);
	s.request = memory(2 * KV_SLOT);
	s.request_mem = get(&s, s.request, 2 * KV_SLOT, IBV_ACCESS_LOCAL_WRITE);
	printf("table of %lu MiB: %s\n", (unsigned long)(s.slots * KV_SLOT >> 20), kv_text(&s.table_mem));
	fflush(stdout);
	s.kv.mine.rkey = s.table_mem.rkey;
	s.kv.mine.table = (uintptr_t)s.table;
	s.kv.mine.slots = s.slots;
	socket = client_of(port);
	kv_connect(&s.kv, socket);
	kv_receive(&s.kv, s.request, KV_SLOT, &s.request_mem);
	/* The client begins when there is somewhere for its first request to go. */
	if (write(socket, "", 1) != 1)
		kv_fail("the client", errno);
	while (serve(&s))
		stored++;
	report(&s, stored);
	close(socket);
	odpreg_put(s.kv.domain, &s.request_mem);
	odpreg_put(s.kv.domain, &s.table_mem);
	kv_close(&s.kv);
	return 0;
}
