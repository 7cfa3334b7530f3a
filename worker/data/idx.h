/* idx: the format of MNIST (yann.lecun.com/exdb/mnist, "the IDX file format"): two zero bytes, a
 * type, the number of dimensions, the dimensions as u32, then the values; all big-endian. The first
 * dimension is rows. Labels are a second such file. */
#ifndef PS_WORKER_DATA_IDX_H
#define PS_WORKER_DATA_IDX_H

#include "worker/data/reader.h"

extern const ps_reader ps_reader_idx;

#endif
