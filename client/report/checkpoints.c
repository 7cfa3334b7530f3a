#include "client/report/checkpoints.h"

#include "common/base/mem.h"
#include "common/json/json.h"

#include <math.h>
#include <string.h>

typedef struct one {
    char *name; /* NULL: not said */
    double rate;
} one;

static one read_one(ps_slice bytes)
{
    ps_json_reader r;
    ps_json_token token;
    one out = {NULL, NAN};
    ps_json_reader_init(&r, bytes);
    ps_status st = ps_json_expect(&r, PS_JSON_OBJECT, &token);
    while (ps_json_member(&r, &token, &st)) {
        bool model = !strcmp((const char *)token.text.data, "model"),
             rate = !strcmp((const char *)token.text.data, "rate");
        st = model || rate ? ps_json_next(&r, &token) : ps_json_skip(&r);
        if (!st && model && token.kind == PS_JSON_STRING && !out.name)
            out.name = ps_strdup((const char *)token.text.data);
        if (!st && rate && token.kind == PS_JSON_NUMBER)
            out.rate = token.number;
    }
    ps_json_reader_free(&r);
    return out;
}

static size_t put_list(ps_slice list, bool rates, ps_buf *out)
{
    ps_json_reader r;
    ps_json_token token;
    ps_slice bytes;
    size_t n = 0;
    ps_json_reader_init(&r, list);
    ps_status st = ps_json_expect(&r, PS_JSON_ARRAY, &token);
    while (ps_json_element(&r, &bytes, &st)) {
        one c = read_one(bytes);
        ps_buf_printf(out, "%s%s", n++ ? ", " : "", c.name ? c.name : "?");
        if (rates && isfinite(c.rate))
            ps_buf_printf(out, " at rate %g", c.rate);
        ps_free(&c.name);
    }
    ps_json_reader_free(&r);
    return n;
}

void ps_checkpoints_text(const ps_explanation_result *result, ps_buf *out)
{
    ps_json_reader r;
    ps_json_token token;
    ps_slice list;
    ps_buf names = PS_BUF_EMPTY;
    size_t n = 0;
    ps_json_reader_init(&r, ps_slice_str(result->arguments ? result->arguments : ""));
    ps_status st = ps_json_expect(&r, PS_JSON_OBJECT, &token);
    while (ps_json_member(&r, &token, &st)) {
        bool wanted = !n && !strcmp((const char *)token.text.data, "checkpoints");
        st = wanted ? ps_json_value(&r, &list) : ps_json_skip(&r);
        if (!st && wanted)
            n = put_list(list, !strcmp(result->method, "tracin"), &names);
    }
    ps_json_reader_free(&r);
    if (n)
        ps_buf_printf(out, "%zu model%s: %s", n, n > 1 ? "s" : "", ps_buf_cstr(&names));
    ps_buf_free(&names);
}
