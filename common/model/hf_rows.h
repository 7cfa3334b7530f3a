/* hf_rows: rows of a product that is queries, keys and values, where Hugging Face has those of each
 * head together (GPT-NeoX), and psd, as GPT-2 and llama.cpp, those of all heads:
 *
 *     theirs   q0 k0 v0  q1 k1 v1  …        ours   q0 q1 …  k0 k1 …  v0 v1 …
 *
 * Of a weight [3·heads·size, in] and of its bias; each q, k and v is `size` rows. A tensor that is
 * not by_heads stands as it is. Pure; any thread. */
#ifndef PS_MODEL_HF_ROWS_H
#define PS_MODEL_HF_ROWS_H

#include "common/arch/layout.h"

#include <stddef.h>

/* Where Hugging Face has psd's row. */
uint64_t ps_hf_row(const ps_lm_tensor *tensor, uint64_t row);
/* All rows, of so many bytes each, from their order into ours, and back; both are the caller's, and
 * apart. The tensor is by_heads. */
void ps_hf_rows_in(const ps_lm_tensor *tensor, const void *theirs, size_t row_bytes, void *ours);
void ps_hf_rows_out(const ps_lm_tensor *tensor, const void *ours, size_t row_bytes, void *theirs);

#endif
