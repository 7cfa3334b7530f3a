/* Happy path: members are passed over to the one that is asked for. */
#include "server/sched/kinds/compress_line.h"

#include "common/json/json.h"

#include <math.h>
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

/* list: n numbers; else one. */
static bool find(const char *line, const char *key, bool list, double *out, size_t n)
{
    ps_json_reader r;
    ps_json_token t;
    bool found = false;
    if (!line)
        return false;
    ps_json_reader_init(&r, ps_slice_str(line));
    ps_status st = ps_json_expect(&r, PS_JSON_OBJECT, &t);
    while (!found && ps_json_member(&r, &t, &st)) {
        if (strcmp((const char *)t.text.data, key) != 0) {
            st = ps_json_skip(&r);
            continue;
        }
        st = list ? read_list(&r, out, n) : read_number(&r, out);
        found = !st;
    }
    ps_json_reader_free(&r);
    return found;
}

bool ps_compress_line_number(const char *line, const char *key, double *out)
{
    return find(line, key, false, out, 1);
}

bool ps_compress_line_numbers(const char *line, const char *key, double *out, size_t n)
{
    return find(line, key, true, out, n);
}
