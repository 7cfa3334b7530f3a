/* inspect: what the files of psctl inspect share: one path and what was found out about it. Private
 * to client/commands/inspect*.c. */
#ifndef PS_COMMANDS_INSPECT_H
#define PS_COMMANDS_INSPECT_H

#include "client/call/model_source.h"
#include "client/show/facts.h"
#include "common/base/foreign.h"

typedef struct ps_inspection {
    const char *given;      /* as on the command line */
    ps_model_source source; /* what is read */
    bool identity;          /* it may be encrypted by age */
    bool folder;
    uint8_t first[PS_FOREIGN_BYTES]; /* of the file, unpacked where it is gzip */
    size_t first_len;
    /* found: */
    const char *kind; /* a word for programs */
    ps_buf use;       /* what to do with it, where psd can use it */
    ps_buf remarks;   /* lines */
    ps_facts facts;
} ps_inspection;

/* What a path may be; the first that it is describes it. */
typedef struct ps_inspect_kind {
    const char *word; /* for programs; NULL ends the table */
    bool (*is)(const ps_inspection *of);
    /* Adds facts, and use when psd can use it; else why not. */
    ps_status (*describe)(ps_inspection *of);
} ps_inspect_kind;

/* What a path may be, in the order in which they are asked: adapters, beside which a tokenizer may
 * lie, data and tokenizers, what psd and psctl leave, and any text; the rest is a model, or
 * nothing. */
extern const ps_inspect_kind ps_inspect_adapters[];
extern const ps_inspect_kind ps_inspect_data[];
extern const ps_inspect_kind ps_inspect_own[];
extern const ps_inspect_kind ps_inspect_texts[];
ps_status ps_inspect_model(ps_inspection *of);
ps_status ps_inspect_tokenizer(ps_inspection *of);
/* Tells two tokenizers of a name apart: of token files and of what they were made with. */
void ps_inspect_tokenizer_hash(ps_inspection *of, uint64_t hash);

/* Its first bytes are these. */
bool ps_inspect_begins(const ps_inspection *of, const char *bytes, size_t len);
/* Its name, without .gz, ends so. */
bool ps_inspect_ends(const ps_inspection *of, const char *ending);
/* A folder, and this file is in it. */
bool ps_inspect_has(const ps_inspection *of, const char *name);
void ps_inspect_is(ps_inspection *of, const char *what); /* for people: "an idx file" */

#endif
