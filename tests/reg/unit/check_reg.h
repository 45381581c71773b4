/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/* Suites of the tests without a device. */
#ifndef CHECK_REG_H
#define CHECK_REG_H

#include <check.h>

Suite *interval_suite(void);
Suite *cache_suite(void);
Suite *watch_suite(void);

#endif
