/* embed: texts, one a line or what lines of JSON have at a key, become numbers: each is made tokens
 * of here, as many at a time as a job file holds go to a worker in an embed job, some jobs ahead of
 * the one that is waited for, and what each leaves goes on in order to standard output or into an
 * array of NumPy's. */
#include "client/call/artifact.h"
#include "client/call/client.h"
#include "client/call/speaker.h"
#include "client/call/streams.h"
#include "client/call/support.h"
#include "client/commands/commands.h"
#include "client/follow/run_job.h"
#include "common/base/mem.h"
#include "common/base/new_file.h"
#include "common/base/utf8.h"
#include "common/format/json_lines.h"
#include "common/format/npy.h"
#include "common/format/source.h"
#include "common/tokenizer/tokenizer.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* JOB_BYTES and the rest of a job file are less than PS_CONF_MAX_BYTES. */
enum { JOB_BYTES = 192 * 1024, JOB_TEXTS = 4096, AHEAD = 4 /* jobs that wait or run */ };

typedef struct options {
    const char *pool, *key, *path, *tokenizer;
    bool no_normalise, no_added, force;
} options;

static const char *const pools[] = {"mean", "cls", NULL};

static const ps_flag flags[] = {
    {.name = "to",
     .letter = 'o',
     .type = PS_FLAG_TEXT,
     .offset = offsetof(options, path),
     .value = "FILE",
     .help = "an array for numpy.load, float32 [texts, numbers]; - is standard output"},
    {.name = "pool",
     .type = PS_FLAG_TEXT,
     .offset = offsetof(options, pool),
     .value = "mean|cls",
     .words = pools,
     .help = "a text is its tokens' mean, or the first (default: as the model says)"},
    {.name = "no-normalise",
     .type = PS_FLAG_SWITCH,
     .offset = offsetof(options, no_normalise),
     .help = "leave lengths as they are; without, each is 1"},
    {.name = "jsonl",
     .type = PS_FLAG_TEXT,
     .offset = offsetof(options, key),
     .value = "KEY",
     .help = "the input is JSON Lines; each line's text is at this key (a.b: within a)"},
    {.name = "tokenizer",
     .type = PS_FLAG_TEXT,
     .offset = offsetof(options, tokenizer),
     .value = "PATH",
     .help = "instead of the model's: tokenizer.json, vocab.txt, or a folder with one"},
    {.name = "no-added",
     .type = PS_FLAG_SWITCH,
     .offset = offsetof(options, no_added),
     .help = "added tokens that stand in a text are text like any other"},
    {.name = "force",
     .type = PS_FLAG_SWITCH,
     .offset = offsetof(options, force),
     .help = "overwrite a file that is there"},
    {.name = NULL},
};

typedef struct sent {
    uint64_t job_id;
    size_t n; /* texts */
} sent;

typedef struct embed {
    ps_client *client;
    const options *options;
    const char *input;
    ps_speaker speaker;
    size_t width;  /* numbers of a text */
    size_t most;   /* tokens of a text, */
    size_t around; /* of which the tokenizer puts so many around it */
    ps_buf texts;  /* "101 7592 102", each with a zero behind it */
    size_t n, long_ones;
    ps_buf line;       /* of the input, or its text */
    ps_new_file *file; /* NULL: numbers go to standard output */
    size_t done;
    sent ahead[AHEAD]; /* the oldest first */
    size_t n_ahead;
} embed;

/* ---- texts to tokens ---- */

static ps_status put_text(embed *e, ps_slice text)
{
    ps_ids ids = PS_IDS_EMPTY, joined = PS_IDS_EMPTY;
    ps_status st = ps_tokenizer_encode(e->speaker.tokenizer, text, !e->options->no_added, &ids);
    if (!st && ids.n > e->most - e->around) {
        ids.n = e->most - e->around;
        e->long_ones++;
    }
    if (!st)
        ps_tokenizer_join(e->speaker.tokenizer, &ids, NULL, &joined, NULL);
    if (!st && !joined.n)
        st = ps_fail(PS_INVALID_ARGUMENT, "it is empty, and so has no tokens");
    for (size_t i = 0; i < joined.n; i++)
        ps_buf_printf(&e->texts, "%s%" PRIu32, i ? " " : "", joined.at[i]);
    ps_buf_putc(&e->texts, '\0');
    ps_ids_free(&ids);
    ps_ids_free(&joined);
    return st;
}

static ps_status put_line(embed *e, ps_slice line)
{
    if (line.len && line.data[line.len - 1] == '\r')
        line.len--;
    e->n++;
    ps_status st = ps_utf8_is(line)
                       ? put_text(e, line)
                       : ps_fail(PS_INVALID_ARGUMENT, "it is no UTF-8; is it text in another "
                                                      "encoding? (iconv -f ENCODING -t UTF-8)");
    return st ? ps_wrap(st, "%s: line %zu", e->input, e->n) : PS_OK;
}

static ps_status read_plain(embed *e, ps_source *source)
{
    ps_slice line;
    ps_json_lines *lines = ps_json_lines_new(source);
    ps_status st = PS_OK;
    while (!st && !(st = ps_json_lines_any(lines, &line)))
        st = put_line(e, line);
    ps_json_lines_free(&lines);
    return st == PS_END ? PS_OK : st;
}

static ps_status read_json(embed *e, ps_source *source)
{
    ps_slice line;
    ps_json_lines *lines = ps_json_lines_new(source);
    ps_status st = PS_OK;
    while (!st && !(st = ps_json_lines_next(lines, &line))) {
        e->n++;
        st = ps_json_text_at(line, e->options->key, &e->line);
        if (!st)
            st = put_text(e, ps_buf_slice(&e->line));
        if (st)
            st = ps_json_lines_wrap(lines, st);
    }
    ps_json_lines_free(&lines);
    return st == PS_END ? PS_OK : st;
}

static ps_status read_texts(embed *e)
{
    ps_source *source = NULL;
    ps_status st = ps_source_open_any(e->input, &source);
    if (st == PS_NOT_FOUND && strchr(e->input, ' ')) /* a text, then, not the name of its file */
        st = ps_fail(st, "%s; a text itself comes on standard input: echo TEXT | psctl embed %s",
                     ps_error_message(), e->speaker.name);
    if (!st)
        st = ps_source_check_foreign(source);
    if (!st)
        st = e->options->key ? read_json(e, source) : read_plain(e, source);
    ps_source_close(&source);
    if (!st && !e->n)
        st = ps_fail(PS_INVALID_ARGUMENT, "%s has no texts", e->input);
    if (!st && e->long_ones)
        ps_remark("%zu of %zu texts have more than %zu tokens: of these the rest is not read",
                  e->long_ones, e->n, e->most);
    return st;
}

static ps_status open_model(embed *e)
{
    ps_ids none = PS_IDS_EMPTY, around = PS_IDS_EMPTY;
    const ps_speaker *s = &e->speaker;
    ps_status st = ps_speaker_open_texts(e->client, s->name, e->options->tokenizer, &e->speaker);
    if (st)
        return st;
    ps_tokenizer_join(s->tokenizer, &none, NULL, &around, NULL);
    e->width = (size_t)s->model->hidden_size;
    e->most = (size_t)(s->model->max_text_length ? s->model->max_text_length : s->context_length);
    e->around = around.n;
    ps_ids_free(&around);
    return e->most > e->around ? PS_OK
                               : ps_fail(PS_INVALID_ARGUMENT,
                                         "model %s reads %zu tokens of a text, and its tokenizer "
                                         "puts %zu around one",
                                         s->name, e->most, e->around);
}

/* ---- numbers ---- */

static ps_status write_header(embed *e)
{
    ps_buf header = PS_BUF_EMPTY;
    ps_npy_header(&header, e->n, e->width);
    ps_status st = ps_new_file_write(e->file, header.data, header.len);
    ps_buf_free(&header);
    return st;
}

static void put_row(embed *e, const float *row)
{
    ps_buf *out = &e->client->out;
    ps_json_writer w = ps_json_writer_to(out);
    if (!e->client->json) {
        for (size_t c = 0; c < e->width; c++)
            ps_buf_printf(out, "%s%.9g", c ? " " : "", (double)row[c]);
        ps_buf_putc(out, '\n');
        return;
    }
    ps_json_object(&w);
    ps_json_put_uint(&w, "row", e->done);
    ps_json_key(&w, "embedding");
    ps_json_array(&w);
    for (size_t c = 0; c < e->width; c++)
        ps_json_float(&w, row[c]);
    ps_json_array_end(&w);
    ps_json_object_end(&w);
    ps_buf_putc(out, '\n');
}

/* Of the n texts of one job; npy is a worker's word. */
static ps_status take_numbers(embed *e, ps_slice npy, size_t n)
{
    ps_slice numbers;
    ps_status st = ps_npy_numbers(npy, n, e->width, &numbers);
    if (st)
        return ps_wrap(PS_DATA_LOSS, "embeddings.npy");
    float *row = ps_alloc_array(e->width, sizeof *row);
    if (e->file)
        st = ps_new_file_write(e->file, numbers.data, numbers.len);
    for (size_t i = 0; !st && i < n; i++, e->done++) {
        memcpy(row, numbers.data + i * e->width * sizeof *row, e->width * sizeof *row);
        if (e->file)
            continue;
        put_row(e, row);
        st = ps_output_flush(&e->client->out, STDOUT_FILENO);
    }
    ps_free(&row);
    return st;
}

/* Waits for the oldest job. */
static ps_status take_one(embed *e)
{
    Psd__V1__Job *job = NULL;
    ps_artifact npy = {0};
    sent one = e->ahead[0];
    e->n_ahead--;
    memmove(&e->ahead[0], &e->ahead[1], e->n_ahead * sizeof *e->ahead);
    ps_status st = ps_run_job_finish(e->client, one.job_id, &job);
    if (st)
        return st;
    st = ps_artifact_fetch(e->client, job->id, "embeddings.npy", &npy);
    ps_reply_free(&job);
    if (!st)
        st = take_numbers(e, npy.bytes, one.n);
    ps_artifact_free(&npy);
    return st;
}

/* As many texts from *at on as a job holds. */
static size_t put_job(const embed *e, const char **at, const char *end, ps_buf *spec)
{
    size_t n = 0;
    ps_buf_printf(spec,
                  "kind: embed\nname: embed-%.50s\nmodel_name: %s\nmodel_version: '%s'\nembed:\n"
                  "  normalise: %s\n  pool: %s\n  texts:\n",
                  e->speaker.name, e->speaker.name, e->speaker.version,
                  e->options->no_normalise ? "false" : "true",
                  e->options->pool ? e->options->pool : "model");
    size_t before = spec->len;
    for (; *at < end && n < JOB_TEXTS; *at += strlen(*at) + 1, n++) {
        if (n && spec->len - before + strlen(*at) > JOB_BYTES)
            break;
        ps_buf_printf(spec, "  - '%s'\n", *at);
    }
    return n;
}

static ps_status send_one(embed *e, const char **at, const char *end)
{
    ps_buf spec = PS_BUF_EMPTY;
    sent *one = &e->ahead[e->n_ahead];
    const char *next = *at;
    one->n = put_job(e, &next, end, &spec);
    ps_status st = ps_run_job_submit(e->client, ps_buf_cstr(&spec), &one->job_id);
    if (!st) {
        *at = next;
        e->n_ahead++;
    }
    ps_buf_free(&spec);
    return st;
}

static ps_status run_all(embed *e)
{
    const char *at = ps_buf_cstr(&e->texts), *end = at + e->texts.len;
    size_t most = AHEAD;
    ps_status st = PS_OK;
    while (!st && (at < end || e->n_ahead)) {
        if (at == end || e->n_ahead >= most) {
            st = take_one(e);
            continue;
        }
        st = send_one(e, &at, end);
        if (st == PS_RESOURCE_EXHAUSTED && e->n_ahead) { /* psd lets fewer wait */
            most = e->n_ahead;
            st = PS_OK;
        }
    }
    const char *why = e->client->interrupted ? "interrupted" : "psctl embed ended before it";
    for (size_t i = 0; st && i < e->n_ahead; i++)
        st = ps_cancel_job(e->client, e->ahead[i].job_id, why, st);
    return st;
}

static ps_status write_all(embed *e)
{
    const options *o = e->options;
    ps_status st = PS_OK;
    if (o->path)
        st = ps_new_file_open(o->path, &(ps_new_file_options){.force = o->force}, &e->file);
    if (!st && o->path)
        st = write_header(e);
    if (!st)
        st = run_all(e);
    if (!st && o->path) {
        st = ps_new_file_finish(&e->file);
        if (!st)
            ps_buf_printf(&e->client->out, "%zu texts of %zu numbers are in %s\n", e->n, e->width,
                          o->path);
        ps_streams_report(e->client, o->path);
    }
    ps_new_file_drop(&e->file);
    return st;
}

static ps_status check_output(const embed *e)
{
    const char *path = e->options->path;
    if (!path)
        return PS_OK;
    return ps_streams_same(path, e->input)
               ? ps_client_usage(e->client, "%s is the input and the output", path)
               : ps_streams_check_output(e->client, path);
}

static ps_status run(ps_client *client, const ps_args *args)
{
    embed e = {.client = client,
               .options = args->options,
               .speaker = {.name = args->operands.at[0]},
               .input = args->operands.n > 1 ? args->operands.at[1] : "-"};
    ps_status st = ps_check_model_name(e.speaker.name);
    if (!st)
        st = check_output(&e);
    if (!st)
        st = open_model(&e);
    if (!st)
        st = read_texts(&e);
    if (!st)
        st = write_all(&e);
    ps_buf_free(&e.texts);
    ps_buf_free(&e.line);
    ps_speaker_free(&e.speaker);
    return st;
}

const ps_command ps_command_embed = {
    .name = "embed",
    .operands = "NAME [INPUT]",
    .help = "numbers that stand for texts, by a stored model of texts",
    .details =
        "The input is plain text, a text a line, or gzip of it; - is standard input, as it is\n"
        "without an operand. Each text's numbers are a line on standard output, or a row of\n"
        "the array of --to. Of a text that is longer than the model reads the rest is left\n"
        "out, which is said.\n",
    .flags = flags,
    .options_size = sizeof(options),
    .least = 1,
    .most = 2,
    .run = run,
};
