/* llama2: instructions in brackets, the system prompt within the first (Llama 2 Chat). */
#include "common/chat/rows.h"

#define LINES(bos)                                                                            \
    {bos "[INST] {$content~} [/INST]", PS_CHAT_USER}, {" {$content~} {eos}", PS_CHAT_ANSWER}, \
        {"content=<<SYS>>\n{$system_message}\n<</SYS>>\n\n{content}", PS_CHAT_SYSTEM},        \
        {"content={content}", 0}, {"system_message={first}", 0},                              \
        {"system_message=*", PS_CHAT_DEFAULT}, {"<<SYS>>\n{$content!}\n<</SYS>>\n\n", 0},     \
    {                                                                                         \
        NULL, 0                                                                               \
    }

static const ps_chat_pattern each[] = {LINES("{bos}")};
static const ps_chat_pattern once[] = {{"{bos}", PS_CHAT_BOS}, LINES("")};

#define STYLE(lines_, bos, also)                                                                  \
    {                                                                                             \
        .lines = (lines_), .needs = PS_CHAT_USER | PS_CHAT_ANSWER | PS_CHAT_SYSTEM | (also),      \
        .user = {bos "[INST] ", " [/INST]"}, .answer = {" ", " {eos}"},                           \
        .system = {"<<SYS>>\n", "\n<</SYS>>\n\n"}, .place = PS_CHAT_IN_FIRST, .trims_both = true, \
        .ask = "", .has = PS_CHAT_USER | PS_CHAT_ANSWER                                           \
    }

static const ps_chat_variant variants[] = {STYLE(each, "{bos}", 0), STYLE(once, "", PS_CHAT_BOS)};

static const char *const tokens[] = {"<<SYS>>", "<</SYS>>", "[INST]", "[/INST]", NULL};

const ps_chat_row ps_chat_row_llama2 = {
    .name = "llama2",
    .tokens = tokens,
    .variants = variants,
    .n = PS_CHAT_COUNT(variants),
};
