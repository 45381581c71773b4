/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/* Nothing is to be made of the declarations. */
