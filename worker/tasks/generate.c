/* generate: what a stored language model writes after a prompt, token by token. The sequence is the
 * prompt, what workers before this one generated for the same job, and what is generated now; the
 * model keeps keys and values, so each token costs a pass over one row.
 *
 * Happy path: the model is there or is loaded, the prompt goes through it, and then a token is
 * drawn and goes through it, until max_tokens, a stop token, or the end of the context. Between
 * passes the task looks whether it is to end. */
#include "common/base/mem.h"
#include "common/base/require.h"
#include "worker/job/served_model.h"
#include "worker/tasks/sample.h"
#include "worker/tasks/task_kind.h"

#include <inttypes.h>

enum { PROMPT_PIECE = 256 }; /* tokens of a prompt between two looks */

typedef struct generating {
    ps_task_run *run;
    const ps_spec_generate *how;
    ps_model *model;
    int64_t context;
    ps_sampler *sampler;
    float *logits;
    int32_t *sequence; /* [n_prompt + max_tokens] */
    size_t n, done;    /* tokens in it; of these, the model has seen the first */
    Psd__V1__GenerateEnd end;
    double load_seconds, prompt_seconds, seconds;
} generating;

static double now(const generating *g)
{
    return (double)ps_clock_ns(g->run->env->clock) / 1e9;
}

static ps_status check_end(const generating *g)
{
    ps_status st = ps_gate_check(g->run->remote->gate);
    return !st && ps_task_stopping(g->run) ? ps_fail(PS_CANCELLED, "the worker is stopping") : st;
}

/* The model sees the rest of the sequence. */
static ps_status extend(generating *g)
{
    while (g->done < g->n) {
        size_t n = g->n - g->done < PROMPT_PIECE ? g->n - g->done : PROMPT_PIECE;
        ps_status st = check_end(g);
        if (!st)
            st = ps_model_extend(g->model, g->sequence + g->done, (int64_t)n, (int64_t)g->done,
                                 g->logits);
        if (st)
            return st;
        g->done += n;
    }
    return PS_OK;
}

static bool is_stop(const ps_spec_generate *how, int32_t token)
{
    for (size_t i = 0; i < how->n_stop; i++)
        if (how->stop[i] == token)
            return true;
    return false;
}

static size_t generated(const generating *g)
{
    PS_REQUIRE(g->n >= g->how->n_prompt);
    return g->n - g->how->n_prompt;
}

/* Is nothing more to be generated, as far as lengths go? */
static void look_at_length(generating *g)
{
    if (generated(g) == (size_t)g->how->max_tokens)
        g->end = PSD__V1__GENERATE_END__GENERATE_END_LENGTH;
    else if (g->n > (size_t)g->context)
        g->end = PSD__V1__GENERATE_END__GENERATE_END_CONTEXT;
}

static ps_status draw_one(generating *g)
{
    int32_t token;
    ps_status st = extend(g);
    if (!st)
        st = ps_sampler_draw(g->sampler, g->logits, generated(g), &token);
    if (st)
        return st;
    if (is_stop(g->how, token)) {
        g->end = PSD__V1__GENERATE_END__GENERATE_END_STOP;
        return PS_OK;
    }
    ps_task_generated(g->run, generated(g), token);
    PS_REQUIRE(generated(g) < (size_t)g->how->max_tokens);
    g->sequence[g->n++] = token;
    look_at_length(g);
    return PS_OK;
}

static ps_status draw(generating *g)
{
    ps_status st = PS_OK;
    double begun = now(g), first = begun;
    look_at_length(g);
    for (bool any = false; !st && !g->end; any = true) {
        st = draw_one(g);
        if (!any)
            first = now(g);
    }
    g->prompt_seconds = first - begun;
    g->seconds = now(g) - first;
    return st;
}

/* Prompt and what was generated before; psd has checked both against a model of this name. */
static ps_status take_sequence(generating *g)
{
    const Psd__V1__Task *task = g->run->task;
    size_t n = g->how->n_prompt, most = n + (size_t)g->how->max_tokens;
    if (task->n_said > (size_t)g->how->max_tokens)
        return ps_fail(PS_INVALID_ARGUMENT, "%zu tokens were generated already, of %" PRId64,
                       task->n_said, g->how->max_tokens);
    if (n > (size_t)g->context)
        return ps_fail(PS_INVALID_ARGUMENT,
                       "the prompt has %zu tokens, the model's context is %" PRId64, n, g->context);
    g->sequence = ps_alloc_array(most, sizeof *g->sequence);
    for (size_t i = 0; i < n; i++)
        g->sequence[g->n++] = (int32_t)g->how->prompt[i];
    for (size_t i = 0; i < task->n_said; i++)
        g->sequence[g->n++] = (int32_t)task->said[i];
    return PS_OK;
}

static ps_status prepare(generating *g, const ps_job_spec *spec)
{
    const ps_spec_model *model;
    const ps_served_need need = {.name = spec->model_name,
                                 .length = g->how->n_prompt + (size_t)g->how->max_tokens,
                                 .cache = (ps_spec_cache)g->how->cache,
                                 .weights = (ps_spec_weights)g->how->weights};
    ps_status st = ps_served_model_get(g->run, &need, &g->model, &model);
    if (st)
        return st;
    g->context = model->context_length;
    size_t words = (size_t)ps_model_outputs(g->model);
    g->logits = ps_alloc_array(words, sizeof *g->logits);
    ps_sampler_create(&(ps_sampling){.temperature = g->how->temperature,
                                     .top_k = (uint64_t)g->how->top_k,
                                     .top_p = g->how->top_p,
                                     .seed = (uint64_t)g->how->seed},
                      words, &g->sampler);
    return take_sequence(g);
}

static void clear(generating *g)
{
    ps_sampler_free(&g->sampler);
    ps_free(&g->logits);
    ps_free(&g->sequence);
}

/* An older psd knows neither metrics nor reports. */
static Psd__V1__GenerateResult *for_older(const generating *g)
{
    Psd__V1__GenerateResult *older = ps_new(Psd__V1__GenerateResult);
    psd__v1__generate_result__init(older);
    older->tokens = generated(g);
    older->end = g->end;
    older->load_seconds = g->load_seconds;
    older->prompt_seconds = g->prompt_seconds;
    older->seconds = g->seconds;
    return older;
}

static void tell(const generating *g, Psd__V1__TaskResult *result)
{
    static const char *const reports[] = {
        [PSD__V1__GENERATE_END__GENERATE_END_UNSPECIFIED] = "{}",
        [PSD__V1__GENERATE_END__GENERATE_END_LENGTH] = "{\"ended\":\"length\"}",
        [PSD__V1__GENERATE_END__GENERATE_END_STOP] = "{\"ended\":\"stop\"}",
        [PSD__V1__GENERATE_END__GENERATE_END_CONTEXT] = "{\"ended\":\"context\"}",
    };
    ps_result_metric(result, "tokens", (double)generated(g));
    ps_result_metric(result, "load_seconds", g->load_seconds);
    ps_result_metric(result, "prompt_seconds", g->prompt_seconds);
    ps_result_metric(result, "seconds", g->seconds);
    ps_result_report(result, reports[g->end]);
    result->generate = for_older(g);
}

static ps_status run_task(ps_task_run *run, Psd__V1__TaskResult *result)
{
    ps_job_spec *spec = NULL;
    ps_status st = ps_job_spec_parse(ps_slice_str(run->task->spec), "job file", &spec);
    if (st)
        return st;
    if (!spec->generate) {
        ps_job_spec_free(&spec);
        return ps_fail(PS_INVALID_ARGUMENT, "a generate task of a job that is of another kind");
    }
    generating g = {.run = run, .how = spec->generate};
    double begun = now(&g);
    st = prepare(&g, spec);
    g.load_seconds = now(&g) - begun;
    if (!st)
        st = draw(&g);
    if (!st)
        tell(&g, result);
    clear(&g);
    ps_job_spec_free(&spec);
    return st;
}

const ps_worker_kind ps_worker_kind_generate = {.name = "generate", .run = run_task};
