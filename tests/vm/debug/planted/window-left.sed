# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
# what: a duplicate of a READ is not held against the window
# file: ../rxe/mw.c
# kernel: 7.2
# run: test_bounds
# report: ^fail
s/(mw->state == RXE_MW_STATE_VALID) &&\n\t    rxe_odp_in_window\(mw, iova - base, len\)/\1/
