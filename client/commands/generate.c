/* generate: a prompt becomes tokens, a generate job, and text on standard output as the worker says
 * it. Whoever interrupts it, or closes its output, ends the job. */
#include "client/call/client.h"
#include "client/call/model_tokenizer.h"
#include "client/call/support.h"
#include "client/commands/commands.h"
#include "client/follow/follow.h"
#include "client/follow/generation.h"
#include "common/arch/arch.h"
#include "common/base/mem.h"
#include "common/base/rng.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { PROMPT_MAX = 1 << 20 };

typedef struct options {
    const char *prompt;
    const char *tokens, *temperature, *top_k, *top_p, *seed, *cache, *weights;
    const char *tokenizer;
    bool no_added;
} options;

static const ps_flag flags[] = {
    {.name = "prompt",
     .letter = 'p',
     .type = PS_FLAG_TEXT,
     .offset = offsetof(options, prompt),
     .value = "TEXT|@FILE",
     .help = "what to go on from; @- is standard input, and @@ a text that begins with @"},
    {.name = "tokens",
     .letter = 'n',
     .type = PS_FLAG_TEXT,
     .offset = offsetof(options, tokens),
     .value = "N",
     .help = "say at most so many (default: 128)"},
    {.name = "temperature",
     .type = PS_FLAG_TEXT,
     .offset = offsetof(options, temperature),
     .value = "T",
     .help = "below 1 keeps to what is likely; 0: the likeliest token, always (default: 1)"},
    {.name = "top-k",
     .type = PS_FLAG_TEXT,
     .offset = offsetof(options, top_k),
     .value = "K",
     .help = "draw from the K likeliest tokens (default: 0, all)"},
    {.name = "top-p",
     .type = PS_FLAG_TEXT,
     .offset = offsetof(options, top_p),
     .value = "P",
     .help = "draw from the likeliest that make up this share (default: 1)"},
    {.name = "seed",
     .type = PS_FLAG_TEXT,
     .offset = offsetof(options, seed),
     .value = "S",
     .help = "the same seed says the same (default: another each time)"},
    {.name = "cache",
     .type = PS_FLAG_TEXT,
     .offset = offsetof(options, cache),
     .value = "TYPE",
     .help = "keep keys and values as float32, bf16 or int8 (default: usual, by the model)"},
    {.name = "weights",
     .type = PS_FLAG_TEXT,
     .offset = offsetof(options, weights),
     .value = "stored|bf16",
     .help = "bf16: float32 matrices are held in half of the memory, and read twice as fast"},
    {.name = "tokenizer",
     .type = PS_FLAG_TEXT,
     .offset = offsetof(options, tokenizer),
     .value = "bytes|PATH",
     .help = "instead of the model's: a tokenizer.json, or a folder that has one"},
    {.name = "no-added",
     .type = PS_FLAG_SWITCH,
     .offset = offsetof(options, no_added),
     .help = "added tokens that stand in the prompt are text like any other"},
    {.name = NULL},
};

typedef struct talk {
    ps_client *client;
    const char *model;
    char *version; /* of the model: whose tokenizer this is, and whose answer is wanted */
    const options *options;
    char seed[24]; /* when none was given, */
    uint64_t seed_used;
    ps_tokenizer *tokenizer;
    ps_token_ids ids;
    int64_t vocab_size;
    ps_ids prompt;
    ps_generation said;
    uint64_t job_id;
    bool terminal;  /* standard output is one */
    bool unwritten; /* standard output takes no more */
} talk;

/* ---- the prompt ---- */

static ps_status read_prompt(talk *t, ps_buf *text)
{
    const char *prompt = t->options->prompt;
    if (!prompt)
        return ps_client_usage(t->client, "--prompt is missing: the text to go on from");
    if (!strcmp(prompt, "@"))
        return ps_client_usage(t->client, "--prompt @ needs a file's name; a text that begins with "
                                          "@ is written with @@");
    if (*prompt == '@' && prompt[1] != '@')
        return ps_read_small_file(prompt + 1, PROMPT_MAX, text);
    ps_buf_puts(text, prompt + (*prompt == '@'));
    return PS_OK;
}

/* The i-th token that begins a text, or ends what is generated: those that came with the model, and
 * when it says none, GPT-2's mark between two texts. */
static bool mark(const talk *t, ps_token_role role, size_t i, uint32_t *id)
{
    if (t->ids.of[role].n)
        return ps_token_ids_usable(&t->ids, role, i, t->vocab_size, id);
    return !i && ps_tokenizer_added(t->tokenizer, "<|endoftext|>", id);
}

static ps_status encode(talk *t)
{
    ps_buf text = PS_BUF_EMPTY;
    uint32_t begin;
    ps_status st = read_prompt(t, &text);
    if (!st)
        st = ps_tokenizer_encode(t->tokenizer, ps_buf_slice(&text), !t->options->no_added,
                                 &t->prompt);
    if (!st && !t->prompt.n && mark(t, PS_TOKEN_BOS, 0, &begin))
        ps_ids_add(&t->prompt, begin);
    if (!st && !t->prompt.n)
        st = ps_fail(PS_INVALID_ARGUMENT, "the prompt is empty");
    ps_buf_free(&text);
    return st;
}

static ps_status open_tokenizer(talk *t)
{
    Psd__V1__GetModelRequest request = PSD__V1__GET_MODEL_REQUEST__INIT;
    ProtobufCMessage *reply = NULL;
    request.name = ps_borrow(t->model);
    ps_spec_model *model = NULL;
    ps_status st = ps_client_unary(t->client, "/psd.v1.Models/Get", &request.base,
                                   &psd__v1__model__descriptor, &reply);
    if (st)
        return st;
    const char *config = ((Psd__V1__Model *)(void *)reply)->config;
    t->version = ps_strdup(((Psd__V1__Model *)(void *)reply)->version);
    st = ps_spec_model_parse(ps_slice_str(config), "its config", &model);
    ps_reply_free(&reply);
    if (st)
        return ps_wrap(st, "model %s", t->model);
    if (!ps_spec_model_is_language(model))
        st = ps_fail(PS_FAILED_PRECONDITION,
                     "model %s is of architecture %s, which says no text; language models do: %s",
                     t->model, model->architecture, ps_arch_list_language().text);
    else
        st = ps_model_tokenizer(t->client, t->model, t->version, model, t->options->tokenizer,
                                &t->tokenizer, &t->ids);
    t->vocab_size = model->vocab_size;
    ps_spec_model_free(&model);
    return st;
}

/* ---- the job file ---- */

static void put_ids(ps_buf *spec, const char *key, const ps_ids *ids)
{
    ps_buf_printf(spec, "  %s: [", key);
    for (size_t i = 0; i < ids->n; i++)
        ps_buf_printf(spec, "%s%" PRIu32, i ? "," : "", ids->at[i]);
    ps_buf_puts(spec, "]\n");
}

/* Each flag is checked as the job file's key is, so that what is wrong is said of the flag. */
static ps_status put_flags(talk *t, ps_buf *spec)
{
    const options *o = t->options;
    const struct {
        const char *flag, *key, *value;
    } given[] = {{"--tokens", "max_tokens", o->tokens},
                 {"--temperature", "temperature", o->temperature},
                 {"--top-k", "top_k", o->top_k},
                 {"--top-p", "top_p", o->top_p},
                 {"--cache", "cache", o->cache},
                 {"--weights", "weights", o->weights},
                 {"--seed", "seed", o->seed ? o->seed : t->seed}};
    ps_spec_generate checked = {0};
    for (size_t i = 0; i < sizeof given / sizeof *given; i++) {
        if (!given[i].value)
            continue;
        ps_status st =
            ps_conf_set(&ps_generate_schema, &checked, given[i].key, given[i].value, given[i].flag);
        if (st) {
            t->client->usage = true;
            return st;
        }
        ps_buf_printf(spec, "  %s: %s\n", given[i].key, given[i].value);
    }
    t->seed_used = (uint64_t)checked.seed;
    return PS_OK;
}

static ps_status submit(talk *t, const ps_buf *given)
{
    ps_buf spec = PS_BUF_EMPTY;
    ps_ids ends = PS_IDS_EMPTY;
    uint32_t end;
    ps_buf_printf(&spec,
                  "kind: generate\nname: generate-%.50s\nmodel_name: %s\nmodel_version: '%s'\n"
                  "generate:\n",
                  t->model, t->model, t->version);
    put_ids(&spec, "prompt", &t->prompt);
    while (mark(t, PS_TOKEN_EOS, ends.n, &end))
        ps_ids_add(&ends, end);
    put_ids(&spec, "stop", &ends);
    ps_ids_free(&ends);
    ps_buf_append(&spec, given->data, given->len);
    ps_job_spec *checked = NULL;
    ps_status st = ps_job_spec_parse(ps_buf_slice(&spec), "job", &checked);
    if (!st) {
        ps_job_spec_free(&checked);
        st = ps_submit_spec(t->client, ps_buf_cstr(&spec), &t->job_id);
    }
    ps_buf_free(&spec);
    return st;
}

/* ---- what comes back ---- */

/* A terminal must not be told what to do by a model. */
static ps_status show(talk *t)
{
    ps_buf clean = PS_BUF_EMPTY, *text = &t->said.text;
    if (t->client->json)
        return PS_OK;
    if (t->terminal) {
        ps_put_clean_lines(&clean, ps_buf_slice(text));
        ps_buf_consume(text, text->len);
    }
    ps_status st = ps_output_flush(t->terminal ? &clean : text, STDOUT_FILENO);
    ps_buf_free(&clean);
    t->unwritten = st != PS_OK;
    return st;
}

static ps_status output_cb(void *user, const Psd__V1__Output *more)
{
    talk *t = user;
    ps_status st = ps_generation_add(&t->said, more);
    return st ? st : show(t);
}

static double rate(const talk *t, const ps_generation_end *end)
{
    bool some = t->said.ids.n > 1 && end->generate_seconds > 0;
    return some ? (double)(t->said.ids.n - 1) / end->generate_seconds : 0;
}

static void report_json(talk *t, const ps_generation_end *end)
{
    ps_json_writer w = ps_json_begin(t->client);
    ps_json_object(&w);
    ps_json_put_string(&w, "model", t->model);
    ps_json_put_uint(&w, "job_id", t->job_id);
    ps_json_key(&w, "text");
    ps_json_string_n(&w, ps_buf_slice(&t->said.text));
    ps_json_key(&w, "tokens");
    ps_json_array(&w);
    for (size_t i = 0; i < t->said.ids.n; i++)
        ps_json_uint(&w, t->said.ids.at[i]);
    ps_json_array_end(&w);
    ps_json_put_uint(&w, "prompt_tokens", end->prompt_tokens);
    ps_json_put_string(&w, "ended", end->ended);
    ps_json_put_uint(&w, "seed", t->seed_used);
    ps_json_put_double(&w, "load_seconds", end->load_seconds);
    ps_json_put_double(&w, "prompt_seconds", end->prompt_seconds);
    ps_json_put_double(&w, "generate_seconds", end->generate_seconds);
    ps_json_put_double(&w, "seconds", end->seconds);
    ps_json_put_double(&w, "tokens_per_second", rate(t, end));
    ps_json_object_end(&w);
    ps_json_finish(t->client);
}

/* The text's line ends before anything is said about it: both streams may be one terminal. */
static ps_status report_text(talk *t, const ps_generation_end *end)
{
    bool full = !strcmp(end->ended, "context");
    ps_buf_putc(&t->client->out, '\n');
    ps_status st = ps_output_flush(&t->client->out, STDOUT_FILENO);
    if (st)
        return st;
    if (!isatty(STDERR_FILENO)) {
        if (full)
            fprintf(stderr, "psctl: the text ends after %zu tokens: the model's context is full\n",
                    t->said.ids.n);
        return PS_OK;
    }
    fprintf(stderr, "%zu tokens, %.1f a second, the first after %.2f s%s\n", t->said.ids.n,
            rate(t, end), end->load_seconds + end->prompt_seconds,
            full ? "; the model's context is full" : "");
    return PS_OK;
}

static ps_status follow(talk *t)
{
    const ps_follow_options how = {.form = PS_FOLLOW_QUIET,
                                   .fd = STDERR_FILENO,
                                   .patient = true,
                                   .ends = true,
                                   .output = output_cb,
                                   .user = t};
    Psd__V1__Job *job = NULL;
    ps_generation_end end;
    ps_status st = ps_follow(t->client, t->job_id, &how, &job);
    if (st && (t->client->interrupted || t->unwritten))
        return ps_cancel_interrupted(t->client, t->job_id, st);
    if (st)
        return st;
    st = ps_follow_verdict(job);
    if (!st)
        st = ps_generation_finish(&t->said, job->result, &end);
    ps_reply_free(&job);
    if (!st)
        st = show(t);
    if (!st && t->client->json)
        report_json(t, &end);
    else if (!st)
        st = report_text(t, &end);
    return st;
}

static ps_status run(ps_client *client, const ps_args *args)
{
    talk t = {.client = client,
              .model = args->operands.at[0],
              .options = args->options,
              .terminal = isatty(STDOUT_FILENO)};
    ps_buf given = PS_BUF_EMPTY;
    (void)snprintf(t.seed, sizeof t.seed, "%" PRIu32, (uint32_t)ps_rng_entropy());
    ps_status st = ps_check_model_name(t.model);
    if (!st)
        st = put_flags(&t, &given);
    if (!st)
        st = open_tokenizer(&t);
    if (!st)
        st = encode(&t);
    if (!st)
        st = submit(&t, &given);
    if (!st) {
        ps_generation_init(&t.said, t.tokenizer);
        st = follow(&t);
        ps_generation_free(&t.said);
    }
    ps_buf_free(&given);
    ps_ids_free(&t.prompt);
    ps_tokenizer_free(&t.tokenizer);
    ps_free(&t.version);
    return st;
}

const ps_command ps_command_generate = {
    .name = "generate",
    .operands = "NAME",
    .help = "let a stored language model go on from a prompt",
    .details = "The text appears as a worker says it; Ctrl-C ends the job. The worker keeps the\n"
               "model, so the next prompt begins at once. Added tokens of the tokenizer such as\n"
               "<|endoftext|> may stand in the prompt, and end what is generated.\n",
    .flags = flags,
    .options_size = sizeof(options),
    .least = 1,
    .most = 1,
    .run = run,
};
