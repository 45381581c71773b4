/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
#ifndef STUB_LINUX_BITMAP_H
#define STUB_LINUX_BITMAP_H

#include <linux/kernel.h>

static inline bool test_bit(unsigned int n, const unsigned long *map)
{
	return map[n / BITS_PER_LONG] >> (n % BITS_PER_LONG) & 1;
}

static inline void set_bit(unsigned int n, unsigned long *map)
{
	__atomic_fetch_or(&map[n / BITS_PER_LONG], BIT(n % BITS_PER_LONG),
			  __ATOMIC_RELAXED);
}

static inline void __clear_bit(unsigned int n, unsigned long *map)
{
	map[n / BITS_PER_LONG] &= ~BIT(n % BITS_PER_LONG);
}

static inline bool __test_and_set_bit(unsigned int n, unsigned long *map)
{
	bool old = test_bit(n, map);

	map[n / BITS_PER_LONG] |= BIT(n % BITS_PER_LONG);
	return old;
}

static inline unsigned int find_next_bit(const unsigned long *map,
					 unsigned int size, unsigned int n)
{
	for (; n < size; n++)
		if (test_bit(n, map))
			return n;
	return size;
}

#define for_each_set_bit_from(n, map, size) \
	for (; (n) = find_next_bit(map, size, n), (n) < (size); (n)++)
#define for_each_set_bit(n, map, size) \
	for ((n) = 0; (n) = find_next_bit(map, size, n), (n) < (size); (n)++)

#endif /* STUB_LINUX_BITMAP_H */
