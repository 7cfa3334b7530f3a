/* The table, and the checks of its values by the keys that a rule takes. */
#include "server/optim/optimizer.h"

#include "common/base/mem.h"
#include "common/base/require.h"
#include "server/optim/rows.h"

#include <math.h>
#include <stddef.h>
#include <string.h>

#define ROW(name_, ...) &ps_optimizer_##name_,
static const ps_optimizer *const table[] = {PS_OPTIMIZER_ROWS(ROW)};

typedef enum range { BELOW_ONE, ABOVE_ZERO, NOT_NEGATIVE } range;

static const char *const range_texts[] = {"in 0..1 and below 1", "above 0", "0 or more"};

static bool is_in(range of, double v)
{
    if (of == BELOW_ONE)
        return v >= 0 && v < 1;
    return (of == ABOVE_ZERO ? v > 0 : v >= 0) && !isinf(v);
}

/* Of whoever takes the key; all take the last two. */
static const struct value {
    const char *key;
    size_t offset;
    range range;
    bool everybodys;
} values[] = {
    {"momentum", offsetof(ps_optimizer_config, momentum), BELOW_ONE},
    {"beta1", offsetof(ps_optimizer_config, beta1), BELOW_ONE},
    {"beta2", offsetof(ps_optimizer_config, beta2), BELOW_ONE},
    {"epsilon", offsetof(ps_optimizer_config, epsilon), ABOVE_ZERO},
    {"learning_rate", offsetof(ps_optimizer_config, learning_rate), NOT_NEGATIVE, true},
    {"weight_decay", offsetof(ps_optimizer_config, weight_decay), NOT_NEGATIVE, true},
};

static ps_status check(const ps_optimizer_config *config, const ps_optimizer_row *row)
{
    for (size_t i = 0; i < sizeof values / sizeof *values; i++) {
        const struct value *v = &values[i];
        double value = *(const double *)((const char *)config + v->offset);
        if ((v->everybodys || ps_optimizer_row_has(row, v->key)) && !is_in(v->range, value))
            return ps_fail(PS_INVALID_ARGUMENT, "optimizer: %s %g, must be %s", v->key, value,
                           range_texts[v->range]);
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
