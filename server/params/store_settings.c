#include "server/params/store_settings.h"

#include "common/base/require.h"
#include "server/params/controller.h"

/* In the order of ps_spec_schedule. */
static const ps_schedule_kind schedules[] = {PS_SCHEDULE_CONSTANT, PS_SCHEDULE_LINEAR,
                                             PS_SCHEDULE_COSINE};
enum { SCHEDULES = sizeof schedules / sizeof *schedules };

#define TAKE(key, ...) .key = spec->optimizer.key,
#define GIVE(key, ...) .key = o->key,

void ps_store_settings_take(const ps_store_spec *spec, ps_param_config *out)
{
    PS_REQUIRE(spec->schedule.name < SCHEDULES);
    out->column_blocks = (uint32_t)spec->column_blocks;
    out->block_elements = (uint32_t)spec->block_elements;
    out->consistency.staleness = (uint64_t)spec->consistency.staleness;
    out->clip_norm = spec->clip_norm;
    out->optimizer = (ps_optimizer_config){.name = spec->optimizer.name,
                                           .learning_rate = spec->optimizer.learning_rate,
                                           .weight_decay = spec->optimizer.weight_decay,
                                           PS_OPTIMIZER_KEY_ROWS(TAKE, TAKE)};
    out->schedule = (ps_schedule){
        .kind = schedules[spec->schedule.name],
        .warmup_steps = (uint64_t)spec->schedule.warmup_steps,
        .final_factor = spec->schedule.final_factor,
    };
}

/* What decays is said by each tensor; here it is for who reads the text. */
static bool all_decay(const ps_param_config *config)
{
    for (size_t i = 0; i < config->n_plans; i++)
        if (config->plans[i].undecayed)
            return false;
    return true;
}

/* The words' texts are not changed. */
static char *text_of(const char *text)
{
    return (char *)(uintptr_t)text;
}

static unsigned schedule_of(ps_schedule_kind kind)
{
    unsigned name = 0;
    while (name + 1 < SCHEDULES && schedules[name] != kind)
        name++;
    return name;
}

void ps_store_settings_give(const ps_param_config *config, ps_store_spec *out)
{
    const ps_optimizer_config *o = &config->optimizer;
    *out = (ps_store_spec){
        .column_blocks = config->column_blocks,
        .block_elements = config->block_elements,
        .optimizer = {.name = text_of(o->name),
                      .learning_rate = o->learning_rate,
                      .weight_decay = o->weight_decay,
                      .decay_bias_and_norm = all_decay(config),
                      PS_OPTIMIZER_KEY_ROWS(GIVE, GIVE)},
        .schedule = {.name = schedule_of(config->schedule.kind),
                     .warmup_steps = (int64_t)config->schedule.warmup_steps,
                     .final_factor = config->schedule.final_factor},
        .consistency = {.mode = text_of(config->controller->name),
                        .staleness = (int64_t)config->consistency.staleness},
        .clip_norm = config->clip_norm,
    };
}
