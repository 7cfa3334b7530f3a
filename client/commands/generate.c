/* generate: a prompt becomes tokens, a generate job, and text on standard output as the worker says
 * it. Whoever interrupts it, or closes its output, ends the job. */
#include "client/call/client.h"
#include "client/call/prompt.h"
#include "client/call/support.h"
#include "client/commands/commands.h"
#include "client/follow/say.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

typedef struct options {
    const char *prompt;
    ps_say_how how;
    ps_prompt_how as;
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
     .offset = offsetof(options, how.tokens),
     .value = "N",
     .help = "say at most so many (default: 128)"},
    PS_SAY_FLAGS(options, "1", "0, all", "1"),
    PS_PROMPT_FLAGS(options, as),
    {.name = NULL},
};

static ps_status encode(ps_client *client, const options *o, const ps_speaker *speaker,
                        ps_ids *prompt)
{
    ps_buf text = PS_BUF_EMPTY;
    if (!o->prompt)
        return ps_client_usage(client, "--prompt is missing: the text to go on from");
    ps_status st = ps_say_text(client, "--prompt", o->prompt, &text);
    if (!st)
        st = ps_prompt_encode(speaker, ps_buf_slice(&text), &o->as, prompt);
    ps_buf_free(&text);
    return st;
}

static void report_json(const ps_say *say)
{
    ps_json_writer w = ps_json_begin(say->client);
    ps_json_object(&w);
    ps_say_json(say, &w);
    ps_json_object_end(&w);
    ps_json_finish(say->client);
}

/* The text's line ends before anything is said about it: both streams may be one terminal. */
static ps_status report_text(const ps_say *say)
{
    bool full = !strcmp(say->end.ended, "context");
    ps_buf_putc(&say->client->out, '\n');
    ps_status st = ps_output_flush(&say->client->out, STDOUT_FILENO);
    if (st)
        return st;
    if (!isatty(STDERR_FILENO)) {
        if (full)
            fprintf(stderr, "psctl: the text ends after %zu tokens: the model's context is full\n",
                    say->said.ids.n);
        return PS_OK;
    }
    fprintf(stderr, "%zu tokens, %.1f a second, the first after %.2f s%s\n", say->said.ids.n,
            ps_say_rate(say), say->end.load_seconds + say->end.prompt_seconds,
            full ? "; the model's context is full" : "");
    return PS_OK;
}

static ps_status say_it(ps_client *client, const ps_speaker *speaker, const ps_say_keys *keys,
                        const ps_ids *prompt)
{
    ps_ids stop = PS_IDS_EMPTY;
    uint32_t end;
    while (ps_speaker_mark(speaker, PS_TOKEN_EOS, stop.n, &end))
        ps_ids_add(&stop, end);
    ps_say say = {.client = client,
                  .speaker = speaker,
                  .job = "generate",
                  .keys = keys,
                  .prompt = prompt,
                  .stop = &stop};
    ps_status st = ps_say_run(&say);
    if (!st && client->json)
        report_json(&say);
    else if (!st)
        st = report_text(&say);
    ps_say_free(&say);
    ps_ids_free(&stop);
    return st;
}

static ps_status run(ps_client *client, const ps_args *args)
{
    const options *o = args->options;
    const char *name = args->operands.at[0];
    ps_say_keys keys = {0};
    ps_speaker speaker = {0};
    ps_ids prompt = PS_IDS_EMPTY;
    ps_status st = ps_check_model_name(name);
    if (!st)
        st = ps_say_read(client, &o->how, &keys);
    if (!st)
        st = ps_speaker_open(client, name, o->how.tokenizer, &speaker);
    if (!st)
        st = encode(client, o, &speaker, &prompt);
    if (!st)
        st = say_it(client, &speaker, &keys, &prompt);
    ps_buf_free(&keys.lines);
    ps_ids_free(&prompt);
    ps_speaker_free(&speaker);
    return st;
}

const ps_command ps_command_generate = {
    .name = "generate",
    .operands = "NAME",
    .help = "let a stored language model go on from a prompt",
    .details = "The text appears as a worker says it; Ctrl-C ends the job. The worker keeps the\n"
               "model, so the next prompt begins at once. Added tokens of the tokenizer such as\n"
               "<|endoftext|> may stand in the prompt. What is generated ends at the token that\n"
               "ends the model's texts, as its files say (psctl inspect), or after --tokens.\n",
    .flags = flags,
    .options_size = sizeof(options),
    .least = 1,
    .most = 1,
    .run = run,
};
