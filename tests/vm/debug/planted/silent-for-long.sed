# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
# what: the peer of a parked packet hears nothing for a quarter of a second
# file: ../rxe/park.c
# kernel: 7.2
# run: test_patience
# report: ^fail
s/#define RXE_ODP_PATIENCE\tmax\(HZ \/ 125UL, 1UL\)/#define RXE_ODP_PATIENCE\t(HZ \/ 4)/
