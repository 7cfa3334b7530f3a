/* tokenizer: text to numbers and back: bytes (256 ids, one a byte), or what the tokenizer.json of
 * Hugging Face composes: a normalizer, a pre-tokenizer, a model (BPE, Unigram, WordPiece or
 * WordLevel), a post-processor and a decoder, each a row of its table (step.h, post.c, models.c);
 * or vocab.json and merges.txt (byte-level BPE; Sennrich et al. 2016, Radford et al. 2019), or
 * vocab.txt (WordPiece as of BERT; Devlin et al. 2018).
 *
 * Texts are encoded as the `tokenizers` library does it with add_special_tokens=False; bytes that
 * are no UTF-8, which that library cannot be given, count as symbols. Byte-level ones take any
 * bytes, and decoding gives the same bytes again. A text may come in pieces of any size: the ids
 * are the same. With GPT-2's pattern a run without a boundary is cut after PS_TOKENIZER_MAX_PIECE
 * bytes; with all others a longer text is cut into blocks of at most so many, before a space
 * between two words where there is one.
 *
 * A tokenizer is read-only once made and may be shared by threads; encoders and decoders belong to
 * one thread each (not asserted: they are their maker's alone). */
#ifndef PS_TOKENIZER_TOKENIZER_H
#define PS_TOKENIZER_TOKENIZER_H

#include "common/base/buf.h"
#include "common/base/disk.h"
#include "common/base/slice.h"
#include "common/base/status.h"

#include <stdint.h>

/* Files are hostile; beyond these they are refused. */
enum {
    PS_TOKENIZER_MAX_FILE = 64 << 20,
    PS_TOKENIZER_MAX_VOCAB = 1 << 20,
    PS_TOKENIZER_MAX_MERGES = 1 << 21,
    PS_TOKENIZER_MAX_TOKEN = 4096, /* bytes of one token's text in the file */
    PS_TOKENIZER_MAX_ADDED = 16384,
    PS_TOKENIZER_MAX_PIECE = 256 * 1024,
};

typedef struct ps_tokenizer ps_tokenizer;

/* What a folder may have, for messages; the first that is there is read. */
#define PS_TOKENIZER_FILES \
    "tokenizer.json, vocab.json and merges.txt, tokenizer.model, spiece.model or vocab.txt"

/* "bytes", the path of a tokenizer.json, of a tokenizer.model of SentencePiece (any name that ends
 * with .model) or of a vocab.txt of BERT (any that ends so), alone; or of a folder with
 * PS_TOKENIZER_FILES. disk: where the files are; NULL: the system's. PS_NOT_FOUND;
 * PS_INVALID_ARGUMENT: what in the file is not supported or wrong. */
PS_MUST_CHECK ps_status ps_tokenizer_open(const ps_disk *disk, const char *source,
                                          ps_tokenizer **out);
/* From the text of a tokenizer.json; bytes are hostile. */
PS_MUST_CHECK ps_status ps_tokenizer_from_json(ps_slice json, ps_tokenizer **out);
/* From the texts of vocab.json and merges.txt. "<|endoftext|>" is special when it is there. */
PS_MUST_CHECK ps_status ps_tokenizer_from_vocab(ps_slice vocab, ps_slice merges,
                                                ps_tokenizer **out);
ps_tokenizer *ps_tokenizer_bytes(void);
void ps_tokenizer_free(ps_tokenizer **tokenizer);

/* "bytes"; "gpt2": byte-level BPE with GPT-2's pattern; "bpe", "unigram", "wordpiece",
 * "wordlevel" */
const char *ps_tokenizer_name(const ps_tokenizer *tokenizer);
uint32_t ps_tokenizer_vocab_size(const ps_tokenizer *tokenizer); /* ids are below it */
/* Of name, steps, tokens and merges: tells two tokenizers apart (by accident only, not against
 * malice). */
uint64_t ps_tokenizer_hash(const ps_tokenizer *tokenizer);
/* The id of an added token such as "<|endoftext|>". */
bool ps_tokenizer_added(const ps_tokenizer *tokenizer, const char *text, uint32_t *id);
/* Appends the texts of its added tokens, "<s>, </s>", at most eight of them, those that are control
 * first, and how many more there are; nothing when it has none. */
void ps_tokenizer_added_list(const ps_tokenizer *tokenizer, ps_buf *out);
/* Appends the bytes that the id stands for; nothing when the id has no token. */
void ps_tokenizer_token(const ps_tokenizer *tokenizer, uint32_t id, ps_buf *out);

/* ---- what goes into other files ---- */

typedef enum ps_token_kind {
    PS_TOKEN_NORMAL,
    PS_TOKEN_ADDED,   /* its text stands for itself */
    PS_TOKEN_SPECIAL, /* the same, and it is control, not text */
    PS_TOKEN_UNUSED,  /* an id that no token has */
} ps_token_kind;

ps_token_kind ps_tokenizer_kind(const ps_tokenizer *tokenizer, uint32_t id);
/* As in the file: bytes as letters, "Ġthe". Valid as long as the tokenizer. */
ps_slice ps_tokenizer_text(const ps_tokenizer *tokenizer, uint32_t id);
size_t ps_tokenizer_merges(const ps_tokenizer *tokenizer);
void ps_tokenizer_merge(const ps_tokenizer *tokenizer, size_t i, uint32_t *left, uint32_t *right);
bool ps_tokenizer_prefix_space(const ps_tokenizer *tokenizer);
/* The tokenizer.json that reads back as this one, and that `tokenizers` loads; not of bytes. */
void ps_tokenizer_to_json(const ps_tokenizer *tokenizer, ps_buf *out);

/* ---- encoding ---- */

typedef struct ps_ids {
    uint32_t *at;
    size_t n, capacity;
} ps_ids;

#define PS_IDS_EMPTY ((ps_ids){0})
void ps_ids_add(ps_ids *ids, uint32_t id);
void ps_ids_free(ps_ids *ids); /* leaves it empty and usable */

typedef struct ps_encoder ps_encoder;

/* added: added tokens in the text become their ids, as `tokenizers` does it; without, their text is
 * text like any other (for data that must not smuggle in control tokens). Borrows the tokenizer. */
ps_encoder *ps_encoder_new(const ps_tokenizer *tokenizer, bool added);
void ps_encoder_free(ps_encoder **encoder);
/* The text's next bytes; ids are appended as soon as they are certain. However a text is cut into
 * pieces, the ids are the same. PS_RESOURCE_EXHAUSTED: a pattern of the file backtracks without
 * end, or its normalizer makes too much of the text; PS_NO_MEMORY. After a failure the encoder can
 * only be freed. */
PS_MUST_CHECK ps_status ps_encoder_feed(ps_encoder *encoder, ps_slice bytes, ps_ids *out);
/* An added token stands here, whatever `added` says: what was fed before it ends as it does before
 * one that stands in a text, and its id follows. id: ps_tokenizer_added gave it. */
PS_MUST_CHECK ps_status ps_encoder_token(ps_encoder *encoder, uint32_t id, ps_ids *out);
/* The text is over: the rest of its ids. The encoder is ready for another text. */
PS_MUST_CHECK ps_status ps_encoder_finish(ps_encoder *encoder, ps_ids *out);

/* A whole text at once. */
PS_MUST_CHECK ps_status ps_tokenizer_encode(const ps_tokenizer *tokenizer, ps_slice text,
                                            bool added, ps_ids *out);
/* Appends a text, or two (second may be NULL), with the special tokens that the file's
 * post_processor puts around them, and to types (unless NULL) which of the two each id is of. */
void ps_tokenizer_join(const ps_tokenizer *tokenizer, const ps_ids *text, const ps_ids *second,
                       ps_ids *out, ps_ids *types);

/* ---- decoding ---- */

typedef struct ps_decoder {
    const ps_tokenizer *tokenizer;
    bool begins;   /* no token came, and the text begins with it */
    uint32_t last; /* the token that came last; UINT32_MAX: none */
    bool waiting;  /* it is decoded when it is known whether another one follows */
    ps_buf held;   /* the beginning of a character whose rest has not come */
} ps_decoder;

/* Appends to out what is now certain, always whole UTF-8: bytes that can be none become U+FFFD, as
 * Unicode's "substitution of maximal subparts" has it. begins: the text begins with the first
 * token, so the space that some tokenizers put there goes; without, the tokens go on from another
 * text. */
void ps_decoder_init(ps_decoder *decoder, const ps_tokenizer *tokenizer, bool begins);
void ps_decoder_put(ps_decoder *decoder, uint32_t id, ps_buf *out);
void ps_decoder_finish(ps_decoder *decoder, ps_buf *out); /* and frees what it holds */

#endif
