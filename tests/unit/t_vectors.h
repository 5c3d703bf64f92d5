/* t_vectors.h - reads the committed byte vectors of tests/golden/vectors. */
#ifndef T_VECTORS_H
#define T_VECTORS_H

#include <stddef.h>
#include <stdint.h>

/* Bytes of `name` in a file of `dir`, at most cap; 0 when it is not there. */
size_t t_vectors_hex(const char *dir, const char *file, const char *name, uint8_t *out, size_t cap);
#endif
