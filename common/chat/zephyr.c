/* zephyr: a line with whose turn it is, and the model's eos after each (Zephyr, TinyLlama). */
#include "common/chat/rows.h"

static const ps_chat_pattern lines[] = {
    {"<|user|>\n{content~}{eos}\n", PS_CHAT_USER},
    {"<|system|>\n{content~}{eos}\n", PS_CHAT_SYSTEM},
    {"<|assistant|>\n{content~}{eos}\n", PS_CHAT_ANSWER},
    {"<|assistant|>\n", PS_CHAT_ASK},
    {NULL, 0},
};

static const ps_chat_variant variants[] = {{
    .lines = lines,
    .needs = PS_CHAT_USER | PS_CHAT_ANSWER | PS_CHAT_SYSTEM | PS_CHAT_ASK,
    .user = {"<|user|>\n", "{eos}\n"},
    .answer = {"<|assistant|>\n", "{eos}\n"},
    .system = {"<|system|>\n", "{eos}\n"},
    .ask = "<|assistant|>\n",
}};

static const char *const tokens[] = {"<|user|>", "<|system|>", "<|assistant|>", NULL};

const ps_chat_row ps_chat_row_zephyr = {
    .name = "zephyr",
    .tokens = tokens,
    .variants = variants,
    .n = PS_CHAT_COUNT(variants),
};
