/* idx_header: what stands before the values of an idx file (MNIST's): a magic with the type of a
 * value and how many dimensions there are, then these, big-endian. Any thread. */
#ifndef PS_FORMAT_IDX_HEADER_H
#define PS_FORMAT_IDX_HEADER_H

#include "common/format/source.h"

enum { PS_IDX_MAX_DIMS = 8 };

typedef enum ps_idx_type {
    PS_IDX_U8 = 0x08,
    PS_IDX_I8 = 0x09,
    PS_IDX_I16 = 0x0b,
    PS_IDX_I32 = 0x0c,
    PS_IDX_F32 = 0x0d,
    PS_IDX_F64 = 0x0e,
} ps_idx_type;

typedef struct ps_idx_header {
    ps_idx_type type;
    unsigned n_dims;
    uint32_t dims[PS_IDX_MAX_DIMS]; /* the rows first; the others are not 0 */
    size_t columns;                 /* the product of the other dimensions */
    size_t bytes;                   /* of the header */
} ps_idx_header;

size_t ps_idx_size_of(ps_idx_type type);      /* bytes of a value; 0: there is no such type */
const char *ps_idx_name_of(ps_idx_type type); /* "uint8" */
/* From the source's first byte on. PS_CORRUPT names the file: it is none, or its dimensions cannot
 * be. Whether the file holds what it says is for the caller to see. */
PS_MUST_CHECK ps_status ps_idx_header_read(ps_source *source, ps_idx_header *out);

#endif
