/* Happy path: a job file is written, checked and submitted; what the worker says is shown as it
 * comes, and the result has all of it. */
#include "client/follow/say.h"

#include "client/call/support.h"
#include "client/follow/follow.h"
#include "common/base/mem.h"
#include "common/base/rng.h"
#include "common/conf/job_spec.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { TEXT_MAX = 1 << 20 };

ps_status ps_say_text(ps_client *client, const char *flag, const char *value, ps_buf *out)
{
    if (!strcmp(value, "@"))
        return ps_client_usage(client,
                               "%s @ needs a file's name; a text that begins with @ is written "
                               "with @@",
                               flag);
    if (*value == '@' && value[1] != '@')
        return ps_read_small_file(value + 1, TEXT_MAX, out);
    ps_buf_puts(out, value + (*value == '@'));
    return PS_OK;
}

/* ---- the job file ---- */

ps_status ps_say_read(ps_client *client, const ps_say_how *how, ps_say_keys *out)
{
    char seed[24]; /* when none was given */
    (void)snprintf(seed, sizeof seed, "%" PRIu32, (uint32_t)ps_rng_entropy());
    const struct {
        const char *flag, *key, *value;
    } given[] = {{"--tokens", "max_tokens", how->tokens},
                 {"--temperature", "temperature", how->temperature},
                 {"--top-k", "top_k", how->top_k},
                 {"--top-p", "top_p", how->top_p},
                 {"--cache", "cache", how->cache},
                 {"--weights", "weights", how->weights},
                 {"--seed", "seed", how->seed ? how->seed : seed}};
    ps_spec_generate checked = {0};
    *out = (ps_say_keys){0};
    for (size_t i = 0; i < sizeof given / sizeof *given; i++) {
        if (!given[i].value)
            continue;
        ps_status st =
            ps_conf_set(&ps_generate_schema, &checked, given[i].key, given[i].value, given[i].flag);
        if (st) {
            client->usage = true;
            return st;
        }
        ps_buf_printf(&out->lines, "  %s: %s\n", given[i].key, given[i].value);
    }
    out->seed = (uint64_t)checked.seed;
    return PS_OK;
}

static void put_ids(ps_buf *spec, const char *key, const ps_ids *ids)
{
    ps_buf_printf(spec, "  %s: [", key);
    for (size_t i = 0; i < ids->n; i++)
        ps_buf_printf(spec, "%s%" PRIu32, i ? "," : "", ids->at[i]);
    ps_buf_puts(spec, "]\n");
}

static ps_status submit(ps_say *s)
{
    ps_buf spec = PS_BUF_EMPTY;
    const ps_speaker *speaker = s->speaker;
    ps_buf_printf(&spec,
                  "kind: generate\nname: %s-%.50s\nmodel_name: %s\nmodel_version: '%s'\n"
                  "generate:\n",
                  s->job, speaker->name, speaker->name, speaker->version);
    put_ids(&spec, "prompt", s->prompt);
    put_ids(&spec, "stop", s->stop);
    ps_buf_append(&spec, s->keys->lines.data, s->keys->lines.len);
    ps_job_spec *checked = NULL;
    ps_status st = ps_job_spec_parse(ps_buf_slice(&spec), "job", &checked);
    if (!st) {
        ps_job_spec_free(&checked);
        st = ps_submit_spec(s->client, ps_buf_cstr(&spec), &s->job_id);
    }
    ps_buf_free(&spec);
    return st;
}

/* ---- what comes back ---- */

/* A terminal must not be told what to do by a model. */
static ps_status show(ps_say *s)
{
    ps_buf clean = PS_BUF_EMPTY, *text = &s->said.text;
    ps_status st = PS_OK;
    ps_buf_append(&s->text, text->data, text->len);
    if (s->client->json) {
        ps_buf_clear(text);
    } else {
        if (s->terminal) {
            ps_put_clean_lines(&clean, ps_buf_slice(text));
            ps_buf_consume(text, text->len);
        }
        st = ps_output_flush(s->terminal ? &clean : text, STDOUT_FILENO);
    }
    ps_buf_free(&clean);
    s->unwritten = st != PS_OK;
    return st;
}

static ps_status output_cb(void *user, const Psd__V1__Output *more)
{
    ps_say *s = user;
    ps_status st = ps_generation_add(&s->said, more);
    return st ? st : show(s);
}

static ps_status follow(ps_say *s)
{
    const ps_follow_options how = {.form = PS_FOLLOW_QUIET,
                                   .fd = STDERR_FILENO,
                                   .patient = true,
                                   .ends = true,
                                   .output = output_cb,
                                   .user = s};
    Psd__V1__Job *job = NULL;
    ps_status st = ps_follow(s->client, s->job_id, &how, &job);
    if (st && (s->client->interrupted || s->unwritten))
        return ps_cancel_job(s->client, s->job_id, "interrupted", st);
    if (st)
        return st;
    st = ps_follow_verdict(job);
    if (!st)
        st = ps_generation_finish(&s->said, job->result, &s->end);
    ps_reply_free(&job);
    return st ? st : show(s);
}

ps_status ps_say_run(ps_say *s)
{
    s->terminal = isatty(STDOUT_FILENO);
    ps_generation_init(&s->said, s->speaker->tokenizer);
    ps_status st = submit(s);
    return st ? st : follow(s);
}

void ps_say_free(ps_say *s)
{
    ps_generation_free(&s->said);
    ps_buf_free(&s->text);
}

double ps_say_rate(const ps_say *s)
{
    bool some = s->said.ids.n > 1 && s->end.generate_seconds > 0;
    return some ? (double)(s->said.ids.n - 1) / s->end.generate_seconds : 0;
}

void ps_say_json(const ps_say *s, ps_json_writer *w)
{
    ps_json_put_string(w, "model", s->speaker->name);
    ps_json_put_uint(w, "job_id", s->job_id);
    ps_json_key(w, "text");
    ps_json_string_n(w, ps_buf_slice(&s->text));
    ps_json_key(w, "tokens");
    ps_json_array(w);
    for (size_t i = 0; i < s->said.ids.n; i++)
        ps_json_uint(w, s->said.ids.at[i]);
    ps_json_array_end(w);
    ps_json_put_uint(w, "prompt_tokens", s->end.prompt_tokens);
    ps_json_put_string(w, "ended", s->end.ended);
    ps_json_put_uint(w, "seed", s->keys->seed);
    ps_json_put_double(w, "load_seconds", s->end.load_seconds);
    ps_json_put_double(w, "prompt_seconds", s->end.prompt_seconds);
    ps_json_put_double(w, "generate_seconds", s->end.generate_seconds);
    ps_json_put_double(w, "seconds", s->end.seconds);
    ps_json_put_double(w, "tokens_per_second", ps_say_rate(s));
}
