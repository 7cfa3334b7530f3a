/* say: one generate job from its prompt to its end: submitted, followed, and its text on standard
 * output as it comes. Whoever interrupts it, or closes its output, ends the job. One thread (not
 * asserted: psctl has no other). */
#ifndef PS_FOLLOW_SAY_H
#define PS_FOLLOW_SAY_H

#include "client/call/speaker.h"
#include "client/follow/generation.h"

/* How, as flags have it; NULL: not given. */
typedef struct ps_say_how {
    const char *tokens, *temperature, *top_k, *top_p, *seed, *cache, *weights, *tokenizer;
} ps_say_how;

/* The flags of a command whose struct of options has a ps_say_how `how`. */
#define PS_SAY_TEXT(options, name_, member, value_, help_)                                         \
    {                                                                                              \
        .name = name_, .letter = 0, .type = PS_FLAG_TEXT, .offset = offsetof(options, how.member), \
        .value = value_, .help = help_                                                             \
    }
/* temperature_, k_, p_: what stands in their help for the defaults. */
#define PS_SAY_FLAGS(options, temperature_, k_, p_)                                               \
    PS_SAY_TEXT(                                                                                  \
        options, "temperature", temperature, "T",                                                 \
        "below 1 keeps to what is likely; 0: the likeliest token, always (default: " temperature_ \
        ")"),                                                                                     \
        PS_SAY_TEXT(options, "top-k", top_k, "K",                                                 \
                    "draw from the K likeliest tokens (default: " k_ ")"),                        \
        PS_SAY_TEXT(options, "top-p", top_p, "P",                                                 \
                    "draw from the likeliest that make up this share (default: " p_ ")"),         \
        PS_SAY_TEXT(options, "seed", seed, "S",                                                   \
                    "the same seed says the same (default: another each time)"),                  \
        PS_SAY_TEXT(                                                                              \
            options, "cache", cache, "TYPE",                                                      \
            "keep keys and values as float32, bf16 or int8 (default: usual, by the model)"),      \
        PS_SAY_TEXT(options, "weights", weights, "stored|bf16",                                   \
                    "bf16: float32 matrices are held in half of the memory, and read twice as "   \
                    "fast"),                                                                      \
        PS_SAY_TEXT(                                                                              \
            options, "tokenizer", tokenizer, "bytes|PATH",                                        \
            "instead of the model's: tokenizer.json, vocab.txt, .model, GGUF, or a folder")

/* The keys that the flags give, checked as the job file's are, so that what is wrong is said of the
 * flag; and which seed it is. */
typedef struct ps_say_keys {
    ps_buf lines; /* the caller's: ps_buf_free */
    uint64_t seed;
} ps_say_keys;

PS_MUST_CHECK ps_status ps_say_read(ps_client *client, const ps_say_how *how, ps_say_keys *out);

/* A text that a flag gives: TEXT, @FILE, @- for standard input, @@… for one that begins with @.
 * flag: "--prompt". PS_INVALID_ARGUMENT: more than a MiB. */
PS_MUST_CHECK ps_status ps_say_text(ps_client *client, const char *flag, const char *value,
                                    ps_buf *out);

typedef struct ps_say {
    ps_client *client;
    const ps_speaker *speaker;
    const char *job; /* the job is named so, and by the model */
    const ps_say_keys *keys;
    const ps_ids *prompt, *stop;
    /* what came of it */
    uint64_t job_id;
    ps_generation said;
    ps_buf text; /* all of it */
    ps_generation_end end;
    bool terminal, unwritten;
} ps_say;

/* PS_CANCELLED, and client->interrupted: somebody interrupted it; `said` and `text` have what came.
 * With --output json nothing is written. Free it in any case. */
PS_MUST_CHECK ps_status ps_say_run(ps_say *say);
void ps_say_free(ps_say *say);
double ps_say_rate(const ps_say *say); /* tokens a second, after the first; 0: not known */
/* The members that each command's answer has in JSON. */
void ps_say_json(const ps_say *say, ps_json_writer *w);

#endif
