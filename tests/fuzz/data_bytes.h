/* data_bytes: what the fuzz targets of the data readers have in common: bytes as a file, and a
 * pass over every row of what was opened. */
#ifndef PS_FUZZ_DATA_BYTES_H
#define PS_FUZZ_DATA_BYTES_H

#include "common/base/slice.h"
#include "worker/data/survey.h"

enum { PS_FUZZ_PATH = 64 };

void ps_fuzz_require(bool condition);
/* A file in memory that can be opened by *path; returns its descriptor, to be closed. */
int ps_fuzz_file(ps_slice bytes, char path[PS_FUZZ_PATH]);
/* Opens; when that works, reads every row and checks what the reader promises. */
void ps_fuzz_dataset(const ps_dataset_options *options);

#endif
