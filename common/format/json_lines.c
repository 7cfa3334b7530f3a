/* Happy path: bytes of the source are gathered until a line is whole; what a key has is found by
 * going into objects, and all of the line is read so that it is JSON to its end. */
#include "common/format/json_lines.h"

#include "common/base/mem.h"
#include "common/base/require.h"

#include <inttypes.h>
#include <string.h>

enum { PIECE = 64 * 1024 };

struct ps_json_lines {
    ps_source *source;
    ps_buf bytes;
    size_t next; /* of them: those before it have been given */
    size_t seen; /* until there no line ends */
    uint64_t line;
    bool over; /* the source's end was reached */
};

/* ---- lines ---- */

ps_json_lines *ps_json_lines_new(ps_source *source)
{
    ps_json_lines *l = ps_new(ps_json_lines);
    l->source = source;
    return l;
}

void ps_json_lines_free(ps_json_lines **lines)
{
    if (!*lines)
        return;
    ps_buf_free(&(*lines)->bytes);
    ps_free(lines);
}

ps_status ps_json_lines_wrap(const ps_json_lines *l, ps_status status)
{
    return ps_wrap(status, "%s: line %" PRIu64, ps_source_path(l->source), l->line);
}

static ps_status read_more(ps_json_lines *l)
{
    uint8_t piece[PIECE];
    size_t got = 0;
    ps_buf_consume(&l->bytes, l->next); /* once a piece, not once a line */
    l->next = 0;
    l->seen = l->bytes.len;
    if (l->bytes.len > PS_JSON_LINES_MOST) {
        l->line++;
        return ps_json_lines_wrap(
            l, ps_fail(PS_CORRUPT, "longer than %d bytes", (int)PS_JSON_LINES_MOST));
    }
    ps_status st = ps_source_read(l->source, piece, sizeof piece, &got);
    if (!st)
        ps_buf_append(&l->bytes, piece, got);
    l->over = !st && !got;
    return st;
}

/* The line without its end. PS_END: there is none. */
static ps_status find_line(ps_json_lines *l, ps_slice *line)
{
    const uint8_t *end = NULL;
    for (;;) {
        size_t left = l->bytes.len - l->seen;
        end = left ? memchr(l->bytes.data + l->seen, '\n', left) : NULL;
        if (end || l->over)
            break;
        ps_status st = read_more(l);
        if (st)
            return st;
    }
    if (!end && l->next == l->bytes.len)
        return PS_END;
    *line = ps_slice_of(l->bytes.data + l->next,
                        (end ? (size_t)(end - l->bytes.data) : l->bytes.len) - l->next);
    l->next += line->len + (end != NULL);
    l->seen = l->next;
    l->line++;
    return PS_OK;
}

static bool is_blank(ps_slice line)
{
    for (size_t i = 0; i < line.len; i++)
        if (!memchr(" \t\r", line.data[i], 3))
            return false;
    return true;
}

ps_status ps_json_lines_next(ps_json_lines *l, ps_slice *line)
{
    ps_status st;
    do
        st = find_line(l, line);
    while (!st && is_blank(*line));
    return st;
}

ps_status ps_json_lines_any(ps_json_lines *l, ps_slice *line)
{
    return find_line(l, line);
}

/* ---- texts ---- */

static const char *kind_name(ps_json_kind kind)
{
    switch (kind) {
    case PS_JSON_NULL:
        return "null";
    case PS_JSON_TRUE:
    case PS_JSON_FALSE:
        return "true or false";
    case PS_JSON_NUMBER:
        return "a number";
    case PS_JSON_STRING:
        return "a text";
    case PS_JSON_ARRAY:
        return "a list";
    default:
        return "an object";
    }
}

static ps_status not_a(const char *key, const char *what, ps_json_kind kind)
{
    return ps_fail(PS_CORRUPT, "key '%s' is %s, not %s", key, kind_name(kind), what);
}

typedef struct search {
    const char *key; /* whole, for messages */
    ps_buf *out;
    bool *number; /* NULL: only a text will do */
    bool found;
} search;

static ps_status find_in(ps_json_reader *r, const char *rest, search *s);

/* The value of a key, of which `rest` is wanted; NULL: all. */
static ps_status take_value(ps_json_reader *r, const char *rest, search *s)
{
    ps_json_token token;
    ps_status st = ps_json_next(r, &token);
    if (!st && rest)
        return token.kind == PS_JSON_OBJECT ? find_in(r, rest, s)
                                            : not_a(s->key, "within an object", token.kind);
    bool number = s->number && token.kind == PS_JSON_NUMBER && token.is_u64;
    if (!st && token.kind != PS_JSON_STRING && !number)
        return not_a(s->key, s->number ? "a text, and no whole number from 0 on" : "a text",
                     token.kind);
    if (!st && s->found)
        return ps_fail(PS_CORRUPT, "key '%s' is there twice", s->key);
    if (st)
        return st;
    s->found = true;
    if (s->number)
        *s->number = number;
    ps_buf_append(s->out, token.text.data, token.text.len);
    return PS_OK;
}

/* Within an object, to its end. As deep as the key has dots, and the reader lets objects be. */
static ps_status find_in(ps_json_reader *r, const char *rest, search *s)
{
    const char *dot = strchr(rest, '.');
    size_t len = dot ? (size_t)(dot - rest) : strlen(rest);
    ps_json_token token;
    ps_status st = PS_OK;
    while (ps_json_member(r, &token, &st)) {
        bool mine = token.text.len == len && !memcmp(token.text.data, rest, len);
        st = mine ? take_value(r, dot ? dot + 1 : NULL, s) : ps_json_skip(r);
    }
    return st;
}

/* "; it has a, b, c" of an object that is whole: what the key may have been meant to be. */
static void put_keys(ps_slice object, ps_buf *out)
{
    enum { MOST = 200 };
    ps_json_reader r;
    ps_json_token token;
    ps_status st = PS_OK;
    ps_json_reader_init(&r, object);
    if (!ps_json_next(&r, &token))
        while (out->len < MOST && ps_json_member(&r, &token, &st)) {
            const bool fits = out->len + token.text.len < MOST;
            ps_buf_puts(out, out->len ? ", " : "; it has ");
            ps_buf_append(out, fits ? token.text.data : (const uint8_t *)"...",
                          fits ? token.text.len : 3);
            st = fits ? ps_json_skip(&r) : PS_END;
        }
    ps_json_reader_free(&r);
}

static ps_status no_key(const char *key, ps_slice object)
{
    ps_buf has = PS_BUF_EMPTY;
    put_keys(object, &has);
    ps_status st = ps_fail(PS_CORRUPT, "it has no key '%s'%s", key, ps_buf_cstr(&has));
    ps_buf_free(&has);
    return st;
}

static ps_status find(ps_slice object, search *wanted)
{
    search s = *wanted;
    PS_REQUIRE(*s.key);
    ps_json_reader r;
    ps_json_token token;
    ps_buf_clear(s.out);
    ps_json_reader_init(&r, object);
    ps_status st = ps_json_next(&r, &token);
    if (!st && token.kind == PS_JSON_ARRAY)
        st = ps_fail(PS_CORRUPT, "it is a list, not an object; is the file one list of objects? "
                                 "(jq -c '.[]' FILE makes lines of it)");
    else if (!st && token.kind != PS_JSON_OBJECT)
        st = ps_fail(PS_CORRUPT, "it is no object");
    if (!st)
        st = find_in(&r, s.key, &s);
    if (!st)
        st = ps_json_expect(&r, PS_JSON_END, &token);
    if (!st && !s.found)
        st = no_key(s.key, object);
    ps_json_reader_free(&r);
    return st;
}

ps_status ps_json_text_at(ps_slice object, const char *key, ps_buf *out)
{
    return find(object, &(search){.key = key, .out = out});
}

ps_status ps_json_label_at(ps_slice object, const char *key, ps_buf *out, bool *number)
{
    return find(object, &(search){.key = key, .out = out, .number = number});
}
