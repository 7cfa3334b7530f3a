/* bench_generate: GPT-2 124M that writes one token after the other, and reads a prompt, beside what
 * bounds each in the same run: every token reads all weights once, so the bandwidth of a loop that
 * only adds up as many bytes; a prompt of 512 tokens is products, so the processor's peak (peak.h).
 *
 *     bench_generate [--json] [--threads N] [--type bf16] [--form FORM] [--context TOKENS]
 *                    [--cache bf16|int8]
 *
 * Tokens are written after a context of 512 others, or of TOKENS. With a form (int8/row, q4_0, …)
 * all matrices are in it, or, with factors/RANK, those of the blocks; and the same model in float32
 * has its turn in each round.
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

enum {
    VOCABULARY = 50257,
    WIDTH = 768,
    LAYERS = 12,
    CONTEXT = 1024,
    PROMPT = 512,
    TOKENS = 16,
    ROUNDS = 6
};

/* Those that a token reads: the token table once, as the head. */
#define WEIGHTS (12.0 * WIDTH * WIDTH * LAYERS + (double)VOCABULARY * WIDTH)

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
    const char *form;
    ps_dtype cache;                      /* of MEASURED */
    double bytes;                        /* that a token reads of MEASURED */
    rate tokens[MODELS], prompt[MODELS]; /* tokens both */
    double read_gbs;                     /* the best round */
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

/* All matrices in the form, where there is one. */
static ps_status open_model(bench *b, const ps_model_config *config, ps_form form, ps_dtype cache,
                            ps_model **out)
{
    ps_model_layout layout;
    ps_status st = ps_model_describe(config, &layout);
    if (st)
        return st;
    ps_form *forms = ps_alloc_array(layout.count, sizeof *forms);
    for (size_t i = 0; i < layout.count; i++)
        if (form.rank ? layout.parameters[i].of_block : layout.parameters[i].rank == 2)
            forms[i] = form;
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
        if (forms[i].row && !form.rank)
            fill_form(b, ps_model_parameter(*out, i), form, spec->shape[!spec->input_major], &rng);
        else
            fill(b, ps_model_parameter(*out, i), &rng);
    }
    if (!st)
        ps_model_refresh(*out);
    ps_free(&forms);
    ps_model_layout_free(&layout);
    return st;
}

static ps_status open_bench(bench *b)
{
    static const ps_model_config config = {.architecture = "gpt2",
                                           .language = {.vocab_size = VOCABULARY,
                                                        .context_length = CONTEXT,
                                                        .hidden_size = WIDTH,
                                                        .num_layers = LAYERS,
                                                        .num_heads = 12,
                                                        .num_kv_heads = 12,
                                                        .intermediate_size = 4 * WIDTH,
                                                        .norm_epsilon = 1e-5,
                                                        .tie_embeddings = true}};
    ps_status st =
        ps_backend_open("cpu", &(ps_backend_options){.threads = b->threads}, &b->backend);
    ps_form form = {0};
    if (!st && b->form && !ps_form_parse_stored(b->form, &form))
        st = ps_fail(PS_INVALID_ARGUMENT, "%s is no form", b->form);
    if (!st)
        st = open_model(b, &config, form, b->cache, &b->models[MEASURED]);
    if (!st && b->form)
        st = open_model(b, &config, (ps_form){0}, PS_DTYPE_F32, &b->models[PLAIN]);
    if (st)
        return st;
    b->bytes = WEIGHTS * (b->bf16 ? 2 : 4);
    if (form.rank) /* sides of a block's matrices: 4 + 2 + 5 + 5 widths */
        b->bytes = 4.0 * WIDTH * (16.0 * LAYERS * form.rank + VOCABULARY);
    else if (b->form)
        b->bytes = WEIGHTS / WIDTH * (double)ps_form_row_bytes(form, WIDTH);
    b->logits = ps_alloc_array(VOCABULARY, sizeof *b->logits);
    return PS_OK;
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
        tokens[i] = i * 7919 % VOCABULARY;
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
    size_t head;
    ps_status st = ps_model_find(b->models[MEASURED], "wte.weight", &head);
    if (st)
        return st;
    ps_model *widest = b->form ? b->models[PLAIN] : b->models[MEASURED];
    ps_tensor table = ps_model_parameter(widest, head); /* 154 MB: no cache holds it */
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
    double gbs = b->bytes * tokens->per_s / 1e9, gflops = 2 * WEIGHTS * prompt->per_s / 1e9;
    printf(json ? "{\"bench\": \"generate\", \"threads\": %d, \"tokens_per_s\": %.2f, "
                  "\"cpu_ms\": %.2f, \"gbs\": %.2f, \"read_gbs\": %.2f, \"ratio\": %.3f, "
                  "\"prompt_per_s\": %.1f, \"prompt_cpu_ms\": %.3f, \"gflops\": %.1f, "
                  "\"peak_gflops\": %.1f, \"prompt_ratio\": %.3f"
                : "%d threads\n"
                  "generated: %.1f tokens/s, %.1f ms of processor time each; weights %.1f of %.1f "
                  "GB/s, ratio %.2f\n"
                  "prompt:    %.0f tokens/s, %.2f ms of processor time each; %.0f of %.0f GFLOP/s, "
                  "ratio %.2f\n",
           b->threads, tokens->per_s, tokens->cpu_ms, gbs, b->read_gbs, gbs / b->read_gbs,
           prompt->per_s, prompt->cpu_ms, gflops, b->peak.gflops, gflops / b->peak.gflops);
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

int main(int argc, char **argv)
{
    bench b = {.threads = 2, .context = PROMPT};
    bool json = false;
    const char *cache = "float32";
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
        else if (strcmp(argv[i], "--cache") == 0 && i + 1 < argc)
            cache = argv[++i];
    }
    b.cache = strcmp(cache, "int8") == 0   ? PS_DTYPE_I8
              : strcmp(cache, "bf16") == 0 ? PS_DTYPE_BF16
                                           : PS_DTYPE_F32;
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
