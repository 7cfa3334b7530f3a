/* chat: a conversation with a stored language model, in its own chat template: one question and its
 * answer, or as many as somebody types. On a terminal an interrupt ends the answer, and the end of
 * the input the conversation. */
#include "client/call/speaker.h"
#include "client/call/support.h"
#include "client/commands/commands.h"
#include "client/follow/conversation.h"
#include "common/base/mem.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MOST "1024" /* tokens of an answer */
/* What others draw answers with, too: a small model loses itself among all that is possible. */
#define TEMPERATURE "0.8"
#define TOP_K       "40"
#define TOP_P       "0.95"

typedef struct options {
    const char *message, *system, *template;
    ps_say_how how;
    bool allow_special;
} options;

static const ps_flag flags[] = {
    {.name = "message",
     .letter = 'm',
     .type = PS_FLAG_TEXT,
     .offset = offsetof(options, message),
     .value = "TEXT|@FILE",
     .help = "ask this and end; @- is standard input, and @@ a text that begins with @"},
    {.name = "system",
     .type = PS_FLAG_TEXT,
     .offset = offsetof(options, system),
     .value = "TEXT|@FILE",
     .help = "the system prompt, instead of the one that the template brings"},
    {.name = "template",
     .type = PS_FLAG_TEXT,
     .offset = offsetof(options, template),
     .value = "NAME",
     .help = "instead of the model's: chatml, llama2, llama3, mistral, gemma or zephyr"},
    {.name = "tokens",
     .letter = 'n',
     .type = PS_FLAG_TEXT,
     .offset = offsetof(options, how.tokens),
     .value = "N",
     .help = "answer with at most so many (default: " MOST ")"},
    PS_SAY_FLAGS(options, TEMPERATURE, TOP_K, TOP_P),
    {.name = "allow-special",
     .type = PS_FLAG_SWITCH,
     .offset = offsetof(options, allow_special),
     .help = "added tokens that stand in what is said are tokens, not text"},
    {.name = NULL},
};

static const char commands_help[] =
    "/exit           end (so does Ctrl-D); Ctrl-C ends an answer\n"
    "/reset          begin anew, with the same system prompt\n"
    "/system TEXT    another system prompt, from the next question on; alone: show it\n"
    "//TEXT          a question that begins with a slash\n"
    "A backslash at the end of a line: the question goes on in the next.\n";

/* ---- one question ---- */

static ps_status end_line(ps_client *client)
{
    if (client->json)
        return PS_OK;
    ps_buf_putc(&client->out, '\n');
    return ps_output_flush(&client->out, STDOUT_FILENO);
}

/* What a person may not see from the text: that the model would have gone on. */
static void say_why_ended(const ps_say *say)
{
    if (!strcmp(say->end.ended, "length"))
        ps_remark("the answer was cut after %zu tokens (--tokens)", say->said.ids.n);
    else if (!strcmp(say->end.ended, "context"))
        ps_remark("the answer was cut after %zu tokens: the model's context is full",
                  say->said.ids.n);
}

static void report_json(const ps_conversation *c, const ps_say *say)
{
    ps_json_writer w = ps_json_begin(c->client);
    ps_json_object(&w);
    ps_json_put_string(&w, "template", ps_chat_name(c->chat));
    ps_say_json(say, &w);
    ps_json_object_end(&w);
    ps_json_finish(c->client);
}

static ps_status ask(ps_conversation *c, const char *text)
{
    ps_say say;
    ps_status st = ps_conversation_ask(c, text, &say);
    if (!st)
        st = end_line(c->client);
    if (!st)
        say_why_ended(&say);
    if (!st && c->client->json)
        report_json(c, &say);
    ps_say_free(&say);
    return st;
}

/* ---- many ---- */

static void interrupt_cb(int number)
{
    (void)number; /* read() returns, which is enough */
}

/* One line of the terminal, without its end. PS_END: no more. An interrupt empties the line. */
static ps_status read_line(const char *prompt, ps_buf *out)
{
    const struct sigaction interrupt = {.sa_handler = interrupt_cb};
    struct sigaction before;
    char *line = NULL;
    size_t capacity = 0;
    ssize_t n;
    (void)sigaction(SIGINT, &interrupt, &before);
    for (;;) {
        fputs(prompt, stderr);
        errno = 0;
        n = getline(&line, &capacity, stdin);
        if (n >= 0 || errno != EINTR)
            break;
        clearerr(stdin);
        fputs("\n(Ctrl-D or /exit ends the conversation)\n", stderr);
    }
    (void)sigaction(SIGINT, &before, NULL);
    if (n > 0 && line[n - 1] == '\n')
        n--;
    if (n >= 0)
        ps_buf_append(out, line, (size_t)n);
    free(line); /* getline's */
    return n < 0 ? PS_END : PS_OK;
}

/* A line, and those that it goes on in. */
static ps_status read_question(ps_buf *out)
{
    ps_buf_clear(out);
    ps_status st = read_line("> ", out);
    while (!st && out->len && out->data[out->len - 1] == '\\') {
        out->data[out->len - 1] = '\n';
        st = read_line(". ", out);
    }
    return st;
}

static ps_status set_system(ps_conversation *c, const char *text)
{
    if (*text)
        return ps_conversation_system(c, text);
    const char *system = c->system ? c->system : ps_chat_default_system(c->chat);
    char *shown = system ? ps_shown(system) : NULL;
    fprintf(stderr, "%s\n", shown ? shown : "(no system prompt)");
    ps_free(&shown);
    return PS_OK;
}

/* PS_END: the conversation is over. */
static ps_status command(ps_conversation *c, const char *line)
{
    size_t len = strcspn(line, " \t");
    const char *rest = line + len + strspn(line + len, " \t");
    ps_slice word = ps_slice_of(line, len);
    if (ps_slice_is(word, "/exit") || ps_slice_is(word, "/quit"))
        return PS_END;
    if (ps_slice_is(word, "/reset"))
        ps_conversation_reset(c);
    else if (ps_slice_is(word, "/system"))
        return set_system(c, rest);
    else if (ps_slice_is(word, "/help"))
        fputs(commands_help, stderr);
    else
        return ps_fail(PS_INVALID_ARGUMENT, "%.*s is no command; /help lists them", (int)len, line);
    return PS_OK;
}

/* Whether the conversation goes on after this; what was wrong with the question is said. */
static ps_status survive(ps_client *client, ps_status st)
{
    bool stopped = client->interrupted && client->interrupted_by == SIGINT;
    if (st == PS_INVALID_ARGUMENT) {
        ps_remark("%s", ps_error_message());
        return PS_OK;
    }
    if (!stopped)
        return st;
    client->interrupted = false;
    return end_line(client);
}

static ps_status talk(ps_conversation *c)
{
    ps_buf line = PS_BUF_EMPTY;
    ps_status st = PS_OK;
    fprintf(stderr, "%s, %s, a context of %" PRId64 " tokens; /help\n", c->speaker->name,
            ps_chat_name(c->chat), c->speaker->context_length);
    while (!st) {
        st = read_question(&line);
        if (st)
            break;
        const char *text = ps_buf_cstr(&line);
        if (!*text || text[strspn(text, " \t\n")] == 0)
            continue;
        if (*text == '/' && text[1] != '/')
            st = survive(c->client, command(c, text));
        else
            st = survive(c->client, ask(c, text + (*text == '/')));
    }
    ps_buf_free(&line);
    if (st == PS_END && !c->client->json)
        fputs("\n", stderr);
    return st == PS_END ? PS_OK : st;
}

/* ---- the whole ---- */

/* A text of standard input ends with a line's end that nobody means. */
static ps_status one_question(ps_conversation *c, const char *given)
{
    ps_buf text = PS_BUF_EMPTY;
    ps_status st = ps_say_text(c->client, "--message", given ? given : "@-", &text);
    if (!st && !given && text.len && text.data[text.len - 1] == '\n')
        text.len--;
    if (!st && !text.len)
        st = ps_fail(PS_INVALID_ARGUMENT, "%s; --message TEXT asks a question",
                     given ? "the message is empty" : "there is nothing on standard input");
    if (!st && memchr(text.data, 0, text.len))
        st = ps_fail(PS_INVALID_ARGUMENT, "the message has a zero byte");
    if (!st)
        st = ask(c, ps_buf_cstr(&text));
    ps_buf_free(&text);
    return st;
}

static ps_status begin(ps_conversation *c, const options *o)
{
    ps_buf system = PS_BUF_EMPTY;
    ps_status st = PS_OK;
    c->special = o->allow_special;
    c->most = strtoll(o->how.tokens ? o->how.tokens : MOST, NULL, 10); /* checked as the flag */
    if (o->system)
        st = ps_say_text(c->client, "--system", o->system, &system);
    if (!st && o->system)
        st = ps_conversation_system(c, ps_buf_cstr(&system));
    ps_buf_free(&system);
    if (!st && (o->message || !isatty(STDIN_FILENO)))
        return one_question(c, o->message);
    if (!st && c->client->json)
        return ps_client_usage(c->client, "--output json needs a question: --message TEXT");
    return st ? st : talk(c);
}

static void take_defaults(ps_say_how *how)
{
    how->tokens = how->tokens ? how->tokens : MOST;
    how->temperature = how->temperature ? how->temperature : TEMPERATURE;
    how->top_k = how->top_k ? how->top_k : TOP_K;
    how->top_p = how->top_p ? how->top_p : TOP_P;
}

static ps_status run(ps_client *client, const ps_args *args)
{
    const options *o = args->options;
    const char *name = args->operands.at[0];
    ps_say_how how = o->how;
    ps_say_keys keys = {0};
    ps_speaker speaker = {0};
    ps_conversation conversation = {0};
    take_defaults(&how);
    ps_status st = ps_check_model_name(name);
    if (!st)
        st = ps_say_read(client, &how, &keys);
    if (!st)
        st = ps_speaker_open(client, name, how.tokenizer, &speaker);
    if (!st)
        st = ps_conversation_open(client, &speaker, &keys, o->template, &conversation);
    if (!st)
        st = begin(&conversation, o);
    ps_conversation_free(&conversation);
    ps_speaker_free(&speaker);
    ps_buf_free(&keys.lines);
    return st;
}

const ps_command ps_command_chat = {
    .name = "chat",
    .operands = "NAME",
    .help = "have a conversation with a stored language model",
    .details = "What is said goes to the model in its own chat template, if psctl knows it. On a\n"
               "terminal: a question a line; /help lists what else can be typed, Ctrl-C ends an\n"
               "answer, Ctrl-D the conversation. Otherwise standard input is the question.\n",
    .flags = flags,
    .options_size = sizeof(options),
    .least = 1,
    .most = 1,
    .run = run,
};
