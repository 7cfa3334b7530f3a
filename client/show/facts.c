/* Happy path: a fact keeps both of its faces from the start. */
#include "client/show/facts.h"

#include "client/show/human.h"
#include "common/base/mem.h"

#include <inttypes.h>

void ps_facts_free(ps_facts *f)
{
    for (size_t i = 0; i < f->n; i++) {
        ps_buf_free(&f->at[i].text);
        ps_buf_free(&f->at[i].json);
    }
    ps_free(&f->at);
    f->n = 0;
}

static ps_fact *add(ps_facts *f, const char *key, const char *label)
{
    f->at = ps_realloc(f->at, (f->n + 1) * sizeof *f->at);
    f->at[f->n] = (ps_fact){.key = key, .label = label};
    return &f->at[f->n++];
}

void ps_facts_text(ps_facts *f, const char *key, const char *label, ps_slice text)
{
    if (!text.len)
        return;
    ps_fact *fact = add(f, key, label);
    ps_json_writer w = ps_json_writer_to(&fact->json);
    ps_json_string_n(&w, text);
    ps_buf_append(&fact->text, text.data, text.len);
}

static void add_number(ps_facts *f, const char *key, const char *label, uint64_t n, ps_human human)
{
    if (!n)
        return;
    ps_fact *fact = add(f, key, label);
    ps_buf_printf(&fact->json, "%" PRIu64, n);
    ps_buf_puts(&fact->text, human.text);
}

void ps_facts_count(ps_facts *f, const char *key, const char *label, uint64_t n)
{
    ps_human exact;
    (void)snprintf(exact.text, sizeof exact.text, "%" PRIu64, n);
    add_number(f, key, label, n, exact);
}

void ps_facts_bytes(ps_facts *f, const char *key, const char *label, uint64_t n)
{
    add_number(f, key, label, n, ps_human_bytes((double)n));
}

void ps_facts_truth(ps_facts *f, const char *key, const char *label, bool is)
{
    ps_facts_value(f, key, label, is ? "true" : "false", is ? "yes" : "no");
}

void ps_facts_value(ps_facts *f, const char *key, const char *label, const char *json,
                    const char *text)
{
    ps_fact *fact = add(f, key, label);
    ps_buf_puts(&fact->json, json);
    ps_buf_puts(&fact->text, text);
}

void ps_facts_put(ps_facts *f, ps_table *table)
{
    for (size_t i = 0; i < f->n; i++)
        if (f->at[i].label && f->at[i].text.len)
            ps_table_field(table, f->at[i].label, "%s", ps_buf_cstr(&f->at[i].text));
}

void ps_facts_write(ps_facts *f, ps_json_writer *w)
{
    for (size_t i = 0; i < f->n; i++)
        ps_json_put_raw(w, f->at[i].key, ps_buf_cstr(&f->at[i].json));
}
