/* tokenize: texts become one token file, which a worker's reader maps: whole files, or what each
 * line of JSON has at a key. They are read in pieces, or in lines, so memory does not grow with
 * them. On a terminal a line says how far it is. Needs no server. */
#include "client/commands/tokenize.h"
#include "client/call/asked.h"
#include "client/call/client.h"
#include "client/call/labelled_text.h"
#include "client/call/prompt.h"
#include "client/call/streams.h"
#include "client/call/support.h"
#include "client/commands/commands.h"
#include "client/follow/screen.h"
#include "client/show/human.h"
#include "common/base/clock.h"
#include "common/base/mem.h"
#include "common/base/target.h"
#include "common/base/text.h"
#include "common/format/json_lines.h"
#include "common/format/source.h"
#include "common/format/text_look.h"
#include "common/format/token_file.h"
#include "common/model/tokenizer_open.h"

#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { PIECE = 256 * 1024, DRAW_EVERY_MS = 200 };

typedef ps_tokenize_options options;

typedef struct count {
    uint64_t bytes, tokens;
    uint64_t documents, given; /* given: tokens */
    ps_text_look look;         /* for bytes that no text has */
} count;

typedef struct job {
    ps_client *client;
    const options *options;
    const ps_texts *inputs;
    ps_tokenizer *tokenizer;
    ps_encoder *encoder;
    ps_token_writer *writer;
    ps_asked asked; /* with options->template */
    bool ends;      /* this token goes behind each input: */
    uint32_t end;
    uint8_t *piece;
    ps_buf text; /* of a line */
    ps_labelled_text labelled;
    ps_ids ids;
    count *each, all; /* of each input, and of all of them */
    size_t at;        /* the input */
    /* on a terminal */
    bool shows;
    ps_style style;
    ps_screen screen;
    uint64_t begun_ms, drawn_ms;
} job;

/* ---- Ctrl-C: there is no loop to hear it, and the temporary file must go. Nothing is begun again
 * that it breaks off: a pipe may have nothing to read for long. ---- */

static volatile sig_atomic_t interrupted;

/* One that comes right before a read breaks nothing off: it comes again each second. */
static void interrupt_cb(int number)
{
    interrupted = 1;
    (void)alarm(1);
}

static void hear_interrupts(void)
{
    struct sigaction action = {.sa_handler = interrupt_cb};
    interrupted = 0;
    (void)sigaction(SIGINT, &action, NULL);
    (void)sigaction(SIGTERM, &action, NULL);
    (void)sigaction(SIGALRM, &action, NULL);
}

/* ---- the line on a terminal ---- */

static void show(job *j, bool over)
{
    uint64_t now = ps_clock_ms(&ps_clock_system);
    if (!j->shows || (!over && now - j->drawn_ms < DRAW_EVERY_MS))
        return;
    j->drawn_ms = now;
    ps_buf line = PS_BUF_EMPTY, out = PS_BUF_EMPTY;
    double seconds = (double)(now - j->begun_ms) / 1000;
    ps_buf_printf(&line, "file %zu of %zu  %s  %s tokens  %s/s\n", j->at + 1, j->inputs->n,
                  ps_human_bytes((double)j->all.bytes).text,
                  ps_human_count((double)j->all.tokens).text,
                  ps_human_bytes(seconds > 0 ? (double)j->all.bytes / seconds : 0).text);
    if (over)
        ps_screen_end(&j->screen, j->style.width, &out);
    else
        ps_screen_draw(&j->screen, j->style.width, ps_buf_cstr(&line), &out);
    if (ps_output_flush(&out, STDERR_FILENO))
        j->shows = false; /* nobody looks any more */
    ps_buf_free(&line);
    ps_buf_free(&out);
}

/* ---- the texts ---- */

static ps_status put(job *j, bool given)
{
    count *each = &j->each[j->at];
    ps_token_writer_give(j->writer, given);
    ps_status st = ps_token_writer_add(j->writer, j->ids.at, j->ids.n);
    each->tokens += j->ids.n;
    j->all.tokens += j->ids.n;
    j->all.given += given ? j->ids.n : 0;
    j->ids.n = 0;
    return st;
}

static void take_bytes(job *j, uint64_t bytes)
{
    j->each[j->at].bytes += bytes;
    j->all.bytes += bytes;
}

static void take_text(job *j, ps_slice text)
{
    take_bytes(j, text.len);
    ps_text_look_feed(&j->each[j->at].look, text);
    show(j, false);
}

static ps_status feed(job *j, ps_slice text)
{
    ps_status st = ps_encoder_feed(j->encoder, text, &j->ids);
    take_text(j, text);
    return st ? st : put(j, false);
}

static void begin_document(job *j)
{
    ps_token_writer_begin(j->writer);
    j->each[j->at].documents++;
    j->all.documents++;
}

static ps_status end_document(job *j)
{
    if (j->ends)
        ps_ids_add(&j->ids, j->end);
    return put(j, false);
}

static ps_status read_text(job *j, ps_source *source)
{
    size_t got = 0;
    begin_document(j);
    do {
        ps_status st = ps_source_read(source, j->piece, PIECE, &got);
        if (!st)
            st = feed(j, ps_slice_of(j->piece, got));
        if (st)
            return st;
    } while (got && !interrupted);
    ps_status st = ps_encoder_finish(j->encoder, &j->ids);
    return st ? st : end_document(j);
}

/* A text by itself: where a response follows a prompt, no token is of both. */
static ps_status put_key(job *j, ps_slice line, const char *key)
{
    ps_status st = ps_json_text_at(line, key, &j->text);
    if (!st)
        st = feed(j, ps_buf_slice(&j->text));
    if (!st)
        st = ps_encoder_finish(j->encoder, &j->ids);
    return st ? st : put(j, false);
}

/* What psctl generate would make of it. */
static ps_status put_prompt(job *j, ps_slice line)
{
    const options *o = j->options;
    ps_status st = ps_json_text_at(line, o->prompt, &j->text);
    if (st)
        return st;
    take_text(j, ps_buf_slice(&j->text));
    st = ps_prompt_put(j->encoder, j->tokenizer, ps_buf_slice(&j->text), !o->no_special, &j->ids);
    return st ? st : put(j, true);
}

/* What psctl chat would write of it. */
static ps_status put_question(job *j, ps_slice line)
{
    ps_status st = ps_json_text_at(line, j->options->prompt, &j->text);
    if (st)
        return st;
    take_text(j, ps_buf_slice(&j->text));
    st = ps_asked_put(&j->asked, ps_buf_slice(&j->text), &j->ids);
    return st ? st : put(j, true);
}

static ps_status put_text(job *j, ps_slice line)
{
    ps_labelled_text before = j->labelled;
    ps_status st = ps_labelled_text_put(&j->labelled, line);
    uint64_t tokens = j->labelled.tokens - before.tokens;
    j->each[j->at].documents++;
    j->all.documents++;
    take_bytes(j, j->labelled.bytes - before.bytes);
    j->each[j->at].tokens += tokens;
    j->all.tokens += tokens;
    show(j, false);
    return st;
}

static ps_status put_line(job *j, ps_slice line)
{
    const options *o = j->options;
    if (ps_tokenize_is_texts(o))
        return put_text(j, line);
    begin_document(j);
    ps_status st = o->template ? put_question(j, line) : o->prompt ? put_prompt(j, line) : PS_OK;
    if (!st)
        st = put_key(j, line, o->prompt ? o->response : o->key);
    return st ? st : end_document(j);
}

static ps_status read_lines(job *j, ps_source *source)
{
    ps_slice line;
    ps_json_lines *lines = ps_json_lines_new(source);
    ps_status st = PS_OK;
    while (!st && !interrupted && !(st = ps_json_lines_next(lines, &line))) {
        st = put_line(j, line);
        if (st == PS_CORRUPT)
            st = ps_json_lines_wrap(lines, st);
    }
    ps_json_lines_free(&lines);
    return st == PS_END ? PS_OK : st;
}

static ps_status read_input(job *j, ps_source *source)
{
    const options *o = j->options;
    ps_status st = o->binary ? PS_OK : ps_source_check_foreign(source);
    if (!st)
        st = o->key || o->prompt ? read_lines(j, source) : read_text(j, source);
    if (!st)
        ps_text_look_end(&j->each[j->at].look);
    return st;
}

static ps_status read_inputs(job *j)
{
    ps_status st = PS_OK;
    for (j->at = 0; j->at < j->inputs->n && !st && !interrupted; j->at++) {
        ps_source *source = NULL;
        st = ps_source_open_any(j->inputs->at[j->at], &source);
        if (!st)
            st = read_input(j, source);
        ps_source_close(&source);
    }
    if (!interrupted)
        return st;
    j->client->interrupted = true;
    return ps_fail(PS_CANCELLED, "interrupted");
}

static ps_status no_end(const job *j)
{
    ps_buf added = PS_BUF_EMPTY;
    ps_tokenizer_added_list(j->tokenizer, &added);
    ps_status st =
        ps_fail(PS_INVALID_ARGUMENT, "--end: the tokenizer has no added token '%s'%s%s",
                j->options->end, added.len ? "; it has " : ", nor any other", ps_buf_cstr(&added));
    ps_buf_free(&added);
    return st;
}

static ps_status prepare(job *j)
{
    const options *o = j->options;
    ps_status st =
        ps_model_tokenizer_open(NULL, o->tokenizer ? o->tokenizer : "bytes", &j->tokenizer);
    if (st)
        return st;
    if (o->end && !ps_tokenizer_added(j->tokenizer, o->end, &j->end))
        return no_end(j);
    if (o->template) {
        st = ps_asked_open(o->tokenizer, o->template, j->tokenizer, &j->asked);
        j->end = j->asked.end;
    }
    j->ends = o->end || o->template;
    if (st)
        return ps_wrap(st, "--template");
    j->labelled = (ps_labelled_text){.text = o->key,
                                     .pair = o->pair,
                                     .label = o->label,
                                     .classes = o->classes,
                                     .added = o->added,
                                     .tokenizer = j->tokenizer};
    ps_token_file_info about = {.vocab_size = ps_tokenizer_vocab_size(j->tokenizer),
                                .marks = (o->documents || o->prompt ? PS_TOKEN_BEGINS : 0) |
                                         (o->prompt ? PS_TOKEN_GIVEN : 0),
                                .tokenizer_hash = ps_tokenizer_hash(j->tokenizer)};
    if (ps_tokenize_is_texts(o))
        about.marks = ps_labelled_text_marks(&j->labelled);
    (void)snprintf(about.tokenizer, sizeof about.tokenizer, "%s", ps_tokenizer_name(j->tokenizer));
    j->encoder = ps_encoder_new(j->tokenizer, o->added);
    st = ps_token_writer_new(o->path, o->force, &about, &j->writer);
    j->labelled.writer = j->writer;
    return st;
}

static void report_json(const job *j, uint64_t file_bytes)
{
    ps_json_writer w = ps_json_begin(j->client);
    ps_json_object(&w);
    ps_json_put_string(&w, "file", j->options->path);
    ps_json_put_uint(&w, "file_bytes", file_bytes);
    ps_json_put_string(&w, "tokenizer", ps_tokenizer_name(j->tokenizer));
    ps_json_put_uint(&w, "vocab_size", ps_tokenizer_vocab_size(j->tokenizer));
    ps_json_put_uint(&w, "bytes", j->all.bytes);
    ps_json_put_uint(&w, "tokens", j->all.tokens);
    ps_json_put_uint(&w, "documents", j->all.documents);
    ps_json_put_uint(&w, "given_tokens", j->all.given);
    ps_json_key(&w, "inputs");
    ps_json_array(&w);
    for (size_t i = 0; i < j->inputs->n; i++) {
        ps_json_object(&w);
        ps_json_put_string(&w, "file", j->inputs->at[i]);
        ps_json_put_uint(&w, "bytes", j->each[i].bytes);
        ps_json_put_uint(&w, "tokens", j->each[i].tokens);
        ps_json_put_uint(&w, "documents", j->each[i].documents);
        ps_json_put_uint(&w, "zero_bytes", j->each[i].look.zeros);
        ps_json_object_end(&w);
    }
    ps_json_array_end(&w);
    ps_json_object_end(&w);
    ps_json_finish(j->client);
}

/* They are tokens like others, but whoever has a text does not expect them. */
static void remark_bytes(const job *j)
{
    bool lines = j->options->key || j->options->prompt;
    for (size_t i = 0; i < j->inputs->n && !j->options->binary; i++) {
        const ps_text_look *look = &j->each[i].look;
        const char *given = j->inputs->at[i], *name = strcmp(given, "-") ? given : "standard input";
        if (!j->each[i].bytes)
            ps_remark("%s %s", name, lines && j->each[i].documents ? "has no text" : "is empty");
        else if (look->zeros)
            ps_remark("%s has %" PRIu64 " zero byte%s; is it text, and in UTF-8?", name,
                      look->zeros, look->zeros == 1 ? "" : "s");
        else if (look->foreign)
            ps_remark("%s: byte %" PRIu64 " is no UTF-8; is it text in another encoding? "
                      "(iconv -f ENCODING -t UTF-8)",
                      name, look->at);
    }
}

/* What may be meant otherwise. */
static void remark_options(const job *j)
{
    const options *o = j->options;
    for (size_t i = 0; i < j->inputs->n && !o->key && !o->prompt && !o->binary; i++)
        if (ps_text_ends(j->inputs->at[i], ".jsonl") || ps_text_ends(j->inputs->at[i], ".jsonl.gz"))
            ps_remark("%s is taken as one text, JSON and all; --jsonl KEY takes that of each line",
                      j->inputs->at[i]);
    if (o->prompt && !j->ends && strcmp(ps_tokenizer_name(j->tokenizer), "bytes") != 0)
        ps_remark("without --end nothing is learnt of where a response ends");
    if (o->prompt && !o->template && o->tokenizer && ps_asked_has_own(o->tokenizer))
        ps_remark("%s has a chat template: what psctl chat is to answer is written by it with "
                  "--template own, not as here",
                  o->tokenizer);
}

static void report(const job *j, uint64_t file_bytes)
{
    remark_bytes(j);
    remark_options(j);
    if (j->client->json) {
        report_json(j, file_bytes);
        return;
    }
    char *shown = ps_shown(j->options->path);
    ps_buf_printf(&j->client->out, "%" PRIu64 " tokens of %s are in %s (%s)", j->all.tokens,
                  ps_human_bytes((double)j->all.bytes).text, shown,
                  ps_human_bytes((double)file_bytes).text);
    ps_free(&shown);
    if (j->all.tokens)
        ps_buf_printf(&j->client->out, "; %.2f bytes a token",
                      (double)j->all.bytes / (double)j->all.tokens);
    if (j->options->key || j->options->prompt)
        ps_buf_printf(&j->client->out, "; %" PRIu64 " documents", j->all.documents);
    if (j->options->prompt)
        ps_buf_printf(&j->client->out, ", %" PRIu64 " tokens of them to learn",
                      j->all.tokens - j->all.given);
    ps_buf_putc(&j->client->out, '\n');
}

/* --force would replace a text, or the tokenizer, by its tokens. */
static ps_status check_output(ps_client *client, const job *j)
{
    const options *o = j->options;
    const char *same = o->tokenizer && ps_target_same(o->path, o->tokenizer) ? o->tokenizer : NULL;
    for (size_t i = 0; !same && i < j->inputs->n; i++)
        same = ps_streams_same(o->path, j->inputs->at[i]) ? j->inputs->at[i] : NULL;
    return same ? ps_client_usage(client, "%s is an input and the output", same)
                : ps_streams_check_output(client, o->path);
}

static ps_status run(ps_client *client, const ps_args *args)
{
    job j = {.client = client, .options = args->options, .inputs = &args->operands};
    ps_status st = ps_tokenize_check(client, j.options);
    if (!st)
        st = check_output(client, &j);
    if (st)
        return st;
    j.shows = isatty(STDERR_FILENO);
    j.style = ps_style_for(STDERR_FILENO, client->globals.no_color);
    j.begun_ms = ps_clock_ms(&ps_clock_system);
    j.piece = ps_alloc(PIECE);
    j.each = ps_alloc_array(j.inputs->n, sizeof *j.each);
    hear_interrupts();
    st = prepare(&j);
    if (!st)
        st = read_inputs(&j);
    show(&j, true);
    uint64_t file_bytes = st ? 0 : ps_token_writer_bytes(j.writer);
    if (!st)
        st = ps_token_writer_finish(&j.writer);
    if (!st) {
        report(&j, file_bytes);
        ps_streams_report(client, j.options->path);
    }
    ps_token_writer_drop(&j.writer);
    ps_encoder_free(&j.encoder);
    ps_asked_free(&j.asked);
    ps_tokenizer_free(&j.tokenizer);
    ps_ids_free(&j.ids);
    ps_buf_free(&j.text);
    ps_screen_free(&j.screen);
    ps_free(&j.piece);
    ps_free(&j.each);
    return st;
}

const ps_command ps_command_tokenize = {
    .name = "tokenize",
    .operands = "INPUT ...",
    .help = "turn texts into a token file",
    .details =
        "Inputs are plain or gzip (.gz, .dz), - is standard input; they follow one another\n"
        "in the file, which a job's data of format tokens names. Archives, files compressed\n"
        "otherwise, UTF-16 and UTF-32 are refused. Of JSON Lines each line is a document: its\n"
        "text is at the key of --jsonl, or it is the two of --prompt and --response, of which\n"
        "only the response, and the token of --end behind it, is learnt in training. What is to\n"
        "answer in psctl chat is trained with --template. No server is needed.\n",
    .flags = ps_tokenize_flags,
    .options_size = sizeof(options),
    .least = 1,
    .most = 4096,
    .run = run,
};
