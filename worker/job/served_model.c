/* The cache of keys and values is made as long as the job needs it, in powers of two, as contexts
 * can be far longer than most talks: a longer talk later, or one that wants it in another type,
 * loads the model anew. */
#include "worker/job/served_model.h"

#include "common/base/log.h"
#include "common/base/mem.h"
#include "common/base/one_thread.h"
#include "worker/job/job_cache.h"
#include "worker/job/job_model.h"
#include "worker/job/stored_model.h"

#include <inttypes.h>
#include <string.h>

enum { LENGTH_LEAST = 4096, TEXTS_LEAST = 1024, TEXTS_LEAST_ELSEWHERE = 4096 };

struct ps_served_model {
    ps_one_thread mine;
    char *version; /* NULL: there is none */
    ps_spec_model *spec;
    ps_model *model;
    int64_t length;             /* tokens of a sequence */
    ps_spec_cache usual, cache; /* what the model's matrices ask for; what it has */
    ps_spec_weights weights;
    bool texts;
};

void ps_served_model_create(ps_served_model **out)
{
    *out = ps_new(ps_served_model);
}

void ps_served_model_drop(ps_served_model *s)
{
    ps_one_thread_require(&s->mine);
    ps_model_free(&s->model);
    if (s->spec)
        ps_spec_model_free(&s->spec);
    ps_free(&s->version);
}

bool ps_served_model_mend(ps_served_model *s)
{
    ps_one_thread_require(&s->mine);
    bool failed = s->model && ps_stream_failed(ps_model_stream(s->model));
    if (failed)
        ps_served_model_drop(s);
    return failed;
}

void ps_served_model_free(ps_served_model **served)
{
    if (!*served)
        return;
    ps_served_model_drop(*served);
    ps_free(served);
}

/* A processor's caches hold what fewer tokens are made of; a GPU is idle with so few. */
size_t ps_served_tokens(const ps_spec_model *model, const ps_backend *backend)
{
    size_t context = (size_t)model->context_length;
    size_t least = backend->info.host_addressable ? TEXTS_LEAST : TEXTS_LEAST_ELSEWHERE;
    return context > least ? context : least;
}

static int64_t length_for(const ps_spec_model *spec, size_t wanted)
{
    int64_t length = LENGTH_LEAST;
    while ((uint64_t)length < wanted && length < spec->context_length)
        length *= 2;
    return length < spec->context_length ? length : spec->context_length;
}

/* ---- its cache ---- */

static const char *const cache_names[] = {[PS_SPEC_CACHE_FLOAT32] = "float32",
                                          [PS_SPEC_CACHE_BF16] = "bf16",
                                          [PS_SPEC_CACHE_INT8] = "int8"};

/* What is usual with these forms, one a parameter, of which row NULL is float32; NULL: all are. */
static ps_spec_cache usual_cache(const ps_form *forms, size_t n)
{
    uint32_t least = 32;
    for (size_t i = 0; forms && i < n; i++)
        if (forms[i].row && forms[i].row->bits < least)
            least = forms[i].row->bits;
    return least >= 32  ? PS_SPEC_CACHE_FLOAT32
           : least >= 9 ? PS_SPEC_CACHE_BF16
                        : PS_SPEC_CACHE_INT8;
}

static ps_spec_cache cache_for(const ps_served_model *s, ps_spec_cache wanted)
{
    return wanted == PS_SPEC_CACHE_USUAL ? s->usual : wanted;
}

static ps_status look_at_forms(ps_served_model *s, const ps_model_config *config,
                               const ps_form *forms, ps_spec_cache wanted)
{
    ps_model_layout layout;
    ps_status st = ps_model_describe(config, &layout);
    if (st)
        return st;
    s->usual = usual_cache(forms, layout.count);
    s->cache = cache_for(s, wanted);
    ps_model_layout_free(&layout);
    return PS_OK;
}

/* ---- loading ---- */

static ps_status make(ps_served_model *s, const ps_task_run *run, const char *name,
                      const ps_form *forms)
{
    static const ps_dtype types[] = {[PS_SPEC_CACHE_FLOAT32] = PS_DTYPE_F32,
                                     [PS_SPEC_CACHE_BF16] = PS_DTYPE_BF16,
                                     [PS_SPEC_CACHE_INT8] = PS_DTYPE_I8};
    ps_model_config config = ps_job_model_config(s->spec);
    ps_model_options options = {.max_batch = 1,
                                .max_length = s->length,
                                .inference = true,
                                .decode = true,
                                .cache = types[s->cache],
                                .forms = forms};
    if (s->texts)
        options =
            (ps_model_options){.max_batch = PS_SERVED_TEXTS,
                               .max_tokens = (int64_t)ps_served_tokens(s->spec, run->env->backend),
                               .inference = true,
                               .forms = forms};
    ps_status st = ps_job_model_room(
        &(ps_job_model_need){.name = name, .config = &config, .options = &options},
        run->env->backend);
    return st ? st : ps_model_create(run->env->backend, &config, &options, &s->model);
}

/* Made for the forms that the stored one is in, and filled with it. */
static ps_status make_and_fill(ps_served_model *s, ps_task_run *run, const ps_served_need *need)
{
    const char *name = need->name;
    const ps_stored_model which = {
        .name = name, .version = run->task->model_version, .job_id = run->task->job_id};
    ps_model_config config = ps_job_model_config(s->spec);
    ps_form *forms = NULL;
    ps_status st = ps_stored_model_check(run->remote, &which, &config, &forms);
    if (!st && need->weights == PS_SPEC_WEIGHTS_BF16)
        st = ps_stored_model_narrow(&config, &forms);
    if (!st)
        st = look_at_forms(s, &config, forms, need->cache);
    if (!st)
        st = make(s, run, name, forms);
    if (st == PS_NO_MEMORY) { /* what other jobs left here can be made again */
        ps_job_cache_clear(run->cache);
        st = make(s, run, name, forms);
    }
    if (!st)
        st = ps_stored_model_load(run->remote, &which, forms, s->model);
    ps_free(&forms);
    return st;
}

static ps_status load(ps_served_model *s, ps_task_run *run, const ps_served_need *need)
{
    PS_REQUIRE(!s->model && !s->spec && !s->version);
    ps_status st =
        ps_spec_model_parse(ps_slice_str(run->task->model_config), "stored model", &s->spec);
    if (!st &&
        !(need->texts ? ps_spec_model_is_encoder(s->spec) : ps_spec_model_is_language(s->spec)))
        st = ps_fail(PS_INVALID_ARGUMENT, "architecture %s %s", s->spec->architecture,
                     need->texts ? "embeds no texts" : "generates no tokens");
    if (st)
        return ps_wrap(st, "model %s", need->name);
    s->length = length_for(s->spec, need->length);
    s->texts = need->texts;
    s->weights = need->weights;
    return make_and_fill(s, run, need);
}

static bool fits(const ps_served_model *s, const ps_served_need *need, const char *version)
{
    return s->version && *version && !strcmp(s->version, version) &&
           length_for(s->spec, need->length) <= s->length && s->texts == need->texts &&
           cache_for(s, need->cache) == s->cache && need->weights == s->weights;
}

ps_status ps_served_model_get(ps_task_run *run, const ps_served_need *need, ps_model **model,
                              const ps_spec_model **spec)
{
    ps_served_model *s = run->served;
    PS_REQUIRE(s);
    ps_one_thread_require(&s->mine);
    const char *version = run->task->model_version;
    if (!fits(s, need, version)) {
        ps_served_model_drop(s);
        ps_status st = load(s, run, need);
        if (st) {
            ps_served_model_drop(s);
            return st;
        }
        s->version = ps_strdup(version);
        ps_log_info("task", "serving model=%s version=%s cache=%s bytes=%" PRIu64, need->name,
                    version, cache_names[s->cache], ps_model_memory(s->model));
    }
    *model = s->model;
    *spec = s->spec;
    return PS_OK;
}
