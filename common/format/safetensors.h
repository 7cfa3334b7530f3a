/* safetensors: the model file of Hugging Face (github.com/huggingface/safetensors, format section
 * of its README): u64 little-endian N, N bytes of JSON, then the tensors' bytes, row-major.
 *
 * Reading: the header alone is parsed (it is hostile: no holes, no overlap, no duplicates, all
 * within the file, N at most 100,000,000); data is then found at data_start + begin of the file,
 * which may be mapped, read, or still be arriving. Writing: the header goes out at once and the
 * data passes through, so that a model is never held twice. Not thread-safe (not asserted: a writer
 * is its maker's alone); a parsed file is read-only and may be shared. */
#ifndef PS_FORMAT_SAFETENSORS_H
#define PS_FORMAT_SAFETENSORS_H

#include "common/base/slice.h"
#include "common/base/status.h"

enum {
    PS_SAFETENSORS_MAX_HEADER = 100 * 1000 * 1000,
    PS_SAFETENSORS_MAX_DIMS = 8,
    PS_SAFETENSORS_MAX_NAME = 512,
};

/* Name in the file, bytes an element. OTHER: what the format got later (F4, F8_E8M0, C64); its
 * bytes are those of data_offsets, and nobody here can read its numbers. */
#define PS_SAFETENSORS_DTYPES(X) \
    X(F64, 8)                    \
    X(F32, 4)                    \
    X(F16, 2)                    \
    X(BF16, 2)                   \
    X(I64, 8)                    \
    X(I32, 4)                    \
    X(I16, 2)                    \
    X(I8, 1)                     \
    X(U64, 8)                    \
    X(U32, 4)                    \
    X(U16, 2)                    \
    X(U8, 1)                     \
    X(BOOL, 1)                   \
    X(F8_E4M3, 1)                \
    X(F8_E5M2, 1)                \
    X(OTHER, 0)

typedef enum ps_safetensors_dtype {
#define X(name, size) PS_SAFETENSORS_##name,
    PS_SAFETENSORS_DTYPES(X)
#undef X
        PS_SAFETENSORS_DTYPE_COUNT
} ps_safetensors_dtype;

const char *ps_safetensors_dtype_name(ps_safetensors_dtype dtype); /* "F32"; not OTHER */
size_t ps_safetensors_dtype_size(ps_safetensors_dtype dtype);      /* bytes an element; OTHER: 0 */

typedef struct ps_safetensors_tensor {
    const char *name;
    ps_safetensors_dtype dtype;
    uint32_t n_dims; /* 0: a scalar */
    uint64_t shape[PS_SAFETENSORS_MAX_DIMS];
    uint64_t begin, end; /* bytes, relative to data_start; set by the reader */
    char other[16];      /* of dtype OTHER: its name in the file; set by the reader */
} ps_safetensors_tensor;

/* What the file calls the dtype of a tensor. */
const char *ps_safetensors_type_of(const ps_safetensors_tensor *tensor);

typedef struct ps_safetensors_pair { /* of __metadata__ */
    const char *key;
    const char *value;
} ps_safetensors_pair;

/* A parsed header; everything in it belongs to it. */
typedef struct ps_safetensors {
    uint64_t data_start; /* 8 + N */
    uint64_t data_bytes;
    ps_safetensors_tensor *tensors; /* in the order of their data */
    size_t n_tensors;
    ps_safetensors_pair *metadata; /* in the file's order */
    size_t n_metadata;
} ps_safetensors;

/* From the first 8 bytes: how many bytes at the file's start the header takes (8 + N). */
PS_MUST_CHECK ps_status ps_safetensors_header_bytes(ps_slice first, uint64_t *out);
/* head holds at least the header. file_bytes is the whole file's size, or UINT64_MAX when it is
 * not known yet (an import; compare data_start + data_bytes at the end). PS_CORRUPT names the
 * tensor or the byte. */
PS_MUST_CHECK ps_status ps_safetensors_parse(ps_slice head, uint64_t file_bytes,
                                             ps_safetensors **out);
void ps_safetensors_free(ps_safetensors **file);
/* NULL when there is none. */
const ps_safetensors_tensor *ps_safetensors_find(const ps_safetensors *file, const char *name);
const char *ps_safetensors_metadata(const ps_safetensors *file, const char *key);

/* Where the writer's bytes go. */
typedef struct ps_safetensors_sink {
    ps_status (*write)(void *state, const void *data, size_t len);
    void *state;
} ps_safetensors_sink;

typedef struct ps_safetensors_writer ps_safetensors_writer;

/* Writes the header: tensors with names, dtypes and shapes (begin and end are ignored; copied).
 * Names must be unique and not "__metadata__". */
PS_MUST_CHECK ps_status ps_safetensors_writer_new(const ps_safetensors_tensor *tensors,
                                                  size_t n_tensors,
                                                  const ps_safetensors_pair *metadata,
                                                  size_t n_metadata, ps_safetensors_sink sink,
                                                  ps_safetensors_writer **out);
/* The same, but the data come as given. PS_FAILED_PRECONDITION: a tensor would not be aligned to
 * its elements then, as readers want it. */
PS_MUST_CHECK ps_status ps_safetensors_writer_new_as_given(
    const ps_safetensors_tensor *tensors, size_t n_tensors, const ps_safetensors_pair *metadata,
    size_t n_metadata, ps_safetensors_sink sink, ps_safetensors_writer **out);
/* The data must come in this order: the i-th is tensors[ps_safetensors_writer_order(w, i)] of the
 * call above. Wider elements first, else as given; so with one dtype the order is unchanged. */
size_t ps_safetensors_writer_order(const ps_safetensors_writer *writer, size_t i);
/* The whole file's size; known from the start. */
uint64_t ps_safetensors_writer_total(const ps_safetensors_writer *writer);
/* The next len bytes of data; a tensor may come in pieces, and a piece may cross tensors. */
PS_MUST_CHECK ps_status ps_safetensors_writer_data(ps_safetensors_writer *writer, const void *data,
                                                   size_t len);
/* PS_FAILED_PRECONDITION when data is missing. Frees the writer in any case. */
PS_MUST_CHECK ps_status ps_safetensors_writer_finish(ps_safetensors_writer **writer);
/* For giving up. */
void ps_safetensors_writer_free(ps_safetensors_writer **writer);

#endif
