/* Happy path: the metadata say which inputs there are, and each has its sums in the file, of the
 * length that its columns make. */
#include "common/compress/calibration.h"

#include "common/base/mem.h"
#include "common/base/require.h"
#include "common/json/json.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { COUNT_MAX = 1 << 24 }; /* columns whose triangle is still a number of 64 bits, by far */

const char *ps_calibration_name(size_t i, bool held_out, char out[PS_CALIBRATION_NAME])
{
    (void)snprintf(out, PS_CALIBRATION_NAME, held_out ? "held.%zu" : "sum.%zu", i);
    return out;
}

static void describe_input(const ps_plan *plan, size_t i, ps_json_writer *w)
{
    ps_json_object(w);
    ps_json_put_uint(w, "columns", plan->inputs[i].columns);
    ps_json_put_bool(w, "squares", plan->inputs[i].squares);
    ps_json_key(w, "tensors");
    ps_json_array(w);
    for (size_t k = 0; k < plan->n_tensors; k++)
        if (plan->tensors[k].input == i && !plan->inputs[i].influence)
            ps_json_string(w, plan->tensors[k].stored.name);
    ps_json_array_end(w);
    ps_json_object_end(w);
}

void ps_calibration_describe(const ps_plan *plan, const ps_calibration_about *about, ps_buf *json)
{
    PS_REQUIRE(plan->n_windows == 1);
    ps_json_writer w = ps_json_writer_to(json);
    ps_json_object(&w);
    ps_json_put_string(&w, "model", about->model);
    ps_json_put_string(&w, "parent_sha256", about->parent_sha256);
    ps_json_put_string(&w, "calibration_sha256", about->data_sha256);
    ps_json_put_string(&w, "config", about->config);
    ps_json_put_uint(&w, "tokens_a_row", plan->tokens_a_row);
    ps_json_key(&w, "inputs");
    ps_json_array(&w);
    for (size_t i = 0; i < plan->n_inputs; i++)
        describe_input(plan, i, &w);
    ps_json_array_end(&w);
    ps_json_object_end(&w);
}

/* ---- reading ---- */

static ps_status read_text(ps_json_reader *r, char **out)
{
    ps_json_token t;
    ps_status st = ps_json_expect(r, PS_JSON_STRING, &t);
    if (st)
        return st;
    ps_free(out);
    *out = ps_strdup((const char *)t.text.data);
    return PS_OK;
}

static ps_status read_digest(ps_json_reader *r, char out[PS_CALIBRATION_DIGEST])
{
    ps_json_token t;
    ps_status st = ps_json_expect(r, PS_JSON_STRING, &t);
    if (!st && t.text.len >= PS_CALIBRATION_DIGEST)
        st = ps_fail(PS_CORRUPT, "a hash of %zu characters", t.text.len);
    if (!st)
        (void)snprintf(out, PS_CALIBRATION_DIGEST, "%s", (const char *)t.text.data);
    return st;
}

static ps_status read_names(ps_json_reader *r, ps_calibration_input *in)
{
    ps_slice bytes;
    ps_json_token t;
    size_t room = 0;
    ps_status st = ps_json_expect(r, PS_JSON_ARRAY, &t);
    while (ps_json_element(r, &bytes, &st)) {
        ps_json_reader one;
        if (in->n_tensors == room) {
            room = room ? 2 * room : 4;
            in->tensors = ps_realloc(in->tensors, room * sizeof *in->tensors);
        }
        in->tensors[in->n_tensors++] = NULL;
        ps_json_reader_init(&one, bytes);
        st = read_text(&one, &in->tensors[in->n_tensors - 1]);
        ps_json_reader_free(&one);
    }
    return st;
}

static ps_status read_count(ps_json_reader *r, const char *of, const char *what, uint64_t *out)
{
    ps_json_token t;
    ps_status st = ps_json_expect(r, PS_JSON_NUMBER, &t);
    if (!st && (!t.is_u64 || t.u64 == 0 || t.u64 > COUNT_MAX))
        st = ps_fail(PS_CORRUPT, "%s of %g %s", of, t.number, what);
    *out = st ? 0 : t.u64;
    return st;
}

static ps_status read_squares(ps_json_reader *r, bool *out)
{
    ps_json_token t;
    ps_status st = ps_json_next(r, &t);
    if (!st && t.kind != PS_JSON_TRUE && t.kind != PS_JSON_FALSE)
        st = ps_fail(PS_CORRUPT, "squares is neither true nor false");
    *out = !st && t.kind == PS_JSON_TRUE;
    return st;
}

static ps_status read_input(ps_slice json, ps_calibration_input *out)
{
    ps_json_reader r;
    ps_json_token t;
    ps_json_reader_init(&r, json);
    ps_status st = ps_json_expect(&r, PS_JSON_OBJECT, &t);
    while (ps_json_member(&r, &t, &st)) {
        const char *key = (const char *)t.text.data;
        if (!strcmp(key, "columns"))
            st = read_count(&r, "an input", "columns", &out->columns);
        else if (!strcmp(key, "squares"))
            st = read_squares(&r, &out->squares);
        else if (!strcmp(key, "tensors") && !out->tensors)
            st = read_names(&r, out);
        else
            st = ps_json_skip(&r);
    }
    ps_json_reader_free(&r);
    return !st && !out->columns ? ps_fail(PS_CORRUPT, "an input without columns") : st;
}

/* Of each there is a tensor, so there are no more. */
static ps_status read_inputs(ps_json_reader *r, const ps_safetensors *file, ps_calibration *out)
{
    ps_slice bytes;
    ps_json_token t;
    if (out->inputs)
        return ps_fail(PS_CORRUPT, "inputs are there twice");
    out->inputs = ps_alloc_array(file->n_tensors + 1, sizeof *out->inputs);
    ps_status st = ps_json_expect(r, PS_JSON_ARRAY, &t);
    while (ps_json_element(r, &bytes, &st))
        st = out->n_inputs < file->n_tensors ? read_input(bytes, &out->inputs[out->n_inputs++])
                                             : ps_fail(PS_CORRUPT, "more inputs than tensors");
    return st;
}

static ps_status read_about(const ps_safetensors *file, ps_calibration *out)
{
    ps_json_reader r;
    ps_json_token t;
    const char *json = ps_safetensors_metadata(file, PS_CALIBRATION_META);
    if (!json)
        return ps_fail(PS_CORRUPT, "its metadata have no " PS_CALIBRATION_META);
    ps_json_reader_init(&r, ps_slice_str(json));
    ps_status st = ps_json_expect(&r, PS_JSON_OBJECT, &t);
    while (ps_json_member(&r, &t, &st)) {
        const char *key = (const char *)t.text.data;
        if (!strcmp(key, "model"))
            st = read_text(&r, &out->model);
        else if (!strcmp(key, "config"))
            st = read_text(&r, &out->config);
        else if (!strcmp(key, "tokens_a_row"))
            st = read_count(&r, "a row", "tokens", &out->tokens_a_row);
        else if (!strcmp(key, "parent_sha256"))
            st = read_digest(&r, out->parent_sha256);
        else if (!strcmp(key, "calibration_sha256"))
            st = read_digest(&r, out->data_sha256);
        else if (!strcmp(key, "inputs"))
            st = read_inputs(&r, file, out);
        else
            st = ps_json_skip(&r);
    }
    ps_json_reader_free(&r);
    if (!st && (!out->model || !out->config || !out->tokens_a_row))
        st = ps_fail(PS_CORRUPT, "it does not say of which model and rows it is");
    return st;
}

static bool has_numbers(const ps_safetensors_tensor *t, uint64_t numbers)
{
    return t->dtype == PS_SAFETENSORS_F32 && t->end - t->begin == numbers * sizeof(float);
}

static ps_status find_sums(const ps_safetensors *file, ps_calibration *c, size_t i)
{
    ps_calibration_input *in = &c->inputs[i];
    uint64_t numbers = in->squares ? in->columns : in->columns * (in->columns + 1) / 2;
    for (int held_out = 0; held_out < 2; held_out++) {
        char name[PS_CALIBRATION_NAME];
        const ps_safetensors_tensor *t =
            ps_safetensors_find(file, ps_calibration_name(i, held_out, name));
        if ((!t && !held_out) || (t && !has_numbers(t, numbers)))
            return ps_fail(PS_CORRUPT, "tensor %s has not the %" PRIu64 " numbers of its input",
                           name, numbers);
        in->sums[held_out] = t;
    }
    return PS_OK;
}

ps_status ps_calibration_parse(const ps_safetensors *file, ps_calibration **out)
{
    ps_calibration *c = ps_new(ps_calibration);
    ps_status st = read_about(file, c);
    c->tokens = ps_safetensors_find(file, PS_CALIBRATION_TOKENS);
    if (!st && (!c->tokens || !has_numbers(c->tokens, 2)))
        st = ps_fail(PS_CORRUPT, "it does not say of how many tokens it is");
    for (size_t i = 0; !st && i < c->n_inputs; i++)
        st = find_sums(file, c, i);
    if (st)
        ps_calibration_free(&c);
    *out = c;
    return st;
}

void ps_calibration_free(ps_calibration **calibration)
{
    ps_calibration *c = *calibration;
    if (!c)
        return;
    for (size_t i = 0; i < c->n_inputs; i++) {
        for (size_t k = 0; k < c->inputs[i].n_tensors; k++)
            ps_free(&c->inputs[i].tensors[k]);
        ps_free(&c->inputs[i].tensors);
    }
    ps_free(&c->inputs);
    ps_free(&c->model);
    ps_free(&c->config);
    ps_free(calibration);
}

const ps_calibration_input *ps_calibration_find(const ps_calibration *c, const char *tensor)
{
    for (size_t i = 0; i < c->n_inputs; i++)
        for (size_t k = 0; k < c->inputs[i].n_tensors; k++)
            if (!strcmp(c->inputs[i].tensors[k], tensor))
                return &c->inputs[i];
    return NULL;
}
