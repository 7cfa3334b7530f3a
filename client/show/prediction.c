/* Happy path: cut the bytes into lines, parse each (bounded: a line has at most 1 MiB), leave out
 * rows that are not wanted, write the others. A damaged line ends it. */
#include "client/show/prediction.h"

#include "common/base/mem.h"
#include "common/base/text.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LINE_MOST = 1 << 20, BEST = 3 };

typedef struct prediction {
    uint64_t row;
    bool has_class;
    uint64_t class;
    char *label;    /* what that is called, as the line says; NULL: it does not */
    double *values; /* NaN: null */
    size_t n;
    bool probabilities;
    bool null; /* there is one among them; then there is no class either */
} prediction;

void ps_predictions_init(ps_predictions *p, uint64_t begin, uint64_t end, bool json, ps_style style)
{
    *p = (ps_predictions){.begin = begin, .end = end, .json = json, .style = style};
}

void ps_predictions_free(ps_predictions *p)
{
    ps_buf_free(&p->rest);
}

/* Parsing -------------------------------------------------------------------------------------- */

static ps_status read_values(ps_json_reader *r, prediction *out)
{
    ps_json_token token;
    ps_status st = ps_json_expect(r, PS_JSON_ARRAY, &token);
    while (!st) {
        st = ps_json_next(r, &token);
        if (st || token.kind == PS_JSON_ARRAY_END)
            return st;
        if (token.kind != PS_JSON_NUMBER && token.kind != PS_JSON_NULL)
            return ps_fail(PS_CORRUPT, "not a number among the outputs");
        out->null |= token.kind == PS_JSON_NULL;
        if ((out->n & (out->n - 1)) == 0)
            out->values = ps_realloc(out->values, (out->n ? 2 * out->n : 1) * sizeof(double));
        out->values[out->n++] = token.kind == PS_JSON_NULL ? (double)NAN : token.number;
    }
    return st;
}

static ps_status to_uint(const ps_json_token *token, uint64_t *out)
{
    if (token->kind != PS_JSON_NUMBER || !token->is_u64)
        return ps_fail(PS_CORRUPT, "not a whole number");
    *out = token->u64;
    return PS_OK;
}

static ps_status read_label(ps_json_reader *r, prediction *out)
{
    ps_json_token token;
    ps_status st = ps_json_expect(r, PS_JSON_STRING, &token);
    if (!st)
        out->label = ps_strdup((const char *)token.text.data);
    return st;
}

static ps_status read_member(ps_json_reader *r, const char *key, prediction *out)
{
    bool class = !strcmp(key, "class");
    if (class || !strcmp(key, "row")) {
        ps_json_token token;
        ps_status st = ps_json_next(r, &token);
        out->has_class |= class;
        if (class && !st && token.kind == PS_JSON_NULL)
            return PS_OK;
        return st ? st : to_uint(&token, class ? &out->class : &out->row);
    }
    if (!out->label && !strcmp(key, "label"))
        return read_label(r, out);
    bool probabilities = !strcmp(key, "probabilities");
    if (!out->n && (probabilities || !strcmp(key, "outputs"))) {
        out->probabilities = probabilities;
        return read_values(r, out);
    }
    return ps_json_skip(r);
}

static ps_status parse(ps_slice line, prediction *out)
{
    ps_json_reader r;
    ps_json_reader_init(&r, line);
    ps_json_token token;
    ps_status st = ps_json_expect(&r, PS_JSON_OBJECT, &token);
    while (!st) {
        st = ps_json_next(&r, &token);
        if (st || token.kind != PS_JSON_KEY)
            break;
        char *key = ps_strdup((const char *)token.text.data);
        st = read_member(&r, key, out);
        ps_free(&key);
    }
    if (!st)
        st = ps_json_expect(&r, PS_JSON_END, &token);
    ps_json_reader_free(&r);
    return st;
}

/* Writing -------------------------------------------------------------------------------------- */

/* On the right side of as many columns. */
static void put_right(const ps_predictions *p, const char *text, size_t width, ps_buf *out)
{
    for (size_t n = ps_text_columns(text, strlen(text)); n < width; n++)
        ps_buf_putc(out, ' ');
    ps_put_clean(out, &p->style, text, SIZE_MAX);
}

/* "9", or what class 9 is called: by the model, or (label, which may be NULL) by the row's line. */
static void put_class(const ps_predictions *p, uint64_t class, const char *label, size_t width,
                      ps_buf *out)
{
    char number[24];
    (void)snprintf(number, sizeof number, "%" PRIu64, class);
    put_right(p, class < p->n_names ? p->names[class] : label ? label : number, width, out);
}

/* The classes with the next best probabilities: "6 0.031, 0 0.012". */
static void put_others(const ps_predictions *p, const prediction *x, ps_buf *out)
{
    size_t before = SIZE_MAX;
    double limit = 2;
    for (size_t k = 0; k < BEST; k++) {
        size_t best = SIZE_MAX;
        for (size_t i = 0; i < x->n; i++) {
            bool later = x->values[i] < limit || (x->values[i] == limit && i > before);
            if (later && (best == SIZE_MAX || x->values[i] > x->values[best]))
                best = i;
        }
        if (best == SIZE_MAX)
            return;
        if (k) {
            ps_buf_puts(out, k > 1 ? ", " : "");
            put_class(p, best, NULL, 0, out);
            ps_buf_printf(out, " %.4f", x->values[best]);
        }
        before = best;
        limit = x->values[best];
    }
}

static size_t class_width(const ps_predictions *p)
{
    size_t width = strlen("CLASS");
    for (size_t i = 0; i < p->n_names; i++) {
        size_t columns = ps_text_columns(p->names[i], strlen(p->names[i]));
        width = columns > width ? columns : width;
    }
    return width;
}

static void put_output(ps_buf *out, const char *before, double v)
{
    if (isnan(v))
        ps_buf_printf(out, "%snull", before);
    else
        ps_buf_printf(out, "%s%.6g", before, v);
}

static void put_text(ps_predictions *p, const prediction *x, ps_buf *out)
{
    if (p->shown == 0) {
        p->class_width = class_width(p);
        ps_buf_printf(out, "%8s  ", "ROW");
        if (x->has_class)
            put_right(p, "CLASS", p->class_width, out);
        ps_buf_puts(out, x->has_class ? "  PROBABILITY  NEXT\n" : "OUTPUTS\n");
    }
    ps_buf_printf(out, "%8" PRIu64 "  ", x->row);
    if (!x->has_class) {
        for (size_t i = 0; i < x->n; i++)
            put_output(out, i ? "  " : "", x->values[i]);
    } else if (x->null) {
        put_right(p, "null", p->class_width, out);
        ps_buf_printf(out, "  %11s", "null");
    } else {
        put_class(p, x->class, x->label, p->class_width, out);
        ps_buf_puts(out, "  ");
        if (x->class < x->n)
            ps_buf_printf(out, "%11.4f  ", x->values[x->class]);
        if (x->probabilities)
            put_others(p, x, out);
    }
    ps_buf_putc(out, '\n');
}

static void put_json(ps_predictions *p, const prediction *x, ps_buf *out)
{
    ps_buf_puts(out, p->shown ? "," : "{\"predictions\":[");
    ps_json_writer w = ps_json_writer_to(out);
    ps_json_object(&w);
    ps_json_put_uint(&w, "row", x->row);
    if (x->has_class)
        ps_json_key(&w, "class");
    if (x->has_class && x->null)
        ps_json_null(&w);
    else if (x->has_class)
        ps_json_uint(&w, x->class);
    const char *label = x->class < p->n_names ? p->names[x->class] : x->label;
    if (x->has_class && !x->null && label)
        ps_json_put_string(&w, "label", label);
    ps_json_key(&w, x->probabilities ? "probabilities" : "outputs");
    ps_json_array(&w);
    for (size_t i = 0; i < x->n; i++)
        ps_json_double(&w, x->values[i]);
    ps_json_array_end(&w);
    ps_json_object_end(&w);
}

static ps_status take_line(ps_predictions *p, ps_slice line, ps_buf *out)
{
    if (line.len == 0)
        return PS_OK;
    prediction x = {.row = p->line};
    ps_status st = parse(line, &x);
    if (st)
        st = ps_wrap(PS_CORRUPT, "predictions, line %" PRIu64, p->line + 1);
    p->line++;
    if (!st && x.row >= p->begin && x.row < p->end) {
        if (p->json)
            put_json(p, &x, out);
        else
            put_text(p, &x, out);
        p->shown++;
        p->nulls += x.null;
    }
    ps_free(&x.values);
    ps_free(&x.label);
    /* rows may be in any order, but there is one line a row */
    return st ? st : p->shown == p->end - p->begin ? PS_END : PS_OK;
}

ps_status ps_predictions_feed(ps_predictions *p, ps_slice bytes, ps_buf *out)
{
    while (bytes.len) {
        const uint8_t *end = memchr(bytes.data, '\n', bytes.len);
        size_t len = end ? (size_t)(end - bytes.data) : bytes.len;
        if (p->rest.len + len > LINE_MOST)
            return ps_fail(PS_CORRUPT, "predictions, line %" PRIu64 ": more than %d bytes",
                           p->line + 1, LINE_MOST);
        ps_buf_append(&p->rest, bytes.data, len);
        bytes.data += len + (end != NULL);
        bytes.len -= len + (end != NULL);
        if (!end)
            return PS_OK;
        ps_status st = take_line(p, ps_buf_slice(&p->rest), out);
        ps_buf_clear(&p->rest);
        if (st)
            return st;
    }
    return PS_OK;
}

ps_status ps_predictions_finish(ps_predictions *p, ps_buf *out)
{
    ps_status st = take_line(p, ps_buf_slice(&p->rest), out);
    ps_buf_clear(&p->rest);
    if (st && st != PS_END)
        return st;
    if (p->json)
        ps_buf_puts(out, p->shown ? "]}\n" : "{\"predictions\":[]}\n");
    return PS_OK;
}

void ps_predictions_break(ps_predictions *p, const char *why, ps_buf *out)
{
    if (!p->json || !p->shown)
        return;
    ps_buf_puts(out, "],\"error\":");
    ps_json_writer w = ps_json_writer_to(out);
    ps_json_string(&w, why);
    ps_buf_puts(out, "}\n");
}

/* Rows ----------------------------------------------------------------------------------------- */

static bool row_number(const char **at, uint64_t *out)
{
    if (**at < '0' || **at > '9')
        return false;
    char *end = NULL;
    errno = 0;
    *out = strtoull(*at, &end, 10);
    *at = end;
    return errno == 0;
}

ps_status ps_predictions_rows(const char *text, uint64_t *begin, uint64_t *end)
{
    const char *at = text;
    uint64_t a = 0, b = UINT64_MAX;
    bool first = row_number(&at, &a), range = *at == ':', last = false;
    if (range) {
        at++;
        last = row_number(&at, &b);
    } else {
        b = a + 1;
    }
    if (*at || (!first && !last) || (range && !last && b != UINT64_MAX) || a >= b)
        return ps_fail(PS_INVALID_ARGUMENT,
                       "--rows: '%s' is no range of rows; allowed: A:B, A: or :B with A below B, "
                       "or one row",
                       text);
    *begin = a;
    *end = b;
    return PS_OK;
}
