#include "client/follow/generation.h"

#include <inttypes.h>
#include <string.h>

void ps_generation_init(ps_generation *g, const ps_tokenizer *tokenizer)
{
    *g = (ps_generation){0};
    ps_decoder_init(&g->decoder, tokenizer, false); /* it goes on from the prompt */
}

void ps_generation_free(ps_generation *g)
{
    ps_buf rest = PS_BUF_EMPTY;
    ps_decoder_finish(&g->decoder, &rest);
    ps_buf_free(&rest);
    ps_buf_free(&g->text);
    ps_ids_free(&g->ids);
}

static ps_status add(ps_generation *g, uint64_t at, uint64_t token)
{
    if (at < g->ids.n && g->ids.at[at] != token)
        return ps_fail(PS_ABORTED,
                       "the job began again and says other tokens than before, from the %" PRIu64
                       ". on; what was shown is not its output",
                       at + 1);
    if (at != g->ids.n)
        return PS_OK; /* known, or behind a hole that the result will fill */
    ps_ids_add(&g->ids, (uint32_t)token);
    ps_decoder_put(&g->decoder, (uint32_t)token, &g->text);
    return PS_OK;
}

ps_status ps_generation_add(ps_generation *g, const Psd__V1__Output *more)
{
    ps_status st = PS_OK;
    for (size_t i = 0; !st && i < more->n_tokens; i++)
        st = add(g, more->first + i, more->tokens[i]);
    return st;
}

/* ---- the result ---- */

static ps_status read_tokens(ps_generation *g, ps_json_reader *json)
{
    ps_json_token token;
    ps_status st = ps_json_expect(json, PS_JSON_ARRAY, &token);
    for (uint64_t i = 0; !st; i++) {
        st = ps_json_next(json, &token);
        if (st || token.kind == PS_JSON_ARRAY_END)
            return st;
        if (!token.is_u64 || token.u64 > UINT32_MAX)
            return ps_fail(PS_CORRUPT, "tokens[%" PRIu64 "] is no token", i);
        st = add(g, i, token.u64);
    }
    return st;
}

static ps_status read_other(const char *key, ps_json_reader *json, ps_generation_end *end)
{
    const struct {
        const char *key;
        double *to;
    } numbers[] = {{"load_seconds", &end->load_seconds},
                   {"prompt_seconds", &end->prompt_seconds},
                   {"generate_seconds", &end->generate_seconds},
                   {"seconds", &end->seconds}};
    ps_json_token token;
    ps_status st = PS_OK;
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
        if (!strcmp(key, numbers[i].key)) {
            st = ps_json_expect(json, PS_JSON_NUMBER, &token);
            *numbers[i].to = st ? 0 : token.number;
            return st;
        }
    if (!strcmp(key, "prompt_tokens")) {
        st = ps_json_expect(json, PS_JSON_NUMBER, &token);
        end->prompt_tokens = st ? 0 : token.u64;
    } else if (!strcmp(key, "ended")) {
        st = ps_json_expect(json, PS_JSON_STRING, &token);
        if (!st)
            (void)snprintf(end->ended, sizeof end->ended, "%s", (const char *)token.text.data);
    } else {
        st = ps_json_skip(json);
    }
    return st;
}

static ps_status read_result(ps_generation *g, ps_json_reader *json, ps_generation_end *end)
{
    ps_json_token token;
    ps_status st = ps_json_expect(json, PS_JSON_OBJECT, &token);
    while (ps_json_member(json, &token, &st)) {
        char key[32];
        (void)snprintf(key, sizeof key, "%s", (const char *)token.text.data);
        st = !strcmp(key, "tokens") ? read_tokens(g, json) : read_other(key, json, end);
    }
    return st;
}

ps_status ps_generation_finish(ps_generation *g, const char *result, ps_generation_end *end)
{
    *end = (ps_generation_end){0};
    ps_json_reader json;
    ps_json_reader_init(&json, ps_slice_str(result));
    ps_status st = read_result(g, &json, end);
    ps_json_reader_free(&json);
    ps_decoder_finish(&g->decoder, &g->text);
    return st == PS_CORRUPT ? ps_wrap(st, "the job's result") : st;
}
