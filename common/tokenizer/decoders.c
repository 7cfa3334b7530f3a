/* The rows of decoders: what the text of one token becomes on its own. Tokens that are bytes
 * (ByteFallback) give the bytes, which the decoder of texts joins to characters; so Fuse has
 * nothing to do but to say that what follows it is of the whole text, as ByteLevel says too. */
#include "common/base/utf8.h"
#include "common/tokenizer/byte_text.h"
#include "common/tokenizer/step_rows.h"

static void set(ps_buf *token, ps_buf *made)
{
    ps_buf was = *token;
    *token = *made;
    ps_buf_free(&was);
}

/* ---- ByteLevel: a text with a letter that stands for no byte stands for itself ---- */

static void decode_byte_level(const ps_step *step, ps_token_place place, ps_spans *spans,
                              ps_buf *token)
{
    ps_buf made = PS_BUF_EMPTY;
    if (ps_byte_text_decode(ps_buf_slice(token), &made))
        set(token, &made);
    else
        ps_buf_free(&made);
}

const ps_step_row ps_dec_byte_level = {
    .type = "ByteLevel", .decode = decode_byte_level, .fuses = true};

/* ---- Metaspace: with: the letter; number: NEVER or not ---- */

static ps_status read_metaspace(const ps_part *part, ps_step *step)
{
    return ps_pre_metaspace.read(part, step);
}

static void decode_metaspace(const ps_step *step, ps_token_place place, ps_spans *spans,
                             ps_buf *token)
{
    enum { NEVER = 2 };
    bool drop = (place.first || step->fused) && step->number != NEVER;
    ps_step_replace(token, ps_buf_slice(&step->with), ps_slice_str(drop ? "" : " "));
}

const ps_step_row ps_dec_metaspace = {
    .type = "Metaspace", .read = read_metaspace, .decode = decode_metaspace};

/* ---- ByteFallback: <0xE2> ---- */

static int hex(uint8_t c)
{
    return c >= '0' && c <= '9'   ? c - '0'
           : c >= 'A' && c <= 'F' ? c - 'A' + 10
           : c >= 'a' && c <= 'f' ? c - 'a' + 10
                                  : -1;
}

static void decode_byte_fallback(const ps_step *step, ps_token_place place, ps_spans *spans,
                                 ps_buf *token)
{
    const uint8_t *t = token->data;
    if (token->len != 6 || memcmp(t, "<0x", 3) != 0 || t[5] != '>' || hex(t[3]) < 0 ||
        hex(t[4]) < 0)
        return;
    uint8_t byte = (uint8_t)(hex(t[3]) * 16 + hex(t[4]));
    ps_buf_clear(token);
    ps_buf_append(token, &byte, 1);
}

const ps_step_row ps_dec_byte_fallback = {.type = "ByteFallback", .decode = decode_byte_fallback};

/* ---- Fuse ---- */

static void decode_fuse(const ps_step *step, ps_token_place place, ps_spans *spans, ps_buf *token)
{
}

const ps_step_row ps_dec_fuse = {.type = "Fuse", .decode = decode_fuse, .fuses = true};

/* ---- Strip: text: the character; number: how many from the start, stop: from the end of each
 * token; of fused ones from the start of the first and the end of the last ---- */

static ps_status read_strip(const ps_part *part, ps_step *step)
{
    ps_buf_putc(&step->text, ' ');
    ps_status st = ps_part_text(part, "content", &step->text);
    if (!st && !step->text.len)
        st = ps_part_fail(part, "content is empty");
    if (!st)
        st = ps_part_uint(part, "start", &step->number);
    if (!st)
        st = ps_part_uint(part, "stop", &step->stop);
    step->waits = step->fused && step->stop;
    return st;
}

static bool is_at(const ps_step *step, const ps_buf *token, size_t at)
{
    return !memcmp(token->data + at, step->text.data, step->text.len);
}

static void decode_strip(const ps_step *step, ps_token_place place, ps_spans *spans, ps_buf *token)
{
    size_t n = step->text.len;
    bool start = place.first || !step->fused, stop = place.last || !step->fused;
    for (uint64_t i = 0; start && i < step->number && token->len >= n && is_at(step, token, 0); i++)
        ps_buf_consume(token, n);
    for (uint64_t i = 0;
         stop && i < step->stop && token->len >= n && is_at(step, token, token->len - n); i++)
        token->len -= n;
}

const ps_step_row ps_dec_strip = {.type = "Strip", .read = read_strip, .decode = decode_strip};

/* ---- Replace ---- */

static ps_status read_replace(const ps_part *part, ps_step *step)
{
    return ps_norm_replace.read(part, step);
}

static void decode_replace(const ps_step *step, ps_token_place place, ps_spans *spans,
                           ps_buf *token)
{
    ps_buf made = PS_BUF_EMPTY;
    if (!step->regex) {
        ps_step_replace(token, ps_buf_slice(&step->text), ps_buf_slice(&step->with));
        return;
    }
    ps_status st = ps_step_find(step, ps_buf_slice(token), spans); /* a failure changes nothing */
    for (size_t i = 0; !st && i < spans->n; i++) {
        ps_span s = spans->at[i];
        if (s.match)
            ps_buf_append(&made, step->with.data, step->with.len);
        else
            ps_buf_append(&made, token->data + s.from, s.to - s.from);
    }
    if (!st)
        set(token, &made);
}

const ps_step_row ps_dec_replace = {
    .type = "Replace", .read = read_replace, .decode = decode_replace};

/* ---- WordPiece: text: the prefix; is[0]: cleanup ---- */

static ps_status read_wordpiece(const ps_part *part, ps_step *step)
{
    ps_buf_puts(&step->text, "##");
    step->is[0] = true;
    ps_status st = ps_part_text(part, "prefix", &step->text);
    return st ? st : ps_part_bool(part, "cleanup", &step->is[0]);
}

static void decode_wordpiece(const ps_step *step, ps_token_place place, ps_spans *spans,
                             ps_buf *token)
{
    bool first = place.first || step->fused; /* of fused tokens all are the first one's */
    bool goes_on =
        token->len >= step->text.len && !memcmp(token->data, step->text.data, step->text.len);
    ps_buf made = PS_BUF_EMPTY;
    if (!first && !goes_on)
        ps_buf_putc(&made, ' ');
    size_t from = !first && goes_on ? step->text.len : 0;
    ps_buf_append(&made, token->data + from, token->len - from);
    set(token, &made);
    if (step->is[0])
        ps_step_clean_up(token);
}

const ps_step_row ps_dec_wordpiece = {
    .type = "WordPiece", .read = read_wordpiece, .decode = decode_wordpiece};

/* ---- BPEDecoder: text: the suffix, which is a space, but of the last token nothing ---- */

static ps_status read_bpe(const ps_part *part, ps_step *step)
{
    ps_buf_puts(&step->text, "</w>");
    step->waits = true;
    return ps_part_text(part, "suffix", &step->text);
}

static void decode_bpe(const ps_step *step, ps_token_place place, ps_spans *spans, ps_buf *token)
{
    if (step->text.len)
        ps_step_replace(token, ps_buf_slice(&step->text), ps_slice_str(place.last ? "" : " "));
}

const ps_step_row ps_dec_bpe = {.type = "BPEDecoder", .read = read_bpe, .decode = decode_bpe};
