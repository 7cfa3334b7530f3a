/* json: RFC 8259, strictly: a pull parser for hostile bytes and a writer.
 *
 * A byte order mark before the value is passed over, as some editors write it. The parser hands out
 * one token after the other and holds nothing but a stack of bits and the last string; depth and
 * strings are bounded as below, everything else by the input's length. Refused: anything after the
 * value, bad UTF-8, lone surrogates, control characters in strings, numbers that are not of the
 * grammar, commas too many or missing. Duplicate keys are the caller's to see (it knows which
 * matter). Not thread-safe (not asserted: a reader or writer is its maker's alone). */
#ifndef PS_JSON_JSON_H
#define PS_JSON_JSON_H

#include "common/base/buf.h"
#include "common/base/slice.h"
#include "common/base/status.h"

enum {
    PS_JSON_MAX_DEPTH = 32,
    PS_JSON_MAX_TEXT = 64 << 20, /* bytes of one string: a tokenizer.json is one, in a header */
};

typedef enum ps_json_kind {
    PS_JSON_END, /* the whole value was read and nothing follows */
    PS_JSON_OBJECT,
    PS_JSON_OBJECT_END,
    PS_JSON_ARRAY,
    PS_JSON_ARRAY_END,
    PS_JSON_KEY,    /* text */
    PS_JSON_STRING, /* text */
    PS_JSON_NUMBER, /* text as written, number */
    PS_JSON_TRUE,
    PS_JSON_FALSE,
    PS_JSON_NULL,
} ps_json_kind;

typedef struct ps_json_token {
    ps_json_kind kind;
    ps_slice text; /* valid until the next call; has a terminating zero, may hold zeros */
    double number; /* NUMBER */
    bool is_u64;   /* NUMBER: written as a plain integer that fits u64 */
    uint64_t u64;  /* then this is it, exactly */
} ps_json_token;

typedef struct ps_json_reader {
    ps_cursor in;
    const uint8_t *start;
    ps_buf text;
    uint32_t depth;
    uint32_t objects; /* bit d: level d is an object */
    bool need_comma;  /* a value of this level came before */
    bool after_key;
    bool done;
    const uint8_t *value; /* where the last value began */
} ps_json_reader;

void ps_json_reader_init(ps_json_reader *reader, ps_slice bytes);
void ps_json_reader_free(ps_json_reader *reader);
/* PS_CORRUPT with "byte N: what is wrong". */
PS_MUST_CHECK ps_status ps_json_next(ps_json_reader *reader, ps_json_token *token);
/* Reads the next token and fails when it is of another kind. */
PS_MUST_CHECK ps_status ps_json_expect(ps_json_reader *reader, ps_json_kind kind,
                                       ps_json_token *token);
/* In an object: reads the next key. False at the object's end, and when *st is or becomes a
 * failure:
 *
 *     ps_status st = ps_json_expect(&r, PS_JSON_OBJECT, &token);
 *     while (ps_json_member(&r, &token, &st))
 *         st = ...;   // reads the whole value of token.text
 */
bool ps_json_member(ps_json_reader *reader, ps_json_token *key, ps_status *st);
/* Reads over one whole value that starts with the next token. */
PS_MUST_CHECK ps_status ps_json_skip(ps_json_reader *reader);
/* The same, and its bytes, for a reader of their own: what is wrong with one value, other than its
 * grammar, is then no matter of the rest. */
PS_MUST_CHECK ps_status ps_json_value(ps_json_reader *reader, ps_slice *bytes);
/* In an array: its next value likewise. False at the array's end, and when *st is or becomes a
 * failure, as ps_json_member. */
bool ps_json_element(ps_json_reader *reader, ps_slice *bytes, ps_status *st);

/* The writer appends to a ps_buf, compact, one line. Misuse (a value where a key must be) is a bug
 * of the caller and asserts. Numbers that JSON cannot say (NaN, infinity) become null. Text that
 * is not UTF-8 gets U+FFFD in place of each bad byte. */
typedef struct ps_json_writer {
    ps_buf *out;
    uint32_t depth;
    uint32_t objects;
    bool need_comma;
    bool after_key;
} ps_json_writer;

ps_json_writer ps_json_writer_to(ps_buf *out);
void ps_json_object(ps_json_writer *w);
void ps_json_object_end(ps_json_writer *w);
void ps_json_array(ps_json_writer *w);
void ps_json_array_end(ps_json_writer *w);
void ps_json_key(ps_json_writer *w, const char *key);
void ps_json_string(ps_json_writer *w, const char *text); /* NULL: null */
void ps_json_string_n(ps_json_writer *w, ps_slice text);
void ps_json_base64(ps_json_writer *w, ps_slice bytes); /* as a string (base64.h) */
void ps_json_int(ps_json_writer *w, int64_t v);
void ps_json_uint(ps_json_writer *w, uint64_t v);
void ps_json_double(ps_json_writer *w, double v); /* reads back as the same double */
void ps_json_float(ps_json_writer *w, float v);   /* reads back as the same float, shorter */
void ps_json_bool(ps_json_writer *w, bool v);
void ps_json_null(ps_json_writer *w);
/* What a reader gave, all but PS_JSON_END. Keys are C strings: up to a zero byte. */
void ps_json_token_write(ps_json_writer *w, const ps_json_token *token);

/* Key and value at once. */
void ps_json_put_string(ps_json_writer *w, const char *key, const char *text);
void ps_json_put_int(ps_json_writer *w, const char *key, int64_t v);
void ps_json_put_uint(ps_json_writer *w, const char *key, uint64_t v);
void ps_json_put_double(ps_json_writer *w, const char *key, double v);
void ps_json_put_bool(ps_json_writer *w, const char *key, bool v);
void ps_json_put_raw(ps_json_writer *w, const char *key, const char *json); /* JSON as it is */

/* Copies one JSON value into a document that is being written, so that it can be read again
 * whatever it was: text that is no JSON, or nested too deeply for where it goes, becomes a string,
 * "" null.
 */
void ps_json_embed(ps_json_writer *w, const char *json);
void ps_json_embed_n(ps_json_writer *w, ps_slice json);

#endif
