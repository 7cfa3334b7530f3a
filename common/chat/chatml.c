/* chatml: each turn between two tokens (OpenAI's Chat Markup Language; SmolLM2, Qwen, Hermes). */
#include "common/chat/rows.h"

/* Qwen3's writes what a model thinks only behind the last question, where no answer stands here. */
static const ps_chat_pattern lines[] = {
    {"<|im_start|>{role}\n{content~}<|im_end|>\n", PS_CHAT_USER | PS_CHAT_ANSWER | PS_CHAT_SYSTEM},
    {"<|im_start|>{role}\n{content~}", PS_CHAT_USER | PS_CHAT_ANSWER | PS_CHAT_SYSTEM},
    {"<|im_end|>\n", 0},
    {"<|im_start|>user\n{content~}<|im_end|>\n", PS_CHAT_USER},
    {"<|im_start|>assistant\n{content~}<|im_end|>\n", PS_CHAT_ANSWER},
    {"<|im_start|>system\n{content~}<|im_end|>\n", PS_CHAT_SYSTEM},
    {"<|im_start|>system\n{first~}<|im_end|>\n", PS_CHAT_SYSTEM},
    {"<|im_start|>system\n*<|im_end|>\n", PS_CHAT_DEFAULT},
    {"<|im_start|>assistant\n", PS_CHAT_ASK},
    {"{bos}", PS_CHAT_BOS},
    {"content={content}", 0},
    {"<|im_start|>{role}\n{$content}", PS_CHAT_ANSWER | PS_CHAT_THOUGHTS},
    {"<|im_start|>{role}\n<think>\n{...}\n</think>\n\n{...}", 0},
    {NULL, 0},
};

static const ps_chat_variant variants[] = {{
    .lines = lines,
    .needs = PS_CHAT_USER | PS_CHAT_ANSWER | PS_CHAT_ASK,
    .user = {"<|im_start|>user\n", "<|im_end|>\n"},
    .answer = {"<|im_start|>assistant\n", "<|im_end|>\n"},
    .system = {"<|im_start|>system\n", "<|im_end|>\n"},
    .ask = "<|im_start|>assistant\n",
}};

static const char *const tokens[] = {"<|im_start|>", "<|im_end|>", NULL};

const ps_chat_row ps_chat_row_chatml = {
    .name = "chatml",
    .end = "<|im_end|>",
    .tokens = tokens,
    .needs_tokens = true,
    .variants = variants,
    .n = PS_CHAT_COUNT(variants),
};
