/* A list in which each stands once, in the order in which it came: in JSON a list of threes. */
#include "worker/explain/sources.h"

#include "common/base/mem.h"
#include "common/base/require.h"
#include "common/json/json.h"

#include <string.h>

static bool is_there(const ps_explain_sources *s, const ps_explain_source *one)
{
    for (size_t i = 0; i < s->n; i++)
        if (s->all[i].kind == one->kind && !strcmp(s->all[i].name, one->name) &&
            !strcmp(s->all[i].said, one->said))
            return true;
    return false;
}

void ps_explain_sources_add(ps_explain_sources *s, ps_explain_source_kind kind, const char *name,
                            const char *said)
{
    PS_REQUIRE(kind < PS_EXPLAIN_SOURCE_KINDS && name && said);
    ps_explain_source one = {.kind = kind, .name = ps_strdup(name), .said = ps_strdup(said)};
    if (s->n == PS_EXPLAIN_SOURCES || is_there(s, &one)) {
        ps_free(&one.name);
        ps_free(&one.said);
        return;
    }
    if (!s->all)
        s->all = ps_alloc_array(PS_EXPLAIN_SOURCES, sizeof *s->all);
    s->all[s->n++] = one;
}

void ps_explain_sources_free(ps_explain_sources *s)
{
    for (size_t i = 0; i < s->n; i++) {
        ps_free(&s->all[i].name);
        ps_free(&s->all[i].said);
    }
    ps_free(&s->all);
    s->n = 0;
}

const ps_explain_source *ps_explain_source_at(const ps_explain_sources *s,
                                              ps_explain_source_kind kind, size_t n)
{
    for (size_t i = 0; i < s->n; i++)
        if (s->all[i].kind == kind && n-- == 0)
            return &s->all[i];
    return NULL;
}

static bool is_model(const ps_explain_source *s)
{
    return s->kind == PS_EXPLAIN_SOURCE_MODEL || s->kind == PS_EXPLAIN_SOURCE_OTHER ||
           s->kind == PS_EXPLAIN_SOURCE_CHECKPOINT;
}

/* Numbers of two models would stand beside each other under one name. The job's own may be one of
 * its checkpoints, too. */
static ps_status check_models(const ps_explain_sources *s)
{
    for (size_t i = 0; i < s->n; i++)
        for (size_t k = 0; k < i; k++) {
            const ps_explain_source *a = &s->all[k], *b = &s->all[i];
            if (is_model(a) && is_model(b) && !strcmp(a->name, b->name) &&
                strcmp(a->said, b->said) != 0)
                return ps_fail(PS_CORRUPT,
                               "model %s: workers have read other bytes of it, SHA-256 %.16s… "
                               "and %.16s…; its file was changed meanwhile or is damaged: submit "
                               "the job again, or import the model again",
                               b->name, a->said, b->said);
        }
    return PS_OK;
}

ps_status ps_explain_sources_merge(ps_explain_sources *into, ps_explain_sources *more)
{
    PS_REQUIRE(into != more);
    for (size_t i = 0; i < more->n; i++)
        ps_explain_sources_add(into, more->all[i].kind, more->all[i].name, more->all[i].said);
    ps_explain_sources_free(more);
    return check_models(into);
}

/* ---- JSON ---- */

void ps_explain_sources_write(const ps_explain_sources *s, ps_buf *out)
{
    ps_json_writer w = ps_json_writer_to(out);
    ps_json_array(&w);
    for (size_t i = 0; i < s->n; i++) {
        ps_json_array(&w);
        ps_json_uint(&w, s->all[i].kind);
        ps_json_string(&w, s->all[i].name);
        ps_json_string(&w, s->all[i].said);
        ps_json_array_end(&w);
    }
    ps_json_array_end(&w);
}

static ps_status corrupt(void)
{
    return ps_fail(PS_CORRUPT, "a part of an explanation: what it was made of cannot be read");
}

static ps_status read_text(ps_json_reader *r, char **out)
{
    ps_json_token token;
    ps_status st = ps_json_expect(r, PS_JSON_STRING, &token);
    if (st)
        return st;
    if (token.text.len > PS_EXPLAIN_SOURCE_TEXT || memchr(token.text.data, 0, token.text.len))
        return corrupt();
    *out = ps_asprintf("%.*s", (int)token.text.len, (const char *)token.text.data);
    return PS_OK;
}

static ps_status read_one(ps_json_reader *r, ps_explain_sources *out)
{
    ps_json_token token;
    char *name = NULL, *said = NULL;
    ps_status st = ps_json_expect(r, PS_JSON_NUMBER, &token);
    uint64_t kind = !st && token.is_u64 ? token.u64 : PS_EXPLAIN_SOURCE_KINDS;
    if (!st && kind >= PS_EXPLAIN_SOURCE_KINDS)
        st = corrupt();
    if (!st)
        st = read_text(r, &name);
    if (!st)
        st = read_text(r, &said);
    if (!st)
        st = ps_json_expect(r, PS_JSON_ARRAY_END, &token);
    if (!st)
        ps_explain_sources_add(out, (ps_explain_source_kind)kind, name, said);
    ps_free(&name);
    ps_free(&said);
    return st;
}

ps_status ps_explain_sources_read(ps_slice json, ps_explain_sources *out)
{
    ps_json_reader r;
    ps_json_token token;
    *out = (ps_explain_sources){NULL};
    ps_json_reader_init(&r, json);
    ps_status st = ps_json_expect(&r, PS_JSON_ARRAY, &token);
    while (!st && !(st = ps_json_next(&r, &token)) && token.kind == PS_JSON_ARRAY)
        st = read_one(&r, out);
    if (!st && token.kind != PS_JSON_ARRAY_END)
        st = corrupt();
    ps_json_reader_free(&r);
    if (st)
        ps_explain_sources_free(out);
    return st;
}
