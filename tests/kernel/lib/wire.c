// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/* Packets of a peer that is this process. */
#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "wire.h"

#define ETHER		14u
#define IP		20u
#define UDP		8u
#define BTH		12u
#define ICRC		4u
#define HEADERS		(ETHER + IP + UDP + BTH)
#define PORT		4791u		/* RoCE v2 */
#define MTU		9000
#define HERE		0xc0a84d01u	/* 192.168.77.1 */
#define PEER		0xc0a84d02u
#define PEER_MAC	0x020000000002ull

struct wire {
	int tap;
	char netdev[IFNAMSIZ];
	char device[IFNAMSIZ + 4];
	uint8_t mac[6];
	uint16_t id;
	uint32_t crc[256];
};

static void put(uint8_t *p, uint64_t value, int bytes)
{
	while (bytes--) {
		p[bytes] = (uint8_t)value;
		value >>= 8;
	}
}

static uint64_t get(const uint8_t *p, int bytes)
{
	uint64_t value = 0;

	while (bytes--)
		value = value << 8 | *p++;
	return value;
}

static void make_crc(uint32_t *table)
{
	uint32_t c;
	int i, k;

	for (i = 0; i < 256; i++) {
		c = (uint32_t)i;
		for (k = 0; k < 8; k++)
			c = c & 1 ? 0xedb88320u ^ (c >> 1) : c >> 1;
		table[i] = c;
	}
}

/*
 * The invariant CRC: over the frame from the IP header on, with what routers may change as if all
 * its bits were set, and eight such bytes in front, whose CRC this begins with.
 */
static uint32_t icrc(const struct wire *wire, const uint8_t *ip, size_t len)
{
	static const uint8_t varies[] = { 1, 8, 10, 11, IP + 6, IP + 7, IP + UDP + 4 };
	uint8_t opcode = ip[IP + UDP], byte;
	uint32_t crc = 0xdebb20e3u;
	size_t i, k = 0;

	for (i = 0; i < len; i++) {
		byte = ip[i];
		if (k < sizeof(varies) && varies[k] == i) {
			byte = 0xff;
			k++;
		}
		crc = wire->crc[(crc ^ byte) & 0xff] ^ (crc >> 8);
	}
	/*
	 * Stock rxe knows no payload of a flush, looks for it at the BTH, and counts all that
	 * twice.
	 */
	for (i = IP + UDP; opcode == WIRE_FLUSH && i < len; i++)
		crc = wire->crc[(crc ^ ip[i]) & 0xff] ^ (crc >> 8);
	return ~crc;
}

static uint16_t ip_checksum(const uint8_t *ip)
{
	uint32_t sum = 0;
	unsigned int i;

	for (i = 0; i < IP; i += 2)
		sum += (uint32_t)get(ip + i, 2);
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)~sum;
}

/* ------------------------------------------------------------------ the device */

/* A command about one thing or two. */
static bool shell(const char *format, const char *name, const char *other)
{
	char command[300];
	int status;

	snprintf(command, sizeof(command), format, name, other);
	status = system(command);
	return status != -1 && WIFEXITED(status) && !WEXITSTATUS(status);
}

/* A tap device has that address and a neighbour that is never looked for; nothing else is said. */
static bool set_up(const struct wire *wire)
{
	static const char quiet[] =
		"sysctl -qw net.ipv6.conf.%s.disable_ipv6=1 >/dev/null 2>&1%.0s";
	static const char neighbour[] =
		"ip neighbour add 192.168.77.2 lladdr 02:00:00:00:00:02 nud permanent dev %s%.0s";
	const char *name = wire->netdev;

	shell(quiet, name, "");
	return shell("ip address add 192.168.77.1/24 dev %s%.0s", name, "") &&
	       shell("ip link set %s mtu 9000 up%.0s", name, "") && shell(neighbour, name, "") &&
	       shell("rdma link add %s type rxe netdev %s", wire->device, name);
}

static bool make_tap(struct wire *wire)
{
	struct ifreq ifr = { .ifr_flags = IFF_TAP | IFF_NO_PI };
	int fd;

	if (access("/dev/net/tun", F_OK))
		shell("modprobe %s >/dev/null 2>&1%.0s", "tun", "");
	wire->tap = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
	if (wire->tap < 0)
		return false;
	/* A name of its own: the device of a test before may still be on its way out. */
	snprintf(ifr.ifr_name, sizeof(ifr.ifr_name), "wire%d", (int)getpid());
	if (ioctl(wire->tap, TUNSETIFF, &ifr))
		return false;
	memcpy(wire->netdev, ifr.ifr_name, IFNAMSIZ);
	snprintf(wire->device, sizeof(wire->device), "rxe_%s", wire->netdev);
	fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0 || ioctl(fd, SIOCGIFHWADDR, &ifr))
		return false;
	close(fd);
	memcpy(wire->mac, ifr.ifr_hwaddr.sa_data, 6);
	return true;
}

/* The GID of the IPv4 address comes a while after the device. */
static bool has_gid(const struct wire *wire)
{
	static const char want[] = "0000:0000:0000:0000:0000:ffff:c0a8:4d01";
	double end = rig_now() + 20;
	char path[120], text[64];
	int i;

	do {
		for (i = 0; i < 8; i++) {
			snprintf(path, sizeof(path), "/sys/class/infiniband/%s/ports/1/gids/%d",
				 wire->device, i);
			if (rig_read_file(path, text, sizeof(text)) &&
			    !strncmp(text, want, sizeof(want) - 1))
				return true;
		}
		rig_sleep(0.05);
	} while (rig_now() < end);
	return false;
}

struct wire *wire_open(char *why, size_t why_len)
{
	struct wire *wire = calloc(1, sizeof(*wire));

	ck_assert_ptr_nonnull(wire);
	make_crc(wire->crc);
	if (!make_tap(wire)) {
		snprintf(why, why_len, "no tap device (module tun): %s", strerror(errno));
		if (wire->tap >= 0)
			close(wire->tap);
		free(wire);
		return NULL;
	}
	ck_assert_msg(set_up(wire), "no rxe device over %s", wire->netdev);
	ck_assert_msg(has_gid(wire), "%s has no GID of its IPv4 address", wire->device);
	return wire;
}

void wire_close(struct wire *wire)
{
	ck_assert(shell("rdma link delete %s%.0s", wire->device, ""));
	close(wire->tap);
	free(wire);
}

const char *wire_device(const struct wire *wire)
{
	return wire->device;
}

static void modify(struct ibv_qp *qp, struct ibv_qp_attr *attr, int mask, const char *state)
{
	int err = ibv_modify_qp(qp, attr, mask | IBV_QP_STATE);

	ck_assert_msg(!err, "no way to %s: %s", state, strerror(err));
}

static void to_rts(const struct rig *rig, struct ibv_qp *qp, struct ibv_qp_attr *attr, bool rc)
{
	const int reliable = IBV_QP_TIMEOUT | IBV_QP_RETRY_CNT | IBV_QP_RNR_RETRY |
			     IBV_QP_MAX_QP_RD_ATOMIC;

	attr->qp_state = IBV_QPS_RTS;
	attr->timeout = rig->attr.timeout;
	attr->retry_cnt = rig->attr.retry_cnt;
	attr->rnr_retry = rig->attr.rnr_retry;
	attr->max_rd_atomic = 1;
	modify(qp, attr, IBV_QP_SQ_PSN | (rc ? reliable : 0), "RTS");
}

struct rig_pair *wire_connect(struct rig *rig, enum ibv_qp_type type, unsigned int mtu)
{
	struct rig_pair *pair = rig_pair_loose(rig, type);
	struct ibv_qp *qp = pair->end[RIG_B].qp;
	bool rc = type == IBV_QPT_RC;
	struct ibv_qp_attr attr = {
		.qp_state = IBV_QPS_INIT,
		.port_num = rig->port,
		.qp_access_flags = IBV_ACCESS_REMOTE_READ | IBV_ACCESS_REMOTE_WRITE |
				   IBV_ACCESS_REMOTE_ATOMIC | IBV_ACCESS_FLUSH_GLOBAL |
				   IBV_ACCESS_FLUSH_PERSISTENT,
		.dest_qp_num = WIRE_QPN,
		.rq_psn = WIRE_PSN,
		.max_dest_rd_atomic = rig->attr.max_rd_atomic,
		.min_rnr_timer = rig->attr.min_rnr_timer,
		.ah_attr = {
			.is_global = 1, .port_num = rig->port,
			.grh = { .dgid = rig->gid, .sgid_index = rig->gid_index, .hop_limit = 64 },
		},
	};

	if (!rc)
		attr.qp_access_flags = IBV_ACCESS_REMOTE_WRITE;
	for (attr.path_mtu = IBV_MTU_256; 128u << attr.path_mtu < mtu; attr.path_mtu++)
		;
	put(attr.ah_attr.grh.dgid.raw + 12, PEER, 4);
	modify(qp, &attr, IBV_QP_PKEY_INDEX | IBV_QP_PORT | IBV_QP_ACCESS_FLAGS, "INIT");
	attr.qp_state = IBV_QPS_RTR;
	modify(qp, &attr, IBV_QP_AV | IBV_QP_PATH_MTU | IBV_QP_DEST_QPN | IBV_QP_RQ_PSN |
	       (rc ? IBV_QP_MAX_DEST_RD_ATOMIC | IBV_QP_MIN_RNR_TIMER : 0), "RTR");
	to_rts(rig, qp, &attr, rc);
	return pair;
}

/* ------------------------------------------------------------------ packets */

void wire_put(struct wire_packet *p, const void *bytes, size_t len)
{
	ck_assert_uint_le(p->len + len, WIRE_MOST);
	memcpy(p->body + p->len, bytes, len);
	p->len += len;
}

void wire_put_be(struct wire_packet *p, uint64_t value, int bytes)
{
	uint8_t text[8];

	put(text, value, bytes);
	wire_put(p, text, (size_t)bytes);
}

void wire_reth(struct wire_packet *p, uint64_t addr, uint32_t key, uint32_t len)
{
	wire_put_be(p, addr, 8);
	wire_put_be(p, key, 4);
	wire_put_be(p, len, 4);
}

void wire_atomic_eth(struct wire_packet *p, uint64_t addr, uint32_t key, uint64_t swap_add,
		     uint64_t compare)
{
	wire_put_be(p, addr, 8);
	wire_put_be(p, key, 4);
	wire_put_be(p, swap_add, 8);
	wire_put_be(p, compare, 8);
}

void wire_feth(struct wire_packet *p, uint8_t type, uint8_t level)
{
	wire_put_be(p, (uint64_t)level << 4 | type, 4);
}

static void make_ip(struct wire *wire, uint8_t *ip, size_t len)
{
	ip[0] = 0x45;
	put(ip + 2, len, 2);
	put(ip + 4, ++wire->id, 2);
	ip[6] = 0x40;
	ip[8] = 64;
	ip[9] = IPPROTO_UDP;
	put(ip + 12, PEER, 4);
	put(ip + 16, HERE, 4);
	put(ip + 10, ip_checksum(ip), 2);
	put(ip + IP, 0xc123, 2);
	put(ip + IP + 2, PORT, 2);
	put(ip + IP + 4, len - IP, 2);
}

void wire_send_frame(struct wire *wire, const void *frame, size_t len)
{
	ssize_t n = write(wire->tap, frame, len);

	ck_assert_msg(n == (ssize_t)len, "a frame of %zu bytes: %s", len, strerror(errno));
}

void wire_send(struct wire *wire, const struct wire_packet *p)
{
	uint8_t frame[HEADERS + WIRE_MOST + 3 + ICRC] = {};
	uint8_t *ip = frame + ETHER, *bth = ip + IP + UDP;
	size_t pad = -p->len & 3, len = IP + UDP + BTH + p->len + pad;
	uint32_t crc;

	memcpy(frame, wire->mac, 6);
	put(frame + 6, PEER_MAC, 6);
	put(frame + 12, 0x0800, 2);
	make_ip(wire, ip, len + ICRC);
	bth[0] = p->opcode;
	bth[1] = (uint8_t)(0x40 | pad << 4);
	put(bth + 2, 0xffff, 2);
	put(bth + 5, p->qpn, 3);
	put(bth + 8, (p->no_ack ? 0 : 0x80000000u) | p->psn, 4);
	memcpy(bth + BTH, p->body, p->len);
	crc = htole32(icrc(wire, ip, len));
	memcpy(ip + len, &crc, ICRC);
	wire_send_frame(wire, frame, ETHER + len + ICRC);
}

static bool has_aeth(uint8_t opcode)
{
	return opcode == WIRE_READ_FIRST || (opcode >= WIRE_READ_LAST && opcode <= WIRE_ATOMIC_ACK);
}

/* A packet of RoCE for the peer; false: something else. */
static bool parse(const struct wire *wire, const uint8_t *frame, size_t n, struct wire_packet *p)
{
	const uint8_t *ip = frame + ETHER, *bth = ip + IP + UDP, *body = bth + BTH;
	uint32_t crc;
	size_t len;

	if (n < HEADERS + ICRC || get(frame + 12, 2) != 0x0800 || ip[0] != 0x45 ||
	    ip[9] != IPPROTO_UDP || get(ip + IP + 2, 2) != PORT)
		return false;
	len = get(ip + 2, 2);
	ck_assert_msg(len >= IP + UDP + BTH + ICRC && len <= n - ETHER, "a packet of %zu bytes",
		      len);
	memcpy(&crc, ip + len - ICRC, ICRC);
	ck_assert_msg(le32toh(crc) == icrc(wire, ip, len - ICRC), "a packet with a wrong ICRC");
	len -= IP + UDP + BTH + ICRC;
	p->opcode = bth[0];
	p->qpn = (uint32_t)get(bth + 5, 3);
	p->psn = (uint32_t)get(bth + 9, 3);
	p->syndrome = 0;
	if (has_aeth(p->opcode)) {
		ck_assert_uint_ge(len, 4);
		p->syndrome = body[0];
		body += 4;
		len -= 4;
	}
	ck_assert_uint_ge(len, (bth[1] >> 4) & 3);
	p->len = len - ((bth[1] >> 4) & 3);
	ck_assert_uint_le(p->len, WIRE_MOST);
	memcpy(p->body, body, p->len);
	return true;
}

bool wire_receive(struct wire *wire, struct wire_packet *p, double seconds)
{
	struct pollfd fd = { .fd = wire->tap, .events = POLLIN };
	const double end = rig_now() + seconds;
	uint8_t frame[MTU + ETHER];
	double left;
	ssize_t n;

	for (;;) {
		n = read(wire->tap, frame, sizeof(frame));
		if (n > 0 && parse(wire, frame, (size_t)n, p))
			return true;
		if (n > 0)
			continue;
		left = end - rig_now();
		if (left <= 0)
			return false;
		poll(&fd, 1, (int)(left * 1e3) + 1);
	}
}
