// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * Client of the key-value example:
 *
 *	kv_client [-d DEVICE] [-p PORT] [-n KEYS] ADDRESS
 *
 * Stores KEYS values, each made from its key, reads all of them back in another order, and looks at
 * every byte. Exit code 1 when one is missing or wrong.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "kv.h"

struct client {
	struct kv kv;
	struct kv_slot *slot;
	struct odpreg_mem mem;
};

static void make(struct kv_slot *slot, uint64_t key)
{
	uint64_t state = key * 2862933555777941757ull + 3037000493ull;
	uint32_t i;

	memset(slot, 0, sizeof(*slot));
	slot->key = key;
	slot->len = KV_VALUE - (uint32_t)(key % 64);
	for (i = 0; i < slot->len; i++) {
		state = state * 6364136223846793005ull + 1442695040888963407ull;
		slot->value[i] = (char)(state >> 56);
	}
	slot->sum = kv_sum(slot);
}

/* By message: false when the server has no room. The answer comes where the slot went from. */
static bool put(struct client *c, uint64_t key)
{
	make(c->slot, key);
	kv_send(&c->kv, c->slot, KV_SLOT, &c->mem);
	kv_wait(&c->kv, 1);
	kv_receive(&c->kv, c->slot, KV_SLOT, &c->mem);
	kv_wait(&c->kv, 1);
	return *(uint32_t *)c->slot;
}

/* By RDMA reads only. A slot that was caught half written is read again. */
static bool get(struct client *c, uint64_t key)
{
	uint64_t i, home = kv_home(key, c->kv.peer.slots);

	for (i = 0; i < c->kv.peer.slots; i++) {
		do {
			kv_read(&c->kv, c->slot, &c->mem, (home + i) % c->kv.peer.slots);
			kv_wait(&c->kv, 1);
		} while (c->slot->len && c->slot->sum != kv_sum(c->slot));
		if (!c->slot->len)
			return false;
		if (c->slot->key == key)
			return true;
	}
	return false;
}

static unsigned long check(struct client *c, uint64_t keys)
{
	static struct kv_slot want;
	unsigned long wrong = 0;
	uint64_t i, key;

	for (i = 0; i < keys; i++) {
		key = 1 + (i * 7919) % keys;
		make(&want, key);
		if (get(c, key) && !memcmp(&want, c->slot, sizeof(want)))
			continue;
		if (!wrong++)
			fprintf(stderr, "key %lu is missing or wrong\n", (unsigned long)key);
	}
	return wrong;
}

static int server_at(const char *address, uint16_t port)
{
	struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons(port) };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (inet_pton(AF_INET, address, &to.sin_addr) != 1)
		kv_fail(address, EINVAL);
	if (connect(fd, (struct sockaddr *)&to, sizeof(to)))
		kv_fail(address, errno);
	return fd;
}

static unsigned long run(struct client *c, int socket, uint64_t keys)
{
	unsigned long wrong;
	uint64_t key;
	char byte;

	kv_connect(&c->kv, socket);
	if (read(socket, &byte, 1) != 1)
		kv_fail("the server", ECONNRESET);
	for (key = 1; key <= keys; key++)
		if (!put(c, key))
			kv_fail("the table is full", ENOSPC);
	wrong = check(c, keys);
	memset(c->slot, 0, KV_SLOT);
	kv_send(&c->kv, c->slot, KV_SLOT, &c->mem);
	kv_wait(&c->kv, 1);
	return wrong;
}

int main(int argc, char **argv)
{
	struct client c = { .slot = NULL };
	const char *device = NULL;
	uint64_t keys = 1000;
	uint16_t port = 7471;
	unsigned long wrong;
	int option, err;

	while ((option = getopt(argc, argv, "d:p:n:")) != -1) {
		switch (option) {
		case 'd': device = optarg; break;
		case 'p': port = (uint16_t)atoi(optarg); break;
		case 'n': keys = strtoull(optarg, NULL, 0); break;
		default: return 2;
		}
	}
	if (optind + 1 != argc || !keys) {
		fprintf(stderr, "usage: kv_client [-d DEVICE] [-p PORT] [-n KEYS] ADDRESS\n");
		return 2;
	}
	kv_open(&c.kv, device);
	c.slot = aligned_alloc(KV_SLOT, KV_SLOT);
	err = c.slot ? odpreg_get(c.kv.domain, c.slot, KV_SLOT, IBV_ACCESS_LOCAL_WRITE, &c.mem) : ENOMEM;
	if (err)
		kv_fail("odpreg_get", err);
	wrong = run(&c, server_at(argv[optind], port), keys);
	printf("%lu keys of %u bytes stored and read back, %lu wrong; buffer: %s\n", (unsigned long)keys,
	       KV_SLOT, wrong, kv_text(&c.mem));
	odpreg_put(c.kv.domain, &c.mem);
	kv_close(&c.kv);
	return !!wrong;
}
