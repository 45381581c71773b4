// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/* Compiles everywhere: if it does not, the build environment is broken. */
#include "rxe.h"
