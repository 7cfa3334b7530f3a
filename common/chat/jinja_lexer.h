/* jinja_lexer: the text of a template of Jinja cut into what it writes as it is, outputs and
 * statements, and those into tokens; blanks are taken away as transformers has it (trim_blocks,
 * lstrip_blocks). Bytes are hostile. One thread (not asserted: a lexer is its maker's alone). */
#ifndef PS_CHAT_JINJA_LEXER_H
#define PS_CHAT_JINJA_LEXER_H

#include "common/base/buf.h"
#include "common/base/slice.h"

typedef enum ps_jinja_piece {
    PS_JINJA_TEXT,      /* token.text is written as it is; may be empty */
    PS_JINJA_OUTPUT,    /* {{ … }}: tokens follow, up to PS_JINJA_CLOSE */
    PS_JINJA_STATEMENT, /* {% … %}: likewise */
    PS_JINJA_OVER,
} ps_jinja_piece;

typedef enum ps_jinja_kind {
    PS_JINJA_NAME,
    PS_JINJA_STRING, /* text: between its quotes, as written */
    PS_JINJA_NUMBER,
    PS_JINJA_SIGN, /* one or two characters */
    PS_JINJA_CLOSE,
    PS_JINJA_BAD, /* the end of the template, or what begins no token */
} ps_jinja_kind;

typedef struct ps_jinja_token {
    ps_jinja_kind kind;
    ps_slice text; /* in place */
} ps_jinja_token;

typedef struct ps_jinja_lexer {
    ps_slice in;
    size_t at;
    char closes;      /* '}' or '%': of the piece that is open */
    bool strips;      /* the last piece closed with a minus */
    bool ends_a_line; /* the last piece was a statement or a comment: a line's end goes with it */
    ps_jinja_token token;
} ps_jinja_lexer;

/* Borrows the template. */
void ps_jinja_lexer_init(ps_jinja_lexer *lexer, ps_slice text);
/* The next piece; the one before must have been read up to its end. Comments are passed over. */
ps_jinja_piece ps_jinja_next_piece(ps_jinja_lexer *lexer);
/* The next token of the open piece, in lexer->token; CLOSE and BAD come back for ever. */
void ps_jinja_next(ps_jinja_lexer *lexer);
/* Appends what a STRING stands for, its escapes resolved as Python does it. */
void ps_jinja_string(ps_slice text, ps_buf *out);

#endif
