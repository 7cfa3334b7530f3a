/* Happy path: the pass runs over psd's file, whose numbers are rounded on their way as the format
 * rounds them, and over what was written; each visit leaves a checksum of its tensor. Then tensor
 * by tensor the checksums are the same, and so are the answers. Of psd's own file the checksum of
 * all bytes is. */
#include "common/model/export_check.h"

#include "common/base/crc32c.h"
#include "common/base/limits.h"
#include "common/base/mem.h"
#include "common/model/form_stream.h"
#include "common/model/model_format.h"
#include "common/model/probe.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { PIECE = 8192 }; /* numbers; whole blocks of every form whose size is not chosen */

/* What passes by on its way to the pass. */
typedef struct tap {
    const ps_lm_tensor *tensor;
    ps_form form;                  /* that numbers are rounded to; row NULL: they are not */
    const ps_model_export *export; /* whose numbers they become; NULL: they stay */
    ps_probe_sink sink;
    uint64_t first; /* of the buffer */
    size_t used;
    float buffer[PIECE];
    float *all; /* of a matrix that the form has turned; NULL */
    uint32_t checksum;
} tap;

/* A model in a file of psd's, wherever that is. */
typedef struct own {
    ps_export_original file;
    const ps_model_export *export; /* whose rounding, of numbers and of reals; NULL: none */
    ps_safetensors *header;
    ps_model_form *stored;
    ps_buf held; /* the header's bytes, */
    size_t want; /* of which there will be so many */
    tap tap;
} own;

typedef struct other {
    const ps_model_in_row *row;
    ps_model_reader *reader;
    ps_model_in_about about;
    float piece[PS_MODEL_IN_PIECE];
    tap tap;
} other;

/* One side of the comparison. */
typedef struct side {
    ps_probe_source source;
    const tap *tap;
    const ps_lm_tensor *tensors;
    size_t n;
    uint32_t *checksums; /* by tensor */
    double *answers;
    size_t n_answers;
} side;

/* ---- numbers that pass by ---- */

static void pass_on(tap *t, const float *values, size_t n)
{
    float same[1024];
    for (size_t at = 0; at < n;) {
        size_t part = n - at < 1024 ? n - at : 1024;
        for (size_t i = 0; i < part; i++)
            same[i] = values[at + i] + 0.0f; /* one zero */
        t->checksum = ps_crc32c(t->checksum, same, part * sizeof *same);
        at += part;
    }
    t->sink.numbers(t->sink.user, t->first, values, n);
    t->first += n;
}

static void round_to(ps_form form, float *values, uint64_t rows, uint64_t columns, uint8_t *bytes)
{
    ps_form_encode(form, values, NULL, rows, columns, bytes);
    ps_form_decode(form, bytes, rows, columns, values);
}

static void flush(tap *t)
{
    uint8_t bytes[PIECE * sizeof(float)];
    for (size_t i = 0; t->export && i < t->used; i++)
        t->buffer[i] = ps_model_export_number(t->export, t->tensor, t->buffer[i]);
    if (t->form.row)
        round_to(t->form, t->buffer, 1, t->used, bytes);
    pass_on(t, t->buffer, t->used);
    t->used = 0;
}

static ps_status no_memory(const ps_lm_tensor *t)
{
    return ps_fail(PS_NO_MEMORY, "tensor %s: no memory to check it", t->name);
}

/* A machine that promises memory it has not ends the process that uses it. */
static ps_status check_memory(const tap *t, uint64_t need)
{
    return need <= ps_limits_memory_left() ? PS_OK : no_memory(t->tensor);
}

/* Bytes that flush_turned takes. */
static uint64_t need_turned(const tap *t)
{
    return ps_lm_numbers(t->tensor) * sizeof(float) +
           t->tensor->shape[1] * ps_form_row_bytes(t->form, t->tensor->shape[0]);
}

/* Blocks lie along the other side: those of all of it are made. */
static ps_status flush_turned(tap *t)
{
    uint64_t rows = t->tensor->shape[0], columns = t->tensor->shape[1];
    ps_status st = check_memory(t, need_turned(t));
    if (st)
        return st;
    float *turned = ps_try_alloc_raw((size_t)(rows * columns) * sizeof *turned);
    uint8_t *bytes = ps_try_alloc_raw((size_t)(columns * ps_form_row_bytes(t->form, rows)));
    if (!turned || !bytes)
        st = no_memory(t->tensor);
    for (uint64_t i = 0; !st && i < rows * columns; i++)
        turned[i % columns * rows + i / columns] = t->all[i];
    if (!st)
        round_to(t->form, turned, columns, rows, bytes);
    for (uint64_t i = 0; !st && i < rows * columns; i++)
        t->all[i] = turned[i % columns * rows + i / columns];
    if (!st)
        pass_on(t, t->all, (size_t)(rows * columns));
    ps_free(&turned);
    ps_free(&bytes);
    return st;
}

static ps_status begin_tap(tap *t, const ps_lm_tensor *tensor, ps_form form, ps_probe_sink sink)
{
    t->tensor = tensor;
    t->form = form;
    t->sink = sink;
    t->first = t->used = 0;
    t->checksum = 0;
    if (!form.row || form.row->plain || tensor->change != PS_LM_TRANSPOSE)
        return PS_OK;
    uint64_t all = ps_lm_numbers(tensor) * sizeof *t->all;
    ps_status st = check_memory(t, all + need_turned(t));
    if (st)
        return st;
    t->all = ps_try_alloc_raw((size_t)all);
    return t->all ? PS_OK : no_memory(tensor);
}

static void feed_tap(tap *t, uint64_t first, const float *values, size_t n)
{
    if (t->all) {
        memcpy(t->all + first, values, n * sizeof *values);
        return;
    }
    while (n) {
        size_t part = PIECE - t->used < n ? PIECE - t->used : n;
        memcpy(t->buffer + t->used, values, part * sizeof *values);
        t->used += part;
        values += part;
        n -= part;
        if (t->used == PIECE)
            flush(t);
    }
}

/* st: of what fed it. */
static ps_status end_tap(tap *t, ps_status st)
{
    if (!st && t->all)
        st = flush_turned(t);
    else if (!st && t->used)
        flush(t);
    ps_free(&t->all);
    return st;
}

/* ---- psd's file ---- */

static ps_status too_many(void)
{
    return ps_fail(PS_DATA_LOSS, "more bytes have come than were asked for");
}

static ps_status hold(void *to, ps_slice bytes)
{
    own *o = to;
    if (bytes.len > o->want - o->held.len)
        return too_many();
    ps_buf_append(&o->held, bytes.data, bytes.len);
    return PS_OK;
}

/* The file's first bytes, to `end`. */
static ps_status hold_to(own *o, uint64_t end)
{
    uint64_t begin = o->held.len;
    o->want = (size_t)end;
    ps_status st = o->file.range(o->file.user, begin, end, hold, o);
    if (!st && o->held.len < end)
        st = ps_fail(PS_DATA_LOSS, "its header is cut short");
    return st;
}

static ps_status open_own(own *o, const ps_export_original *file, const ps_model_export *export)
{
    uint64_t size = 0;
    *o = (own){.file = *file, .export = export};
    ps_status st = hold_to(o, 8);
    if (!st)
        st = ps_safetensors_header_bytes(ps_buf_slice(&o->held), &size);
    if (!st)
        st = hold_to(o, size);
    if (!st)
        st = ps_safetensors_parse(ps_buf_slice(&o->held), UINT64_MAX, &o->header);
    return st ? st : ps_model_forms_parse(o->header, &o->stored);
}

static void close_own(own *o)
{
    ps_safetensors_free(&o->header);
    ps_free(&o->stored);
    ps_buf_free(&o->held);
}

static ps_status take_numbers(void *user, const ps_model_form *tensor, uint64_t first,
                              const float *values, size_t n)
{
    (void)tensor;
    feed_tap(user, first, values, n);
    return PS_OK;
}

static ps_status feed_stream(void *to, ps_slice bytes)
{
    return bytes.len > ps_form_stream_missing(to) ? too_many() : ps_form_stream_feed(to, bytes);
}

static ps_status visit_own(void *user, const ps_lm_tensor *tensor, ps_probe_sink sink)
{
    own *o = user;
    const ps_model_form *stored = ps_model_form_find(o->stored, o->header->n_tensors, tensor->name);
    if (!stored || stored->n_dims != tensor->n_dims ||
        memcmp(stored->shape, tensor->shape, stored->n_dims * sizeof *stored->shape) != 0)
        return ps_fail(PS_DATA_LOSS, "tensor %s is not there, or of another shape", tensor->name);
    size_t i = (size_t)(stored - o->stored);
    const ps_safetensors_tensor *t = &o->header->tensors[i];
    ps_form form = {NULL, 0};
    o->tap.export = o->export;
    if (o->export)
        form = ps_model_export_form(o->export, i);
    ps_form_stream *numbers = ps_form_stream_new((ps_form_sink){take_numbers, &o->tap});
    ps_status st = begin_tap(&o->tap, tensor, form, sink);
    if (!st)
        st = ps_form_stream_begin(numbers, stored);
    if (!st)
        st = o->file.range(o->file.user, o->header->data_start + t->begin,
                           o->header->data_start + t->end, feed_stream, numbers);
    if (!st && ps_form_stream_missing(numbers))
        st = ps_fail(PS_DATA_LOSS, "tensor %s is cut short", tensor->name);
    ps_form_stream_free(&numbers);
    return end_tap(&o->tap, st);
}

/* ---- what was written ---- */

static ps_status open_other(other *o, const ps_disk *disk, const char *path)
{
    const ps_model_format *format = NULL;
    o->about.options.disk = disk;
    o->about.options.float_activations = true;
    ps_status st = ps_model_format_of(o->about.options.disk, path, &format);
    if (!st && !format)
        st = ps_fail(PS_DATA_LOSS, "it is read as another format");
    if (!st) {
        o->row = format->in;
        st = o->row->open(path, &o->about, &o->reader);
    }
    return st;
}

static void close_other(other *o)
{
    if (o->row)
        o->row->close(&o->reader);
    ps_model_in_about_free(&o->about);
}

static ps_status visit_other(void *user, const ps_lm_tensor *tensor, ps_probe_sink sink)
{
    other *o = user;
    size_t i = 0;
    while (i < o->about.n && strcmp(o->about.tensors[i].name, tensor->name) != 0)
        i++;
    if (i == o->about.n)
        return ps_fail(PS_DATA_LOSS, "tensor %s is not there", tensor->name);
    uint64_t all = ps_lm_numbers(tensor);
    ps_status st = begin_tap(&o->tap, tensor, (ps_form){NULL, 0}, sink);
    for (uint64_t at = 0; !st && at < all;) {
        size_t n = all - at < PS_MODEL_IN_PIECE ? (size_t)(all - at) : PS_MODEL_IN_PIECE;
        st = o->row->read(o->reader, i, at, n, o->piece);
        if (!st)
            feed_tap(&o->tap, at, o->piece, n);
        at += n;
    }
    return end_tap(&o->tap, st);
}

/* ---- both ---- */

static ps_status visit_and_note(void *user, const ps_lm_tensor *tensor, ps_probe_sink sink)
{
    side *s = user;
    size_t i = 0;
    ps_status st = s->source.visit(s->source.user, tensor, sink);
    while (i < s->n && strcmp(s->tensors[i].name, tensor->name) != 0)
        i++;
    if (i < s->n)
        s->checksums[i] = s->tap->checksum;
    return st;
}

/* The pass, by the side's own sizes; names and checksums by the original's. */
static ps_status run_side(side *s, const ps_spec_model *model)
{
    s->checksums = ps_alloc_array(s->n + 1, sizeof *s->checksums);
    return ps_probe_run(model, &(ps_probe_source){visit_and_note, s}, &s->answers, &s->n_answers);
}

static void clear_side(side *s)
{
    ps_free(&s->checksums);
    ps_free(&s->answers);
}

static ps_status compare(const side *a, const side *b)
{
    for (size_t i = 0; i < a->n; i++)
        if (a->checksums[i] != b->checksums[i])
            return ps_fail(PS_DATA_LOSS, "tensor %s does not say what psd has", a->tensors[i].name);
    bool same = a->n_answers == b->n_answers;
    for (size_t i = 0; same && i < a->n_answers; i++)
        same = isnan(a->answers[i]) ? isnan(b->answers[i])
                                    : !memcmp(&a->answers[i], &b->answers[i], sizeof *a->answers);
    return same ? PS_OK
                : ps_fail(PS_DATA_LOSS,
                          "a forward pass says something else with it than with psd's model");
}

/* The model as the format can say it. */
static void narrow_reals(const ps_model_export *export, ps_spec_model *model)
{
    ps_rope_spec *rope = &model->rope;
    double *const reals[] = {&rope->theta,
                             &rope->local_theta,
                             &rope->factor,
                             &rope->low_freq_factor,
                             &rope->high_freq_factor,
                             &rope->beta_fast,
                             &rope->beta_slow,
                             &rope->attention_factor,
                             &model->choices.attention_softcap,
                             &model->choices.logit_softcap};
    for (size_t i = 0; i < sizeof reals / sizeof *reals; i++)
        *reals[i] = ps_model_export_real(export, *reals[i]);
    model->norm_epsilon = ps_model_export_real(export, model->norm_epsilon);
}

/* theirs: the model of what was written. */
static ps_status check_sides(own *original, const ps_spec_model *theirs, side *written,
                             const char *config)
{
    ps_spec_model *model = NULL;
    ps_lm_tensor *tensors = NULL;
    side here = {.source = {visit_own, original}, .tap = &original->tap};
    ps_status st = ps_spec_model_parse(ps_slice_str(config), "the model's config", &model);
    if (st)
        return st;
    narrow_reals(original->export, model);
    ps_probe_tensors(model, &tensors, &here.n);
    here.tensors = written->tensors = tensors;
    written->n = here.n;
    st = run_side(written, theirs);
    if (!st)
        st = run_side(&here, model);
    if (!st)
        st = compare(&here, written);
    clear_side(&here);
    clear_side(written);
    ps_free(&tensors);
    ps_spec_model_free(&model);
    return st;
}

static ps_status check_other(own *original, const char *path, const char *config)
{
    other *written = ps_new(other);
    side there = {.source = {visit_other, written}, .tap = &written->tap};
    ps_status st = open_other(written, ps_model_export_disk(original->export), path);
    if (!st)
        st = check_sides(original, written->about.model, &there, config);
    close_other(written);
    ps_free(&written);
    return st;
}

ps_status ps_export_check(const ps_export_original *file, const char *path,
                          const ps_model_export *export)
{
    own *original = ps_new(own);
    ps_status st = open_own(original, file, export);
    if (!st)
        st = check_other(original, path, file->config);
    close_own(original);
    ps_free(&original);
    return st;
}

ps_status ps_export_answers(const ps_export_original *file, double **out, size_t *n)
{
    own *original = ps_new(own);
    ps_spec_model *model = NULL;
    *out = NULL;
    ps_status st = ps_spec_model_parse(ps_slice_str(file->config), "the model's config", &model);
    if (!st)
        st = open_own(original, file, NULL);
    if (!st)
        st = ps_probe_run(model, &(ps_probe_source){visit_own, original}, out, n);
    close_own(original);
    ps_free(&original);
    if (model)
        ps_spec_model_free(&model);
    return st;
}

static ps_status not_kept(ps_status st)
{
    return st ? ps_wrap(st, "what was written was read back, and is not kept") : PS_OK;
}

ps_status ps_export_seal(ps_model_export *export, const ps_export_original *original)
{
    ps_status st = ps_model_export_seal(export);
    const char *path = ps_model_export_first(export);
    return !st && path ? not_kept(ps_export_check(original, path, export)) : st;
}

/* ---- psd's own file, which is any bytes ---- */

static ps_status check_bytes(const ps_disk *disk, const char *path, uint64_t want,
                             uint32_t checksum)
{
    int file = -1;
    ps_status st = disk->open(disk->state, path, PS_DISK_READ, &file);
    if (st)
        return st;
    uint8_t *piece = ps_alloc(PIECE);
    uint32_t have = 0;
    uint64_t bytes = 0;
    size_t got = 1;
    while (!st && got) {
        st = disk->read(disk->state, file, piece, PIECE, &got);
        if (st)
            break;
        have = ps_crc32c(have, piece, got);
        bytes += got;
    }
    if (!st && (bytes != want || have != checksum))
        st = ps_fail(PS_DATA_LOSS, "%s does not hold the bytes that came", path);
    ps_free(&piece);
    disk->close(disk->state, file);
    return st;
}

ps_status ps_export_finish_file(ps_new_file **file, const ps_disk *disk, uint32_t checksum)
{
    const char *path = ps_new_file_temporary(*file);
    ps_status st = ps_new_file_end(*file);
    if (!st && path)
        st = not_kept(
            check_bytes(disk ? disk : &ps_disk_system, path, ps_new_file_bytes(*file), checksum));
    if (!st)
        return ps_new_file_finish(file);
    ps_new_file_drop(file);
    return st;
}
