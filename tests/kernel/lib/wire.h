/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/*
 * wire: a peer that sends whatever it likes. An rxe device of its own over a tap device, whose
 * other end is this process: RoCE v2 packets over IPv4, made and read byte by byte.
 *
 *	struct wire *wire = wire_open(why, sizeof(why));
 *	struct rig_attr attr = rig_attr();
 *
 *	attr.device = wire_device(wire);
 *	rig = rig_open(&attr);
 *	pair = wire_connect(rig, IBV_QPT_RC, 1024);
 *	wire_send(wire, &(struct wire_packet){ .opcode = WIRE_READ, .qpn = ..., });
 *	wire_receive(wire, &packet, 5);
 */
#ifndef WIRE_H
#define WIRE_H

#include "rig.h"

#define WIRE_MOST	4400u		/* bytes behind the BTH: headers and a payload of 4096 */
#define WIRE_QPN	0x77u		/* the peer's */
#define WIRE_PSN	0xfffffeu	/* the first one: near the wrap of the 24 bits */
#define WIRE_NEXT(psn)	(((psn) + 1) & 0xffffffu)

/* Opcodes of RC, as in the first byte of the BTH. */
enum wire_opcode {
	WIRE_SEND_FIRST = 0x00, WIRE_SEND_MIDDLE = 0x01, WIRE_SEND_LAST = 0x02, WIRE_SEND = 0x04,
	WIRE_WRITE_FIRST = 0x06, WIRE_WRITE_MIDDLE = 0x07, WIRE_WRITE_LAST = 0x08,
	WIRE_WRITE = 0x0a, WIRE_WRITE_IMM = 0x0b, WIRE_READ = 0x0c,
	WIRE_READ_FIRST = 0x0d, WIRE_READ_MIDDLE = 0x0e, WIRE_READ_LAST = 0x0f,
	WIRE_READ_ONLY = 0x10,	/* the response; of an atomic write and of a flush, too */
	WIRE_ACK = 0x11, WIRE_ATOMIC_ACK = 0x12, WIRE_CAS = 0x13, WIRE_FADD = 0x14,
	WIRE_FLUSH = 0x1c, WIRE_ATOMIC_WRITE = 0x1d,
};

/* What the syndrome of an AETH says, by its upper three bits. */
#define WIRE_SYNDROME(syndrome)	((syndrome) >> 5)
enum { WIRE_IS_ACK, WIRE_IS_RNR, WIRE_IS_NAK = 3 };

struct wire_packet {
	uint8_t opcode;
	uint8_t syndrome;	/* of what comes: of its AETH, if it has one */
	bool no_ack;		/* does not ask for an ACK */
	uint32_t qpn;
	uint32_t psn;
	size_t len;
	uint8_t body[WIRE_MOST];	/* what comes: without AETH, padding and ICRC */
};

struct wire;

/* NULL with the reason where this machine has no tap devices. */
struct wire *wire_open(char *why, size_t why_len);
/* After rig_close(). */
void wire_close(struct wire *wire);
const char *wire_device(const struct wire *wire);

/* A queue pair whose peer is this process: its side B; A is not connected. For rig_unpair(). */
struct rig_pair *wire_connect(struct rig *rig, enum ibv_qp_type type, unsigned int mtu);

/* Extended headers and payload, one behind the other. */
void wire_put(struct wire_packet *p, const void *bytes, size_t len);
void wire_put_be(struct wire_packet *p, uint64_t value, int bytes);
void wire_reth(struct wire_packet *p, uint64_t addr, uint32_t key, uint32_t len);
void wire_atomic_eth(struct wire_packet *p, uint64_t addr, uint32_t key, uint64_t swap_add,
		     uint64_t compare);
void wire_feth(struct wire_packet *p, uint8_t type, uint8_t level);

/* Pads the payload to words. */
void wire_send(struct wire *wire, const struct wire_packet *p);
/* The next packet for the peer; false when none came in time. */
bool wire_receive(struct wire *wire, struct wire_packet *p, double seconds);
/* A frame as it is, for who makes their own headers. */
void wire_send_frame(struct wire *wire, const void *frame, size_t len);

#endif
