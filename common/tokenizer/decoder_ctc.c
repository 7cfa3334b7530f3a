/* The row CTC (pad_token, word_delimiter_token, cleanup), of speech: a token stands once however
 * often it follows itself, the one of padding is no text, and another one is a space. text:
 * pad_token; with: word_delimiter_token; is[0]: cleanup. */
#include "common/tokenizer/step_rows.h"

static ps_status read_ctc(const ps_part *part, ps_step *step)
{
    ps_buf_puts(&step->text, "<pad>");
    ps_buf_puts(&step->with, "|");
    step->is[0] = true;
    ps_status st = ps_part_text(part, "pad_token", &step->text);
    if (!st)
        st = ps_part_text(part, "word_delimiter_token", &step->with);
    if (!st && (!step->text.len || !step->with.len))
        st = ps_part_fail(part, "pad_token or word_delimiter_token is empty");
    return st ? st : ps_part_bool(part, "cleanup", &step->is[0]);
}

static void decode(const ps_step *step, ps_token_place place, ps_spans *spans, ps_buf *token)
{
    ps_step_replace(token, ps_buf_slice(&step->text), ps_slice_str(""));
    if (!step->is[0])
        return;
    ps_step_clean_up(token);
    ps_step_replace(token, ps_buf_slice(&step->with), ps_slice_str(" "));
}

const ps_step_row ps_dec_ctc = {.type = "CTC", .read = read_ctc, .decode = decode, .once = true};
