/* hf_shards: the safetensors files of a Hugging Face folder: their headers, and floats out of them.
 * Private to hf_read.c. */
#ifndef PS_FORMAT_HF_SHARDS_H
#define PS_FORMAT_HF_SHARDS_H

#include "common/format/safetensors.h"

enum { PS_HF_MAX_SHARDS = 4096 };

typedef struct ps_hf_shard {
    char *path;
    ps_safetensors *header;
} ps_hf_shard;

typedef struct ps_hf_shards {
    ps_hf_shard *at;
    size_t n;
    size_t open; /* whose file is open */
    int fd;      /* -1: none */
    uint8_t *bytes;
} ps_hf_shards;

/* Reads every header. Always followed by clear. */
PS_MUST_CHECK ps_status ps_hf_shards_open(const char *folder, ps_hf_shards *out);
void ps_hf_shards_clear(ps_hf_shards *shards);
/* Elements first to first + n - 1 of a tensor (F32, F16 or BF16) of shard i; n at most
 * PS_MODEL_IN_PIECE. */
PS_MUST_CHECK ps_status ps_hf_shards_read(ps_hf_shards *shards, size_t i,
                                          const ps_safetensors_tensor *tensor, uint64_t first,
                                          size_t n, float *out);

#endif
