/* influence: the file influence.bin, which a training with record.influence leaves behind: a head,
 * and a record of every push. Little-endian throughout; docs/record.md has it byte by byte.
 *
 *     head    "PSDINFL1" | u32 bytes of the head | u32 version (1) | u32 sketch | u32 every |
 *             u32 tensors | for each: u32 length of the name | name | u32 column blocks | for each:
 *             u64 elements | u32 CRC32C of all before
 *     record  u32 0x31505352 | u32 bytes of the record | u32 CRC32C of the rest |
 *             u64 version | u64 clock | u64 client | u64 sequence | u64 lease | u64 row begin |
 *             u64 row end | u64 staleness | u32 epoch | u32 flags | f64 weight | f64 ‖g‖² |
 *             f64 correction | u32 length of the name | the worker's name | u32 units | for each:
 *             u32 unit | f32 scale | i8 × width, number = code × scale
 *
 * A file that was not ended (psd was killed) is good up to its first record that is not whole.
 */
#ifndef PS_RECORD_INFLUENCE_H
#define PS_RECORD_INFLUENCE_H

#include "common/base/buf.h"
#include "common/record/sketch.h"

#define PS_INFLUENCE_FILE "influence.bin"

enum { PS_INFLUENCE_VERSION = 1, PS_INFLUENCE_NAME_MAX = 512 };

/* A tensor's column blocks are units that follow each other. */
typedef struct ps_influence_tensor {
    char *name;
    uint32_t first_unit, units;
} ps_influence_tensor;

typedef struct ps_influence_head {
    uint32_t sketch; /* as ps_sketch_create takes it */
    uint32_t every;  /* update of which one is recorded */
    size_t n_tensors, n_units;
    ps_influence_tensor *tensors;
    uint64_t *elements; /* [n_units] */
} ps_influence_head;

typedef enum ps_influence_flag {
    /* the update was of several pushes together: this is the push's share of it, by its weight,
     * and by its gradient as far as the update went along the mean gradient */
    PS_INFLUENCE_SHARE = 1,
} ps_influence_flag;

/* What is known of a push. */
typedef struct ps_influence_push {
    uint64_t version; /* the update that it was part of */
    uint64_t clock;   /* 0: none */
    uint64_t client;  /* the worker's incarnation */
    uint64_t sequence;
    uint64_t lease;
    uint64_t row_begin, row_end; /* of the epoch's permutation; empty: not said */
    uint64_t staleness;
    uint32_t epoch;
    uint32_t flags; /* ps_influence_flag */
    double weight;
    double gradient_sq; /* ‖g‖² as it came, where it is known; else 0 */
    /* of a share: how much of the update went not along the mean gradient (momentum, decay, the
     * second moment), and was shared out by weight alone: ‖rest‖² / ‖update‖², by sketches */
    double correction;
    const char *worker;
} ps_influence_push;

/* ---- writing ---- */

void ps_influence_head_write(const ps_influence_head *head, ps_buf *out);
/* touched: units that are in it [units]; numbers: of all units [ps_sketch_width]. */
void ps_influence_write(const ps_sketch *sketch, const ps_influence_push *push, const bool *touched,
                        const float *numbers, ps_buf *out);

/* ---- reading: bytes are hostile ---- */

/* The head at the beginning of bytes; *used: its length. PS_CORRUPT says what is wrong with it;
 * PS_FAILED_PRECONDITION: of a version that this program does not know. */
PS_MUST_CHECK ps_status ps_influence_head_read(ps_slice bytes, ps_influence_head *out,
                                               size_t *used);
void ps_influence_head_free(ps_influence_head *head);
/* How long the head is, by its first 12 bytes; 0: it is none. */
size_t ps_influence_head_bytes(const uint8_t first[12]);
/* The shape of its sketches (ps_sketch_shape): for _read. */
void ps_influence_sketch(const ps_influence_head *head, ps_sketch **out);

typedef struct ps_influence_record {
    ps_influence_push push; /* worker: its own */
    char worker[PS_INFLUENCE_NAME_MAX + 1];
} ps_influence_record;

/* The next record. numbers [ps_sketch_width] are all written, with 0 where the push touched
 * nothing; NULL: they are not wanted. PS_END: there is none, or it is not whole. PS_CORRUPT: it is
 * whole, and makes no sense. */
PS_MUST_CHECK ps_status ps_influence_read(ps_cursor *at, const ps_sketch *sketch,
                                          ps_influence_record *out, float *numbers);

#endif
