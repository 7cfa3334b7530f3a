/* The row `gguf` of model_in: a file of llama.cpp, or several, with a language model. Happy
 * path: the headers are read (gguf_parts.c); keys say the model, each tensor of the layout is found
 * by its name, and then its numbers are read piece by piece, with the writer's changes (gguf.c)
 * undone. A matrix that has to be transposed is gathered first; so memory is that of the largest
 * such matrix, and never the model's. Matrices in blocks stay in them: their rows are those that
 * psd stores. */
#include "common/base/mem.h"
#include "common/format/numbers.h"
#include "common/model/gguf_header.h"
#include "common/model/gguf_model.h"
#include "common/model/gguf_parts.h"
#include "common/model/gguf_rope.h"
#include "common/model/gguf_texts.h"
#include "common/model/model_files.h"

#include <inttypes.h>
#include <stdio.h>

enum { MOST_BYTES = PS_MODEL_IN_PIECE * sizeof(double) };

/* Where a tensor of the layout is. */
typedef struct place {
    ps_form form;
    size_t part;
    uint64_t begin; /* byte of that part */
} place;

struct ps_model_reader {
    const ps_model_in_about *about;
    ps_gguf_parts parts; /* with its keys and tensors while it is opened */
    place *places;       /* by the layout's order */
    uint8_t *bytes;
    size_t gathered_of; /* the tensor that is gathered, in the file's order of numbers */
    float *gathered;    /* or NULL */
};

/* ---- tensors ---- */

static ps_status check_sides(const ps_gguf_tensor *have, const char *name, const uint64_t want[2])
{
    if (have->sides[0] == want[0] && have->sides[1] == want[1] && have->sides[2] == 1 &&
        have->sides[3] == 1)
        return PS_OK;
    return ps_fail(PS_INVALID_ARGUMENT,
                   "tensor %s has another shape than the keys say: %" PRIu64 " rows of %" PRIu64
                   " are expected",
                   name, want[1], want[0]);
}

static place place_of(const ps_gguf_tensor *t)
{
    return (place){.form = t->form, .part = t->part, .begin = t->begin};
}

/* Some converters put the three products of attention into one tensor. */
static ps_status is_missing(const ps_gguf *file, const ps_lm_tensor *want)
{
    char fused[PS_LM_NAME];
    size_t block = 0;
    (void)ps_lm_block_of(want->name, &block);
    (void)snprintf(fused, sizeof fused, "blk.%zu.attn_qkv.weight", block);
    if (want->part == PS_PART_Q && ps_gguf_find_tensor(file, fused))
        return ps_fail(PS_INVALID_ARGUMENT,
                       "tensor %s: queries, keys and values in one are not read here, only apart, "
                       "as in %s",
                       fused, want->gguf);
    return ps_fail(PS_INVALID_ARGUMENT, "tensor %s is missing", want->gguf);
}

static ps_status find_place(const ps_gguf *file, const ps_lm_tensor *want, place *out, bool *used)
{
    uint64_t sides[2];
    if (!*want->gguf)
        return ps_fail(PS_INVALID_ARGUMENT, "there is no tensor for %s, which the keys call for",
                       want->name);
    const ps_gguf_tensor *have = ps_gguf_find_tensor(file, want->gguf);
    if (!have)
        return is_missing(file, want);
    ps_gguf_sides(want, sides);
    *out = place_of(have);
    used[have - file->tensors] = true;
    return check_sides(have, want->gguf, sides);
}

/* ---- numbers ---- */

/* Numbers first to first + n - 1 in the file's order; whole blocks, at most PS_MODEL_IN_PIECE. */
static ps_status read_stored(ps_model_reader *r, const place *p, uint64_t first, size_t n,
                             float *out)
{
    size_t numbers = p->form.group, bytes = ps_form_block_bytes(p->form, n);
    ps_status st = ps_gguf_parts_read(&r->parts, p->part, p->begin + first / numbers * bytes,
                                      r->bytes, n / numbers * bytes);
    if (!st)
        ps_form_decode(p->form, r->bytes, 1, n, out);
    return st;
}

/* Row of psd's q and k in the file: halves that rotate come from pairs that rotate. */
static uint64_t paired_row(const ps_lm_tensor *t, uint64_t row)
{
    uint64_t size = t->shape[0] / t->heads, half = size / 2, inside = row % size;
    return row - inside + inside % half * 2 + inside / half;
}

static ps_status read_paired(ps_model_reader *r, const ps_lm_tensor *t, const place *p,
                             uint64_t first, size_t n, float *out)
{
    uint64_t columns = t->n_dims == 1 ? 1 : t->shape[1];
    ps_status st = PS_OK;
    while (!st && n) {
        uint64_t row = first / columns, column = first % columns;
        size_t part = columns - column < n ? (size_t)(columns - column) : n;
        st = read_stored(r, p, paired_row(t, row) * columns + column, part, out);
        first += part;
        out += part;
        n -= part;
    }
    return st;
}

static ps_status gather(ps_model_reader *r, size_t i)
{
    const ps_lm_tensor *t = &r->about->tensors[i];
    uint64_t all = ps_lm_numbers(t);
    ps_free(&r->gathered);
    r->gathered = ps_try_alloc_raw((size_t)all * sizeof *r->gathered);
    if (!r->gathered)
        return ps_fail(PS_NO_MEMORY, "no memory for the %" PRIu64 " numbers of tensor %s", all,
                       t->gguf);
    r->gathered_of = i;
    ps_status st = PS_OK;
    for (uint64_t at = 0; !st && at < all; at += PS_MODEL_IN_PIECE) {
        size_t n = all - at < PS_MODEL_IN_PIECE ? (size_t)(all - at) : PS_MODEL_IN_PIECE;
        st = read_stored(r, &r->places[i], at, n, r->gathered + at);
    }
    return st;
}

static ps_status read_transposed(ps_model_reader *r, size_t i, uint64_t first, size_t n, float *out)
{
    const uint64_t *shape = r->about->tensors[i].shape;
    ps_status st = r->gathered && r->gathered_of == i ? PS_OK : gather(r, i);
    for (size_t k = 0; !st && k < n; k++) {
        uint64_t row = (first + k) / shape[1], column = (first + k) % shape[1];
        out[k] = r->gathered[column * shape[0] + row];
    }
    if (!st && first + n == shape[0] * shape[1])
        ps_free(&r->gathered);
    return st;
}

static ps_status read_whole_gain(ps_model_reader *r, const place *p, uint64_t first, size_t n,
                                 float *out)
{
    ps_status st = read_stored(r, p, first, n, out);
    for (size_t i = 0; !st && i < n; i++)
        out[i] -= 1;
    return st;
}

static ps_status gguf_read(ps_model_reader *r, size_t i, uint64_t first, size_t n, float *out)
{
    const ps_lm_tensor *t = &r->about->tensors[i];
    switch (t->change) {
    case PS_LM_TRANSPOSE:
        return read_transposed(r, i, first, n, out);
    case PS_LM_ROPE_PAIRS:
        return read_paired(r, t, &r->places[i], first, n, out);
    case PS_LM_PLUS_ONE:
        return read_whole_gain(r, &r->places[i], first, n, out);
    case PS_LM_SAME:
        break;
    }
    return read_stored(r, &r->places[i], first, n, out);
}

/* ---- blocks ---- */

static ps_status gguf_bytes(ps_model_reader *r, size_t i, uint64_t at, size_t n, uint8_t *out)
{
    const ps_lm_tensor *t = &r->about->tensors[i];
    const place *p = &r->places[i];
    if (t->change != PS_LM_ROPE_PAIRS)
        return ps_gguf_parts_read(&r->parts, p->part, p->begin + at, out, n);
    uint64_t row_bytes = ps_form_row_bytes(p->form, t->shape[1]);
    ps_status st = PS_OK;
    while (!st && n) {
        uint64_t inside = at % row_bytes;
        size_t part = row_bytes - inside < n ? (size_t)(row_bytes - inside) : n;
        uint64_t from = paired_row(t, at / row_bytes) * row_bytes + inside;
        st = ps_gguf_parts_read(&r->parts, p->part, p->begin + from, out, part);
        at += part;
        out += part;
        n -= part;
    }
    return st;
}

/* Floats of any width are widened, as those of other files are. */
static void choose_forms(const ps_model_reader *r, ps_model_in_about *about)
{
    about->forms = ps_alloc_array(about->n, sizeof *about->forms);
    for (size_t i = 0; i < about->n; i++)
        if (about->tensors[i].n_dims == 2 && !r->places[i].form.row->plain)
            about->forms[i] = r->places[i].form;
}

/* ---- tensors that say nothing new, which has to be seen ---- */

typedef struct pair {
    ps_model_reader *reader;
    place places[2];
} pair;

static ps_status read_pair(void *state, int which, uint64_t first, size_t n, float *out)
{
    const pair *p = state;
    return read_stored(p->reader, &p->places[which], first, n, out);
}

/* Of an architecture whose head usually is the embedding, older files have it a second time, maybe
 * as another type: one that says the same is the embedding, another one is a head. */
static ps_status find_head(ps_model_reader *r, ps_spec_model *model)
{
    const ps_gguf_tensor *embedding = ps_gguf_find_tensor(r->parts.whole, "token_embd.weight");
    const ps_gguf_tensor *head = ps_gguf_find_tensor(r->parts.whole, "output.weight");
    const ps_arch_key *tie = ps_arch_key_find(ps_arch_find(model->architecture), "tie_embeddings");
    if (!head || !embedding || !tie || tie->need != PS_ARCH_TRUE)
        return PS_OK;
    ps_numbers_differ differ;
    pair both = {r, {place_of(head), place_of(embedding)}};
    ps_status st = check_sides(head, "output.weight", embedding->sides);
    if (!st)
        st = ps_numbers_compare(read_pair, &both, head->sides[0] * head->sides[1], &differ);
    if (!st)
        model->tie_embeddings = !differ.any;
    return st;
}

static void use_head(const ps_model_reader *r, bool *used)
{
    const ps_gguf_tensor *head = ps_gguf_find_tensor(r->parts.whole, "output.weight");
    if (head && r->about->model->tie_embeddings)
        used[head - r->parts.whole->tensors] = true;
}

/* What llama.cpp divides the frequencies of RoPE by; all ones change nothing. */
static ps_status read_factors(ps_model_reader *r, const ps_gguf_tensor *t, ps_spec_model *model)
{
    const place where = place_of(t);
    uint64_t sides[] = {(uint64_t)model->head_dim / 2, 1};
    ps_status st = check_sides(t, PS_GGUF_ROPE_TENSOR, sides);
    if (st)
        return st;
    float *factors = ps_alloc_array((size_t)*sides, sizeof *factors);
    st = where.form.row->plain
             ? read_stored(r, &where, 0, (size_t)sides[0], factors)
             : ps_fail(PS_INVALID_ARGUMENT, "tensor %s is not of floats", PS_GGUF_ROPE_TENSOR);
    if (!st)
        st = ps_gguf_rope_take(r->parts.whole, factors, model);
    ps_free(&factors);
    return st;
}

static ps_status check_frequencies(ps_model_reader *r, ps_spec_model *model)
{
    const ps_gguf_tensor *t = ps_gguf_find_tensor(r->parts.whole, PS_GGUF_ROPE_TENSOR);
    bool turned = !ps_arch_has(ps_arch_find(model->architecture), PS_PART_POSITIONS);
    return t && turned ? read_factors(r, t, model) : PS_OK;
}

/* It has been looked at before the layout was there. */
static void use_frequencies(const ps_model_reader *r, bool *used)
{
    const ps_gguf_tensor *t = ps_gguf_find_tensor(r->parts.whole, PS_GGUF_ROPE_TENSOR);
    const ps_arch *arch = ps_arch_find(r->about->model->architecture);
    if (t && !ps_arch_has(arch, PS_PART_POSITIONS))
        used[t - r->parts.whole->tensors] = true;
}

static ps_status find_places(ps_model_reader *r)
{
    const ps_model_in_about *about = r->about;
    const ps_gguf *file = r->parts.whole;
    bool *used = ps_alloc_array(file->n_tensors + 1, sizeof *used);
    ps_status st = PS_OK;
    r->places = ps_alloc_array(about->n, sizeof *r->places);
    for (size_t i = 0; !st && i < about->n; i++)
        st = find_place(file, &about->tensors[i], &r->places[i], used);
    use_head(r, used);
    use_frequencies(r, used);
    for (size_t i = 0; !st && i < file->n_tensors; i++)
        if (!used[i])
            st = ps_fail(PS_INVALID_ARGUMENT, "tensor %.*s is none of a %s model",
                         PS_GGUF_NAME(file->tensors[i].name), about->model->architecture);
    ps_free(&used);
    return st;
}

/* ---- the row ---- */

/* By its first bytes; what is no file is none. */
static ps_status gguf_takes(const ps_disk *disk, const char *path, bool *out)
{
    char first[4];
    bool folder = false;
    int fd = -1;
    uint64_t size = 0;
    *out = false;
    ps_status st = ps_model_file_kind(disk, path, &folder);
    if (st || folder)
        return st;
    st = ps_model_input_open(disk, path, &fd, &size);
    if (st)
        return st;
    if (size >= sizeof first)
        st = ps_model_file_read(disk, fd, path, 0, first, sizeof first);
    *out = !st && size >= sizeof first && !memcmp(first, PS_GGUF_MAGIC, sizeof first);
    ps_model_file_close(disk, fd);
    return st;
}

static void gguf_close(ps_model_reader **reader)
{
    ps_model_reader *r = *reader;
    if (!r)
        return;
    ps_gguf_parts_clear(&r->parts);
    ps_free(&r->places);
    ps_free(&r->bytes);
    ps_free(&r->gathered);
    ps_free(reader);
}

static ps_status understand(ps_model_reader *r, ps_model_in_about *about)
{
    ps_status st = ps_gguf_model(r->parts.whole, &about->model);
    if (!st)
        st = ps_gguf_words(r->parts.whole, about);
    if (!st)
        st = find_head(r, about->model);
    if (!st)
        st = check_frequencies(r, about->model);
    if (!st)
        ps_gguf_texts_remark(r->parts.whole, about->model, &about->remarks);
    if (!st)
        ps_lm_layout(about->model, &about->tensors, &about->n);
    if (!st)
        st = find_places(r);
    if (!st)
        choose_forms(r, about);
    return st;
}

static ps_status gguf_open(const char *path, ps_model_in_about *about, ps_model_reader **out)
{
    ps_model_reader *r = ps_new(ps_model_reader);
    r->about = about;
    r->bytes = ps_alloc(MOST_BYTES);
    ps_status st = ps_gguf_parts_open(about->options.disk, path, &r->parts);
    if (!st) {
        st = understand(r, about);
        st = st ? ps_wrap(st, "%s", path) : PS_OK;
    }
    ps_gguf_parts_forget(&r->parts);
    if (st)
        gguf_close(&r);
    else
        *out = r;
    return st;
}

const ps_model_in_row ps_model_in_gguf = {.takes = gguf_takes,
                                          .look = ps_model_look_gguf,
                                          .open = gguf_open,
                                          .read = gguf_read,
                                          .bytes = gguf_bytes,
                                          .close = gguf_close};
