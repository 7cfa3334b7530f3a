/* gguf_imatrix: what an importance matrix of llama.cpp says of a tensor (GGUF, tools/imatrix of
 * llama.cpp since 2025-07; psd's own are made by common/compress/imatrix.h):
 *
 *     NAME.in_sum2   F32 [columns]   Σx² of its input
 *     NAME.counts    F32 [1]         over so many tokens
 *
 * The file is hostile. Any thread; blocks. */
#ifndef PS_MODEL_GGUF_IMATRIX_H
#define PS_MODEL_GGUF_IMATRIX_H

#include "common/base/status.h"

#include <stdint.h>

/* Of tensor `name`, as GGUF calls it: squares, [columns], and over how many tokens, from 1.
 * PS_INVALID_ARGUMENT: the file is no such matrix, has nothing of this tensor, or of another width;
 * PS_CORRUPT: numbers that are no squares; PS_NOT_FOUND, PS_NO_ACCESS, ...: as opening a model's.
 */
PS_MUST_CHECK ps_status ps_gguf_imatrix_read(const char *path, const char *name, uint64_t columns,
                                             float *squares, float *tokens);

#endif
