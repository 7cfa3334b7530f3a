/* mistral: instructions in brackets, where each generation of Mistral's tokenizers has its own
 * blanks; the system prompt stands in the first or the last message, or has no place. */
#include "common/chat/rows.h"

/* open, close: around what the user says; before, after: around what the model does. */
#define LINES(name, open, close, before, after, where)                           \
    static const ps_chat_pattern name[] = {                                      \
        {"{bos}", PS_CHAT_BOS},                                                  \
        {"system_message={first}", 0},                                           \
        {open "{content}" close, PS_CHAT_USER},                                  \
        {open "{$system_message}\n\n{content}" close, PS_CHAT_SYSTEM | (where)}, \
        {before "{content~}" after, PS_CHAT_ANSWER},                             \
        {NULL, 0},                                                               \
    }

LINES(third, "[INST] ", "[/INST]", " ", "{eos}", PS_CHAT_AT_LAST);
LINES(second, " [INST] ", " [/INST]", " ", "{eos}", PS_CHAT_AT_FIRST);
LINES(tekken, "[INST]", "[/INST]", "", "{eos}", PS_CHAT_AT_LAST);
LINES(first, "[INST] ", " [/INST]", "", "{eos}", PS_CHAT_AT_LAST);
LINES(oldest, "[INST] ", " [/INST]", "", "{eos} ", PS_CHAT_AT_LAST);

#define STYLE(name, open, close, before, end, place_, also)                             \
    {                                                                                   \
        .lines = (name), .needs = PS_CHAT_BOS | PS_CHAT_USER | PS_CHAT_ANSWER | (also), \
        .has = PS_CHAT_BOS, .user = {open, close}, .answer = {before, end},             \
        .system = {"", "\n\n"}, .place = (place_), .ask = ""                            \
    }

/* What has a system prompt comes first: of what has none only the rest is asked. */
static const ps_chat_variant variants[] = {
    STYLE(third, "[INST] ", "[/INST]", " ", "{eos}", PS_CHAT_IN_LAST, PS_CHAT_SYSTEM),
    STYLE(third, "[INST] ", "[/INST]", " ", "{eos}", PS_CHAT_NOWHERE, 0),
    STYLE(second, " [INST] ", " [/INST]", " ", "{eos}", PS_CHAT_IN_FIRST, PS_CHAT_SYSTEM),
    STYLE(tekken, "[INST]", "[/INST]", "", "{eos}", PS_CHAT_IN_LAST, PS_CHAT_SYSTEM),
    STYLE(first, "[INST] ", " [/INST]", "", "{eos}", PS_CHAT_NOWHERE, 0),
    STYLE(oldest, "[INST] ", " [/INST]", "", "{eos} ", PS_CHAT_NOWHERE, 0),
};

static const char *const tokens[] = {"[INST]", "[/INST]", NULL};

const ps_chat_row ps_chat_row_mistral = {
    .name = "mistral",
    .tokens = tokens,
    .variants = variants,
    .n = PS_CHAT_COUNT(variants),
};
