/* rows: what a row of a chat template is written with. For the files of common/chat alone.
 *
 * Texts have holes: {bos} and {eos} are the model's tokens, {date} a day. Lines are compared with
 * those of a reading (reading.h), where {content} is what a message says, {first} what the first
 * one does, {role} whose it is, {$x} a variable, and a name and "=" what one is set to. In them *
 * is any literal text, and ~ before a hole's end says that blanks around it may be taken away. */
#ifndef PS_CHAT_ROWS_H
#define PS_CHAT_ROWS_H

#include "common/chat/chat.h"
#include "common/chat/reading.h"

/* What a line of a published template tells of it. */
enum {
    PS_CHAT_USER = PS_CHAT_OF_USER, /* it writes what the user said; ~: without blanks around it */
    PS_CHAT_ANSWER = PS_CHAT_OF_MODEL,  /* what the model did */
    PS_CHAT_SYSTEM = PS_CHAT_OF_SYSTEM, /* the system prompt */
    PS_CHAT_ASK = 1 << 3,               /* the beginning of an answer */
    PS_CHAT_BOS = 1 << 4,               /* the text begins with {bos} */
    PS_CHAT_DEFAULT = 1 << 5,           /* *: the system prompt when none is given */
    PS_CHAT_DATE = 1 << 6,              /* *: the day that it always writes */
    PS_CHAT_TODAY = 1 << 7,             /* today's */
    PS_CHAT_THOUGHTS = 1 << 8, /* of an answer only what comes behind </think> is written */
    PS_CHAT_AT_FIRST = 1 << 9, /* under a condition on the first message */
    PS_CHAT_AT_LAST = 1 << 10, /* on the last one */
};

typedef struct ps_chat_pattern {
    const char *line; /* NULL ends the list */
    unsigned tells;
} ps_chat_pattern;

typedef enum ps_chat_place {
    PS_CHAT_OWN_TURN, /* of the system prompt */
    PS_CHAT_IN_FIRST, /* in the user's first message */
    PS_CHAT_IN_LAST,
    PS_CHAT_NOWHERE, /* it takes none */
} ps_chat_place;

typedef struct ps_chat_turn {
    const char *before, *after;
} ps_chat_turn;

/* A published template of the row's name; where there are several, the first is meant by it. */
typedef struct ps_chat_variant {
    const ps_chat_pattern *lines; /* each of a reading must be one of these */
    unsigned needs;               /* what they must tell together */
    unsigned has;                 /* what is so for who names the row */
    ps_chat_turn user, answer, system;
    ps_chat_place place;
    bool always;     /* the system's turn is written without a system prompt, too */
    bool trims_both; /* system prompt and message, where they are one, together */
    const char *ask;
} ps_chat_variant;

typedef struct ps_chat_row {
    const char *name;
    const char *end;           /* the token that ends a turn; NULL: the model's eos */
    const char *const *tokens; /* in its texts, each one token where the tokenizer has it; NULL ends
                                  the list */
    bool needs_tokens;         /* it must have them */
    const ps_chat_variant *variants;
    size_t n;
} ps_chat_row;

// clang-format off
#define PS_CHAT_ROWS(row) row(chatml) row(llama2) row(llama3) row(mistral) row(gemma) row(zephyr)
// clang-format on

#define PS_CHAT_DECLARE(name) extern const ps_chat_row ps_chat_row_##name;
PS_CHAT_ROWS(PS_CHAT_DECLARE)

struct ps_chat {
    const ps_chat_row *row;
    const ps_chat_variant *variant;
    unsigned tells;
    unsigned trims;       /* of PS_CHAT_USER, _ANSWER, _SYSTEM */
    char *default_system; /* NULL: none */
    char *date;           /* NULL: today */
};

#define PS_CHAT_COUNT(list) (sizeof(list) / sizeof *(list))

#endif
