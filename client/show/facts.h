/* facts: what was found out about something, one after the other, as a table for people and as
 * members of a JSON object for programs. Texts may be anybody's: the table cleans them, JSON
 * escapes them. One thread (not asserted: psctl has no other). */
#ifndef PS_SHOW_FACTS_H
#define PS_SHOW_FACTS_H

#include "client/show/table.h"

typedef struct ps_fact {
    const char *key, *label; /* static; label NULL: for programs alone */
    ps_buf text, json;       /* for people; empty: not shown */
} ps_fact;

typedef struct ps_facts {
    ps_fact *at;
    size_t n;
} ps_facts;

void ps_facts_free(ps_facts *facts);

/* Each adds one; an empty text, and a number of 0 that is a count, say nothing and are left out. */
void ps_facts_text(ps_facts *facts, const char *key, const char *label, ps_slice text);
void ps_facts_count(ps_facts *facts, const char *key, const char *label, uint64_t n);
void ps_facts_bytes(ps_facts *facts, const char *key, const char *label, uint64_t n);
void ps_facts_truth(ps_facts *facts, const char *key, const char *label, bool is);
/* JSON as it is, and what people see of it. */
void ps_facts_value(ps_facts *facts, const char *key, const char *label, const char *json,
                    const char *text);

void ps_facts_put(ps_facts *facts, ps_table *table);
void ps_facts_write(ps_facts *facts, ps_json_writer *w);

#endif
