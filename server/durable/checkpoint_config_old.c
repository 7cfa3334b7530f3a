/* What psd wrote before a configuration was text: numbers are u64 or the bits of a double, texts a
 * length and bytes, each known by its position. Nobody writes it any more, and nothing is added. */
#include "server/durable/checkpoint_config.h"

#include <string.h>

enum { OLDEST = 1, TENSOR_MIN = 16 /* bytes: name and rank */ };

/* Texts are gathered in one allocation, behind each other. */
typedef struct decoder {
    ps_cursor c;
    char *room; /* for the next */
    uint64_t version;
} decoder;

static const char *read_text(decoder *d)
{
    uint64_t len = ps_read_u64le(&d->c);
    if (len > PS_PARAM_NAME_MAX) {
        d->c.failed = true;
        return "";
    }
    ps_slice bytes = ps_read_bytes(&d->c, len);
    if (d->c.failed || (len && memchr(bytes.data, 0, len))) {
        d->c.failed = true;
        return "";
    }
    char *text = d->room;
    if (len)
        memcpy(text, bytes.data, len);
    text[len] = 0;
    d->room += len + 1;
    return text;
}

static uint32_t read_u32(decoder *d)
{
    uint64_t v = ps_read_u64le(&d->c);
    if (v > UINT32_MAX)
        d->c.failed = true;
    return (uint32_t)v;
}

static void decode_optimizer(decoder *d, ps_optimizer_config *o)
{
    o->name = read_text(d);
    o->learning_rate = ps_read_f64le(&d->c);
    o->momentum = ps_read_f64le(&d->c);
    o->nesterov = ps_read_u64le(&d->c) != 0;
    o->beta1 = ps_read_f64le(&d->c);
    o->beta2 = ps_read_f64le(&d->c);
    o->epsilon = ps_read_f64le(&d->c);
    o->weight_decay = ps_read_f64le(&d->c);
}

static void decode_settings(decoder *d, ps_checkpoint_config *out)
{
    ps_param_config *config = &out->config;
    config->column_blocks = read_u32(d);
    config->block_elements = read_u32(d);
    decode_optimizer(d, &config->optimizer);
    config->schedule.kind = read_u32(d);
    config->schedule.warmup_steps = ps_read_u64le(&d->c);
    (void)ps_read_u64le(&d->c); /* the updates that the job was to make */
    config->schedule.final_factor = ps_read_f64le(&d->c);
    out->consistency = read_text(d);
    config->clip_norm = ps_read_f64le(&d->c);
}

/* Version 1 is of before tensors said whether they decay: all did. */
static void decode_plan(decoder *d, ps_param_plan *plan)
{
    plan->name = read_text(d);
    plan->undecayed = d->version > 1 && ps_read_u64le(&d->c) != 0;
    plan->rank = read_u32(d);
    if (plan->rank > PS_PARAM_DIMS_MAX)
        d->c.failed = true;
    for (unsigned i = 0; i < plan->rank && !d->c.failed; i++)
        plan->shape[i] = ps_read_u64le(&d->c);
}

static ps_status decode_plans(decoder *d, ps_checkpoint_config *out)
{
    for (size_t i = 0; i < out->config.n_plans; i++) {
        decode_plan(d, &out->plans[i]);
        if (d->c.failed || !ps_checkpoint_config_count(out, &out->plans[i]))
            return ps_checkpoint_config_damaged();
    }
    return ps_cursor_left(&d->c) == 0 ? PS_OK : ps_checkpoint_config_damaged();
}

ps_status ps_checkpoint_config_decode_old(ps_slice bytes, ps_checkpoint_config *out)
{
    ps_status st = ps_checkpoint_config_texts(out, bytes.len);
    if (st)
        return st;
    decoder d = {.c = ps_cursor_of(bytes), .room = out->texts};
    d.version = ps_read_u64le(&d.c);
    decode_settings(&d, out);
    size_t n = read_u32(&d);
    if (d.c.failed || d.version < OLDEST || n > bytes.len / TENSOR_MIN)
        return ps_checkpoint_config_damaged();
    st = ps_checkpoint_config_plans(out, n);
    return st ? st : decode_plans(&d, out);
}
