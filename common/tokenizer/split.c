/* The pattern's alternatives are tried in its order at the start of the text; each is a run of one
 * class of characters, so a hand-written scan does what the pattern does in one pass. Cannot fail.
 */
#include "common/tokenizer/split.h"

#include "common/base/utf8.h"
#include "common/tokenizer/classes.h"
#include "common/tokenizer/tokenizer.h"

typedef enum kind {
    END, /* of the text, or of what has come of it */
    SPACE,
    LETTER,
    NUMBER,
    OTHER,
} kind;

typedef struct scan {
    ps_slice text;
    bool whole;
    bool unsure; /* a character at the end may be cut */
} scan;

static kind kind_of_code_point(uint32_t cp)
{
    return ps_class_letter(cp)   ? LETTER
           : ps_class_number(cp) ? NUMBER
           : ps_class_space(cp)  ? SPACE
                                 : OTHER;
}

static kind kind_of_ascii(uint8_t c)
{
    if ((c | 0x20) >= 'a' && (c | 0x20) <= 'z')
        return LETTER;
    if (c >= '0' && c <= '9')
        return NUMBER;
    return c == ' ' || (c >= '\t' && c <= '\r') ? SPACE : OTHER;
}

/* The character at `at`; *n is its length. */
static kind kind_at(scan *s, size_t at, size_t *n)
{
    *n = 1;
    if (at >= s->text.len)
        return END;
    if (s->text.data[at] < 0x80)
        return kind_of_ascii(s->text.data[at]);
    ps_slice rest = ps_slice_of(s->text.data + at, s->text.len - at);
    size_t length = ps_utf8_length(rest);
    if (!length) {
        if (s->whole || ps_utf8_partial(rest) != rest.len)
            return OTHER;
        s->unsure = true;
        return END;
    }
    *n = length;
    return kind_of_code_point(ps_utf8_decode(rest));
}

/* Where the run of `which` that goes through `at` ends. A run that never ends is cut. */
static size_t run_end(scan *s, size_t at, kind which, kind *next)
{
    size_t n = 0;
    while ((*next = kind_at(s, at, &n)) == which && at < PS_TOKENIZER_MAX_PIECE)
        at += n;
    return at;
}

/* 's 't 're 've 'm 'll 'd; 0: none; *more: it could become one. */
static size_t contraction(const scan *s, bool *more)
{
    static const char *const endings[] = {"'s", "'t", "'re", "'ve", "'m", "'ll", "'d"};
    for (size_t i = 0; i < sizeof endings / sizeof *endings; i++) {
        size_t n = strlen(endings[i]), have = s->text.len < n ? s->text.len : n;
        if (memcmp(s->text.data, endings[i], have) != 0)
            continue;
        if (have == n)
            return n;
        *more |= !s->whole;
    }
    return 0;
}

/* \s+(?!\S)|\s+ : all of the run at the end of the text, else all but its last character, which may
 * go with the word behind; that one alone when it is all there is. */
static size_t white_space(scan *s)
{
    size_t at = 0, last = 0, n = 0;
    kind k;
    while ((k = kind_at(s, at, &n)) == SPACE && at < PS_TOKENIZER_MAX_PIECE) {
        last = at;
        at += n;
    }
    if (k == END)
        return s->whole ? at : 0;
    return last ? last : at;
}

size_t ps_gpt2_split(ps_slice text, bool whole)
{
    scan s = {.text = text, .whole = whole};
    bool more = false;
    if (text.data[0] == '\'') {
        size_t n = contraction(&s, &more);
        if (n || more)
            return n;
    }
    size_t at = text.data[0] == ' ', n = 0;
    kind k = kind_at(&s, at, &n);
    if (k == END && !whole)
        return 0;
    if (k == SPACE || k == END)
        return white_space(&s);
    kind next;
    at = run_end(&s, at, k, &next);
    return next == END && !whole ? 0 : at;
}
