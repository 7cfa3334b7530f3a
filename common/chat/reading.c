/* Happy path: pieces one after the other; a branch that is never taken without tools is passed
 * over, one that is always taken is no branch, and any other ends the line. It fails on statements
 * and expressions that it does not know, each by name. */
#include "common/chat/reading.h"

#include "common/chat/jinja_value.h"

#include <inttypes.h>
#include <string.h>

static const char *const roles[] = {"user", "assistant", "system"}; /* bits of PS_CHAT_OF_ALL */
enum { ROLES = sizeof roles / sizeof *roles };

/* Sets of whom a condition holds for: for certain, and perhaps. */
typedef struct truths {
    unsigned yes, perhaps;
} truths;

typedef struct block {
    bool loop, macro;
    unsigned reached;         /* whose messages come here; nobody's: it is dead */
    bool perhaps;             /* and for some of them it depends */
    unsigned over;            /* for whom an earlier branch was always taken, */
    unsigned doubted;         /* or depends */
    size_t first_line;        /* of what is written in it */
    bool was_first, was_last; /* of conditions outside */
} block;

typedef struct reader {
    ps_jinja_lexer lexer;
    ps_jinja_scope scope;
    ps_chat_reading *out;
    block blocks[PS_JINJA_DEPTH];
    size_t depth;
    bool open;        /* the last line goes on */
    bool first, last; /* of conditions around */
} reader;

static void fail(reader *r, const char *why)
{
    if (!r->scope.failed)
        r->scope.failed = why;
}

static unsigned reached(const reader *r)
{
    return r->depth ? r->blocks[r->depth - 1].reached : PS_CHAT_OF_ALL;
}

static bool is_dead(const reader *r)
{
    return !reached(r);
}

/* By the innermost block that is not this one. */
static unsigned outside(const reader *r)
{
    return r->depth > 1 ? r->blocks[r->depth - 2].reached : PS_CHAT_OF_ALL;
}

static bool is_certain(const reader *r)
{
    for (size_t i = 0; i < r->depth; i++)
        if (r->blocks[i].perhaps)
            return false;
    return true;
}

/* ---- lines ---- */

static ps_chat_line *add_line(reader *r)
{
    if (r->out->n == PS_CHAT_LINES_MAX) {
        fail(r, "more texts than it reads");
        return NULL;
    }
    ps_chat_line *line = &r->out->lines[r->out->n++];
    *line = (ps_chat_line){.whose = reached(r), .first = r->first, .last = r->last};
    return line;
}

static void write_text(reader *r, const void *data, size_t len)
{
    if (is_dead(r) || !len)
        return;
    ps_chat_line *line = r->open ? &r->out->lines[r->out->n - 1] : add_line(r);
    if (line)
        ps_buf_append(&line->form, data, len);
    r->open = line != NULL;
}

static void read_text(reader *r)
{
    ps_slice text = r->lexer.token.text;
    for (size_t i = 0; i < text.len; i++)
        if (text.data[i] && text.data[i] <= PS_CHAT_HOLE_END)
            fail(r, "a text with control characters");
    write_text(r, text.data, text.len);
}

static void expect_close(reader *r)
{
    if (r->lexer.token.kind != PS_JINJA_CLOSE)
        fail(r, "an expression that it does not read");
}

/* What is never reached may be of any kind. */
static void skip_rest(reader *r)
{
    while (r->lexer.token.kind != PS_JINJA_CLOSE && r->lexer.token.kind != PS_JINJA_BAD)
        ps_jinja_next(&r->lexer);
}

static void read_output(reader *r)
{
    ps_jinja_value value;
    ps_jinja_value_read(&r->scope, &value);
    if (!r->scope.failed && value.is != PS_IS_REFUSAL)
        write_text(r, value.form.data, value.form.len);
    ps_buf_free(&value.form);
}

/* ---- set ---- */

/* Whether it is more than another name for something, or a number that is counted. */
static bool matters(const ps_jinja_value *v)
{
    static const uint8_t computed[] = {PS_CHAT_HOLE, '.', '.', '.', PS_CHAT_HOLE_END};
    if (v->is == PS_IS_CONTENT || (v->is == PS_IS_TEXT && v->form.len))
        return true;
    ps_slice rest = ps_buf_slice(&v->form);
    bool whole = rest.len && rest.data[0] == PS_CHAT_HOLE;
    for (size_t i = 0; whole && i + 1 < rest.len; i++)
        whole = rest.data[i] != PS_CHAT_HOLE_END;
    while (rest.len >= sizeof computed && !memcmp(rest.data, computed, sizeof computed))
        rest = ps_slice_of(rest.data + sizeof computed, rest.len - sizeof computed);
    return v->is == PS_IS_ANY && !whole && rest.len;
}

static void set_variable(reader *r, ps_slice name, const ps_jinja_value *v)
{
    ps_jinja_variable *variable = ps_jinja_variable_of(&r->scope, name);
    bool messages = v->is == PS_IS_MESSAGES || v->is == PS_IS_MESSAGE;
    if (variable)
        variable->is = is_certain(r) || messages || variable->is == v->is ? v->is : PS_IS_ANY;
}

/* Its line stands before the one that goes on, which what is set does not end. */
static void put_set(reader *r, ps_slice name, ps_slice part, const ps_jinja_value *v)
{
    ps_chat_line *line = add_line(r);
    if (!line)
        return;
    ps_buf_append(&line->form, name.data, name.len);
    if (part.len)
        ps_buf_printf(&line->form, ".%.*s", (int)part.len, (const char *)part.data);
    ps_buf_putc(&line->form, '=');
    ps_buf_append(&line->form, v->form.data, v->form.len);
    if (r->open) {
        ps_chat_line set = *line;
        r->out->lines[r->out->n - 1] = r->out->lines[r->out->n - 2];
        r->out->lines[r->out->n - 2] = set;
    }
}

static void read_set(reader *r)
{
    ps_slice name = r->lexer.token.text, part = {0};
    ps_jinja_value value;
    ps_jinja_next(&r->lexer);
    if (ps_jinja_take(&r->scope, ".")) {
        part = r->lexer.token.text;
        ps_jinja_next(&r->lexer);
    }
    if (!ps_jinja_take(&r->scope, "=")) {
        fail(r, "a set without a value");
        return;
    }
    ps_jinja_value_read(&r->scope, &value);
    if (!r->scope.failed && !part.len)
        set_variable(r, name, &value);
    if (!r->scope.failed && matters(&value))
        put_set(r, name, part, &value);
    ps_buf_free(&value.form);
}

/* ---- if and for ---- */

static block *push(reader *r)
{
    if (r->depth == PS_JINJA_DEPTH) {
        fail(r, "statements nested deeper than it reads");
        return NULL;
    }
    block *b = &r->blocks[r->depth];
    *b = (block){
        .reached = reached(r), .first_line = r->out->n, .was_first = r->first, .was_last = r->last};
    r->depth++;
    return b;
}

static void enter(reader *r, block *b, truths holds)
{
    unsigned all = outside(r) & ~b->over;
    b->reached = all & (holds.yes | holds.perhaps);
    b->doubted |= holds.perhaps;
    b->over |= holds.yes;
    b->perhaps = b->reached && (b->reached != outside(r) || (b->reached & b->doubted));
    if (b->perhaps) {
        r->open = false;
        r->first |= r->scope.first;
        r->last |= r->scope.last;
    }
}

static void leave(reader *r, block *b)
{
    if (b->perhaps || b->loop)
        r->open = false;
    b->perhaps = false;
    r->first = b->was_first;
    r->last = b->was_last;
}

/* The condition is read once for each role that a message can have. */
static truths condition(reader *r)
{
    truths holds = {0, 0};
    ps_jinja_lexer begin = r->lexer;
    if (is_dead(r)) {
        skip_rest(r);
        return holds;
    }
    r->scope.first = r->scope.last = false;
    for (unsigned i = 0; i < ROLES; i++) {
        ps_jinja_value value;
        r->lexer = begin;
        r->scope.role = roles[i];
        ps_jinja_value_read(&r->scope, &value);
        ps_jinja_truth truth = ps_jinja_truth_of(&value);
        holds.yes |= truth == PS_YES ? 1U << i : 0;
        holds.perhaps |= truth == PS_PERHAPS ? 1U << i : 0;
        ps_buf_free(&value.form);
    }
    r->scope.role = NULL;
    return holds;
}

static void read_if(reader *r)
{
    truths holds = condition(r);
    block *b = push(r);
    if (b)
        enter(r, b, holds);
}

static void read_else(reader *r, bool conditional)
{
    block *b = r->depth ? &r->blocks[r->depth - 1] : NULL;
    if (!b || b->loop || b->macro) {
        fail(r, "an else without an if");
        return;
    }
    leave(r, b);
    r->scope.first = r->scope.last = false;
    b->reached = outside(r) & ~b->over; /* for its condition */
    enter(r, b, conditional ? condition(r) : (truths){.yes = PS_CHAT_OF_ALL});
}

static void read_for(reader *r)
{
    ps_slice name = r->lexer.token.text;
    if (is_dead(r)) {
        block *dead = push(r);
        if (dead)
            dead->loop = true;
        skip_rest(r);
        return;
    }
    ps_jinja_next(&r->lexer);
    bool pair = ps_jinja_take(&r->scope, ",");
    if (pair)
        ps_jinja_next(&r->lexer);
    if (!ps_jinja_take(&r->scope, "in")) {
        fail(r, "a loop that it does not read");
        return;
    }
    ps_jinja_value value;
    ps_jinja_value_read(&r->scope, &value);
    block *b = push(r);
    ps_jinja_variable *variable = r->scope.failed ? NULL : ps_jinja_variable_of(&r->scope, name);
    if (b && variable) {
        b->loop = true;
        if (value.is == PS_IS_NONE || value.is == PS_IS_UNDEFINED)
            b->reached = 0;
        variable->is = value.is == PS_IS_MESSAGES && !pair ? PS_IS_MESSAGE : PS_IS_ANY;
        if (b->reached)
            r->open = false;
    }
    ps_buf_free(&value.form);
}

static void read_end(reader *r, bool loop, bool macro)
{
    block *b = r->depth ? &r->blocks[r->depth - 1] : NULL;
    if (!b || b->loop != loop || b->macro != macro) {
        fail(r, "an end of what has not begun");
        return;
    }
    if (b->reached || !loop)
        leave(r, b);
    for (size_t i = b->first_line; i < r->out->n; i++)
        r->out->lines[i].whose &=
            ~(b->doubted & ~b->over); /* perhaps nothing is written for them */
    r->depth--;
}

/* What it writes is seen where it is called, as something that no row knows. */
static void read_macro(reader *r)
{
    block *b = push(r);
    if (b) {
        b->macro = true;
        b->reached = 0;
    }
    skip_rest(r);
}

static void read_statement(reader *r)
{
    static const char *const of_blocks[] = {"if",  "elif",   "else",  "endif",
                                            "for", "endfor", "macro", "endmacro"};
    ps_jinja_token name = r->lexer.token;
    bool blocks = false;
    ps_jinja_next(&r->lexer);
    for (size_t i = 0; !blocks && i < sizeof of_blocks / sizeof *of_blocks; i++)
        blocks = ps_slice_is(name.text, of_blocks[i]);
    if (!blocks && is_dead(r))
        skip_rest(r);
    else if (ps_slice_is(name.text, "if"))
        read_if(r);
    else if (ps_slice_is(name.text, "elif"))
        read_else(r, true);
    else if (ps_slice_is(name.text, "else"))
        read_else(r, false);
    else if (ps_slice_is(name.text, "endif"))
        read_end(r, false, false);
    else if (ps_slice_is(name.text, "for"))
        read_for(r);
    else if (ps_slice_is(name.text, "endfor"))
        read_end(r, true, false);
    else if (ps_slice_is(name.text, "set"))
        read_set(r);
    else if (ps_slice_is(name.text, "macro"))
        read_macro(r);
    else if (ps_slice_is(name.text, "endmacro"))
        read_end(r, false, true);
    else if (!ps_slice_is(name.text, "generation") && !ps_slice_is(name.text, "endgeneration"))
        fail(r, "a statement that it does not read");
}

ps_status ps_chat_reading_make(ps_slice text, ps_chat_reading *out)
{
    reader r = {.out = out};
    ps_jinja_piece piece = PS_JINJA_TEXT;
    *out = (ps_chat_reading){0};
    if (text.len > PS_CHAT_TEMPLATE_MAX)
        return ps_fail(PS_INVALID_ARGUMENT, "it has %zu bytes, at most %d are read", text.len,
                       PS_CHAT_TEMPLATE_MAX);
    ps_jinja_lexer_init(&r.lexer, text);
    r.scope.lexer = &r.lexer;
    while (!r.scope.failed && piece != PS_JINJA_OVER) {
        piece = ps_jinja_next_piece(&r.lexer);
        if (piece == PS_JINJA_TEXT)
            read_text(&r);
        else if (piece == PS_JINJA_OUTPUT && is_dead(&r))
            skip_rest(&r);
        else if (piece == PS_JINJA_OUTPUT)
            read_output(&r);
        else if (piece == PS_JINJA_STATEMENT)
            read_statement(&r);
        if (piece == PS_JINJA_OUTPUT || piece == PS_JINJA_STATEMENT)
            expect_close(&r);
    }
    if (!r.scope.failed && r.depth)
        fail(&r, "a statement without an end");
    return r.scope.failed ? ps_fail(PS_INVALID_ARGUMENT, "byte %zu: %s", r.lexer.at, r.scope.failed)
                          : PS_OK;
}

void ps_chat_reading_free(ps_chat_reading *reading)
{
    for (size_t i = 0; i < reading->n; i++)
        ps_buf_free(&reading->lines[i].form);
    reading->n = 0;
}
