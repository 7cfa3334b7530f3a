/* llama3: each turn under a header with its role (Llama 3; from 3.1 on the system's always stands
 * there, with two dates). */
#include "common/chat/rows.h"

#define HEADER(role) "<|start_header_id|>" role "<|end_header_id|>\n\n"
#define DATES        "Cutting Knowledge Date: December 2023\nToday Date: "

static const ps_chat_pattern plain[] = {
    {"content=" HEADER("{role}") "{content~}<|eot_id|>",
     PS_CHAT_USER | PS_CHAT_ANSWER | PS_CHAT_SYSTEM},
    {HEADER("{role}") "{content~}<|eot_id|>", PS_CHAT_USER | PS_CHAT_ANSWER | PS_CHAT_SYSTEM},
    {"content={bos}{$content}", PS_CHAT_BOS},
    {"{$content}", 0},
    {"{bos}", PS_CHAT_BOS},
    {HEADER("assistant"), PS_CHAT_ASK},
    {NULL, 0},
};

static const ps_chat_pattern dated[] = {
    {"{bos}" HEADER("system") DATES "{$date_string}\n\n{$system_message}<|eot_id|>", PS_CHAT_BOS},
    {HEADER("system") DATES "{$date_string}\n\n{$system_message}<|eot_id|>", 0},
    {"{bos}", PS_CHAT_BOS},
    {"date_string=*", PS_CHAT_DATE},
    {"date_string={now %d %b %Y}", PS_CHAT_TODAY},
    {"system_message={first~}", PS_CHAT_SYSTEM},
    {HEADER("{role}") "{content~}<|eot_id|>", PS_CHAT_USER | PS_CHAT_ANSWER},
    {HEADER("assistant"), PS_CHAT_ASK},
    {NULL, 0},
};

static const ps_chat_variant variants[] = {
    {
        .lines = plain,
        .needs = PS_CHAT_USER | PS_CHAT_ANSWER | PS_CHAT_BOS | PS_CHAT_ASK,
        .has = PS_CHAT_USER | PS_CHAT_ANSWER | PS_CHAT_SYSTEM | PS_CHAT_BOS,
        .user = {HEADER("user"), "<|eot_id|>"},
        .answer = {HEADER("assistant"), "<|eot_id|>"},
        .system = {HEADER("system"), "<|eot_id|>"},
        .ask = HEADER("assistant"),
    },
    {
        .lines = dated,
        .needs = PS_CHAT_USER | PS_CHAT_ANSWER | PS_CHAT_SYSTEM | PS_CHAT_BOS | PS_CHAT_ASK,
        .user = {HEADER("user"), "<|eot_id|>"},
        .answer = {HEADER("assistant"), "<|eot_id|>"},
        .system = {HEADER("system") DATES "{date}\n\n", "<|eot_id|>"},
        .always = true,
        .ask = HEADER("assistant"),
    },
};

static const char *const tokens[] = {"<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>",
                                     NULL};

const ps_chat_row ps_chat_row_llama3 = {
    .name = "llama3",
    .end = "<|eot_id|>",
    .tokens = tokens,
    .needs_tokens = true,
    .variants = variants,
    .n = PS_CHAT_COUNT(variants),
};
