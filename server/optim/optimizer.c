/* The table, and the checks that all rules share. */
#include "server/optim/optimizer.h"

#include "server/optim/rows.h"

#include <math.h>
#include <string.h>

static const ps_optimizer *const table[] = {
    &ps_optimizer_adamw,
    &ps_optimizer_adamw8bit,
    &ps_optimizer_momentum,
    &ps_optimizer_sgd,
};

ps_status ps_optimizer_check_common(const ps_optimizer_config *config)
{
    if (!(config->learning_rate >= 0) || isinf(config->learning_rate))
        return ps_fail(PS_INVALID_ARGUMENT, "optimizer: learning_rate %g, must be 0 or more",
                       config->learning_rate);
    if (!(config->weight_decay >= 0) || isinf(config->weight_decay))
        return ps_fail(PS_INVALID_ARGUMENT, "optimizer: weight_decay %g, must be 0 or more",
                       config->weight_decay);
    return PS_OK;
}

ps_status ps_optimizer_find(const ps_optimizer_config *config, const ps_optimizer **out)
{
    const char *name = config->name ? config->name : ps_optimizer_sgd.name;
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        if (strcmp(table[i]->name, name) != 0)
            continue;
        ps_status st = table[i]->check(config);
        if (!st)
            *out = table[i];
        return st;
    }
    return ps_fail(PS_INVALID_ARGUMENT,
                   "optimizer: there is no %s; there are adamw, adamw8bit, momentum and sgd", name);
}

size_t ps_optimizer_state_bytes(const ps_optimizer *rule, size_t elements)
{
    return rule->state_bytes ? rule->state_bytes(elements) : 0;
}

void ps_optimizer_state_init(const ps_optimizer *rule, void *state, size_t elements)
{
    if (rule->state_init)
        rule->state_init(state, elements);
    else if (state)
        memset(state, 0, ps_optimizer_state_bytes(rule, elements));
}

float *ps_optimizer_floats(const ps_optimizer_part *part, unsigned k)
{
    return (float *)part->state + k * part->elements + part->begin;
}
