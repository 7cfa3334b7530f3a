/* Happy path: the worker's report stands in the result; both models beside each other, and below
 * what lies between them, with its standard error. */
#include "client/show/compare_view.h"

#include "client/show/human.h"
#include "client/show/json_fields.h"

#include <math.h>
#include <string.h>

#define UNKNOWN                      \
    {                                \
        NAN, NAN, NAN, NAN, NAN, NAN \
    }

const ps_compared ps_compared_nothing = {.model = UNKNOWN,
                                         .other = UNKNOWN,
                                         .samples = NAN,
                                         .loss_difference = NAN,
                                         .loss_difference_error = NAN,
                                         .divergence = NAN,
                                         .divergence_error = NAN,
                                         .same_top = NAN,
                                         .shared_rows = NAN};

/* Of a job's result. */
typedef struct outcome {
    ps_compared compared;
    bool said;
} outcome;

static ps_status read_side(ps_json_reader *json, const char *key, void *into)
{
    static const ps_json_field fields[] = {PS_FIELD_NUMBER(ps_compared_side, loss),
                                           PS_FIELD_NUMBER(ps_compared_side, perplexity),
                                           PS_FIELD_NUMBER(ps_compared_side, accuracy),
                                           PS_FIELD_NUMBER(ps_compared_side, tokens_a_second),
                                           PS_FIELD_NUMBER(ps_compared_side, rows_a_second),
                                           PS_FIELD_NUMBER(ps_compared_side, generated_a_second)};
    return ps_json_field_read(json, key, fields, sizeof fields / sizeof *fields, into);
}

static ps_status read_data(ps_json_reader *json, const char *key, void *into)
{
    static const ps_json_field fields[] = {
        PS_FIELD_WORDS("test_sha256", ps_compared, test_sha256),
        PS_FIELD_WORDS("calibration_sha256", ps_compared, calibration_sha256),
        PS_FIELD_NUMBER(ps_compared, shared_rows)};
    return ps_json_field_read(json, key, fields, sizeof fields / sizeof *fields, into);
}

static ps_status read_member(ps_json_reader *json, const char *key, void *into)
{
    static const ps_json_field fields[] = {PS_FIELD_NUMBER(ps_compared, samples),
                                           PS_FIELD_NUMBER(ps_compared, loss_difference),
                                           PS_FIELD_NUMBER(ps_compared, loss_difference_error),
                                           PS_FIELD_NUMBER(ps_compared, divergence),
                                           PS_FIELD_NUMBER(ps_compared, divergence_error),
                                           PS_FIELD_NUMBER(ps_compared, same_top)};
    ps_compared *c = into;
    if (!strcmp(key, "model"))
        return ps_json_object_read(json, &c->model, read_side);
    if (!strcmp(key, "other"))
        return ps_json_object_read(json, &c->other, read_side);
    if (!strcmp(key, "data"))
        return ps_json_object_read(json, c, read_data);
    return ps_json_field_read(json, key, fields, sizeof fields / sizeof *fields, into);
}

ps_status ps_compared_read(ps_json_reader *json, ps_compared *out)
{
    *out = ps_compared_nothing;
    return ps_json_object_read(json, out, read_member);
}

static ps_status read_result(ps_json_reader *json, const char *key, void *into)
{
    outcome *o = into;
    if (strcmp(key, "report") != 0)
        return ps_json_skip(json);
    o->said = true;
    return ps_compared_read(json, &o->compared);
}

static ps_status parse(const char *result, ps_compared *out)
{
    ps_json_reader json;
    ps_json_token t;
    outcome o = {.compared = ps_compared_nothing};
    ps_json_reader_init(&json, ps_slice_str(result));
    ps_status st = ps_json_object_read(&json, &o, read_result);
    if (!st)
        st = ps_json_expect(&json, PS_JSON_END, &t);
    ps_json_reader_free(&json);
    *out = o.compared;
    return !st && !o.said ? ps_fail(PS_CORRUPT, "it has no report") : st;
}

static void put_pair(ps_table *t, const char *label, double a, double b)
{
    if (isnan(a) && isnan(b))
        return;
    ps_table_text(t, label);
    ps_table_text(t, ps_human_value(a).text);
    ps_table_text(t, ps_human_value(b).text);
}

static void put_sizes(ps_table *t, const Psd__V1__Model *const models[2])
{
    ps_table_text(t, "size");
    for (size_t i = 0; i < 2; i++)
        ps_table_text(t, ps_human_bytes((double)models[i]->bytes).text);
    ps_table_text(t, "stored as");
    for (size_t i = 0; i < 2; i++)
        ps_table_text(t, models[i]->forms);
}

static void put_rate(ps_table *t, const char *label, double a, double b)
{
    if (isnan(a) && isnan(b))
        return;
    ps_table_text(t, label);
    ps_table_text(t, isnan(a) ? "-" : ps_human_count(a).text);
    ps_table_text(t, isnan(b) ? "-" : ps_human_count(b).text);
}

void ps_compared_field(ps_table *t, const ps_style *style, const char *label, double value,
                       double error, bool difference)
{
    char text[64];
    if (isnan(value))
        return;
    (void)snprintf(text, sizeof text, difference ? "%+.4g" : "%.4g", value);
    if (isnan(error))
        ps_table_field(t, label, "%s", text);
    else
        ps_table_field(t, label, "%s %s %.2g", text, style->utf8 ? "±" : "+-", error);
}

static void put_between(const ps_compared *c, const ps_style *style, ps_buf *out)
{
    ps_table *t = ps_table_new(NULL);
    ps_table_field(t, "rows", "%.0f", c->samples);
    ps_compared_field(t, style, "loss", c->loss_difference, c->loss_difference_error, true);
    ps_compared_field(t, style, "divergence", c->divergence, c->divergence_error, false);
    if (!isnan(c->same_top))
        ps_table_field(t, "same top", "%.2f%%", 100 * c->same_top);
    ps_table_render(t, style, out);
    ps_table_free(&t);
}

ps_status ps_compare_text(ps_buf *out, const ps_style *style, const Psd__V1__Model *const models[2],
                          const char *result)
{
    ps_compared c;
    ps_status st = parse(result, &c);
    if (st)
        return st;
    char names[2][PS_FIELD_TEXT];
    for (size_t i = 0; i < 2; i++)
        (void)snprintf(names[i], sizeof names[i], ">%s", models[i]->name);
    const char *const headers[] = {"", names[0], names[1], NULL};
    ps_table *t = ps_table_new(headers);
    put_pair(t, "loss", c.model.loss, c.other.loss);
    put_pair(t, "perplexity", c.model.perplexity, c.other.perplexity);
    put_pair(t, "accuracy", c.model.accuracy, c.other.accuracy);
    put_sizes(t, models);
    put_rate(t, "generated/s", c.model.generated_a_second, c.other.generated_a_second);
    put_rate(t, "tokens/s", c.model.tokens_a_second, c.other.tokens_a_second);
    put_rate(t, "rows/s", c.model.rows_a_second, c.other.rows_a_second);
    ps_table_render(t, style, out);
    ps_table_free(&t);
    ps_buf_putc(out, '\n');
    put_between(&c, style, out);
    return PS_OK;
}
