/* head_ablation: against PyTorch in float64 (tests/golden/explain/make_inside.py). head_scores:
 * heads that look where they were told to, and heads that look everywhere. */
#include "tests/unit/worker/explain/language_net.h"

#include "common/base/limits.h"
#include "common/conf/explain_spec.h"
#include "tests/lib/check_main.h"
#include "worker/explain/look.h"

static char head_ablation[] = "head_ablation", head_scores[] = "head_scores";

enum { HEADS = LN_LAYERS * LN_HEADS, BY_HEAD = LN_ROWS * HEADS };

/* Both passes, the rows `each` at a time. */
static void ablate(language_net *n, unsigned replace, size_t each, ps_explain_part *out)
{
    const ps_spec_explain_method spec = {.method = head_ablation, .replace = replace};
    ps_explain_part before = PS_EXPLAIN_PART_EMPTY;
    for (n->x.pass = 0; n->x.pass < 2; n->x.pass++) {
        *out = PS_EXPLAIN_PART_EMPTY;
        for (size_t i = 0; i < LN_ROWS; i += each) {
            const ps_explain_items *all = &n->batch.items;
            ps_explain_items some = *all;
            ps_explain_part part;
            some.n = each;
            some.item += i;
            some.row += i;
            some.tokens += i * LN_LENGTH;
            some.goals += i;
            some.scores += i;
            ck_ok(ln_try(n, &spec, &some, &part));
            ck_ok(ps_explain_merge(out, &part));
            ps_explain_part_free(&part);
        }
        if (n->x.pass == 0)
            before = *out;
        n->x.before = &before;
    }
    n->x.pass = 0;
    n->x.before = NULL;
    ps_explain_part_free(&before);
}

/* However many rows are computed together. */
START_TEST(what_is_lost_without_a_head_is_what_pytorch_says)
{
    static const char *const golden[] = {"ablation/mean", "ablation/zero"};
    language_net n;
    ln_open(&n, _i);
    for (unsigned kind = 0; kind < 2; kind++)
        for (size_t each = 1; each <= LN_ROWS; each += LN_ROWS - 1) {
            ps_explain_part part;
            ablate(&n, kind, each, &part);
            ln_compare(&n, &part, "effect", golden[kind], BY_HEAD, 3e-6);
            ps_explain_part_free(&part);
        }
    ln_close(&n);
}
END_TEST

static void prompts_of(language_net *n, ps_spec_explain_prompt *prompts, int64_t *tokens)
{
    for (size_t i = 0; i < LN_ROWS; i++) {
        prompts[i] =
            (ps_spec_explain_prompt){.tokens = tokens + i * LN_LENGTH, .n_tokens = LN_LENGTH};
        for (size_t t = 0; t < LN_LENGTH; t++)
            prompts[i].tokens[t] = n->batch.items.tokens[i * LN_LENGTH + t];
    }
    n->spec.prompts = prompts;
    n->spec.n_prompts = LN_ROWS;
}

/* Which row's it is, is drawn by the item. */
START_TEST(heads_of_other_rows_are_put_in_whoever_is_computed_with_whom)
{
    language_net n;
    ps_spec_explain_prompt prompts[LN_ROWS];
    int64_t tokens[LN_ROWS * LN_LENGTH];
    ln_open(&n, _i);
    prompts_of(&n, prompts, tokens);
    const float *want = golden_get(&n.golden, "", "ablation/resample");
    for (size_t each = 1; each <= LN_ROWS; each += LN_ROWS - 1) {
        ps_explain_part part;
        ablate(&n, PS_EXPLAIN_REPLACE_RESAMPLE, each, &part);
        const float *effect = ln_array(&part, "effect", BY_HEAD);
        for (size_t row = 0; row < LN_ROWS; row++) {
            ps_rng rng;
            n.x.pass = 1; /* in which it is drawn */
            ps_explain_rng(&n.x, row, &rng);
            size_t other = (size_t)ps_rng_below(&rng, LN_ROWS - 1);
            other += other >= row;
            for (size_t i = 0; i < HEADS; i++)
                ck_assert_double_eq_tol((double)effect[row * HEADS + i],
                                        (double)want[(other * LN_ROWS + row) * HEADS + i], 3e-6);
        }
        ps_explain_part_free(&part);
    }
    ln_close(&n);
}
END_TEST

/* There is no other row of its length. */
START_TEST(a_row_alone_loses_nothing_by_its_own_heads)
{
    language_net n;
    ps_explain_part part;
    ps_spec_explain_prompt prompts[LN_ROWS];
    int64_t tokens[LN_ROWS * LN_LENGTH];
    ln_open(&n, _i);
    prompts_of(&n, prompts, tokens);
    prompts[1].n_tokens = prompts[2].n_tokens = 3;
    n.batch.items.n = 1;
    n.x.pass = 1;
    ln_run(
        &n,
        &(ps_spec_explain_method){.method = head_ablation, .replace = PS_EXPLAIN_REPLACE_RESAMPLE},
        &part);
    const float *effect = ln_array(&part, "effect", HEADS);
    for (size_t i = 0; i < HEADS; i++)
        ck_assert_double_eq_tol((double)effect[i], 0, 1e-6);
    ps_explain_part_free(&part);
    ln_close(&n);
}
END_TEST

/* As a head that gives nothing anyway: W_O of head 1 of block 0 is 0. */
START_TEST(a_head_that_adds_nothing_is_not_missed)
{
    language_net n;
    ps_explain_part part;
    float w[LN_WIDTH * LN_WIDTH];
    size_t i = 0, each = LN_WIDTH / LN_HEADS;
    ln_open(&n, 0);
    ck_ok(ps_model_find(n.x.model, "h.0.attn.c_proj.weight", &i));
    ps_tensor weight = ps_model_parameter(n.x.model, i);
    ps_stream *stream = ps_model_stream(n.x.model);
    ck_ok(ps_copy_to_host(stream, w, weight, sizeof w));
    memset(w + each * LN_WIDTH, 0, each * LN_WIDTH * sizeof *w); /* [in, out] */
    ps_copy_to_device(stream, weight, w, sizeof w);
    ps_model_refresh(n.x.model);
    double scores[LN_ROWS];
    ck_ok(ps_explain_look_scores(&n.x, &n.batch.items, NULL, scores));
    n.batch.items.scores = scores;
    ablate(&n, PS_EXPLAIN_REPLACE_ZERO, LN_ROWS, &part);
    const float *effect = ln_array(&part, "effect", BY_HEAD);
    for (size_t row = 0; row < LN_ROWS; row++) {
        ck_assert_double_eq((double)effect[row * HEADS + 1], 0);
        ck_assert(fabsf(effect[row * HEADS]) > 1e-5f);
    }
    ps_explain_part_free(&part);
    ln_close(&n);
}
END_TEST

/* ---- heads that look where they were told to ---- */

enum { CONTEXT = 16, BACK = 6 };

static void set(language_net *n, const char *name, const float *values, size_t count)
{
    size_t i = 0;
    ck_ok(ps_model_find(n->x.model, name, &i));
    ps_tensor t = ps_model_parameter(n->x.model, i);
    ck_assert_uint_eq((size_t)ps_tensor_count(t), count);
    ps_copy_to_device(ps_model_stream(n->x.model), t, values, ps_tensor_bytes(t));
}

/* Positions are points of a circle and tokens are nothing; queries of head 0 of block 0 are turned
 * back by one position, of head 1 by BACK, and of all others they are 0, so that they look
 * everywhere alike. */
static void tell_heads(language_net *n)
{
    float wte[LN_VOCABULARY * LN_WIDTH] = {0}, wpe[CONTEXT * LN_WIDTH] = {0};
    float qkv[LN_WIDTH * 3 * LN_WIDTH] = {0}, bias[3 * LN_WIDTH] = {0};
    float ones[LN_WIDTH], zeros[LN_WIDTH] = {0};
    const double step = 8 * atan(1) / CONTEXT, sharp = 40;
    for (int i = 0; i < LN_WIDTH; i++)
        ones[i] = 1;
    for (int t = 0; t < CONTEXT; t++)
        for (int sign = 0; sign < 2; sign++) {
            wpe[t * LN_WIDTH + 2 * sign] = (float)((sign ? -1 : 1) * cos(t * step));
            wpe[t * LN_WIDTH + 2 * sign + 1] = (float)((sign ? -1 : 1) * sin(t * step));
        }
    for (int head = 0; head < 2; head++) {
        double angle = (head ? BACK : 1) * step;
        float *q = qkv + head * 4, *k = q + LN_WIDTH; /* [in, out]: from x[0], x[1] */
        q[0] = q[3 * LN_WIDTH + 1] = (float)(sharp * cos(angle));
        q[3 * LN_WIDTH] = (float)(sharp * sin(angle));
        q[1] = -q[3 * LN_WIDTH];
        k[0] = k[3 * LN_WIDTH + 1] = 1;
    }
    set(n, "wte.weight", wte, sizeof wte / sizeof *wte);
    set(n, "wpe.weight", wpe, sizeof wpe / sizeof *wpe);
    set(n, "h.0.attn.c_attn.weight", qkv, sizeof qkv / sizeof *qkv);
    set(n, "h.0.attn.c_attn.bias", bias, sizeof bias / sizeof *bias);
    memset(qkv, 0, sizeof qkv);
    set(n, "h.1.attn.c_attn.weight", qkv, sizeof qkv / sizeof *qkv);
    set(n, "h.0.ln_1.weight", ones, LN_WIDTH);
    set(n, "h.0.ln_1.bias", zeros, LN_WIDTH);
    ck_ok(ps_stream_sync(ps_model_stream(n->x.model)));
    ps_model_refresh(n->x.model);
}

static double value(const ps_explain_part *part, const char *name, size_t head)
{
    return (double)ln_array(part, name, HEADS)[head];
}

/* Of four tokens with period 2 a head that looks everywhere alike takes 1/2, 1/3, 1/4 of the token
 * before, and 1/3, 1/4 of what stood two before, in whatever row. */
START_TEST(who_looks_everywhere_has_what_that_comes_to)
{
    language_net n;
    ps_explain_part part;
    ln_open(&n, 0);
    tell_heads(&n);
    ck_ok(ln_try(&n, &(ps_spec_explain_method){.method = head_scores, .sequences = 20, .length = 4},
                 NULL, &part));
    for (size_t head = LN_HEADS; head < HEADS; head++) {
        ck_assert_double_eq_tol(value(&part, "previous", head), 13.0 / 36, 1e-6);
        ck_assert_double_eq_tol(value(&part, "duplicate", head), 7.0 / 24, 1e-6);
        ck_assert_double_eq_tol(value(&part, "induction", head), 7.0 / 24, 1e-6);
    }
    const float *error = ln_array(&part, "standard_error", 5 * (size_t)HEADS);
    ck_assert_double_lt((double)error[HEADS - 1], 1e-7);
    ck_assert_ptr_null(ps_explain_get(&part, "moments"));
    ps_explain_part_free(&part);
    ln_close(&n);
}
END_TEST

/* Periods of rows of 16 are 6, 7, 8: who looks 6 back finds what stood there with the first, and
 * what came after it with the second, and so is a third of each. */
START_TEST(who_looks_at_a_distance_is_told_from_who_finds)
{
    language_net n;
    ps_explain_part part;
    ln_open(&n, 0);
    tell_heads(&n);
    ck_ok(ln_try(
        &n, &(ps_spec_explain_method){.method = head_scores, .sequences = 200, .length = CONTEXT},
        NULL, &part));
    ck_assert_double_gt(value(&part, "previous", 0), 0.99);
    ck_assert_double_lt(value(&part, "induction", 0), 0.01);
    ck_assert_double_lt(value(&part, "previous", 1), 0.1);
    const float *error = ln_array(&part, "standard_error", 5 * (size_t)HEADS);
    double duplicate = value(&part, "duplicate", 1), induction = value(&part, "induction", 1);
    ck_assert_double_eq_tol((double)error[2 * HEADS + 1], sqrt(2.0 / 9 / 200), 0.004);
    ck_assert_double_eq_tol(duplicate, 1.0 / 3, 4 * (double)error[2 * HEADS + 1]);
    ck_assert_double_eq_tol(induction, 1.0 / 3, 4 * (double)error[3 * HEADS + 1]);
    ps_explain_part_free(&part);
    ln_close(&n);
}
END_TEST

/* ---- heads that find ---- */

static void set_tokens_and_positions(language_net *n)
{
    float wte[LN_VOCABULARY * LN_WIDTH] = {0}, wpe[CONTEXT * LN_WIDTH] = {0};
    const double step = 8 * atan(1) / CONTEXT;
    ps_rng rng;
    ps_rng_seed(&rng, 5);
    for (int i = 0; i < LN_VOCABULARY; i++) {
        double e[4] = {0.5}, length = 0;
        for (int k = 1; k < 4; k++) {
            e[k] = ps_rng_normal(&rng);
            length += e[k] * e[k];
        }
        for (int k = 1; k < 4; k++)
            e[k] *= sqrt(0.75 / length);
        for (int k = 0; k < 8; k++)
            wte[i * LN_WIDTH + k] = (float)((k < 4 ? 1 : -1) * e[k % 4]);
    }
    wpe[12] = -1;
    for (int t = 0; t < CONTEXT * 4; t++)
        wpe[t / 4 * LN_WIDTH + 8 + t % 4] =
            (float)((t % 4 < 2 ? 1 : -1) * (t % 2 ? sin(t / 4 * step) : cos(t / 4 * step)));
    set(n, "wte.weight", wte, sizeof wte / sizeof *wte);
    set(n, "wpe.weight", wpe, sizeof wpe / sizeof *wpe);
}

/* Tokens are points of a sphere, e in columns 0 to 3 and −e in 4 to 7, positions of a circle in 8
 * to 11. Head 0 of block 0 looks at the token before and puts its e into columns 12 to 15; head 0
 * of block 1 looks for its own e there, with what a norm subtracts added again: the heads of a
 * model that copies by induction (Elhage et al. 2021). The first token has none before it, and
 * looks at itself: what its position has in column 12 is what no token looks for. */
static void tell_induction(language_net *n)
{
    enum { Q = 3 * LN_WIDTH };
    float qkv[LN_WIDTH * Q] = {0}, mix[LN_WIDTH * LN_WIDTH] = {0},
                         mlp[4 * LN_WIDTH * LN_WIDTH] = {0};
    float zeros[Q] = {0}, ones[LN_WIDTH];
    const double step = 8 * atan(1) / CONTEXT, sharp = 1000, sharper = 4000;
    set_tokens_and_positions(n);
    for (int i = 0; i < LN_WIDTH; i++)
        ones[i] = 1;
    float *x8 = qkv + 8 * Q, *x9 = qkv + 9 * Q; /* [in, out]: queries, keys, values of 4 heads */
    x8[0] = x9[1] = (float)(sharp * cos(step));
    x9[0] = (float)(sharp * sin(step));
    x8[1] = -x9[0];
    x8[LN_WIDTH] = x9[LN_WIDTH + 1] = 1;
    for (int k = 0; k < 4; k++) {
        qkv[k * Q + 2 * LN_WIDTH + k] = 1;
        mix[k * LN_WIDTH + 12 + k] = 1;
    }
    set(n, "h.0.attn.c_attn.weight", qkv, sizeof qkv / sizeof *qkv);
    set(n, "h.0.attn.c_proj.weight", mix, sizeof mix / sizeof *mix);
    memset(qkv, 0, sizeof qkv);
    for (int k = 0; k < 4; k++) {
        qkv[k * Q + k] = (float)sharper;
        qkv[(12 + k) * Q + LN_WIDTH + k] = 1;
        for (int i = 0; i < 8; i++) {
            qkv[i * Q + k] -= (float)(sharper / 8);
            qkv[i * Q + LN_WIDTH + k] -= 1.0F / 8;
        }
    }
    set(n, "h.1.attn.c_attn.weight", qkv, sizeof qkv / sizeof *qkv);
    set(n, "h.0.mlp.c_proj.weight", mlp, sizeof mlp / sizeof *mlp);
    set(n, "h.0.mlp.c_proj.bias", zeros, LN_WIDTH);
    set(n, "h.0.attn.c_proj.bias", zeros, LN_WIDTH);
    for (int block = 0; block < 2; block++) {
        char name[40];
        (void)snprintf(name, sizeof name, "h.%d.attn.c_attn.bias", block);
        set(n, name, zeros, Q);
        (void)snprintf(name, sizeof name, "h.%d.ln_1.weight", block);
        set(n, name, ones, LN_WIDTH);
        (void)snprintf(name, sizeof name, "h.%d.ln_1.bias", block);
        set(n, name, zeros, LN_WIDTH);
    }
    ck_ok(ps_stream_sync(ps_model_stream(n->x.model)));
    ps_model_refresh(n->x.model);
}

START_TEST(heads_that_copy_by_induction_are_found)
{
    language_net n;
    ps_explain_part part;
    ln_open(&n, 0);
    tell_induction(&n);
    ck_ok(ln_try(
        &n, &(ps_spec_explain_method){.method = head_scores, .sequences = 200, .length = CONTEXT},
        NULL, &part));
    ck_assert_double_ge(value(&part, "previous", 0), 0.9);
    ck_assert_double_ge(value(&part, "induction", LN_HEADS), 0.9);
    ck_assert_double_eq(value(&part, "best_offset", LN_HEADS), 1);
    ck_assert_double_eq(value(&part, "best", LN_HEADS), value(&part, "induction", LN_HEADS));
    for (size_t head = 0; head < HEADS; head++)
        ck_assert(head == LN_HEADS || value(&part, "best", head) < 0.5);
    ck_assert_double_lt(value(&part, "before_match", LN_HEADS), 0.1);
    ck_assert_double_lt(value(&part, "after_induction", LN_HEADS), 0.1);
    ps_explain_part_free(&part);
    ln_close(&n);
}
END_TEST

START_TEST(rows_that_cannot_repeat_are_refused)
{
    language_net n;
    ps_explain_part part;
    ln_open(&n, 1);
    n.model_spec.context_length = 3;
    const ps_spec_explain_method spec = {.method = head_scores, .sequences = 1, .length = 48};
    ck_assert_int_eq(ln_try(&n, &spec, NULL, &part), PS_INVALID_ARGUMENT);
    ck_assert_str_eq(ps_error_message(), "rows of 3 tokens, at least 4 are needed to repeat any");
    ps_explain_part_free(&part);
    ln_close(&n);
}
END_TEST

/* Of each head a square: said before it is taken, not found out by Linux. */
START_TEST(rows_that_are_too_long_are_refused_in_bytes)
{
    enum { LONG = 16000, MANY = 64 };
    const ps_spec_explain_method spec = {.method = head_scores, .sequences = 1, .length = LONG};
    ps_explain_part part = PS_EXPLAIN_PART_EMPTY;
    language_net n;
    if (ps_limits_memory_left() / LONG / LONG / sizeof(float) > MANY)
        return; /* a machine for which they are not too long */
    ln_open(&n, 0);
    n.model_spec.context_length = LONG;
    n.model_spec.num_heads = MANY;
    ck_assert_int_eq(ps_explain_method_find(head_scores)->run(&n.x, &spec, NULL, NULL, &part),
                     PS_NO_MEMORY);
    ck_assert_ptr_nonnull(strstr(ps_error_message(), "are available; lower length"));
    ps_explain_part_free(&part);
    ln_close(&n);
}
END_TEST

static const ps_check_case cases[] = {
    {.test = &what_is_lost_without_a_head_is_what_pytorch_says, .repeat = 2},
    {.test = &heads_of_other_rows_are_put_in_whoever_is_computed_with_whom, .repeat = 2},
    {.test = &a_row_alone_loses_nothing_by_its_own_heads, .repeat = 2},
    {.test = &heads_that_copy_by_induction_are_found},
    {.test = &a_head_that_adds_nothing_is_not_missed},
    {.test = &who_looks_everywhere_has_what_that_comes_to},
    {.test = &who_looks_at_a_distance_is_told_from_who_finds},
    {.test = &rows_that_cannot_repeat_are_refused},
    {.test = &rows_that_are_too_long_are_refused_in_bytes},
    {0},
};

int main(void)
{
    return ps_check_main("explain/heads", cases);
}
