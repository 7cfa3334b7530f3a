/* What tokenize may be asked for, and what of it goes together. */
#include "client/call/support.h"
#include "client/commands/tokenize.h"

#include <string.h>

typedef ps_tokenize_options options;

const ps_flag ps_tokenize_flags[] = {
    {.name = "tokenizer",
     .type = PS_FLAG_TEXT,
     .offset = offsetof(options, tokenizer),
     .value = "bytes|PATH",
     .help = "bytes (default), tokenizer.json, vocab.txt, .model, GGUF, or a folder with one"},
    {.name = "to",
     .letter = 'o',
     .type = PS_FLAG_TEXT,
     .offset = offsetof(options, path),
     .value = "FILE",
     .help = "the token file to write; - is standard output"},
    {.name = "end",
     .type = PS_FLAG_TEXT,
     .offset = offsetof(options, end),
     .value = "TOKEN",
     .help = "put this added token behind each input, or line: '<|endoftext|>'"},
    {.name = "jsonl",
     .type = PS_FLAG_TEXT,
     .offset = offsetof(options, key),
     .value = "KEY",
     .help = "inputs are JSON Lines; each line's text is at this key (a.b: within a)"},
    {.name = "prompt",
     .type = PS_FLAG_TEXT,
     .offset = offsetof(options, prompt),
     .value = "KEY",
     .help = "inputs are JSON Lines; what is at this key is given, not learnt,"},
    {.name = "response",
     .type = PS_FLAG_TEXT,
     .offset = offsetof(options, response),
     .value = "KEY",
     .help = "and what is at this one follows it, and is learnt"},
    {.name = "template",
     .type = PS_FLAG_TEXT,
     .offset = offsetof(options, template),
     .value = "own|NAME",
     .help = "write prompts and ends as psctl chat does; own: by the folder's template"},
    {.name = "texts",
     .type = PS_FLAG_SWITCH,
     .offset = offsetof(options, texts),
     .help = "for models of texts (bert): each line's text with the tokens around it"},
    {.name = "pair",
     .type = PS_FLAG_TEXT,
     .offset = offsetof(options, pair),
     .value = "KEY",
     .help = "texts: the second text of each line is at this key"},
    {.name = "label",
     .type = PS_FLAG_TEXT,
     .offset = offsetof(options, label),
     .value = "KEY",
     .help = "texts: the class of each line is at this key: a number from 0, or"},
    {.name = "classes",
     .type = PS_FLAG_TEXT,
     .offset = offsetof(options, classes),
     .value = "A,B,...",
     .help = "a name, of those that the classes 0, 1 and so on have here"},
    {.name = "documents",
     .type = PS_FLAG_SWITCH,
     .offset = offsetof(options, documents),
     .help = "mark where each input, or line, begins"},
    {.name = "added",
     .type = PS_FLAG_SWITCH,
     .offset = offsetof(options, added),
     .help = "added tokens that stand in the text become their ids"},
    {.name = "no-special",
     .type = PS_FLAG_SWITCH,
     .offset = offsetof(options, no_special),
     .help = "put no special tokens around prompts, as psctl generate --no-special has them"},
    {.name = "binary",
     .type = PS_FLAG_SWITCH,
     .offset = offsetof(options, binary),
     .help = "take what is no text, archives too, byte by byte"},
    {.name = "force",
     .type = PS_FLAG_SWITCH,
     .offset = offsetof(options, force),
     .help = "overwrite a file that is there"},
    {.name = NULL},
};

bool ps_tokenize_is_texts(const options *o)
{
    return o->texts || o->pair || o->label;
}

static const char *after(const char *name)
{
    const char *end = name + strcspn(name, ",");
    return *end ? end + 1 : NULL;
}

/* Each of "noun,verb" is one, and another than those before. */
static ps_status check_classes(ps_client *client, const char *classes)
{
    unsigned number = 0;
    for (const char *name = classes; name; name = after(name)) {
        size_t len = strcspn(name, ",");
        number++;
        if (!len)
            return ps_client_usage(client, "--classes %s: name %u is empty", classes, number);
        for (const char *other = classes; other < name; other = after(other))
            if (strcspn(other, ",") == len && !memcmp(other, name, len))
                return ps_client_usage(client, "--classes %s: '%.*s' is there twice", classes,
                                       (int)len, name);
    }
    return PS_OK;
}

ps_status ps_tokenize_check(ps_client *client, const options *o)
{
    if (!o->path)
        return ps_client_usage(client, "--to (-o) is missing: the token file to write");
    if (!o->prompt != !o->response)
        return ps_client_usage(client, "--prompt and --response go together");
    if (o->template && !o->tokenizer)
        return ps_client_usage(client, "--template needs --tokenizer FOLDER, the model's");
    if (o->template && (!o->prompt || o->end))
        return ps_client_usage(client, "--template is for --prompt and --response, and brings the "
                                       "token that ends an answer: it goes without --end");
    if (o->no_special && (!o->prompt || o->template))
        return ps_client_usage(client, "--no-special is for --prompt and --response, and goes "
                                       "without --template");
    if (o->prompt && o->key)
        return ps_client_usage(client, "--jsonl names the one text of a line, --prompt and "
                                       "--response the two of it");
    if ((o->key && !*o->key) || (o->prompt && (!*o->prompt || !*o->response)))
        return ps_client_usage(client, "a key of JSON Lines is missing");
    if (ps_tokenize_is_texts(o) && (!o->key || o->end))
        return ps_client_usage(client,
                               "--texts, --pair and --label take lines of JSON, with --jsonl "
                               "KEY, and no --end");
    if ((o->pair && !*o->pair) || (o->label && !*o->label))
        return ps_client_usage(client, "a key of JSON Lines is missing");
    if (o->classes && !o->label)
        return ps_client_usage(client, "--classes says what the classes of --label are called");
    if (o->binary && (o->key || o->prompt))
        return ps_client_usage(client, "--binary is for other inputs than JSON Lines");
    return o->classes ? check_classes(client, o->classes) : PS_OK;
}
