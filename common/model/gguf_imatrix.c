/* Happy path: the file says that it is one, and both tensors are there, as long as they must be. */
#include "common/model/gguf_imatrix.h"

#include "common/base/require.h"
#include "common/model/gguf_parts.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

enum { NAME = 128 };
static const float TOKENS_MAX = 0x1p53F; /* as of psd's own sums */

static ps_status check_type(const ps_gguf_parts *file, const char *path)
{
    const ps_gguf_key *key = ps_gguf_find_key(file->whole, "general.type");
    ps_slice said;
    if (!key || ps_gguf_get_text(key, &said) || !ps_slice_is(said, "imatrix"))
        return ps_fail(PS_INVALID_ARGUMENT,
                       "%s: its general.type is not imatrix: it is no importance matrix", path);
    return PS_OK;
}

/* So many float32 numbers of one matrix. */
static ps_status read_numbers(ps_gguf_parts *file, const char *path, const char *name, uint64_t n,
                              float *out)
{
    const ps_gguf_tensor *t = ps_gguf_find_tensor(file->whole, name);
    uint64_t has = 1;
    if (!t)
        return ps_fail(PS_INVALID_ARGUMENT,
                       "%s has no %s: it is not of this model, or says nothing of that tensor, "
                       "which compress.quantise.keep leaves as it is",
                       path, name);
    for (uint32_t i = 1; i < t->n_dims; i++)
        has = t->sides[i] == 1 ? has : 0;
    if (t->form.row != ps_form_find("float32") || !has || t->sides[0] != n ||
        t->end - t->begin != n * sizeof *out)
        return ps_fail(PS_INVALID_ARGUMENT,
                       "%s: %s is not the %" PRIu64 " float32 numbers that this model's tensor has",
                       path, name, n);
    return ps_gguf_parts_read(file, t->part, t->begin, out, (size_t)n * sizeof *out);
}

static ps_status check_numbers(const char *path, const char *name, uint64_t columns,
                               const float *squares, float tokens)
{
    for (uint64_t i = 0; i < columns; i++)
        if (!isfinite(squares[i]) || squares[i] < 0)
            return ps_fail(PS_CORRUPT,
                           "%s: %s.in_sum2 has %g at %" PRIu64 ", which is no sum of "
                           "squares",
                           path, name, (double)squares[i], i);
    if (!(tokens >= 1 && tokens <= TOKENS_MAX)) /* NaN neither */
        return ps_fail(PS_CORRUPT, "%s: %s.counts is %g, which is no number of tokens", path, name,
                       (double)tokens);
    return PS_OK;
}

static ps_status read_tensor(ps_gguf_parts *file, const char *path, const char *name,
                             uint64_t columns, float *squares, float *tokens)
{
    char of[NAME];
    ps_status st = check_type(file, path);
    if (st)
        return st;
    (void)snprintf(of, sizeof of, "%s.in_sum2", name);
    st = read_numbers(file, path, of, columns, squares);
    (void)snprintf(of, sizeof of, "%s.counts", name);
    if (!st)
        st = read_numbers(file, path, of, 1, tokens);
    return st ? st : check_numbers(path, name, columns, squares, *tokens);
}

ps_status ps_gguf_imatrix_read(const char *path, const char *name, uint64_t columns, float *squares,
                               float *tokens)
{
    PS_REQUIRE(columns > 0 && strlen(name) < NAME - 16);
    ps_gguf_parts file = {0};
    ps_status st = ps_gguf_parts_open(NULL, path, &file);
    if (st == PS_CORRUPT)
        st = ps_wrap(st, "an importance matrix is a GGUF file; llama-imatrix --in-file FILE.dat -o "
                         "FILE.gguf makes one of what it wrote before 2025-07");
    if (!st)
        st = read_tensor(&file, path, name, columns, squares, tokens);
    ps_gguf_parts_clear(&file);
    return st;
}
