/* The rows NFC, NFD, NFKC and NFKD: Unicode's normalization forms (UAX 15), by utf8proc (Unicode
 * 15). Bytes that are no UTF-8 stay, and so do characters that the library does not
 * know to decompose, and what is between them is a text of its own. */
#include "common/base/mem.h"
#include "common/base/utf8.h"
#include "common/tokenizer/classes.h"
#include "common/tokenizer/norm_form.h"
#include "common/tokenizer/step_rows.h"

#include <stdlib.h>
#include <utf8proc.h>

/* Bytes from the start of text that utf8proc may have: UTF-8 that has forms in the library, too,
 * and no more marks one behind the other than it can put in order in good time. */
static size_t valid_run(ps_slice text)
{
    enum { MOST_MARKS = 1024 };
    size_t at = 0, n = 1, marks = 0;
    while (at < text.len && n) {
        ps_slice rest = ps_slice_of(text.data + at, text.len - at);
        n = ps_utf8_length(rest);
        uint32_t cp = n ? ps_utf8_decode(rest) : 0;
        marks = cp >= 0x300 && utf8proc_get_property((utf8proc_int32_t)cp)->combining_class
                    ? marks + 1
                    : 0;
        if (n && (ps_class_formless(cp) || marks > MOST_MARKS))
            n = 0;
        at += n;
    }
    return at;
}

static ps_status form_run(ps_slice run, int options, ps_buf *out)
{
    utf8proc_uint8_t *made = NULL;
    utf8proc_ssize_t n =
        utf8proc_map(run.data, (utf8proc_ssize_t)run.len, &made, (utf8proc_option_t)options);
    if (n < 0)
        return ps_fail(PS_NO_MEMORY, "no memory for a normalized text");
    ps_status st = ps_buf_append_limited(out, made, (size_t)n, PS_TOKENIZER_MAX_GROWTH);
    free(made);
    return st;
}

ps_status ps_norm_form(ps_slice text, int options, ps_buf *out)
{
    ps_status st = PS_OK;
    size_t n = 0;
    for (; !st && text.len; text = ps_slice_of(text.data + n, text.len - n)) {
        n = valid_run(text);
        if (n) {
            st = form_run(ps_slice_of(text.data, n), options | UTF8PROC_STABLE, out);
        } else {
            (void)ps_step_char(text, &n);
            ps_buf_append(out, text.data, n);
        }
    }
    return st;
}

static ps_status nfc(const ps_step *step, ps_edges edges, ps_slice text, ps_spans *spans,
                     ps_buf *out)
{
    return ps_norm_form(text, UTF8PROC_COMPOSE, out);
}

static ps_status nfd(const ps_step *step, ps_edges edges, ps_slice text, ps_spans *spans,
                     ps_buf *out)
{
    return ps_norm_form(text, UTF8PROC_DECOMPOSE, out);
}

static ps_status nfkc(const ps_step *step, ps_edges edges, ps_slice text, ps_spans *spans,
                      ps_buf *out)
{
    return ps_norm_form(text, UTF8PROC_COMPOSE | UTF8PROC_COMPAT, out);
}

static ps_status nfkd(const ps_step *step, ps_edges edges, ps_slice text, ps_spans *spans,
                      ps_buf *out)
{
    return ps_norm_form(text, UTF8PROC_DECOMPOSE | UTF8PROC_COMPAT, out);
}

const ps_step_row ps_norm_nfc = {.type = "NFC", .normalize = nfc};
const ps_step_row ps_norm_nfd = {.type = "NFD", .normalize = nfd};
const ps_step_row ps_norm_nfkc = {.type = "NFKC", .normalize = nfkc};
const ps_step_row ps_norm_nfkd = {.type = "NFKD", .normalize = nfkd};
