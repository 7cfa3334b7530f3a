/* data_file: small data files for tests. They fail the running Check case when they cannot. */
#ifndef PS_TEST_DATA_FILE_H
#define PS_TEST_DATA_FILE_H

#include "common/base/slice.h"

/* Writes bytes to a new file below /tmp and returns its path, which ps_test_file_drop removes and
 * frees. gz: compressed by gzip(1), so not by the library under test. */
char *ps_test_file(ps_slice bytes, bool gz);
void ps_test_file_drop(char **path);
/* An idx file's bytes: the header for type and dims (n_dims of them), then data. free() it. */
uint8_t *ps_test_idx(uint8_t type, unsigned n_dims, const uint32_t *dims, ps_slice data,
                     size_t *len);

/* A safetensors file's bytes: the header's length, the header as it is given, then data. free() it.
 */
uint8_t *ps_test_safetensors(const char *header, ps_slice data, size_t *len);

#endif
