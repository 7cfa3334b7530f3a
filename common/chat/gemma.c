/* gemma: turns between two tokens, the model is called so; the first has no system prompt, Gemma 3
 * takes it into the user's first message. */
#include "common/chat/rows.h"

static const ps_chat_pattern third[] = {
    {"{bos}", PS_CHAT_BOS},
    {"first_user_prefix={first}\n\n", PS_CHAT_SYSTEM},
    {"role=model", 0},
    {"<start_of_turn>{$role}\n{{$first_user_prefix} or }{content~}<end_of_turn>\n",
     PS_CHAT_USER | PS_CHAT_ANSWER},
    {"<start_of_turn>model\n", PS_CHAT_ASK},
    {NULL, 0},
};

static const ps_chat_pattern first[] = {
    {"{bos}", PS_CHAT_BOS},
    {"role=model", 0},
    {"<start_of_turn>{$role}\n{content~}<end_of_turn>\n", PS_CHAT_USER | PS_CHAT_ANSWER},
    {"<start_of_turn>model\n", PS_CHAT_ASK},
    {NULL, 0},
};

#define STYLE(lines_, place_, also)                                                       \
    {                                                                                     \
        .lines = (lines_), .needs = PS_CHAT_USER | PS_CHAT_ANSWER | PS_CHAT_ASK | (also), \
        .has = PS_CHAT_USER | PS_CHAT_ANSWER | PS_CHAT_BOS,                               \
        .user = {"<start_of_turn>user\n", "<end_of_turn>\n"},                             \
        .answer = {"<start_of_turn>model\n", "<end_of_turn>\n"}, .system = {"", "\n\n"},  \
        .place = (place_), .ask = "<start_of_turn>model\n"                                \
    }

static const ps_chat_variant variants[] = {STYLE(third, PS_CHAT_IN_FIRST, PS_CHAT_SYSTEM),
                                           STYLE(first, PS_CHAT_NOWHERE, 0)};

static const char *const tokens[] = {"<start_of_turn>", "<end_of_turn>", NULL};

const ps_chat_row ps_chat_row_gemma = {
    .name = "gemma",
    .end = "<end_of_turn>",
    .tokens = tokens,
    .needs_tokens = true,
    .variants = variants,
    .n = PS_CHAT_COUNT(variants),
};
