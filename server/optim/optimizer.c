/* The table, and the checks of its values by the keys that a rule takes. */
#include "server/optim/optimizer.h"

#include "common/base/mem.h"
#include "common/base/require.h"
#include "server/optim/rows.h"

#include <stddef.h>
#include <string.h>

#define ROW(name_, ...) &ps_optimizer_##name_,
static const ps_optimizer *const table[] = {PS_OPTIMIZER_ROWS(ROW)};

#define REAL(key_, usual_, least_, most_) \
    {#key_, offsetof(ps_optimizer_config, key_), least_, most_, false},
#define FLAG(...)

/* Of whoever takes the key; all take the first two. */
static const struct value {
    const char *key;
    size_t offset;
    double least, most;
    bool everybodys;
} values[] = {{"learning_rate", offsetof(ps_optimizer_config, learning_rate), 0, 1e3, true},
              {"weight_decay", offsetof(ps_optimizer_config, weight_decay), 0, 1e3, true},
              PS_OPTIMIZER_KEY_ROWS(REAL, FLAG)};

static ps_status check(const ps_optimizer_config *config, const ps_optimizer_row *row)
{
    for (size_t i = 0; i < sizeof values / sizeof *values; i++) {
        const struct value *v = &values[i];
        double value = *(const double *)((const char *)config + v->offset);
        bool is_in = value >= v->least && value <= v->most; /* not when it is no number */
        if ((v->everybodys || ps_optimizer_row_has(row, v->key)) && !is_in)
            return ps_fail(PS_INVALID_ARGUMENT, "optimizer: %s %g, must be in %.9g..%.9g", v->key,
                           value, v->least, v->most);
    }
    return PS_OK;
}

ps_status ps_optimizer_find(const ps_optimizer_config *config, const ps_optimizer **out)
{
    const char *name = config->name ? config->name : ps_optimizer_sgd.name;
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        if (strcmp(table[i]->name, name) != 0)
            continue;
        *out = table[i];
        return check(config, ps_optimizer_row_find(name));
    }
    return ps_names_unknown("optimizer", name, ps_optimizer_names);
}

size_t ps_optimizer_state_bytes(const ps_optimizer *rule, size_t elements)
{
    return rule->state_bytes ? rule->state_bytes(elements) : 0;
}

void ps_optimizer_state_init(const ps_optimizer *rule, const ps_optimizer_config *config,
                             void *state, size_t elements)
{
    PS_REQUIRE(state || ps_optimizer_state_bytes(rule, elements) == 0);
    if (rule->state_init)
        rule->state_init(config, state, elements);
    else if (state)
        memset(state, 0, ps_optimizer_state_bytes(rule, elements));
}

float *ps_optimizer_floats(const ps_optimizer_part *part, unsigned k)
{
    PS_REQUIRE(part->state && part->begin + part->count <= part->elements);
    return (float *)part->state + k * part->elements + part->begin;
}
