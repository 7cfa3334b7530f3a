/* llama_peer: the peer of bench_generate: llama.cpp writes tokens of a GGUF after a context, and
 * reads a prompt, timed as bench_generate times them. Not built with psd: llama.cpp's headers and
 * libraries are where they were built (tests/bench/README.md).
 *
 *     llama_peer FILE.gguf [--threads N] [--context TOKENS]
 */
#include "llama.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

enum { PROMPT = 512, TOKENS = 16, ROUNDS = 6, MOST = 1024 };

typedef struct rate {
    double per_s, cpu_ms;
} rate;

static double clock_s(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static double cpu_s(void)
{
    struct rusage u;
    (void)getrusage(RUSAGE_SELF, &u);
    return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) +
           (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e6;
}

/* `calls` of `count` tokens each. */
static bool extend(struct llama_context *c, int calls, int count, int vocabulary, rate *out)
{
    llama_token tokens[PROMPT];
    for (int i = 0; i < count; i++)
        tokens[i] = i * 7919 % vocabulary;
    double cpu = cpu_s(), start = clock_s();
    for (int i = 0; i < calls; i++)
        if (llama_decode(c, llama_batch_get_one(tokens, count)) != 0)
            return false;
    if (!out)
        return true;
    double n = (double)calls * count, per_s = n / (clock_s() - start);
    double cpu_ms = (cpu_s() - cpu) * 1e3 / n;
    out->per_s = per_s > out->per_s ? per_s : out->per_s;
    out->cpu_ms = out->cpu_ms == 0 || cpu_ms < out->cpu_ms ? cpu_ms : out->cpu_ms;
    return true;
}

static bool measure(struct llama_context *c, int vocabulary, int context, rate *tokens,
                    rate *prompt)
{
    llama_memory_t memory = llama_get_memory(c);
    for (int round = 0; round < ROUNDS; round++) {
        llama_memory_clear(memory, true);
        if (!extend(c, 1, PROMPT, vocabulary, prompt))
            return false;
        if (context < PROMPT && !llama_memory_seq_rm(memory, -1, context, -1))
            return false;
        if (!extend(c, TOKENS, 1, vocabulary, tokens))
            return false;
    }
    return true;
}

static void quiet_cb(enum ggml_log_level level, const char *text, void *user)
{
    (void)user;
    if (level == GGML_LOG_LEVEL_ERROR)
        (void)fputs(text, stderr);
}

int main(int argc, char **argv)
{
    int threads = 2, context = PROMPT;
    for (int i = 2; i + 1 < argc; i += 2) {
        if (strcmp(argv[i], "--threads") == 0)
            threads = atoi(argv[i + 1]);
        else if (strcmp(argv[i], "--context") == 0)
            context = atoi(argv[i + 1]);
    }
    if (argc < 2 || threads < 1 || context < 0 || context > PROMPT) {
        (void)fprintf(stderr, "llama_peer FILE.gguf [--threads N] [--context 0 to %d]\n", PROMPT);
        return 2;
    }
    llama_log_set(quiet_cb, NULL);
    llama_backend_init();
    struct llama_model *m = llama_model_load_from_file(argv[1], llama_model_default_params());
    struct llama_context_params how = llama_context_default_params();
    how.n_ctx = MOST;
    how.n_batch = how.n_ubatch = PROMPT;
    how.n_threads = how.n_threads_batch = threads;
    struct llama_context *c = m ? llama_init_from_model(m, how) : NULL;
    rate tokens = {0}, prompt = {0};
    int vocabulary = m ? llama_vocab_n_tokens(llama_model_get_vocab(m)) : 0;
    if (!c || !measure(c, vocabulary, context, &tokens, &prompt)) {
        (void)fprintf(stderr, "llama_peer: %s cannot be loaded, or run\n", argv[1]);
        return 1;
    }
    printf("llama.cpp, %d threads, after %d\n"
           "generated: %.1f tokens/s, %.2f ms of processor time each\n"
           "prompt:    %.0f tokens/s, %.3f ms of processor time each\n",
           threads, context, tokens.per_s, tokens.cpu_ms, prompt.per_s, prompt.cpu_ms);
    llama_free(c);
    llama_model_free(m);
    return 0;
}
