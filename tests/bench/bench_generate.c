/* bench_generate: a language model that writes one token after the other, and reads a prompt,
 * beside what bounds each in the same run: every token reads all weights once, so the bandwidth of
 * a loop that only adds up as many bytes; a prompt of 512 tokens is products, so the processor's
 * peak (peak.h).
 *
 *     bench_generate [--json] [--threads N] [--type bf16] [--form FORM] [--table FORM]
 *                    [--context TOKENS] [--cache float32|bf16|int8] [--shape gpt2|smollm2]
 *
 * The model has the shape of GPT-2 124M or of SmolLM2 135M and drawn weights. Tokens are written
 * after a context of 512 others, or of TOKENS. With a form (int8/row, q4_0, …) all matrices are in
 * it, with factors/RANK those of the blocks, or the token table, which is the head too, in that of
 * --table; keys and values are then kept
 * as int8 unless --cache says otherwise; and the same model in float32 has its turn in each round.
 */
#include "common/base/clock.h"
#include "common/base/mem.h"
#include "common/base/rng.h"
#include "common/form/factors.h"
#include "gpu/op.h"
#include "tests/bench/peak.h"
#include "tests/bench/read.h"
#include "worker/models/model.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { CONTEXT = 1024, PROMPT = 512, TOKENS = 16, ROUNDS = 6 };

static const ps_model_config shapes[] = {
    {.architecture = "gpt2",
     .language = {.vocab_size = 50257,
                  .context_length = CONTEXT,
                  .hidden_size = 768,
                  .num_layers = 12,
                  .num_heads = 12,
                  .num_kv_heads = 12,
                  .intermediate_size = 3072,
                  .norm_epsilon = 1e-5,
                  .tie_embeddings = true}},
    {.architecture = "llama",
     .language = {.vocab_size = 49152,
                  .context_length = CONTEXT,
                  .hidden_size = 576,
                  .num_layers = 30,
                  .num_heads = 9,
                  .num_kv_heads = 3,
                  .intermediate_size = 1536,
                  .rope = {.theta = 100000},
                  .norm_epsilon = 1e-5,
                  .tie_embeddings = true}},
};

typedef struct rate {
    double per_s;  /* by the clock, the best round */
    double cpu_ms; /* of processor time each, the least */
} rate;

enum { MEASURED, PLAIN, MODELS };

typedef struct bench {
    ps_backend *backend;
    ps_model *models[MODELS]; /* PLAIN: with a form */
    float *logits;
    int threads, context;
    bool bf16;
    const ps_model_config *config;
    const char *form, *table;            /* table NULL: form */
    double weights;                      /* that a token reads: the token table once, as the head */
    ps_dtype cache;                      /* of MEASURED */
    double bytes;                        /* that a token reads of MEASURED */
    rate tokens[MODELS], prompt[MODELS]; /* tokens both */
    double memory_ratio; /* bytes in memory of MEASURED to those of its parameters */
    double read_gbs;     /* the best round */
    ps_bench_peak peak;
} bench;

/* ---- the model ---- */

enum { PATTERN = 16 }; /* rows that are drawn; the others are the same again */

static float draw(ps_rng *rng)
{
    return 0.05f * ((float)ps_rng_uniform(rng) - 0.5f);
}

static void fill(const bench *b, ps_tensor t, ps_rng *rng)
{
    float *x = ps_tensor_host(b->backend, t);
    for (int64_t j = 0; j < ps_tensor_count(t); j++)
        x[j] = draw(rng);
}

static void fill_form(const bench *b, ps_tensor t, ps_form form, int64_t columns, ps_rng *rng)
{
    uint8_t *out = ps_tensor_host(b->backend, t);
    int64_t bytes = t.shape[1];
    float *x = ps_alloc_array((size_t)(PATTERN * columns), sizeof *x);
    for (int64_t j = 0; j < PATTERN * columns; j++)
        x[j] = draw(rng);
    ps_form_encode(form, x, NULL, PATTERN, (uint64_t)columns, out);
    for (int64_t r = PATTERN; r < t.shape[0]; r++)
        memcpy(out + r * bytes, out + (r - PATTERN) * bytes, (size_t)bytes);
    ps_free(&x);
}

/* Those that a token reads: of the positions it is a row. */
static void count_weights(bench *b, const ps_model *m)
{
    const ps_model_layout *layout = ps_model_parameters(m);
    b->weights = b->bytes = 0;
    for (size_t i = 0; i < layout->count; i++) {
        const ps_model_parameter_spec *spec = &layout->parameters[i];
        if (spec->rank != 2 || spec->shape[0] == CONTEXT)
            continue;
        b->weights += (double)ps_model_parameter_elements(spec);
        b->bytes += (double)ps_tensor_bytes(ps_model_parameter(m, i)) / (b->bf16 ? 2 : 1);
    }
}

/* All matrices in the form, where there is one. */
static ps_status open_model(bench *b, ps_form form, ps_form table, ps_dtype cache, ps_model **out)
{
    const ps_model_config *config = b->config;
    ps_model_layout layout;
    ps_status st = ps_model_describe(config, &layout);
    if (st)
        return st;
    ps_form *forms = ps_alloc_array(layout.count, sizeof *forms);
    for (size_t i = 0; i < layout.count; i++) {
        const ps_model_parameter_spec *spec = &layout.parameters[i];
        bool is_table = spec->rank == 2 && spec->shape[0] == config->language.vocab_size;
        ps_form own = is_table ? table : form;
        if (own.rank ? spec->of_block : spec->rank == 2)
            forms[i] = own;
    }
    st = ps_model_create(b->backend, config,
                         &(ps_model_options){.max_batch = 1,
                                             .max_length = CONTEXT,
                                             .decode = true,
                                             .bf16 = b->bf16,
                                             .forms = forms,
                                             .cache = cache},
                         out);
    ps_rng rng;
    ps_rng_seed(&rng, 1);
    for (size_t i = 0; !st && i < layout.count; i++) {
        const ps_model_parameter_spec *spec = &layout.parameters[i];
        if (forms[i].row && !forms[i].rank)
            fill_form(b, ps_model_parameter(*out, i), forms[i], spec->shape[!spec->input_major],
                      &rng);
        else
            fill(b, ps_model_parameter(*out, i), &rng);
    }
    if (!st)
        count_weights(b, *out);
    if (!st)
        ps_model_refresh(*out);
    ps_free(&forms);
    ps_model_layout_free(&layout);
    return st;
}

/* Bytes of this process in memory. */
static double resident(void)
{
    long pages = 0;
    FILE *f = fopen("/proc/self/statm", "r");
    if (f && fscanf(f, "%*s %ld", &pages) != 1)
        pages = 0;
    if (f)
        (void)fclose(f);
    return (double)pages * (double)sysconf(_SC_PAGESIZE);
}

static ps_status parse(const char *text, ps_form *out)
{
    if (text && !ps_form_parse_stored(text, out))
        return ps_fail(PS_INVALID_ARGUMENT, "%s is no form", text);
    return PS_OK;
}

/* What a text of a few tokens makes of the model's memory, beside its parameters'. */
static ps_status take_memory(bench *b, double before)
{
    double parameters = 0;
    for (size_t i = 0; i < ps_model_parameters(b->models[MEASURED])->count; i++)
        parameters += (double)ps_tensor_bytes(ps_model_parameter(b->models[MEASURED], i));
    for (int32_t i = 0; i < TOKENS; i++) {
        ps_status st = ps_model_extend(b->models[MEASURED], &i, 1, i, b->logits);
        if (st)
            return st;
    }
    b->memory_ratio = (resident() - before) / parameters;
    return PS_OK;
}

static ps_status open_bench(bench *b)
{
    ps_status st =
        ps_backend_open("cpu", &(ps_backend_options){.threads = b->threads}, &b->backend);
    ps_form form = {0}, table = {0};
    if (!st)
        st = parse(b->form, &form);
    if (!st)
        st = parse(b->table ? b->table : b->form, &table);
    if (!st && b->form)
        st = open_model(b, (ps_form){0}, (ps_form){0}, PS_DTYPE_F32, &b->models[PLAIN]);
    double before = resident();
    if (!st)
        st = open_model(b, form, table, b->cache, &b->models[MEASURED]);
    if (st)
        return st;
    b->logits = ps_alloc_array((size_t)b->config->language.vocab_size, sizeof *b->logits);
    return take_memory(b, before);
}

static void close_bench(bench *b)
{
    ps_free(&b->logits);
    ps_model_free(&b->models[MEASURED]);
    ps_model_free(&b->models[PLAIN]);
    ps_backend_close(&b->backend);
}

/* `calls` of ps_model_extend by `count` tokens, after `before`. */
static ps_status extend(bench *b, ps_model *model, int calls, int64_t count, int64_t before,
                        rate *out)
{
    int32_t tokens[PROMPT];
    for (int i = 0; i < PROMPT; i++)
        tokens[i] = i * 7919 % (int)b->config->language.vocab_size;
    double cpu = ps_bench_cpu_s();
    uint64_t start = ps_clock_ns(&ps_clock_system);
    for (int i = 0; i < calls; i++) {
        ps_status st = ps_model_extend(model, tokens, count, before + i, b->logits);
        if (st)
            return st;
    }
    double n = (double)calls * (double)count;
    double per_s = n / ((double)(ps_clock_ns(&ps_clock_system) - start) / 1e9);
    double cpu_ms = (ps_bench_cpu_s() - cpu) * 1e3 / n;
    out->per_s = per_s > out->per_s ? per_s : out->per_s;
    out->cpu_ms = out->cpu_ms == 0 || cpu_ms < out->cpu_ms ? cpu_ms : out->cpu_ms;
    return PS_OK;
}

/* Limits and what they bound in turns, so that all see the same neighbours. */
static ps_status run_bench(bench *b)
{
    ps_status st = PS_OK;
    ps_model *widest = b->form ? b->models[PLAIN] : b->models[MEASURED];
    ps_tensor table = ps_model_parameter(widest, 0); /* 110 MB or more: no cache holds it */
    for (int round = 0; round < ROUNDS && !st; round++) {
        double read = ps_bench_read_gbs(ps_tensor_host(b->backend, table), ps_tensor_count(table),
                                        b->threads);
        b->read_gbs = read > b->read_gbs ? read : b->read_gbs;
        ps_bench_peak peak = ps_bench_peak_take(b->threads);
        b->peak.gflops = peak.gflops > b->peak.gflops ? peak.gflops : b->peak.gflops;
        for (int i = 0; i < MODELS && b->models[i] && !st; i++) {
            st = extend(b, b->models[i], 1, PROMPT, 0, &b->prompt[i]);
            if (!st)
                st = extend(b, b->models[i], TOKENS, 1, b->context, &b->tokens[i]);
        }
    }
    return st;
}

static void report(const bench *b, bool json)
{
    const rate *tokens = &b->tokens[MEASURED], *prompt = &b->prompt[MEASURED];
    double gbs = b->bytes * tokens->per_s / 1e9, gflops = 2 * b->weights * prompt->per_s / 1e9;
    printf(json ? "{\"bench\": \"generate\", \"threads\": %d, \"tokens_per_s\": %.2f, "
                  "\"cpu_ms\": %.2f, \"gbs\": %.2f, \"read_gbs\": %.2f, \"ratio\": %.3f, "
                  "\"prompt_per_s\": %.1f, \"prompt_cpu_ms\": %.3f, \"gflops\": %.1f, "
                  "\"peak_gflops\": %.1f, \"prompt_ratio\": %.3f, \"memory_ratio\": %.3f"
                : "%d threads\n"
                  "generated: %.1f tokens/s, %.1f ms of processor time each; weights %.1f of %.1f "
                  "GB/s, ratio %.2f\n"
                  "prompt:    %.0f tokens/s, %.2f ms of processor time each; %.0f of %.0f GFLOP/s, "
                  "ratio %.2f\n"
                  "memory:    %.2f of the parameters' bytes (goal 1.10)\n",
           b->threads, tokens->per_s, tokens->cpu_ms, gbs, b->read_gbs, gbs / b->read_gbs,
           prompt->per_s, prompt->cpu_ms, gflops, b->peak.gflops, gflops / b->peak.gflops,
           b->memory_ratio);
    if (b->form)
        printf(json ? ", \"form\": \"%s\", \"float32\": %.2f, \"prompt_float32\": %.2f, "
                      "\"cpu_float32\": %.2f, \"prompt_cpu_float32\": %.2f"
                    : "%s: generated %.2f x float32, prompt %.2f x float32; by processor time %.2f "
                      "and %.2f\n",
               b->form, tokens->per_s / b->tokens[PLAIN].per_s,
               prompt->per_s / b->prompt[PLAIN].per_s, b->tokens[PLAIN].cpu_ms / tokens->cpu_ms,
               b->prompt[PLAIN].cpu_ms / prompt->cpu_ms);
    printf("%s", json ? "}\n" : "");
}

static ps_dtype cache_of(const bench *b, const char *name)
{
    name = name ? name : b->form ? "int8" : "float32";
    return strcmp(name, "int8") == 0   ? PS_DTYPE_I8
           : strcmp(name, "bf16") == 0 ? PS_DTYPE_BF16
                                       : PS_DTYPE_F32;
}

int main(int argc, char **argv)
{
    bench b = {.threads = 2, .context = PROMPT, .config = &shapes[0]};
    bool json = false;
    const char *cache = NULL;
    for (int i = 1; i < argc; i++) {
        json |= strcmp(argv[i], "--json") == 0;
        if (strcmp(argv[i], "--threads") == 0 && i + 1 < argc)
            b.threads = atoi(argv[++i]);
        else if (strcmp(argv[i], "--context") == 0 && i + 1 < argc)
            b.context = atoi(argv[++i]);
        else if (strcmp(argv[i], "--type") == 0 && i + 1 < argc)
            b.bf16 = strcmp(argv[++i], "bf16") == 0;
        else if (strcmp(argv[i], "--form") == 0 && i + 1 < argc)
            b.form = argv[++i];
        else if (strcmp(argv[i], "--table") == 0 && i + 1 < argc)
            b.table = argv[++i];
        else if (strcmp(argv[i], "--shape") == 0 && i + 1 < argc)
            b.config = &shapes[strcmp(argv[++i], "smollm2") == 0];
        else if (strcmp(argv[i], "--cache") == 0 && i + 1 < argc)
            cache = argv[++i];
    }
    b.cache = cache_of(&b, cache);
    if (b.context < 0 || b.context > CONTEXT - TOKENS) {
        (void)fprintf(stderr, "bench_generate: --context is 0 to %d\n", CONTEXT - TOKENS);
        return 2;
    }
    ps_status st = open_bench(&b);
    if (!st)
        st = run_bench(&b);
    if (st)
        (void)fprintf(stderr, "bench_generate: %s\n", ps_error_message());
    else
        report(&b, json);
    close_bench(&b);
    return st ? 1 : 0;
}
