/* jinja_parts: what the two files that read expressions share. For them alone. */
#ifndef PS_CHAT_JINJA_PARTS_H
#define PS_CHAT_JINJA_PARTS_H

#include "common/chat/jinja_value.h"

/* The whole of it, and one that operators stand between. */
void ps_jinja_expression(ps_jinja_scope *scope, ps_jinja_value *value);
void ps_jinja_operand(ps_jinja_scope *scope, ps_jinja_value *value);

void ps_jinja_fail(ps_jinja_scope *scope, const char *why); /* the first reason stays */
void ps_jinja_expect(ps_jinja_scope *scope, const char *text);

/* Something that is computed: no row knows it. */
void ps_jinja_unknown(ps_jinja_value *value);
void ps_jinja_set_truth(ps_jinja_value *value, ps_jinja_truth truth);
ps_jinja_truth ps_jinja_opposite(ps_jinja_truth truth);
bool ps_jinja_is_role(const ps_jinja_value *value); /* a text that is one */

#endif
