/* random.h - what the sample uses of it. */
#ifndef RANDOM_H
#define RANDOM_H
#include <stdint.h>
uint32_t sys_rand32_get(void);
#endif
