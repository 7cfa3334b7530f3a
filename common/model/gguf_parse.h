/* gguf_parse: what stands before the data of a GGUF file: keys with their values, and the list of
 * tensors. Versions 2 and 3, little-endian (ggml's docs/gguf.md). Private to gguf_*.c and tests.
 *
 * All of it is hostile: counts and lengths are bounded by the file, names differ, and tensors lie
 * within the file beside each other. A parsed header is read-only and may be shared. */
#ifndef PS_MODEL_GGUF_PARSE_H
#define PS_MODEL_GGUF_PARSE_H

#include "common/base/slice.h"
#include "common/base/status.h"
#include "common/form/form.h"
#include "common/model/gguf_types.h"

enum {
    PS_GGUF_MAX_HEADER = 64 << 20,
    PS_GGUF_MAX_KEYS = 1 << 16,
    PS_GGUF_MAX_TENSORS = 1 << 16,
    PS_GGUF_MAX_KEY = 65535, /* bytes of a key's name */
    PS_GGUF_MAX_NAME = 63,   /* of a tensor's */
    PS_GGUF_MAX_DIMS = 4,
    PS_GGUF_MAX_NESTED = 4, /* arrays in arrays */
};

/* Slices are of the bytes that were parsed. */
typedef struct ps_gguf_key {
    ps_slice name;      /* printable ASCII */
    ps_gguf_value type; /* arrays: PS_GGUF_ARRAY, and */
    ps_gguf_value item; /* what is in it, */
    uint64_t n;         /* and how many */
    ps_slice bytes;     /* the value, or an array's values */
} ps_gguf_key;

typedef struct ps_gguf_tensor {
    ps_slice name; /* printable ASCII */
    ps_form form;
    uint32_t n_dims;                  /* 1 to PS_GGUF_MAX_DIMS */
    uint64_t sides[PS_GGUF_MAX_DIMS]; /* the rows' length first; from 1; 1 behind n_dims */
    uint64_t begin, end;              /* bytes of the file */
    size_t part;                      /* which file that is (gguf_parts.h); 0 when parsed */
} ps_gguf_tensor;

typedef struct ps_gguf {
    ps_gguf_key *keys; /* by name */
    size_t n_keys;
    ps_gguf_tensor *tensors; /* by name */
    size_t n_tensors;
    uint64_t alignment;
    uint64_t data_start;
} ps_gguf;

/* head: the file's first bytes, which must live as long as *out; file_bytes: the whole file's.
 * PS_AGAIN: more of the file is needed; PS_NO_MEMORY; PS_CORRUPT, or PS_INVALID_ARGUMENT for what
 * psd does not read: the message names key or tensor. */
PS_MUST_CHECK ps_status ps_gguf_parse(ps_slice head, uint64_t file_bytes, ps_gguf **out);
void ps_gguf_free(ps_gguf **file);
/* By name; PS_CORRUPT: one is there twice. For who has added tensors. */
PS_MUST_CHECK ps_status ps_gguf_sort_tensors(ps_gguf *file);

/* A printable name for a message, cut at 80 bytes. */
#define PS_GGUF_NAME(slice) (int)((slice).len < 80 ? (slice).len : 80), (const char *)(slice).data

/* NULL when there is none. */
const ps_gguf_key *ps_gguf_find_key(const ps_gguf *file, const char *name);
const ps_gguf_tensor *ps_gguf_find_tensor(const ps_gguf *file, const char *name);

/* Values; PS_INVALID_ARGUMENT with the key's name when the type is another. */
PS_MUST_CHECK ps_status ps_gguf_get_uint(const ps_gguf_key *key, uint64_t *out); /* any integer */
PS_MUST_CHECK ps_status ps_gguf_get_real(const ps_gguf_key *key, double *out);
PS_MUST_CHECK ps_status ps_gguf_get_bool(const ps_gguf_key *key, bool *out);
PS_MUST_CHECK ps_status ps_gguf_get_text(const ps_gguf_key *key, ps_slice *out);
/* An array of this type; the cursor is at its first item, and never fails within key->n items. */
PS_MUST_CHECK ps_status ps_gguf_get_array(const ps_gguf_key *key, ps_gguf_value item,
                                          ps_cursor *out);
/* The next of an array of texts. */
ps_slice ps_gguf_next_text(ps_cursor *array);

#endif
