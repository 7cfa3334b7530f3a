/* calibration: the sums of a calibration as its job leaves them when it is asked to
 * (compress.calibrate.keep): calibration.safetensors, of each input of a product what was summed
 * over the rows that the stored model saw:
 *
 *     tokens    F32 [2]        of the calibration rows, and of those that are held out
 *     sum.I     F32 [numbers]  of input I: Σx² of each column, or the upper triangle of Σxxᵀ, row
 * by row (ps_plan_input) held.I    likewise of the rows held out, where there are some
 *
 * and in its metadata, under psd.calibration, whose they are:
 *
 *     {"model":NAME,"parent_sha256":HEX,"calibration_sha256":HEX,"config":TEXT,
 *      "tokens_a_row":128,"inputs":[{"columns":48,"squares":false,"tensors":["layers.0.weight"]},
 * …]}
 *
 * the model with its section, its file and the data by their hashes ("": not known), and of each
 * input the tensors that are multiplied with it; none: it is no product's. Any thread. */
#ifndef PS_COMPRESS_CALIBRATION_H
#define PS_COMPRESS_CALIBRATION_H

#include "common/base/buf.h"
#include "common/compress/plan.h"
#include "common/format/safetensors.h"

#define PS_CALIBRATION_FILE   "calibration.safetensors"
#define PS_CALIBRATION_META   "psd.calibration"
#define PS_CALIBRATION_TOKENS "tokens"

enum { PS_CALIBRATION_NAME = 32, PS_CALIBRATION_DIGEST = 65 };

typedef struct ps_calibration_input {
    uint64_t columns;
    bool squares;
    char **tensors; /* names */
    size_t n_tensors;
    const ps_safetensors_tensor *sums[2]; /* calibration, held out; the latter may be NULL */
} ps_calibration_input;

typedef struct ps_calibration {
    char *model, *config;
    char parent_sha256[PS_CALIBRATION_DIGEST], data_sha256[PS_CALIBRATION_DIGEST];
    uint64_t tokens_a_row; /* 1: rows are no sequences */
    const ps_safetensors_tensor *tokens;
    ps_calibration_input *inputs;
    size_t n_inputs;
} ps_calibration;

/* Whose sums they are. */
typedef struct ps_calibration_about {
    const char *model, *config, *parent_sha256, *data_sha256;
} ps_calibration_about;

/* The metadata of a plan that has one window. */
void ps_calibration_describe(const ps_plan *plan, const ps_calibration_about *about, ps_buf *json);
/* The tensor of input i in the file. */
const char *ps_calibration_name(size_t i, bool held_out, char out[PS_CALIBRATION_NAME]);

/* Of a file's header, which may be hostile and is borrowed: PS_CORRUPT names what is wrong. */
PS_MUST_CHECK ps_status ps_calibration_parse(const ps_safetensors *file, ps_calibration **out);
void ps_calibration_free(ps_calibration **calibration);
/* The input that the tensor of that name is multiplied with; NULL: none. */
const ps_calibration_input *ps_calibration_find(const ps_calibration *calibration,
                                                const char *tensor);

/* Where Σx² of a column stands among the numbers of its input. */
static inline uint64_t ps_calibration_square(const ps_calibration_input *input, uint64_t column)
{
    return input->squares ? column : column * input->columns - column * (column - 1) / 2;
}

#endif
