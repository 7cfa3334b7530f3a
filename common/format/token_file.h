/* token_file: a text as tokens: what `psctl tokenize` writes and the worker's reader `tokens`
 * reads. docs/files.md has the format in words, and how others write it.
 *
 * A header of 64 bytes, all little-endian, then the tokens, as many as the file's size has room
 * for:
 *
 *      0  8  "PSDTOKEN"
 *      8  u32  version: 1; 2 where tokens have marks
 *     12  u32  bytes of a token: 2, when vocab_size is at most 65536 and there are no marks, or 4
 *     16  u64  count
 *     24  u32  vocab_size: every token is below it
 *     28  u32  the marks that tokens may have, one or more of these bits; 0 in version 1
 *     32  u64  hash of the tokenizer (ps_tokenizer_hash)
 *     40  24   its name, "bytes" or "gpt2", filled up with zeros
 *
 * A mark is a bit of the token, above its id:
 *
 *     bit 31  PS_TOKEN_GIVEN: nobody learns to say it, as a prompt's (its label does not count)
 *     bit 30  PS_TOKEN_BEGINS: a document begins with it
 *     bit 29  PS_TOKEN_SECOND: it is of the second text of a pair
 *     bit 28  PS_TOKEN_CLASS: it is no token, but the number of the document's class; the first of
 *             a document alone
 *
 * Reading: the file is hostile, and may change at any time: a call then fails and names it. An open
 * file may be shared by threads. */
#ifndef PS_FORMAT_TOKEN_FILE_H
#define PS_FORMAT_TOKEN_FILE_H

#include "common/base/slice.h"
#include "common/base/status.h"

enum { PS_TOKEN_FILE_HEADER = 64, PS_TOKEN_FILE_NAME = 24 };

#define PS_TOKEN_GIVEN  (UINT32_C(1) << 31)
#define PS_TOKEN_BEGINS (UINT32_C(1) << 30)
#define PS_TOKEN_SECOND (UINT32_C(1) << 29)
#define PS_TOKEN_CLASS  (UINT32_C(1) << 28)

typedef struct ps_token_file_info {
    uint64_t count;
    uint32_t vocab_size;                /* 1 to 2^31 - 1: a token is an int32; with marks to 2^30,
                                           with those of texts to 2^28 */
    uint32_t marks;                     /* that tokens may have */
    uint64_t tokenizer_hash;            /* 0: unknown */
    char tokenizer[PS_TOKEN_FILE_NAME]; /* ends with a zero */
} ps_token_file_info;

/* ---- reading ---- */

typedef struct ps_token_file ps_token_file;

/* The first bytes of a file (at least the header), and its size. PS_CORRUPT: what is wrong. */
PS_MUST_CHECK ps_status ps_token_file_parse(ps_slice head, uint64_t file_bytes,
                                            ps_token_file_info *out);
/* PS_NOT_FOUND, PS_CORRUPT; PS_INVALID_ARGUMENT: no regular file. */
PS_MUST_CHECK ps_status ps_token_file_open(const char *path, ps_token_file **out);
void ps_token_file_close(ps_token_file **file);
const ps_token_file_info *ps_token_file_about(const ps_token_file *file);
uint64_t ps_token_file_count(const ps_token_file *file);
/* Tokens first to first + n - 1, which must be there (PS_OUT_OF_RANGE), into out, without their
 * marks, and those into marks, unless it is NULL. PS_CORRUPT names the first that is not below
 * vocab_size, classes apart, and says so when the file has changed since it was opened (where a
 * writer is not through with it, the next call may be the first to notice). */
PS_MUST_CHECK ps_status ps_token_file_copy(const ps_token_file *file, uint64_t first, size_t n,
                                           int32_t *out, uint32_t *marks);

/* ---- writing ---- */

typedef struct ps_token_writer ps_token_writer;

/* about->count is ignored. The file is there whole after finish, and not before (base/new_file.h).
 */
PS_MUST_CHECK ps_status ps_token_writer_new(const char *path, bool force,
                                            const ps_token_file_info *about, ps_token_writer **out);
/* Each below vocab_size. */
PS_MUST_CHECK ps_status ps_token_writer_add(ps_token_writer *writer, const uint32_t *tokens,
                                            size_t n);
/* Where about->marks has PS_TOKEN_BEGINS: the next token has it. Else nothing. */
void ps_token_writer_begin(ps_token_writer *writer);
/* Where about->marks has PS_TOKEN_GIVEN: whether tokens that are added from now on have it. */
void ps_token_writer_give(ps_token_writer *writer, bool given);
/* Where about->marks has PS_TOKEN_SECOND: whether tokens that are added from now on have it. */
void ps_token_writer_second(ps_token_writer *writer, bool second);
/* Where about->marks has PS_TOKEN_CLASS: that of the document which has begun, and of which nothing
 * has been added. Below 2^28. */
PS_MUST_CHECK ps_status ps_token_writer_class(ps_token_writer *writer, uint32_t number);
uint64_t ps_token_writer_count(const ps_token_writer *writer);
uint64_t ps_token_writer_bytes(const ps_token_writer *writer); /* of the whole file */
/* Frees the writer in any case. */
PS_MUST_CHECK ps_status ps_token_writer_finish(ps_token_writer **writer);
void ps_token_writer_drop(ps_token_writer **writer); /* for giving up; NULL is allowed */

#endif
