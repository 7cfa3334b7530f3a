/* Happy path of the parser: skip white space, settle the comma or the colon that must be there,
 * then read one token. State is one bit a level (object or array) and three flags. It fails with
 * the byte's number; nothing is allocated but the last string. */
#include "common/json/json.h"

#include "common/base/utf8.h"

#include <stdio.h>
#include <stdlib.h>

enum { MAX_DIGITS = 400 }; /* in one run; more says nothing that a double could hold */

void ps_json_reader_init(ps_json_reader *reader, ps_slice bytes)
{
    static const uint8_t mark[] = {0xef, 0xbb, 0xbf}; /* of byte order; RFC 8259, section 8.1 */
    *reader = (ps_json_reader){.in = ps_cursor_of(bytes)};
    reader->start = reader->in.at;
    if (bytes.len >= sizeof mark && !memcmp(bytes.data, mark, sizeof mark))
        reader->in.at += sizeof mark;
}

void ps_json_reader_free(ps_json_reader *reader)
{
    ps_buf_free(&reader->text);
}

static ps_status bad(const ps_json_reader *r, const char *what)
{
    return ps_fail(PS_CORRUPT, "byte %zu: %s", (size_t)(r->in.at - r->start), what);
}

/* The next byte without taking it; 0 at the end, which no token starts with. */
static uint8_t peek(const ps_json_reader *r)
{
    return ps_cursor_left(&r->in) ? *r->in.at : 0;
}

static void skip_space(ps_json_reader *r)
{
    for (;;) {
        uint8_t c = peek(r);
        if (c != ' ' && c != '\t' && c != '\n' && c != '\r')
            return;
        (void)ps_read_u8(&r->in);
    }
}

static bool in_object(const ps_json_reader *r)
{
    return r->depth > 0 && (r->objects >> (r->depth - 1) & 1u);
}

static bool read_hex4(ps_json_reader *r, uint32_t *out)
{
    uint32_t v = 0;
    for (int i = 0; i < 4; i++) {
        uint8_t c = ps_read_u8(&r->in);
        uint32_t digit = c >= '0' && c <= '9'   ? c - 48u
                         : c >= 'a' && c <= 'f' ? c - 97u + 10u
                         : c >= 'A' && c <= 'F' ? c - 65u + 10u
                                                : 16u;
        if (digit > 15)
            return false;
        v = v << 4 | digit;
    }
    *out = v;
    return true;
}

static ps_status read_unicode(ps_json_reader *r)
{
    uint32_t high = 0, low = 0;
    if (!read_hex4(r, &high))
        return bad(r, "\\u wants four hexadecimal digits");
    if (high >= 0xd800 && high < 0xdc00) {
        if (ps_read_u8(&r->in) != '\\' || ps_read_u8(&r->in) != 'u' || !read_hex4(r, &low) ||
            low < 0xdc00 || low > 0xdfff)
            return bad(r, "half of a surrogate pair");
        high = 0x10000 + ((high - 0xd800) << 10) + (low - 0xdc00);
    } else if (high >= 0xdc00 && high < 0xe000) {
        return bad(r, "half of a surrogate pair");
    }
    uint8_t bytes[4];
    ps_buf_append(&r->text, bytes, ps_utf8_encode(high, bytes));
    return PS_OK;
}

static ps_status read_escape(ps_json_reader *r)
{
    static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
    uint8_t c = ps_read_u8(&r->in);
    if (c == 'u')
        return read_unicode(r);
    const char *at = c ? strchr(from, c) : NULL;
    if (!at)
        return bad(r, "unknown escape");
    ps_buf_putc(&r->text, to[at - from]);
    return PS_OK;
}

/* After the opening quote, into r->text. */
static ps_status read_string(ps_json_reader *r)
{
    ps_buf_clear(&r->text);
    for (;;) {
        const uint8_t *run = r->in.at; /* bytes that stand for themselves go at once */
        size_t left = ps_cursor_left(&r->in), n = 0;
        while (n < left && n <= PS_JSON_MAX_TEXT && run[n] != '"' && run[n] != '\\' &&
               run[n] >= 0x20) {
            size_t one = ps_utf8_length(ps_slice_of(run + n, left - n));
            if (!one)
                break;
            n += one;
        }
        ps_slice plain = ps_read_bytes(&r->in, n);
        ps_buf_append(&r->text, plain.data, plain.len);
        uint8_t c = peek(r);
        if (r->text.len > PS_JSON_MAX_TEXT)
            return bad(r, "a string that is too long");
        if (n == left)
            return bad(r, "a string does not end");
        if (c < 0x20)
            return bad(r, "a control character in a string");
        if (c != '"' && c != '\\')
            return bad(r, "not UTF-8");
        (void)ps_read_u8(&r->in);
        if (c == '"')
            return PS_OK;
        ps_status st = read_escape(r);
        if (st)
            return st;
    }
}

static size_t take_digits(ps_json_reader *r)
{
    size_t n = 0;
    for (; peek(r) >= '0' && peek(r) <= '9' && n <= MAX_DIGITS; n++)
        ps_buf_putc(&r->text, (char)ps_read_u8(&r->in));
    return n;
}

static bool take(ps_json_reader *r, const char *any)
{
    uint8_t c = peek(r);
    if (!c || !strchr(any, c))
        return false;
    ps_buf_putc(&r->text, (char)ps_read_u8(&r->in));
    return true;
}

/* RFC 8259 section 6: [-] int [frac] [exp] */
static ps_status read_number(ps_json_reader *r, ps_json_token *token)
{
    ps_buf_clear(&r->text);
    bool negative = take(r, "-"), integer = true;
    bool zero = peek(r) == '0';
    size_t digits = take_digits(r);
    if (digits == 0 || digits > MAX_DIGITS || (zero && digits > 1))
        return bad(r, "not a number");
    if (take(r, ".")) {
        integer = false;
        if (take_digits(r) == 0)
            return bad(r, "a number without digits after its point");
    }
    if (take(r, "eE")) {
        integer = false;
        (void)take(r, "+-");
        if (take_digits(r) == 0)
            return bad(r, "a number without digits in its exponent");
    }
    const char *text = ps_buf_cstr(&r->text);
    token->number = strtod(text, NULL);
    token->is_u64 = false;
    if (integer && !negative && digits <= 20) {
        uint64_t v = 0;
        bool over = false;
        for (const char *s = text; *s; s++)
            over |= __builtin_mul_overflow(v, 10u, &v) ||
                    __builtin_add_overflow(v, (uint64_t)(*s - '0'), &v);
        token->is_u64 = !over;
        token->u64 = over ? 0 : v;
    }
    return PS_OK;
}

static ps_status read_literal(ps_json_reader *r, const char *word)
{
    for (const char *s = word; *s; s++)
        if (peek(r) != (uint8_t)*s || !ps_cursor_left(&r->in))
            return bad(r, "not a value");
        else
            (void)ps_read_u8(&r->in);
    return PS_OK;
}

static ps_status open_level(ps_json_reader *r, bool object)
{
    (void)ps_read_u8(&r->in);
    if (r->depth == PS_JSON_MAX_DEPTH)
        return bad(r, "nested too deeply");
    r->objects = (r->objects & ~(1u << r->depth)) | (uint32_t)object << r->depth;
    r->depth++;
    r->need_comma = false;
    return PS_OK;
}

static ps_status close_level(ps_json_reader *r)
{
    (void)ps_read_u8(&r->in);
    r->depth--;
    r->need_comma = true;
    return PS_OK;
}

static ps_status read_key(ps_json_reader *r)
{
    if (peek(r) != '"')
        return bad(r, "expected a key in quotes");
    (void)ps_read_u8(&r->in);
    ps_status st = read_string(r);
    if (st)
        return st;
    skip_space(r);
    if (peek(r) != ':')
        return bad(r, "expected ':' after a key");
    (void)ps_read_u8(&r->in);
    r->after_key = true;
    return PS_OK;
}

static bool begins_number(uint8_t c)
{
    return c == '-' || (c >= '0' && c <= '9');
}

static ps_status no_value(const ps_json_reader *r)
{
    char what[48] = "a value is expected, and it ends here";
    if (ps_cursor_left(&r->in))
        (void)snprintf(what, sizeof what,
                       peek(r) > ' ' && peek(r) < 0x7f ? "a value is expected, not '%c'"
                                                       : "a value is expected, not byte 0x%02x",
                       peek(r));
    return bad(r, what);
}

static ps_status read_value(ps_json_reader *r, ps_json_token *token)
{
    r->after_key = false;
    r->value = r->in.at;
    ps_status st = PS_OK;
    switch (peek(r)) {
    case '{':
        token->kind = PS_JSON_OBJECT;
        return open_level(r, true);
    case '[':
        token->kind = PS_JSON_ARRAY;
        return open_level(r, false);
    case '"':
        token->kind = PS_JSON_STRING;
        (void)ps_read_u8(&r->in);
        st = read_string(r);
        break;
    case 't':
        token->kind = PS_JSON_TRUE;
        st = read_literal(r, "true");
        break;
    case 'f':
        token->kind = PS_JSON_FALSE;
        st = read_literal(r, "false");
        break;
    case 'n':
        token->kind = PS_JSON_NULL;
        st = read_literal(r, "null");
        break;
    default:
        token->kind = PS_JSON_NUMBER;
        st = begins_number(peek(r)) ? read_number(r, token) : no_value(r);
    }
    r->need_comma = true;
    return st;
}

/* What comes next inside an object or array, or at the top. */
static ps_status read_next(ps_json_reader *r, ps_json_token *token)
{
    skip_space(r);
    if (r->after_key)
        return read_value(r, token);
    if (r->depth == 0) {
        if (!r->need_comma)
            return read_value(r, token);
        if (ps_cursor_left(&r->in))
            return bad(r, "something follows the value");
        token->kind = PS_JSON_END;
        return PS_OK;
    }
    bool object = in_object(r);
    if (peek(r) == (object ? '}' : ']')) {
        token->kind = object ? PS_JSON_OBJECT_END : PS_JSON_ARRAY_END;
        return close_level(r);
    }
    if (r->need_comma) {
        if (peek(r) != ',')
            return bad(r, object ? "expected ',' or '}'" : "expected ',' or ']'");
        (void)ps_read_u8(&r->in);
        skip_space(r);
    }
    if (!object)
        return read_value(r, token);
    token->kind = PS_JSON_KEY;
    return read_key(r);
}

ps_status ps_json_next(ps_json_reader *reader, ps_json_token *token)
{
    ps_json_token t = {0};
    ps_status st = read_next(reader, &t);
    if (st)
        return st;
    if (t.kind == PS_JSON_KEY || t.kind == PS_JSON_STRING || t.kind == PS_JSON_NUMBER) {
        (void)ps_buf_cstr(&reader->text);
        t.text = ps_buf_slice(&reader->text);
    }
    *token = t;
    return PS_OK;
}

ps_status ps_json_expect(ps_json_reader *reader, ps_json_kind kind, ps_json_token *token)
{
    static const char *const names[] = {
        [PS_JSON_END] = "the end",     [PS_JSON_OBJECT] = "an object", [PS_JSON_OBJECT_END] = "'}'",
        [PS_JSON_ARRAY] = "an array",  [PS_JSON_ARRAY_END] = "']'",    [PS_JSON_KEY] = "a key",
        [PS_JSON_STRING] = "a string", [PS_JSON_NUMBER] = "a number",  [PS_JSON_TRUE] = "true",
        [PS_JSON_FALSE] = "false",     [PS_JSON_NULL] = "null",
    };
    ps_status st = ps_json_next(reader, token);
    if (st || token->kind == kind)
        return st;
    return ps_fail(PS_CORRUPT, "byte %zu: expected %s, got %s",
                   (size_t)(reader->in.at - reader->start), names[kind], names[token->kind]);
}

bool ps_json_member(ps_json_reader *r, ps_json_token *key, ps_status *st)
{
    if (!*st)
        *st = ps_json_next(r, key);
    return !*st && key->kind == PS_JSON_KEY;
}

/* Of a value of level `level` whose first token was read: the rest, and all of its bytes. */
static ps_status finish_value(ps_json_reader *r, uint32_t level, ps_slice *bytes)
{
    ps_json_token token;
    const uint8_t *begin = r->value;
    ps_status st = PS_OK;
    while (!st && r->depth > level)
        st = ps_json_next(r, &token);
    if (!st)
        *bytes = ps_slice_of(begin, (size_t)(r->in.at - begin));
    return st;
}

ps_status ps_json_value(ps_json_reader *r, ps_slice *bytes)
{
    ps_json_token token;
    uint32_t level = r->depth;
    ps_status st = ps_json_next(r, &token);
    return st ? st : finish_value(r, level, bytes);
}

bool ps_json_element(ps_json_reader *r, ps_slice *bytes, ps_status *st)
{
    ps_json_token token;
    uint32_t level = r->depth;
    if (!*st)
        *st = ps_json_next(r, &token);
    if (*st || token.kind == PS_JSON_ARRAY_END)
        return false;
    *st = finish_value(r, level, bytes);
    return !*st;
}

ps_status ps_json_skip(ps_json_reader *reader)
{
    ps_json_token token;
    uint32_t level = reader->depth;
    do {
        ps_status st = ps_json_next(reader, &token);
        if (st)
            return st;
    } while (reader->depth > level || token.kind == PS_JSON_KEY);
    return PS_OK;
}
