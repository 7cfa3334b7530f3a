/* chat: how a conversation is written for a model that was trained to have them: a table of the
 * published templates by name (rows.h; a file each), and which of them a model's own template is,
 * which is read, and never run.
 *
 * What a template writes is kept apart from what people say: its tokens are known by their place,
 * so that the text of users cannot become one. A ps_chat is read-only once made; any thread. */
#ifndef PS_CHAT_CHAT_H
#define PS_CHAT_CHAT_H

#include "common/base/buf.h"
#include "common/base/status.h"
#include "common/tokenizer/tokenizer.h"

typedef struct ps_chat ps_chat;

/* The published template of that name. PS_INVALID_ARGUMENT: there is none; the message lists them.
 */
PS_MUST_CHECK ps_status ps_chat_named(const char *name, ps_chat **out);
/* The one that a model's template in Jinja (hostile) is. PS_INVALID_ARGUMENT: none of them, and
 * what in it is unknown. */
PS_MUST_CHECK ps_status ps_chat_read(ps_slice text, ps_chat **out);
void ps_chat_free(ps_chat **chat);

typedef struct ps_chat_names {
    char text[128];
} ps_chat_names;
ps_chat_names ps_chat_list(void); /* "chatml, llama2, …" */

const char *ps_chat_name(const ps_chat *chat);
/* The token that ends a turn, besides the model's own; NULL: none. */
const char *ps_chat_end(const ps_chat *chat);
/* The system prompt that it brings; NULL: none. */
const char *ps_chat_default_system(const ps_chat *chat);

/* ---- a conversation ---- */

typedef enum ps_chat_role {
    PS_CHAT_ROLE_SYSTEM,
    PS_CHAT_ROLE_USER,
    PS_CHAT_ROLE_ANSWER
} ps_chat_role;

typedef struct ps_chat_message {
    ps_chat_role role;
    ps_slice text;
} ps_chat_message;

/* The tokens that begin and end the model's texts. */
typedef struct ps_chat_ends {
    const char *bos, *eos; /* their texts; NULL: the model has none, and nothing is written */
    uint32_t bos_id, eos_id;
} ps_chat_ends;

/* What a template writes: its text, and where in it its tokens are. */
typedef struct ps_chat_mark {
    size_t at, len;
    bool known; /* by this id, of ps_chat_ends; otherwise the text is that of an added token */
    uint32_t id;
} ps_chat_mark;

typedef struct ps_chat_text {
    ps_buf text;
    ps_chat_mark *marks;
    size_t n, capacity;
} ps_chat_text;

typedef struct ps_chat_day {
    char text[32];
} ps_chat_day;
ps_chat_day ps_chat_today(void); /* "02 Dec 2026", of the local clock; "": it has none */

/* messages: perhaps one of the system's, then the user's and the model's by turns, the user's last.
 * today: as ps_chat_today has it, for templates that write the day. PS_INVALID_ARGUMENT: the
 * template takes no system prompt. *out is the caller's: ps_chat_text_free, in any case. */
PS_MUST_CHECK ps_status ps_chat_write(const ps_chat *chat, const ps_chat_ends *ends,
                                      const char *today, const ps_chat_message *messages, size_t n,
                                      ps_chat_text *out);
void ps_chat_text_free(ps_chat_text *text);

/* PS_INVALID_ARGUMENT: a token without which the template means nothing is none of the tokenizer's.
 */
PS_MUST_CHECK ps_status ps_chat_check_tokens(const ps_chat *chat, const ps_tokenizer *tokenizer);
/* Appends the ids: marks are tokens where the tokenizer has them, all else is text. special: what
 * people said may hold tokens, too. Fails as ps_encoder_feed does. */
PS_MUST_CHECK ps_status ps_chat_encode(const ps_chat_text *text, const ps_tokenizer *tokenizer,
                                       bool special, ps_ids *out);

#endif
