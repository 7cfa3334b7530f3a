/* Happy path: bytes go by one after the other, each through the state of its field:
 *
 *            other             delimiter, end of line
 *   BEFORE ─────────→ PLAIN ──────────────────────────→ the next field, or the record's end
 *     │  "        "         blank          ↑
 *     └────→ QUOTED ⇄ BEHIND ────→ CLOSED ──┤
 *                       └───────────────────┘
 *
 * Text is moved together in place, over quotes that are gone, and ends with a zero where a
 * delimiter was. When the bytes run out within a record more are read behind it, and the state goes
 * on. */
#include "worker/data/csv_text.h"

#include "common/base/buf.h"
#include "common/base/mem.h"
#include "common/format/source.h"

#include <string.h>

enum { READ_BYTES = 64 * 1024 };

typedef enum field_state {
    BEFORE, /* nothing but blanks yet */
    PLAIN,
    QUOTED,
    BEHIND, /* a closing quote, or the first of two */
    CLOSED, /* blanks behind it */
} field_state;

/* Places count from the record's start, as the buffer moves when it grows. */
typedef struct span {
    size_t begin, len;
} span;

struct ps_csv_text {
    ps_source *source;
    char delimiter;
    bool ends_plain[256]; /* bytes that end a field without quotes, or are refused there */
    ps_buf bytes;         /* read, not yet given */
    size_t start;         /* of bytes: where the record begins */
    bool ended;           /* the file */
    bool cr;              /* the last byte was one: a LF now is the rest of it */
    size_t line;          /* of the next byte */
    /* the record */
    size_t at;         /* the next byte */
    size_t begin, end; /* of the current field's text */
    size_t first;      /* line of the record */
    size_t quote;      /* line of the opening quote */
    field_state state;
    bool empty; /* an empty line */
    span *spans;
    ps_csv_field *fields;
    size_t n, capacity;
};

ps_status ps_csv_text_at(const ps_csv_text *t, size_t line, ps_status st)
{
    return ps_wrap(st, "%s:%zu", ps_source_path(t->source), line);
}

static ps_status bad(const ps_csv_text *t, size_t line, const char *what)
{
    return ps_csv_text_at(t, line, ps_fail(PS_CORRUPT, "%s", what));
}

/* More bytes behind those of the record. */
static ps_status fill(ps_csv_text *t)
{
    ps_buf_consume(&t->bytes, t->start);
    t->start = 0;
    if (t->bytes.len > PS_CSV_MAX_RECORD)
        return ps_csv_text_at(t, t->first,
                              ps_fail(PS_CORRUPT, "a line of more than %d bytes%s",
                                      PS_CSV_MAX_RECORD,
                                      t->state == QUOTED ? "; is a quote never closed?" : ""));
    ps_buf_reserve(&t->bytes, READ_BYTES + 1); /* and a zero behind the last */
    size_t got = 0;
    ps_status st = ps_source_read(t->source, t->bytes.data + t->bytes.len, READ_BYTES, &got);
    t->bytes.len += got;
    t->ended = got == 0;
    return st;
}

static bool is_blank(const ps_csv_text *t, char c)
{
    return (c == ' ' || c == '\t') && c != t->delimiter;
}

static char *record(const ps_csv_text *t)
{
    return (char *)t->bytes.data + t->start;
}

static ps_status end_field(ps_csv_text *t)
{
    if (t->n == PS_CSV_MAX_COLUMNS)
        return bad(t, t->first, "more than 1048576 columns");
    if (t->n == t->capacity) {
        t->capacity = t->capacity ? 2 * t->capacity : 64;
        t->spans = ps_realloc(t->spans, t->capacity * sizeof *t->spans);
        t->fields = ps_realloc(t->fields, t->capacity * sizeof *t->fields);
    }
    char *text = record(t);
    while (t->state == PLAIN && t->end > t->begin && is_blank(t, text[t->end - 1]))
        t->end--;
    text[t->end] = '\0';
    t->spans[t->n++] = (span){t->begin, t->end - t->begin};
    t->empty = t->n == 1 && t->state == BEFORE;
    return PS_OK;
}

/* The next field's text will begin at the next byte but `behind`. */
static void begin_field(ps_csv_text *t, field_state state, size_t behind)
{
    t->state = state;
    t->begin = t->end = t->at + behind;
}

/* Text up to what may end it, in one go. */
static void take_plain(ps_csv_text *t)
{
    const char *text = record(t);
    size_t len = t->bytes.len - t->start;
    while (t->at < len && !t->ends_plain[(unsigned char)text[t->at]])
        t->at++;
    t->end = t->at;
}

static void take_quoted(ps_csv_text *t, char c)
{
    if (c == '"')
        t->state = BEHIND;
    else
        record(t)[t->end++] = c;
}

/* A byte that is part of a field, or stands around its quotes. */
static ps_status take(ps_csv_text *t, char c)
{
    bool blank = is_blank(t, c);
    if (t->state == BEFORE && c == '"') {
        begin_field(t, QUOTED, 0);
        t->quote = t->line;
    } else if (t->state == BEFORE && !blank) {
        begin_field(t, PLAIN, 0);
    } else if (t->state == BEHIND && c == '"') { /* the second of two */
        t->state = QUOTED;
        record(t)[t->end++] = c;
    } else if (t->state == BEHIND && blank) {
        t->state = CLOSED;
    } else if (!blank) {
        return ps_csv_text_at(t, t->line,
                              ps_fail(PS_CORRUPT,
                                      "column %zu: text behind the closing quote; a quote within "
                                      "quotes is written twice",
                                      t->n));
    }
    return PS_OK;
}

static ps_status step(ps_csv_text *t, bool *whole)
{
    char c = record(t)[t->at];
    bool rest = c == '\n' && t->cr; /* of a CR LF */
    bool eol = (c == '\n' || c == '\r') && !rest;
    ps_status st = PS_OK;
    t->cr = c == '\r';
    t->line += eol;
    if (!c) {
        st = bad(t, t->line, "a zero byte; is it text?");
    } else if (t->state == QUOTED) {
        take_quoted(t, c);
    } else if (rest) { /* nothing of this record has come yet */
        begin_field(t, BEFORE, 1);
    } else if (eol) {
        st = end_field(t);
        *whole = true;
    } else if (c == t->delimiter) {
        st = end_field(t);
        begin_field(t, BEFORE, 1);
    } else {
        st = take(t, c);
    }
    t->at++;
    return st;
}

/* The file's last line may lack its end. */
static ps_status end_of_file(ps_csv_text *t)
{
    if (!t->n && t->state == BEFORE && t->begin == t->at)
        return PS_END;
    if (t->state == QUOTED)
        return bad(t, t->quote, "a quote is opened here and never closed");
    return end_field(t);
}

static ps_status read_record(ps_csv_text *t)
{
    t->start += t->at;
    t->at = t->n = 0;
    t->first = t->line;
    begin_field(t, BEFORE, 0);
    bool whole = false;
    ps_status st = PS_OK;
    while (!st && !whole) {
        if (t->state == PLAIN)
            take_plain(t);
        if (t->start + t->at < t->bytes.len)
            st = step(t, &whole);
        else if (t->ended)
            return end_of_file(t);
        else
            st = fill(t);
    }
    return st;
}

ps_status ps_csv_text_next(ps_csv_text *t, ps_csv_record *out)
{
    ps_status st;
    do
        st = read_record(t);
    while (!st && t->empty);
    if (st)
        return st;
    for (size_t i = 0; i < t->n; i++)
        t->fields[i] = (ps_csv_field){record(t) + t->spans[i].begin, t->spans[i].len};
    *out = (ps_csv_record){.fields = t->fields, .n = t->n, .line = t->first};
    return PS_OK;
}

ps_status ps_csv_text_open(const char *path, char delimiter, ps_csv_text **out)
{
    ps_csv_text *t = ps_new(ps_csv_text);
    t->delimiter = delimiter;
    t->line = t->first = 1;
    t->ends_plain['\0'] = t->ends_plain['\r'] = t->ends_plain['\n'] = true;
    t->ends_plain[(unsigned char)delimiter] = true;
    ps_status st = ps_source_open(path, &t->source);
    if (!st)
        st = ps_source_check_foreign(t->source);
    if (!st)
        st = fill(t);
    if (st) {
        ps_csv_text_close(&t);
        return st;
    }
    if (t->bytes.len >= 3 && !memcmp(t->bytes.data, "\xef\xbb\xbf", 3))
        t->start = 3;
    *out = t;
    return PS_OK;
}

void ps_csv_text_close(ps_csv_text **text)
{
    ps_csv_text *t = *text;
    if (!t)
        return;
    ps_source_close(&t->source);
    ps_buf_free(&t->bytes);
    ps_free(&t->spans);
    ps_free(&t->fields);
    ps_free(text);
}
