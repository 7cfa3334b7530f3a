/* What psctl reads in psd's answers, out of any bytes: lines of predictions.jsonl, in one piece and
 * byte by byte, which must come to the same; the results of generate and compare jobs; and the
 * report of one that compressed. What is written for people has nothing in it that moves a
 * terminal's cursor. */
#include "client/call/support.h"
#include "client/follow/generation.h"
#include "client/show/compare_view.h"
#include "client/show/prediction.h"
#include "client/show/report_view.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static ps_status show(ps_slice bytes, size_t piece, bool json, ps_buf *out)
{
    ps_predictions p;
    ps_predictions_init(&p, 0, UINT64_MAX, json, (ps_style){.width = 0});
    ps_status st = PS_OK;
    while (!st && bytes.len) {
        size_t n = piece < bytes.len ? piece : bytes.len;
        st = ps_predictions_feed(&p, ps_slice_of(bytes.data, n), out);
        bytes = ps_slice_of(bytes.data + n, bytes.len - n);
    }
    if (!st)
        st = ps_predictions_finish(&p, out);
    else
        ps_predictions_break(&p, ps_error_message(), out);
    ps_predictions_free(&p);
    return st;
}

static void check_clean(const ps_buf *out)
{
    for (size_t i = 0; i < out->len; i++)
        if ((out->data[i] < ' ' && out->data[i] != '\n') || out->data[i] == 0x7f)
            abort();
}

static void check_predictions(ps_slice bytes, bool json)
{
    ps_buf whole = PS_BUF_EMPTY, cut = PS_BUF_EMPTY;
    ps_status st = show(bytes, SIZE_MAX, json, &whole);
    if (show(bytes, 1, json, &cut) != st)
        abort();
    if (!st && (whole.len != cut.len || (whole.len && memcmp(whole.data, cut.data, whole.len))))
        abort();
    check_clean(&whole);
    ps_buf_free(&whole);
    ps_buf_free(&cut);
}

static void check_generation(ps_slice bytes)
{
    char *result = malloc(bytes.len + 1);
    ps_tokenizer *tokenizer = ps_tokenizer_bytes();
    ps_generation generation;
    ps_generation_end end;
    memcpy(result, bytes.data, bytes.len);
    result[bytes.len] = 0;
    ps_generation_init(&generation, tokenizer);
    (void)!ps_generation_finish(&generation, result, &end);
    if (memchr(end.ended, 0, sizeof end.ended) == NULL)
        abort();
    ps_generation_free(&generation);
    ps_tokenizer_free(&tokenizer);
    free(result);
}

static void check_report(ps_slice bytes)
{
    ps_buf out = PS_BUF_EMPTY;
    const ps_style narrow = {.width = 60};
    if (ps_report_text(&out, &narrow, bytes) && out.len)
        abort();
    check_clean(&out);
    ps_buf_free(&out);
}

static void check_compared(ps_slice bytes)
{
    Psd__V1__Model model = PSD__V1__MODEL__INIT;
    const Psd__V1__Model *const models[2] = {&model, &model};
    const ps_style file = {.width = 0};
    char *result = malloc(bytes.len + 1);
    ps_buf out = PS_BUF_EMPTY;
    memcpy(result, bytes.data, bytes.len);
    result[bytes.len] = 0;
    if (ps_compare_text(&out, &file, models, result) && out.len)
        abort();
    check_clean(&out);
    ps_buf_free(&out);
    free(result);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    ps_slice rest = ps_slice_of(data + 1, size - 1);
    if (data[0] == 'r' || data[0] == 'c') {
        (data[0] == 'r' ? check_report : check_compared)(rest);
        return 0;
    }
    switch (data[0] % 3) {
    case 0:
    case 1:
        check_predictions(rest, data[0] % 3);
        break;
    default:
        check_generation(rest);
    }
    return 0;
}
