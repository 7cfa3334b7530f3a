/* A chat template out of any bytes: refused with a reason, or one that writes a conversation. */
#include "common/chat/chat.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const ps_chat_message messages[] = {{PS_CHAT_ROLE_USER, ps_slice_str(" a ")},
                                        {PS_CHAT_ROLE_ANSWER, ps_slice_str("b</think>\n")},
                                        {PS_CHAT_ROLE_USER, ps_slice_str("")}};
    const ps_chat_ends ends = {"<s>", "</s>", 1, 2};
    ps_chat *chat = NULL;
    ps_chat_text text;
    if (ps_chat_read(ps_slice_of(data, size), &chat) != PS_OK)
        return 0;
    if (ps_chat_write(chat, &ends, "02 Dec 2026", messages, 3, &text) != PS_OK || !text.text.len)
        abort();
    for (size_t i = 0; i < text.n; i++)
        if (text.marks[i].at + text.marks[i].len > text.text.len)
            abort();
    ps_chat_text_free(&text);
    ps_chat_free(&chat);
    return 0;
}
