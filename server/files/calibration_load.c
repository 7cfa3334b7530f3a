/* load: the sums that another job has kept into the parameters of this one. Happy path: the header
 * says which tensor has the sums of each input of the plan, and their numbers go into its slot, of
 * a triangle the diagonal alone where the plan needs no more. It fails when the file has not what
 * the plan needs, or says what no calibration makes: no tokens, squares below zero; a number that
 * is none is refused by the parameters. A worker of that job may have put a file of this name. */
#include "common/base/mem.h"
#include "common/compress/calibration.h"
#include "common/compress/store_plan.h"
#include "common/loop/loop.h"
#include "server/files/artifact_file.h"
#include "server/files/calibration_file.h"
#include "server/files/model_header.h"
#include "server/params/export.h"

#include <inttypes.h>

enum { PIECE = 16384 }; /* numbers */

typedef struct loading {
    const ps_disk *disk;
    int file;
    uint64_t data; /* where the file's numbers begin */
    ps_param_store *store;
    const ps_plan *plan;
} loading;

static ps_status read_at(const loading *l, uint64_t at, float *out, size_t n)
{
    ps_status st = l->disk->seek(l->disk->state, l->file, l->data + at);
    return st ? st : ps_disk_read_full(l->disk, l->file, out, n * sizeof *out);
}

static ps_status import(const loading *l, uint32_t id, uint64_t first, const float *values,
                        size_t n)
{
    return ps_param_import(l->store, id, first, (const ps_wire_float *)(const void *)values, n);
}

static ps_status load_all(const loading *l, uint64_t begin, uint64_t numbers, uint32_t id)
{
    float piece[PIECE];
    ps_status st = PS_OK;
    for (uint64_t at = 0; !st && at < numbers; at += PIECE) {
        size_t n = numbers - at < PIECE ? (size_t)(numbers - at) : PIECE;
        st = read_at(l, begin + at * sizeof *piece, piece, n);
        if (!st)
            st = import(l, id, at, piece, n);
    }
    return st;
}

static ps_status load_squares(const loading *l, uint64_t begin, const ps_calibration_input *input,
                              uint32_t id)
{
    float square;
    ps_status st = PS_OK;
    for (uint64_t i = 0; !st && i < input->columns; i++) {
        st = read_at(l, begin + ps_calibration_square(input, i) * sizeof square, &square, 1);
        if (!st)
            st = import(l, id, i, &square, 1);
    }
    return st;
}

/* They stand in the file whatever of it the plan needs. */
static ps_status check_squares(const loading *l, uint64_t begin, const ps_calibration_input *input,
                               const char *tensor)
{
    float square;
    ps_status st = PS_OK;
    for (uint64_t i = 0; !st && i < input->columns; i++) {
        st = read_at(l, begin + ps_calibration_square(input, i) * sizeof square, &square, 1);
        if (!st && !(square >= 0)) /* NaN neither */
            st = ps_fail(PS_CORRUPT,
                         "the squares of the inputs of tensor %s add up to %g in column %" PRIu64,
                         tensor, (double)square, i);
    }
    return st;
}

static ps_status load_input(const loading *l, const ps_calibration *kept, size_t i)
{
    const ps_plan_input *in = &l->plan->inputs[i];
    const ps_calibration_input *from = ps_calibration_find(kept, in->name);
    if (!from || from->columns != in->columns || (from->squares && !in->squares))
        return ps_fail(PS_FAILED_PRECONDITION, "it has not the sums that tensor %s needs",
                       in->name);
    ps_status st = PS_OK;
    for (int held_out = 0; !st && held_out < 2; held_out++) {
        char name[PS_SUM_NAME];
        uint32_t id;
        if (!from->sums[held_out])
            continue; /* of no token: zeros */
        uint64_t begin = from->sums[held_out]->begin;
        st = check_squares(l, begin, from, in->name);
        if (!st)
            st = ps_placement_find(ps_param_store_placement(l->store),
                                   ps_plan_sum_name(i, held_out, name), &id);
        if (!st)
            st = from->squares == in->squares ? load_all(l, begin, in->numbers, id)
                                              : load_squares(l, begin, from, id);
    }
    return st;
}

static ps_status check_tokens(const loading *l, uint64_t begin)
{
    float said[2];
    uint64_t tokens[2] = {0};
    ps_status st = read_at(l, begin, said, 2);
    for (size_t i = 0; !st && i < 2; i++)
        st = ps_plan_tokens(said[i], &tokens[i]);
    return !st && !tokens[0] ? ps_fail(PS_CORRUPT, "sums of no tokens") : st;
}

static ps_status load_sums(const loading *l, const ps_calibration *kept)
{
    uint32_t id;
    ps_status st = check_tokens(l, kept->tokens->begin);
    if (!st)
        st = ps_placement_find(ps_param_store_placement(l->store), PS_TOKENS_NAME, &id);
    if (!st)
        st = load_all(l, kept->tokens->begin, 2, id);
    for (size_t i = 0; !st && i < l->plan->n_inputs; i++)
        st = load_input(l, kept, i);
    return st;
}

static ps_status load(loading *l)
{
    ps_model_header header = {0};
    ps_calibration *kept = NULL;
    ps_status st = ps_model_header_read(l->disk, l->file, &header);
    if (!st)
        st = ps_calibration_parse(header.file, &kept);
    if (!st) {
        l->data = header.file->data_start;
        st = load_sums(l, kept);
    }
    ps_calibration_free(&kept);
    ps_model_header_free(&header);
    return st;
}

ps_status ps_calibration_file_load(const ps_stored_files *files, const ps_plan *plan,
                                   ps_param_store *store)
{
    ps_loop_require_off();
    PS_REQUIRE(plan->from && plan->n_windows <= 1);
    loading l = {.disk = files->disk, .store = store, .plan = plan};
    ps_status st = ps_artifact_file_open(files, plan->from, PS_CALIBRATION_FILE, &l.file);
    if (!st) {
        st = load(&l);
        l.disk->close(l.disk->state, l.file);
    }
    return st ? ps_wrap(st, "compress.calibrate.from: job %" PRIu64 ", " PS_CALIBRATION_FILE,
                        plan->from)
              : PS_OK;
}
