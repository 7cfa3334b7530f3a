/* Happy path: members are passed over to the one that is asked for. */
#include "server/sched/kinds/compress_line.h"

#include "common/json/json.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static ps_status read_number(ps_json_reader *r, double *out)
{
    ps_json_token t;
    ps_status st = ps_json_expect(r, PS_JSON_NUMBER, &t);
    if (!st && !isfinite(t.number))
        st = ps_fail(PS_CORRUPT, "a number that is not finite");
    if (!st)
        *out = t.number;
    return st;
}

static ps_status read_list(ps_json_reader *r, double *out, size_t n)
{
    ps_json_token t;
    ps_status st = ps_json_expect(r, PS_JSON_ARRAY, &t);
    for (size_t i = 0; !st && i < n; i++)
        st = read_number(r, &out[i]);
    return st ? st : ps_json_expect(r, PS_JSON_ARRAY_END, &t);
}

/* Of a value: one number, n of them, or its bytes. */
typedef struct wanted {
    const char *key;
    bool list;
    double *out;
    size_t n;
    ps_slice *part; /* NULL: numbers */
} wanted;

static ps_status read_wanted(ps_json_reader *r, const wanted *w)
{
    if (w->part)
        return ps_json_value(r, w->part);
    return w->list ? read_list(r, w->out, w->n) : read_number(r, w->out);
}

static bool find(ps_slice line, const wanted *w)
{
    ps_json_reader r;
    ps_json_token t;
    bool found = false;
    ps_json_reader_init(&r, line);
    ps_status st = ps_json_expect(&r, PS_JSON_OBJECT, &t);
    while (!found && ps_json_member(&r, &t, &st)) {
        if (strcmp((const char *)t.text.data, w->key) != 0) {
            st = ps_json_skip(&r);
            continue;
        }
        st = read_wanted(&r, w);
        found = !st;
    }
    ps_json_reader_free(&r);
    return found;
}

bool ps_compress_line_number(const char *line, const char *key, double *out)
{
    const wanted w = {.key = key, .out = out};
    return line && find(ps_slice_str(line), &w);
}

bool ps_compress_line_part_number(const char *line, const char *part, const char *key, double *out)
{
    ps_slice bytes;
    const wanted object = {.key = part, .part = &bytes}, w = {.key = key, .out = out};
    return line && find(ps_slice_str(line), &object) && find(bytes, &w);
}

static bool read_text(ps_slice value, char *out, size_t room)
{
    ps_json_reader r;
    ps_json_token t;
    ps_json_reader_init(&r, value);
    ps_status st = ps_json_expect(&r, PS_JSON_STRING, &t);
    bool fits = !st && t.text.len < room;
    if (fits)
        (void)snprintf(out, room, "%s", (const char *)t.text.data);
    ps_json_reader_free(&r);
    return fits;
}

bool ps_compress_line_part_text(const char *line, const char *part, const char *key, char *out,
                                size_t room)
{
    ps_slice bytes, value;
    const wanted object = {.key = part, .part = &bytes}, w = {.key = key, .part = &value};
    return line && find(ps_slice_str(line), &object) && find(bytes, &w) &&
           read_text(value, out, room);
}

bool ps_compress_line_numbers(const char *line, const char *key, double *out, size_t n)
{
    const wanted w = {.key = key, .list = true, .out = out, .n = n};
    return line && find(ps_slice_str(line), &w);
}
