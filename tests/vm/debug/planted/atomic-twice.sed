# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
# what: an atomic whose duplicate comes is executed again
# file: ../rxe/resp.c
# kernel: 7.2
# run: test_bounds
# report: ^fail
s/\tres->replay = 1;\n/\tres->replay = res->type != RXE_ATOMIC_MASK;\n/
