/* imatrix: llama.cpp's importance matrix, GGUF (tools/imatrix of llama.cpp since 2025-07), made of
 * a calibration's file (calibration.h) as this arrives. Of each matrix that was calibrated for:
 *
 *     NAME.in_sum2   F32 [columns]   Σx² of its input, NAME being the tensor's in GGUF
 *     NAME.counts    F32 [1]         over so many tokens: llama.cpp divides by it
 *
 * and the keys general.type, imatrix.datasets (which data: by their hash), imatrix.chunk_count and
 * imatrix.chunk_size, without which llama-quantize does not take it. One thread (not asserted: it
 * is its maker's alone). */
#ifndef PS_COMPRESS_IMATRIX_H
#define PS_COMPRESS_IMATRIX_H

#include "common/base/buf.h"
#include "common/base/slice.h"
#include "common/base/status.h"

typedef struct ps_imatrix ps_imatrix;

ps_imatrix *ps_imatrix_new(void);
/* The next bytes of calibration.safetensors; hostile. */
PS_MUST_CHECK ps_status ps_imatrix_feed(ps_imatrix *matrix, ps_slice bytes);
/* All has come: the GGUF file. PS_FAILED_PRECONDITION: it is of no language model, or nothing was
 * calibrated that has a name in GGUF. */
PS_MUST_CHECK ps_status ps_imatrix_finish(ps_imatrix *matrix, ps_buf *gguf);
void ps_imatrix_free(ps_imatrix **matrix);

#endif
