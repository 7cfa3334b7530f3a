/* hf_shards: the safetensors files of a Hugging Face folder: model.safetensors, or those that
 * model.safetensors.index.json names; their headers, what the index says, and floats out of them.
 * Private to hf_*.c and plain_read.c. */
#ifndef PS_MODEL_HF_SHARDS_H
#define PS_MODEL_HF_SHARDS_H

#include "common/base/disk.h"
#include "common/format/safetensors.h"

enum { PS_HF_MAX_SHARDS = 4096, PS_HF_MAX_LISTED = 1 << 20 };

typedef struct ps_hf_shard {
    char *path;
    ps_safetensors *header;
} ps_hf_shard;

/* An entry of the index: this tensor is in that shard. */
typedef struct ps_hf_listed {
    char *name;
    size_t shard;
    bool found; /* for the reader: the shard has it */
} ps_hf_listed;

typedef struct ps_hf_shards {
    const ps_disk *disk; /* model_files.h */
    ps_hf_shard *at;
    size_t n;
    char *index;          /* its path; NULL: one file, whose tensors are all meant */
    ps_hf_listed *listed; /* by name */
    size_t n_listed;
    bool passed_over; /* there is an index beside model.safetensors */
    size_t open;      /* whose file is open */
    int fd;           /* -1: none */
    uint8_t *bytes;
} ps_hf_shards;

/* Reads index and headers. PS_INVALID_ARGUMENT, PS_NOT_FOUND: which file it is. Always followed by
 * clear. */
PS_MUST_CHECK ps_status ps_hf_shards_open(const ps_disk *disk, const char *folder,
                                          ps_hf_shards *out);
/* One file, without a folder around it. Always followed by clear. */
PS_MUST_CHECK ps_status ps_hf_shards_open_file(const ps_disk *disk, const char *path,
                                               ps_hf_shards *out);
void ps_hf_shards_clear(ps_hf_shards *shards);
/* What the index says of a tensor; NULL: nothing. */
ps_hf_listed *ps_hf_shards_listed(const ps_hf_shards *shards, const char *name);
/* Numbers first to first + n - 1 of a tensor (of a dtype of ps_numbers_known) of shard i; n at most
 * PS_MODEL_IN_PIECE. */
PS_MUST_CHECK ps_status ps_hf_shards_read(ps_hf_shards *shards, size_t i,
                                          const ps_safetensors_tensor *tensor, uint64_t first,
                                          size_t n, float *out);
/* All bytes of a tensor, whatever its dtype. */
PS_MUST_CHECK ps_status ps_hf_shards_read_bytes(ps_hf_shards *shards, size_t i,
                                                const ps_safetensors_tensor *tensor, uint8_t *out);

#endif
