/* tokenize: what psctl tokenize is asked for. Private to client/commands/tokenize*.c. */
#ifndef PS_COMMANDS_TOKENIZE_H
#define PS_COMMANDS_TOKENIZE_H

#include "client/call/client.h"

typedef struct ps_tokenize_options {
    const char *tokenizer;
    const char *path;
    const char *end;
    const char *key;               /* of JSON Lines: the text; */
    const char *prompt, *response; /* or what is given, and what is to be learnt, */
    const char *template;          /* as psctl chat has it */
    const char *pair, *label, *classes;
    bool documents;
    bool texts; /* for models of texts */
    bool added;
    bool no_special;
    bool binary;
    bool force;
} ps_tokenize_options;

extern const ps_flag ps_tokenize_flags[];

/* Are they texts for models of texts? --pair and --label say so, too. */
bool ps_tokenize_is_texts(const ps_tokenize_options *options);
/* PS_INVALID_ARGUMENT: they do not go together. */
PS_MUST_CHECK ps_status ps_tokenize_check(ps_client *client, const ps_tokenize_options *options);

#endif
