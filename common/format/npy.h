/* npy: arrays of NumPy, format 1.0 (numpy.lib.format), float32 [rows, columns] in little-endian:
 * the header, and where the numbers are behind one. Any thread. */
#ifndef PS_FORMAT_NPY_H
#define PS_FORMAT_NPY_H

#include "common/base/buf.h"
#include "common/base/status.h"

/* Appends the header; the numbers follow it, row by row. */
void ps_npy_header(ps_buf *out, uint64_t rows, uint64_t columns);

/* *numbers: of a whole file, hostile, that is to be such an array: rows · columns float32, which
 * stay in the file's bytes and lie on no border of them. PS_CORRUPT: it is another one, or none. */
PS_MUST_CHECK ps_status ps_npy_numbers(ps_slice file, uint64_t rows, uint64_t columns,
                                       ps_slice *numbers);

#endif
