/* Happy path: the tensor's members into a struct, what its worker says of it into the same, by a
 * reader of its own; then a cell for each. A number that is not there is an empty cell. */
#include "client/show/report_row.h"

#include "client/show/json_fields.h"
#include "common/base/mem.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

enum { TEXT = PS_FIELD_TEXT };

/* What is removed of it, and the share of the power of its product's output that this costs. */
typedef struct prune {
    double inputs_kept, inputs, outputs_kept, outputs, zeros, numbers; /* NaN: not said */
    double layer, layers; /* of the parent's: which it is, of how many */
    double importance_lost, cut, repaired, held_out_repaired, error, held_out;
    char why[TEXT]; /* it is not repaired */
} prune;

/* What it is a product of two of, and what that costs. */
typedef struct thin {
    double rank, of, error, held_out; /* NaN: not said */
} thin;

typedef struct tensor {
    char name[TEXT], form[TEXT], method[TEXT], why[TEXT], fallback[TEXT], reason[TEXT];
    char solved_by[TEXT]; /* the worker's word for the method */
    double bits, error, held_out, predicted;
    bool has_prune;
    prune prune;
    bool has_rank;
    thin thin;
    char unreadable[TEXT]; /* why it cannot be read, or what its worker says of it; "": it can */
} tensor;

static const prune no_prune = {
    .inputs_kept = NAN,
    .inputs = NAN,
    .outputs_kept = NAN,
    .outputs = NAN,
    .zeros = NAN,
    .numbers = NAN,
    .layer = NAN,
    .layers = NAN,
    .cut = NAN,
    .repaired = NAN,
    .importance_lost = NAN,
    .error = NAN,
    .held_out = NAN,
    .held_out_repaired = NAN,
};

static const thin no_thin = {.rank = NAN, .of = NAN, .error = NAN, .held_out = NAN};

void ps_report_rows_init(ps_report_rows *rows)
{
    static const char *const coded[] = {"TENSOR",    "FORM",       ">BITS", "METHOD", ">ERROR",
                                        ">HELD OUT", ">PREDICTED", "NOTE",  NULL};
    static const char *const pruned[] = {
        "PRUNED", "KEPT", ">IMPORTANCE LOST", ">CUT", ">ERROR", ">HELD OUT", "NOTE", NULL};
    static const char *const factors[] = {"LOW RANK", "RANK", ">ERROR", ">HELD OUT", NULL};
    *rows = (ps_report_rows){.coded = ps_table_new(coded),
                             .pruned = ps_table_new(pruned),
                             .thin = ps_table_new(factors)};
}

void ps_report_rows_clear(ps_report_rows *rows)
{
    ps_table_free(&rows->coded);
    ps_table_free(&rows->pruned);
    ps_table_free(&rows->thin);
}

/* ---- reading ---- */

static ps_status read_prune(ps_json_reader *json, const char *key, void *into)
{
    static const ps_json_field fields[] = {
        PS_FIELD_NUMBER(prune, inputs_kept),     PS_FIELD_NUMBER(prune, inputs),
        PS_FIELD_NUMBER(prune, outputs_kept),    PS_FIELD_NUMBER(prune, outputs),
        PS_FIELD_NUMBER(prune, zeros),           PS_FIELD_NUMBER(prune, numbers),
        PS_FIELD_NUMBER(prune, layer),           PS_FIELD_NUMBER(prune, layers),
        PS_FIELD_NUMBER(prune, importance_lost), PS_FIELD_NUMBER(prune, cut),
        PS_FIELD_NUMBER(prune, repaired),        PS_FIELD_NUMBER(prune, held_out_repaired),
        PS_FIELD_NUMBER(prune, error),           PS_FIELD_NUMBER(prune, held_out),
        PS_FIELD_WORDS("why", prune, why)};
    return ps_json_field_read(json, key, fields, sizeof fields / sizeof *fields, into);
}

static ps_status read_thin(ps_json_reader *json, const char *key, void *into)
{
    static const ps_json_field fields[] = {PS_FIELD_NUMBER(thin, rank), PS_FIELD_NUMBER(thin, of),
                                           PS_FIELD_NUMBER(thin, error),
                                           PS_FIELD_NUMBER(thin, held_out)};
    return ps_json_field_read(json, key, fields, sizeof fields / sizeof *fields, into);
}

static ps_status read_solved(ps_json_reader *json, const char *key, void *into)
{
    static const ps_json_field fields[] = {PS_FIELD_NUMBER(tensor, error),
                                           PS_FIELD_NUMBER(tensor, held_out),
                                           PS_FIELD_NUMBER(tensor, predicted),
                                           PS_FIELD_WORDS("method", tensor, solved_by),
                                           PS_FIELD_WORDS("fallback", tensor, fallback),
                                           PS_FIELD_WORDS("why", tensor, reason)};
    tensor *t = into;
    if (!strcmp(key, "lowrank")) {
        t->has_rank = true;
        return ps_json_object_read(json, &t->thin, read_thin);
    }
    if (strcmp(key, "prune") != 0)
        return ps_json_field_read(json, key, fields, sizeof fields / sizeof *fields, into);
    t->has_prune = true;
    return ps_json_object_read(json, &t->prune, read_prune);
}

/* All of the bytes are one object. */
static ps_status read_object(ps_slice bytes, void *into, ps_json_member_read read)
{
    ps_json_reader json;
    ps_json_token end;
    ps_json_reader_init(&json, bytes);
    ps_status st = ps_json_object_read(&json, into, read);
    if (!st)
        st = ps_json_expect(&json, PS_JSON_END, &end);
    ps_json_reader_free(&json);
    return st;
}

static ps_status take_solved(ps_json_reader *json, tensor *t)
{
    ps_slice bytes;
    ps_status st = ps_json_value(json, &bytes);
    if (!st && read_object(bytes, t, read_solved))
        (void)snprintf(t->unreadable, sizeof t->unreadable, "%s", ps_error_message());
    return st;
}

static ps_status read_tensor(ps_json_reader *json, const char *key, void *into)
{
    static const ps_json_field fields[] = {
        PS_FIELD_WORDS("name", tensor, name), PS_FIELD_WORDS("form", tensor, form),
        PS_FIELD_WORDS("method", tensor, method), PS_FIELD_WORDS("why", tensor, why),
        PS_FIELD_NUMBER(tensor, bits)};
    if (!strcmp(key, "solved"))
        return take_solved(json, into);
    return ps_json_field_read(json, key, fields, sizeof fields / sizeof *fields, into);
}

/* ---- showing ---- */

static void put_share(ps_table *t, double share)
{
    if (isfinite(share))
        ps_table_printf(t, "%.3g%%", 100 * share);
    else
        ps_table_text(t, "");
}

static bool stepped(const tensor *t)
{
    return *t->fallback && strcmp(t->fallback, "none") != 0;
}

/* "diagonal: the Hessian is not positive definite; rows of 64 are not whole groups of 128" */
static char *note_of(const tensor *t)
{
    if (*t->unreadable)
        return ps_asprintf("cannot be read: %s", t->unreadable);
    return ps_asprintf("%s%s%s%s%s", stepped(t) ? t->fallback : "",
                       stepped(t) && *t->reason ? ": " : "", stepped(t) ? t->reason : "",
                       stepped(t) && *t->why ? "; " : "", t->why);
}

static void put_coded(ps_table *table, const tensor *t)
{
    char *note = note_of(t);
    ps_color color = *t->unreadable ? PS_COLOR_RED : PS_COLOR_YELLOW;
    ps_table_text(table, *t->name ? t->name : "?");
    ps_table_text(table, t->form);
    if (isfinite(t->bits))
        ps_table_printf(table, "%.3g", t->bits);
    else
        ps_table_text(table, "");
    ps_table_text(table, t->method);
    put_share(table, t->error);
    put_share(table, t->held_out);
    if (isfinite(t->predicted))
        ps_table_printf(table, "%+.2g", t->predicted);
    else
        ps_table_text(table, "");
    ps_table_color(table, *t->unreadable || stepped(t) ? color : PS_COLOR_NONE, note);
    ps_free(&note);
}

/* "384 of 512 inputs", "50% of its numbers", "layer 3 of 4" */
static void put_kept(ps_table *table, const prune *p)
{
    ps_buf text = PS_BUF_EMPTY;
    if (isfinite(p->outputs_kept) && isfinite(p->outputs))
        ps_buf_printf(&text, "%.0f of %.0f outputs", p->outputs_kept, p->outputs);
    if (isfinite(p->inputs_kept) && isfinite(p->inputs))
        ps_buf_printf(&text, "%s%.0f of %.0f inputs", text.len ? ", " : "", p->inputs_kept,
                      p->inputs);
    if (isfinite(p->layer) && isfinite(p->layers))
        ps_buf_printf(&text, "layer %.0f of %.0f", p->layer, p->layers);
    if (isfinite(p->zeros) && p->numbers > 0)
        ps_buf_printf(&text, "%s%.3g%%, the others are 0", text.len ? ", " : "",
                      100 * (1 - p->zeros / p->numbers));
    ps_table_text(table, ps_buf_cstr(&text));
    ps_buf_free(&text);
}

static double either(double a, double b)
{
    return isfinite(a) ? a : b;
}

static void put_pruned(ps_table *table, const tensor *t)
{
    const prune *p = &t->prune;
    char *note = ps_asprintf("%s%s", *p->why ? "not repaired: " : "", p->why);
    ps_table_text(table, t->name);
    put_kept(table, p);
    put_share(table, p->importance_lost);
    put_share(table, p->cut);
    put_share(table, either(p->repaired, p->error));
    put_share(table, either(p->held_out_repaired, p->held_out));
    ps_table_color(table, PS_COLOR_YELLOW, note);
    ps_free(&note);
}

static void put_thin(ps_table *table, const tensor *t)
{
    ps_table_text(table, t->name);
    ps_table_printf(table, "%.0f of %.0f", t->thin.rank, t->thin.of);
    put_share(table, t->thin.error);
    put_share(table, t->thin.held_out);
}

void ps_report_row(ps_report_rows *rows, ps_slice json)
{
    tensor t = {.bits = NAN,
                .error = NAN,
                .held_out = NAN,
                .predicted = NAN,
                .prune = no_prune,
                .thin = no_thin};
    if (read_object(json, &t, read_tensor))
        (void)snprintf(t.unreadable, sizeof t.unreadable, "%s", ps_error_message());
    bool coded = *t.method || *t.unreadable;
    if (coded)
        put_coded(rows->coded, &t);
    if (t.has_prune)
        put_pruned(rows->pruned, &t);
    if (t.has_rank)
        put_thin(rows->thin, &t);
    if (coded || t.has_prune || t.has_rank)
        return;
    rows->folded += !strcmp(t.solved_by, "fold");
    rows->kept += strcmp(t.solved_by, "fold") != 0;
}
