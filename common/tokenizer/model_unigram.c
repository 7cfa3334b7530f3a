/* The row Unigram (Kudo 2018; vocab with scores, unk_id, byte_fallback): of all ways to cut a piece
 * into tokens the one with the greatest sum of scores (Viterbi 1967). Happy path: from each
 * character on, each token that the text goes on with may make its end better. A character that is
 * no token is unknown, at 10 below the worst score; unknown ones that follow one another are one.
 */
#include "common/base/mem.h"
#include "common/tokenizer/tokenizer_internal.h"

#include <stdio.h>
#include <stdlib.h>

enum { UNKNOWN = -10, MAX_EXPONENT = 308, NO_EXPONENT = 1 << 20 };

typedef struct ps_best {
    double score;
    size_t from; /* SIZE_MAX: nothing ends here */
    bool unknown;
} best;

/* A number as `tokenizers` reads it, which rounds twice: its digits as an integer, and that times
 * or by a power of ten. What is left out of 17 digits tells two ways apart that are as good. */
double ps_unigram_score(const char *number)
{
    bool negative = *number == '-', fraction = false, full = false;
    uint64_t digits = 0;
    long exponent = 0;
    for (number += negative; (*number >= '0' && *number <= '9') || *number == '.'; number++) {
        uint64_t more = 0;
        if (*number == '.') {
            fraction = true;
            continue;
        }
        full |= __builtin_mul_overflow(digits, 10u, &more) ||
                __builtin_add_overflow(more, (uint64_t)(*number - '0'), &more);
        exponent += full ? !fraction : -(long)fraction;
        digits = full ? digits : more;
    }
    long given = *number ? strtol(number + 1, NULL, 10) : 0; /* behind "e" */
    exponent += given > NO_EXPONENT ? NO_EXPONENT : given < -NO_EXPONENT ? -NO_EXPONENT : given;
    double value = (double)digits;
    for (; exponent < -MAX_EXPONENT && value != 0; exponent += MAX_EXPONENT)
        value /= 1e308;
    char power[32];
    (void)snprintf(power, sizeof power, "1e%ld", labs(exponent));
    if (value != 0)
        value = exponent > 0 ? value * strtod(power, NULL) : value / strtod(power, NULL);
    return negative ? -value : value;
}

static ps_status make(ps_tokenizer *t)
{
    return t->keys.has_unk ? PS_OK : ps_fail(PS_INVALID_ARGUMENT, "unk_id is no token");
}

static void reserve(ps_scratch *s, size_t n)
{
    if (n <= s->n_best)
        return;
    s->n_best = n;
    s->best = ps_realloc(s->best, n * sizeof *s->best);
}

static void offer(best *end, double score, size_t from, bool unknown)
{
    if (end->from == SIZE_MAX || score > end->score)
        *end = (best){.score = score, .from = from, .unknown = unknown};
}

static void go_on_from(const ps_tokenizer *t, const ps_scratch *s, ps_slice piece, size_t at,
                       size_t n)
{
    best *ends = s->best;
    ps_prefix_walk w = PS_PREFIX_WALK;
    double score = ends[at].score;
    bool single = false;
    for (size_t i = at; i < piece.len && ps_prefixes_next(&t->tokens, &w, piece.data[i]); i++) {
        if (!w.found || (w.found->control && !s->added))
            continue;
        offer(&ends[i + 1], score + t->scores[w.found->value], at,
              w.found->value == t->keys.unk_id);
        single |= i + 1 - at == n;
    }
    if (!single) /* added in this order, as the last bit counts */
        offer(&ends[at + n], score + (t->worst + UNKNOWN), at, true);
}

static void put(const ps_tokenizer *t, const ps_scratch *s, ps_slice text, ps_ids *out)
{
    uint32_t id = 0;
    if (ps_tokenizer_find_in(t, s, text, &id))
        ps_ids_add(out, id);
    else if (!t->keys.byte_fallback || !ps_tokenizer_put_bytes(t, text, out))
        ps_ids_add(out, (uint32_t)t->keys.unk_id);
}

/* From the end to the start, so the cuts are gathered first. */
static void put_path(const ps_tokenizer *t, ps_scratch *s, ps_slice piece, ps_ids *out)
{
    ps_ids *cuts = &s->ids;
    cuts->n = 0;
    for (size_t end = piece.len; end; end = s->best[end].from) {
        bool joins = cuts->n && t->keys.fuse_unk && s->best[end].unknown &&
                     s->best[cuts->at[cuts->n - 1]].unknown;
        if (joins) /* the ends of unknown ones: the last counts */
            s->best[cuts->at[cuts->n - 1]].from = s->best[end].from;
        else
            ps_ids_add(cuts, (uint32_t)end);
    }
    for (size_t i = cuts->n; i--;) {
        size_t end = cuts->at[i], from = s->best[end].from;
        put(t, s, ps_slice_of(piece.data + from, end - from), out);
    }
}

static ps_status encode(const ps_tokenizer *t, ps_scratch *s, ps_slice piece, ps_ids *out)
{
    reserve(s, piece.len + 1);
    for (size_t i = 0; i <= piece.len; i++)
        s->best[i] = (best){.from = SIZE_MAX};
    for (size_t at = 0, n = 0; at < piece.len; at += n) {
        (void)ps_step_char(ps_slice_of(piece.data + at, piece.len - at), &n);
        go_on_from(t, s, piece, at, n);
    }
    put_path(t, s, piece, out);
    return PS_OK;
}

const ps_token_model ps_model_unigram = {.type = "Unigram",
                                         .name = "unigram",
                                         .scores = true,
                                         .fuses = true,
                                         .make = make,
                                         .settle = ps_tokenizer_make_prefixes,
                                         .encode = encode};
