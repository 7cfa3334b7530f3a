/* gguf_parts: a GGUF model that is one file, or several:
 *
 *     NAME-00001-of-00003.gguf    the keys, maybe tensors; split.count 3, split.no 0
 *     NAME-00002-of-00003.gguf    tensors; split.count 3, split.no 1
 *     NAME-00003-of-00003.gguf
 *
 * with split.tensors.count, how many tensors there are in all (llama.cpp's gguf-split, and
 * GGUFWriter of its Python package). Any of them stands for all. At most one file is open, whatever
 * there are. Private to gguf_*.c. */
#ifndef PS_MODEL_GGUF_PARTS_H
#define PS_MODEL_GGUF_PARTS_H

#include "common/base/disk.h"
#include "common/model/gguf_parse.h"

enum { PS_GGUF_MAX_PARTS = 4096, PS_GGUF_PART_SUFFIX = 64 };

#define PS_GGUF_KEY_SPLIT_NO      "split.no"
#define PS_GGUF_KEY_SPLIT_COUNT   "split.count"
#define PS_GGUF_KEY_SPLIT_TENSORS "split.tensors.count"

/* "-00001-of-00003.gguf" of the first of three, which is i = 0. */
void ps_gguf_part_suffix(uint64_t i, uint64_t n, char out[PS_GGUF_PART_SUFFIX]);

typedef struct ps_gguf_part {
    char *path;
    uint64_t size;
    char *names; /* of its tensors, which ps_gguf_parts.whole has; NULL: those of the first */
} ps_gguf_part;

typedef struct ps_gguf_parts {
    ps_gguf_part *at;
    size_t n;
    /* until ps_gguf_parts_forget */
    ps_gguf *whole; /* the first one's keys, the tensors of all; each says its part */
    uint8_t *head;  /* the first one's bytes, of which the keys are */
    /* private */
    const ps_disk *disk; /* model_files.h */
    size_t open;         /* whose file is open, as */
    int fd;              /* -1: none */
} ps_gguf_parts;

/* PS_NOT_FOUND: a part is missing; PS_CORRUPT, PS_INVALID_ARGUMENT, ...: what is wrong with which
 * file. Always followed by clear. */
PS_MUST_CHECK ps_status ps_gguf_parts_open(const ps_disk *disk, const char *path,
                                           ps_gguf_parts *out);
/* Keys and names of tensors are not needed any more, and they may be large. */
void ps_gguf_parts_forget(ps_gguf_parts *parts);
PS_MUST_CHECK ps_status ps_gguf_parts_read(ps_gguf_parts *parts, size_t part, uint64_t at,
                                           void *out, size_t len);
void ps_gguf_parts_clear(ps_gguf_parts *parts);

#endif
