/* Open reads the file's header and compares its vocabulary with the model's; a row is read where it
 * stands. Fails on a file that is none, on one of another vocabulary, on tokens beyond it, and when
 * somebody changes the file meanwhile. */
#include "worker/data/tokens.h"

#include "common/base/mem.h"
#include "common/format/token_file.h"

#include <inttypes.h>

typedef struct tokens {
    ps_token_file *file;
    size_t length;
} tokens;

static ps_status check(const ps_dataset_options *o, const ps_token_file *file)
{
    const ps_token_file_info *about = ps_token_file_about(file);
    if (o->classes && (int64_t)about->vocab_size > o->classes)
        return ps_fail(PS_INVALID_ARGUMENT,
                       "%s has a vocabulary of %" PRIu32 ", but model.vocab_size is %" PRId64,
                       o->files->tokens, about->vocab_size, o->classes);
    if (about->count <= (uint64_t)o->features)
        return ps_fail(PS_INVALID_ARGUMENT,
                       "%s has %" PRIu64 " tokens, a row and its label need %" PRId64,
                       o->files->tokens, about->count, o->features + 1);
    return PS_OK;
}

static ps_status open_tokens(const ps_dataset_options *o, ps_normaliser *normaliser,
                             ps_dataset_shape *shape, void **state)
{
    ps_token_file *file;
    ps_status st = ps_token_file_open(o->files->tokens, &file);
    if (st)
        return st;
    st = check(o, file);
    if (st) {
        ps_token_file_close(&file);
        return st;
    }
    tokens *t = ps_new(tokens);
    *t = (tokens){.file = file, .length = (size_t)o->features};
    shape->features = t->length;
    shape->rows = (size_t)((ps_token_file_count(file) - 1) / t->length);
    *state = t;
    return PS_OK;
}

static void close_tokens(void *state)
{
    tokens *t = state;
    ps_token_file_close(&t->file);
    ps_free(&t);
}

static ps_status row(const void *state, size_t i, int32_t *out, int32_t *next)
{
    const tokens *t = state;
    uint64_t first = (uint64_t)i * t->length;
    ps_status st = ps_token_file_copy(t->file, first, t->length, out);
    if (!st && next)
        st = ps_token_file_copy(t->file, first + 1, t->length, next);
    return st;
}

const ps_reader ps_reader_tokens = {
    .name = "tokens",
    .open = open_tokens,
    .close = close_tokens,
    .tokens = row,
};
