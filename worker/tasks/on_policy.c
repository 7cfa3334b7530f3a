/* Happy path: the parameters are copied; of each row the prompt goes through the copy, then a token
 * is drawn and goes through it, until the row is full; one more is the last label. It fails as the
 * device does, or where an answer is not finite. */
#include "worker/tasks/on_policy.h"

#include "common/base/mem.h"
#include "common/base/one_thread.h"
#include "common/base/require.h"
#include "common/base/rng.h"
#include "worker/tasks/sample.h"

#include <string.h>

struct ps_on_policy {
    ps_one_thread mine;
    ps_on_policy_options options;
    ps_model *writer; /* with the student's parameters, and a cache for one row */
    ps_sampler *sampler;
    float *logits;
    int32_t *tokens, *next; /* [rows, length] */
};

/* Of an epoch's choices and draws. */
static uint64_t epoch_seed(const ps_on_policy_options *o)
{
    ps_rng rng;
    ps_rng_seed_named(&rng, o->seed, "distil.on_policy");
    ps_rng_seed(&rng, ps_rng_next(&rng) + o->epoch);
    return ps_rng_next(&rng);
}

ps_status ps_on_policy_create(const ps_on_policy_options *o, ps_on_policy **out)
{
    PS_REQUIRE(o->share > 0 && o->rows > 0 && o->length > 0 && o->words > 0);
    ps_on_policy *p = ps_new(ps_on_policy);
    p->options = *o;
    const ps_model_options options = {
        .max_batch = 1, .max_length = o->length, .inference = true, .decode = true};
    ps_status st = ps_model_create(o->backend, o->config, &options, &p->writer);
    size_t all = (size_t)o->rows * (size_t)o->length;
    if (!st) {
        PS_REQUIRE(o->words <= ps_model_outputs(p->writer));
        p->logits = ps_try_alloc((size_t)ps_model_outputs(p->writer) * sizeof *p->logits);
        p->tokens = ps_try_alloc(all * sizeof *p->tokens);
        p->next = ps_try_alloc(all * sizeof *p->next);
        if (!p->logits || !p->tokens || !p->next)
            st = ps_fail(PS_NO_MEMORY, "rows of a batch");
    }
    if (st) {
        ps_on_policy_free(&p);
        return ps_wrap(st, "distil.on_policy");
    }
    ps_sampler_create(&(ps_sampling){.temperature = 1, .top_p = 1, .seed = epoch_seed(o)},
                      (size_t)o->words, &p->sampler);
    *out = p;
    return PS_OK;
}

void ps_on_policy_free(ps_on_policy **policy)
{
    ps_on_policy *p = *policy;
    if (!p)
        return;
    ps_model_free(&p->writer);
    ps_sampler_free(&p->sampler);
    ps_free(&p->logits);
    ps_free(&p->tokens);
    ps_free(&p->next);
    ps_free(policy);
}

bool ps_on_policy_chosen(const ps_on_policy *p, uint64_t first)
{
    ps_rng rng;
    ps_rng_seed(&rng, epoch_seed(&p->options));
    ps_rng_seed(&rng, ps_rng_next(&rng) + first);
    return ps_rng_uniform(&rng) < p->options.share;
}

/* The student's are complete before they are read, and stay until they are copied. */
static ps_status copy_parameters(ps_on_policy *p, ps_model *student)
{
    ps_stream *to = ps_model_stream(p->writer);
    ps_status st = ps_stream_sync(ps_model_stream(student));
    size_t n = ps_model_parameters(student)->count;
    PS_REQUIRE(n == ps_model_parameters(p->writer)->count);
    for (size_t i = 0; !st && i < n; i++)
        ps_copy(to, ps_model_parameter(p->writer, i), ps_model_parameter(student, i));
    return st ? st : ps_stream_sync(to);
}

/* One row: tokens[length] and, behind the prompt, next[length] are filled. */
static ps_status write_row(ps_on_policy *p, uint64_t row, int64_t length, int64_t prompt,
                           int32_t *tokens, int32_t *next)
{
    int64_t seen = 0;
    for (int64_t at = prompt; at <= length; at++) {
        int32_t token;
        ps_status st = ps_model_extend(p->writer, tokens + seen, at - seen, seen, p->logits);
        if (!st)
            st = ps_sampler_draw(p->sampler, p->logits, row * (uint64_t)(length + 1) + (uint64_t)at,
                                 &token);
        if (st)
            return st;
        seen = at;
        next[at - 1] = token;
        if (at < length)
            tokens[at] = token;
    }
    return PS_OK;
}

ps_status ps_on_policy_write(ps_on_policy *p, ps_model *student, uint64_t first,
                             ps_model_batch *batch)
{
    ps_one_thread_require(&p->mine);
    int64_t length = batch->length, prompt = length > 1 ? length / 2 : 1;
    PS_REQUIRE(batch->tokens && batch->labels && !batch->starts);
    PS_REQUIRE(batch->rows <= p->options.rows && length <= p->options.length);
    size_t bytes = (size_t)(batch->rows * length) * sizeof *p->tokens;
    memcpy(p->tokens, batch->tokens, bytes);
    memcpy(p->next, batch->labels, bytes);
    ps_status st = copy_parameters(p, student);
    for (int64_t r = 0; !st && r < batch->rows; r++) {
        if (p->options.gate)
            st = ps_gate_check(p->options.gate);
        if (!st)
            st = write_row(p, first + (uint64_t)r, length, prompt, p->tokens + r * length,
                           p->next + r * length);
    }
    batch->tokens = p->tokens;
    batch->labels = p->next;
    return st ? ps_wrap(st, "distil.on_policy") : PS_OK;
}
