/* jinja_value: what an expression of a chat template is, as far as it can be known without a
 * conversation and without computing anything: whether it is true, and what it would write, in the
 * form that rows of templates are written in (rows.h). One thread (not asserted: plain data of
 * whoever has it). */
#ifndef PS_CHAT_JINJA_VALUE_H
#define PS_CHAT_JINJA_VALUE_H

#include "common/chat/jinja_lexer.h"

#include <stdbool.h>

/* In a form a hole stands between these, which no literal text may have; patterns have braces. */
enum { PS_CHAT_HOLE = 1, PS_CHAT_HOLE_END = 2 };

enum { PS_JINJA_VARIABLES = 64, PS_JINJA_DEPTH = 32 };

typedef enum ps_jinja_is {
    PS_IS_ANY, /* nothing is known of it */
    PS_IS_UNDEFINED,
    PS_IS_NONE,
    PS_IS_TRUE,
    PS_IS_FALSE,
    PS_IS_TEXT,       /* a literal; its form is the text */
    PS_IS_CONTENT,    /* what somebody said */
    PS_IS_ROLE,       /* of a message of the loop */
    PS_IS_FIRST_ROLE, /* of the first message: "system" or "user" */
    PS_IS_MESSAGE,    /* of a loop over the conversation */
    PS_IS_FIRST,      /* its first message */
    PS_IS_MESSAGES,   /* it, or a part of it */
    PS_IS_LOOP,
    PS_IS_FUNCTION,
    PS_IS_ROLES,   /* a list that has one of those three */
    PS_IS_OTHERS,  /* a list of texts that has none of them */
    PS_IS_REFUSAL, /* raise_exception(…): writes nothing */
} ps_jinja_is;

typedef enum ps_jinja_truth { PS_NO, PS_YES, PS_PERHAPS } ps_jinja_truth;

typedef struct ps_jinja_value {
    ps_jinja_is is;
    ps_buf form;
} ps_jinja_value;

typedef struct ps_jinja_variable {
    ps_slice name;
    ps_jinja_is is;
} ps_jinja_variable;

/* What an expression is read in. */
typedef struct ps_jinja_scope {
    ps_jinja_lexer *lexer;
    ps_jinja_variable variables[PS_JINJA_VARIABLES];
    size_t n;
    unsigned depth;
    const char *role;   /* whose a message of the loop is; NULL: anybody's */
    bool first, last;   /* loop.first or loop.index0, loop.last has been asked for; whoever reads
                           clears them */
    const char *failed; /* why it cannot be read; NULL: it can */
} ps_jinja_scope;

/* Reads one expression from the lexer's token on; what follows it is then the token. Of a scope
 * that has failed the value is of no use. *out is the caller's: ps_buf_free its form. */
void ps_jinja_value_read(ps_jinja_scope *scope, ps_jinja_value *out);
ps_jinja_truth ps_jinja_truth_of(const ps_jinja_value *value);
/* The variable, made when it is new; NULL, and the scope has failed: too many. */
ps_jinja_variable *ps_jinja_variable_of(ps_jinja_scope *scope, ps_slice name);
/* When the token is this sign or name it is passed over. */
bool ps_jinja_take(ps_jinja_scope *scope, const char *text);

#endif
