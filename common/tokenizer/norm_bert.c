/* The rows Lowercase, StripAccents and BertNormalizer (clean_text, handle_chinese_chars,
 * strip_accents, lowercase), as the library has them: character by character. */
#include "common/base/utf8.h"
#include "common/tokenizer/classes.h"
#include "common/tokenizer/norm_form.h"
#include "common/tokenizer/step_rows.h"

#include <utf8proc.h>

/* What a character becomes, appended to out; n: its bytes in the text. */
typedef void (*change)(uint32_t cp, const uint8_t *bytes, size_t n, ps_buf *out);

static ps_status each(ps_slice text, change to, ps_buf *out)
{
    size_t n = 0;
    for (size_t at = 0; at < text.len; at += n) {
        uint32_t cp = ps_step_char(ps_slice_of(text.data + at, text.len - at), &n);
        to(cp, text.data + at, n, out);
    }
    return PS_OK;
}

static void put_char(uint32_t cp, ps_buf *out)
{
    uint8_t bytes[4];
    ps_buf_append(out, bytes, ps_utf8_encode(cp, bytes));
}

/* Of the capitals that came with Unicode 16; 0: it is none. */
static uint32_t new_lower(uint32_t cp)
{
    static const uint32_t pairs[][2] = {
        {0x1c89, 0x1c8a}, {0xa7cb, 0x264}, {0xa7cc, 0xa7cd}, {0xa7da, 0xa7db}, {0xa7dc, 0x19b}};
    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++)
        if (pairs[i][0] == cp)
            return pairs[i][1];
    return cp >= 0x10d50 && cp <= 0x10d65 ? cp + 0x20 : 0; /* Garay */
}

static void lower(uint32_t cp, const uint8_t *bytes, size_t n, ps_buf *out)
{
    if (cp >= 0x110000)
        ps_buf_append(out, bytes, n);
    else if (cp == 0x130) /* the only one that becomes two (SpecialCasing.txt) */
        ps_buf_puts(out, "i\xcc\x87");
    else if (cp > 0x1c88 && new_lower(cp))
        put_char(new_lower(cp), out);
    else
        put_char((uint32_t)utf8proc_tolower((utf8proc_int32_t)cp), out);
}

static void no_nonspacing(uint32_t cp, const uint8_t *bytes, size_t n, ps_buf *out)
{
    if (!ps_class_nonspacing(cp))
        ps_buf_append(out, bytes, n);
}

static void no_mark(uint32_t cp, const uint8_t *bytes, size_t n, ps_buf *out)
{
    if (!ps_class_mark(cp))
        ps_buf_append(out, bytes, n);
}

/* Controls go, and each white space is a space. */
static void clean(uint32_t cp, const uint8_t *bytes, size_t n, ps_buf *out)
{
    if (cp == 0 || cp == 0xfffd || ps_class_control(cp))
        return;
    if (ps_class_space(cp))
        ps_buf_putc(out, ' ');
    else
        ps_buf_append(out, bytes, n);
}

static void apart(uint32_t cp, const uint8_t *bytes, size_t n, ps_buf *out)
{
    bool han = ps_class_han(cp);
    if (han)
        ps_buf_putc(out, ' ');
    ps_buf_append(out, bytes, n);
    if (han)
        ps_buf_putc(out, ' ');
}

static ps_status lowercase(const ps_step *step, ps_edges edges, ps_slice text, ps_spans *spans,
                           ps_buf *out)
{
    return each(text, lower, out);
}

static ps_status strip_accents(const ps_step *step, ps_edges edges, ps_slice text, ps_spans *spans,
                               ps_buf *out)
{
    return each(text, no_mark, out);
}

const ps_step_row ps_norm_lowercase = {.type = "Lowercase", .normalize = lowercase};
const ps_step_row ps_norm_accents = {.type = "StripAccents", .normalize = strip_accents};

/* ---- BertNormalizer ---- */

enum { CLEAN, HAN, ACCENTS, LOWER };

static ps_status read_bert(const ps_part *part, ps_step *step)
{
    static const char *const keys[] = {"clean_text", "handle_chinese_chars", NULL, "lowercase"};
    ps_status st = PS_OK;
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
        step->is[i] = true;
        if (!st && keys[i])
            st = ps_part_bool(part, keys[i], &step->is[i]);
    }
    step->is[ACCENTS] = step->is[LOWER]; /* when the key is null */
    return st ? st : ps_part_bool(part, "strip_accents", &step->is[ACCENTS]);
}

static void swap(ps_buf *text, ps_buf *made)
{
    ps_buf was = *text;
    *text = *made;
    *made = was;
    ps_buf_clear(made);
}

static ps_status bert(const ps_step *step, ps_edges edges, ps_slice text, ps_spans *spans,
                      ps_buf *out)
{
    ps_buf now = PS_BUF_EMPTY, made = PS_BUF_EMPTY;
    ps_status st = PS_OK;
    ps_buf_append(&now, text.data, text.len);
    static const change changes[] = {
        [CLEAN] = clean, [HAN] = apart, [ACCENTS] = no_nonspacing, [LOWER] = lower};
    for (size_t i = 0; !st && i < sizeof changes / sizeof *changes; i++) {
        if (!step->is[i])
            continue;
        if (i == ACCENTS) {
            st = ps_norm_form(ps_buf_slice(&now), UTF8PROC_DECOMPOSE, &made);
            swap(&now, &made);
        }
        if (!st)
            st = each(ps_buf_slice(&now), changes[i], &made);
        swap(&now, &made);
    }
    if (!st)
        st = ps_buf_append_limited(out, now.data, now.len, PS_TOKENIZER_MAX_GROWTH);
    ps_buf_free(&now);
    ps_buf_free(&made);
    return st;
}

const ps_step_row ps_norm_bert = {.type = "BertNormalizer", .read = read_bert, .normalize = bert};
