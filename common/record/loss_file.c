/* Happy path: the header's metadata says units and segments, then come the arrays. Sharing out goes
 * over the record twice: once to see what a segment's pushes are together, once to say each. */
#include "common/record/loss_file.h"

#include "common/base/mem.h"
#include "common/format/safetensors.h"
#include "common/json/json.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static ps_status damaged(const char *what)
{
    return ps_fail(PS_CORRUPT, PS_LOSS_FILE ": %s", what);
}

/* ---- the metadata ---- */

typedef ps_status (*member_fn)(const char *key, const ps_json_token *value, void *into);

/* One object of texts, numbers and truths. */
static ps_status read_object(ps_slice bytes, member_fn each, void *into)
{
    ps_json_reader reader;
    ps_json_token token;
    ps_json_reader_init(&reader, bytes);
    ps_status st = ps_json_expect(&reader, PS_JSON_OBJECT, &token);
    while (!st && ps_json_member(&reader, &token, &st)) {
        char key[24];
        (void)snprintf(key, sizeof key, "%s", (const char *)token.text.data);
        st = ps_json_next(&reader, &token);
        if (!st && (token.kind == PS_JSON_OBJECT || token.kind == PS_JSON_ARRAY))
            st = damaged("a value that is none");
        if (!st)
            st = each(key, &token, into);
    }
    ps_json_reader_free(&reader);
    return st;
}

static ps_status unit_member(const char *key, const ps_json_token *value, void *into)
{
    ps_loss_unit *u = into;
    if (!strcmp(key, "tensor") && value->kind == PS_JSON_STRING && !u->tensor)
        u->tensor = ps_strdup((const char *)value->text.data);
    else if (!strcmp(key, "column_begin"))
        u->column_begin = value->u64;
    else if (!strcmp(key, "column_end"))
        u->column_end = value->u64;
    else if (!strcmp(key, "elements"))
        u->elements = value->u64;
    return PS_OK;
}

static ps_status segment_member(const char *key, const ps_json_token *value, void *into)
{
    ps_loss_segment *s = into;
    if (!strcmp(key, "begin"))
        s->begin = value->u64;
    else if (!strcmp(key, "end"))
        s->end = value->u64;
    else if (!strcmp(key, "loss_begin"))
        s->loss_begin = value->number;
    else if (!strcmp(key, "loss_end"))
        s->loss_end = value->number;
    else if (!strcmp(key, "gradients"))
        s->gradients = (uint32_t)value->u64;
    else if (!strcmp(key, "met"))
        s->met = value->kind == PS_JSON_TRUE;
    return PS_OK;
}

enum { MANY = 1 << 22 };

static ps_status add_unit(ps_slice bytes, ps_loss_file *file)
{
    if (file->n_units == MANY)
        return damaged("too many units");
    file->units = ps_realloc(file->units, (file->n_units + 1) * sizeof *file->units);
    ps_loss_unit *u = &file->units[file->n_units++];
    *u = (ps_loss_unit){0};
    ps_status st = read_object(bytes, unit_member, u);
    return !st && (!u->tensor || u->elements == 0) ? damaged("a unit that is none") : st;
}

static ps_status add_segment(ps_slice bytes, ps_loss_file *file)
{
    if (file->n_segments == MANY)
        return damaged("too many segments");
    file->segments = ps_realloc(file->segments, (file->n_segments + 1) * sizeof *file->segments);
    ps_loss_segment *s = &file->segments[file->n_segments++];
    *s = (ps_loss_segment){0};
    ps_status st = read_object(bytes, segment_member, s);
    bool good = s->begin < s->end && isfinite(s->loss_begin) && isfinite(s->loss_end) &&
                (file->n_segments < 2 || s[-1].end <= s->begin);
    return !st && !good ? damaged("a segment that is none") : st;
}

static ps_status read_list(ps_slice bytes, ps_status (*add)(ps_slice, ps_loss_file *),
                           ps_loss_file *file)
{
    ps_json_reader reader;
    ps_json_token token;
    ps_slice element;
    ps_json_reader_init(&reader, bytes);
    ps_status st = ps_json_expect(&reader, PS_JSON_ARRAY, &token);
    while (!st && ps_json_element(&reader, &element, &st))
        st = add(element, file);
    ps_json_reader_free(&reader);
    return st;
}

static ps_status read_about(const char *json, ps_loss_file *file)
{
    ps_json_reader reader;
    ps_json_token token;
    ps_json_reader_init(&reader, ps_slice_str(json));
    ps_status st = ps_json_expect(&reader, PS_JSON_OBJECT, &token);
    while (!st && ps_json_member(&reader, &token, &st)) {
        bool units = !strcmp((const char *)token.text.data, "units") && !file->n_units;
        bool segments = !strcmp((const char *)token.text.data, "segments") && !file->n_segments;
        ps_slice value;
        st = ps_json_value(&reader, &value);
        if (!st && (units || segments))
            st = read_list(value, units ? add_unit : add_segment, file);
    }
    ps_json_reader_free(&reader);
    return !st && (!file->n_units || !file->n_segments) ? damaged("no units, or no segments") : st;
}

/* ---- the arrays ---- */

static ps_status find(const ps_safetensors *head, ps_slice bytes, const char *name,
                      ps_safetensors_dtype dtype, uint64_t rows, ps_slice *out, uint64_t *columns)
{
    const ps_safetensors_tensor *t = ps_safetensors_find(head, name);
    if (!t)
        return PS_NOT_FOUND;
    if (t->dtype != dtype || t->n_dims != 2 || t->shape[0] != rows)
        return damaged("an array of another shape");
    *columns = t->shape[1];
    *out = ps_slice_of(bytes.data + head->data_start + t->begin, (size_t)(t->end - t->begin));
    return PS_OK;
}

static ps_status read_arrays(const ps_safetensors *head, ps_slice bytes, ps_loss_file *file)
{
    ps_slice parts = {NULL, 0}, gradients = {NULL, 0};
    uint64_t units = 0, each = 0;
    ps_status st = find(head, bytes, "parts", PS_SAFETENSORS_F32, file->n_segments, &parts, &units);
    if (st || units != file->n_units)
        return st == PS_CORRUPT ? st : damaged("no parts, or others than it says");
    st = find(head, bytes, "gradients", PS_SAFETENSORS_U8, file->n_segments, &gradients, &each);
    if (st == PS_CORRUPT)
        return st;
    for (size_t i = 0; i < file->n_segments; i++) {
        ps_loss_segment *s = &file->segments[i];
        s->parts = ps_alloc_array(file->n_units, sizeof *s->parts);
        for (size_t u = 0; u < file->n_units; u++) {
            float part;
            memcpy(&part, parts.data + (i * file->n_units + u) * sizeof part, sizeof part);
            s->parts[u] = part;
        }
        s->gradient = ps_alloc((size_t)each + 1);
        s->gradient_bytes = (size_t)each;
        if (each)
            memcpy(s->gradient, gradients.data + i * (size_t)each, (size_t)each);
    }
    return PS_OK;
}

ps_status ps_loss_file_read(ps_slice bytes, ps_loss_file *out)
{
    ps_loss_file file = {0};
    ps_safetensors *head = NULL;
    ps_status st = ps_safetensors_parse(bytes, bytes.len, &head);
    if (st)
        return st;
    const char *about = ps_safetensors_metadata(head, PS_LOSS_FILE_META);
    st = about ? read_about(about, &file) : damaged("it has no " PS_LOSS_FILE_META);
    if (!st)
        st = read_arrays(head, bytes, &file);
    ps_safetensors_free(&head);
    if (st)
        ps_loss_file_free(&file);
    else
        *out = file;
    return st;
}

void ps_loss_file_free(ps_loss_file *file)
{
    for (size_t i = 0; i < file->n_units; i++)
        free(file->units[i].tensor);
    for (size_t i = 0; i < file->n_segments; i++)
        ps_loss_segment_free(&file->segments[i]);
    free(file->units);
    free(file->segments);
    *file = (ps_loss_file){0};
}

/* ---- shares ---- */

typedef struct sharing {
    const ps_loss_file *losses;
    ps_sketch *shape;
    float *numbers, *gradient; /* of a push; of the segment at hand */
    size_t at;                 /* that segment */
    double *product, *square;  /* [segments, units]: of its pushes together */
    bool whole;                /* every push is in the record */
} sharing;

static bool segment_of(const ps_loss_file *losses, uint64_t version, size_t *out)
{
    size_t low = 0, high = losses->n_segments;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (losses->segments[middle].end < version)
            low = middle + 1;
        else
            high = middle;
    }
    *out = low;
    return low < losses->n_segments && losses->segments[low].begin < version;
}

static void go_to(sharing *s, size_t segment)
{
    if (segment != s->at)
        ps_loss_gradient_read(s->shape, s->losses->segments[segment].gradient, s->gradient);
    s->at = segment;
}

static double product_of(const sharing *s, size_t unit, double *square)
{
    ps_sketch_part part = ps_sketch_part_of(s->shape, unit);
    const float *own = s->numbers + part.at;
    *square = ps_sketch_dot(own, own, part.width);
    return ps_sketch_dot(own, s->gradient + part.at, part.width);
}

static void count(sharing *s, const ps_loss_share *share, ps_loss_share_fn each, void *user)
{
    double square;
    size_t row = share->segment * s->losses->n_units;
    (void)each;
    (void)user;
    for (size_t u = 0; u < s->losses->n_units; u++) {
        s->product[row + u] += product_of(s, u, &square);
        s->square[row + u] += square;
    }
}

static void tell(sharing *s, const ps_loss_share *share, ps_loss_share_fn each, void *user)
{
    double square;
    size_t row = share->segment * s->losses->n_units;
    ps_loss_share told = *share;
    for (size_t u = 0; u < s->losses->n_units; u++) {
        double missing = s->losses->segments[share->segment].parts[u] - s->product[row + u];
        told.change += product_of(s, u, &square);
        if (s->whole && s->square[row + u] > 0)
            told.change += missing * square / s->square[row + u];
    }
    each(user, &told);
}

typedef void (*visit_fn)(sharing *s, const ps_loss_share *share, ps_loss_share_fn each, void *user);

static ps_status visit(sharing *s, ps_slice records, visit_fn do_one, ps_loss_share_fn each,
                       void *user)
{
    ps_cursor at = ps_cursor_of(records);
    ps_influence_record record;
    ps_loss_share share = {.push = &record.push};
    ps_status st;
    while (!(st = ps_influence_read(&at, s->shape, &record, s->numbers))) {
        share.number++;
        if (!segment_of(s->losses, record.push.version, &share.segment))
            continue;
        go_to(s, share.segment);
        do_one(s, &share, each, user);
    }
    return st == PS_END ? PS_OK : st;
}

static double correction(const sharing *s)
{
    double missed = 0, moved = 0;
    for (size_t i = 0; i < s->losses->n_segments; i++)
        for (size_t u = 0; u < s->losses->n_units; u++) {
            double part = s->losses->segments[i].parts[u];
            missed += fabs(part - s->product[i * s->losses->n_units + u]);
            moved += fabs(part);
        }
    return moved > 0 ? missed / moved : 0;
}

static ps_status check_same(const ps_loss_file *losses, const ps_influence_head *head,
                            const ps_sketch *shape)
{
    bool same = losses->n_units == head->n_units &&
                losses->segments[0].gradient_bytes == ps_loss_gradient_bytes(shape);
    for (size_t u = 0; same && u < losses->n_units; u++)
        same = losses->units[u].elements == head->elements[u];
    return same ? PS_OK
                : ps_fail(PS_FAILED_PRECONDITION,
                          PS_LOSS_FILE " and " PS_INFLUENCE_FILE " are not of one training");
}

ps_status ps_loss_file_shares(const ps_loss_file *losses, ps_slice influence, ps_loss_share_fn each,
                              void *user, double *corrected)
{
    ps_influence_head head;
    size_t used;
    ps_status st = ps_influence_head_read(influence, &head, &used);
    if (st)
        return st;
    sharing s = {.losses = losses, .at = SIZE_MAX, .whole = head.every == 1};
    ps_influence_sketch(&head, &s.shape);
    st = check_same(losses, &head, s.shape);
    if (!st) {
        ps_slice records = ps_slice_of(influence.data + used, influence.len - used);
        s.numbers = ps_alloc_array(ps_sketch_width(s.shape), sizeof *s.numbers);
        s.gradient = ps_alloc_array(ps_sketch_width(s.shape), sizeof *s.gradient);
        s.product = ps_alloc_array(losses->n_segments * losses->n_units, sizeof *s.product);
        s.square = ps_alloc_array(losses->n_segments * losses->n_units, sizeof *s.square);
        st = visit(&s, records, count, NULL, NULL);
        if (!st)
            st = visit(&s, records, tell, each, user);
        if (!st)
            *corrected = correction(&s);
    }
    free(s.numbers);
    free(s.gradient);
    free(s.product);
    free(s.square);
    ps_sketch_free(&s.shape);
    ps_influence_head_free(&head);
    return st;
}
