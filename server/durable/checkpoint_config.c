/* Numbers are u64 or the bits of a double, texts a length and bytes; encode and decode list the
 * fields in the same order. A decoded configuration is checked again by ps_param_store_create; here
 * only what is needed to read it safely is. */
#include "server/durable/checkpoint_config.h"

#include "common/base/mem.h"
#include "server/params/controller.h"

#include <string.h>

/* Version 1, of before tensors said whether they decay, is read: all did. */
enum { VERSION = 2, OLDEST = 1, TENSOR_MIN = 16 /* bytes: name and rank */ };

static void put_text(ps_buf *out, const char *s)
{
    ps_buf_put_u64le(out, strlen(s));
    ps_buf_puts(out, s);
}

static void encode_optimizer(const ps_optimizer_config *o, ps_buf *out)
{
    put_text(out, o->name);
    ps_buf_put_f64le(out, o->learning_rate);
    ps_buf_put_f64le(out, o->momentum);
    ps_buf_put_u64le(out, o->nesterov);
    ps_buf_put_f64le(out, o->beta1);
    ps_buf_put_f64le(out, o->beta2);
    ps_buf_put_f64le(out, o->epsilon);
    ps_buf_put_f64le(out, o->weight_decay);
}

void ps_checkpoint_config_encode(const ps_param_config *config, ps_buf *out)
{
    ps_buf_put_u64le(out, VERSION);
    ps_buf_put_u64le(out, config->column_blocks);
    ps_buf_put_u64le(out, config->block_elements);
    encode_optimizer(&config->optimizer, out);
    ps_buf_put_u64le(out, config->schedule.kind);
    ps_buf_put_u64le(out, config->schedule.warmup_steps);
    ps_buf_put_u64le(out, 0); /* was: the updates that the job was to make */
    ps_buf_put_f64le(out, config->schedule.final_factor);
    put_text(out, config->controller->name);
    ps_buf_put_f64le(out, config->clip_norm);
    ps_buf_put_u64le(out, config->n_plans);
    for (size_t i = 0; i < config->n_plans; i++) {
        const ps_param_plan *plan = &config->plans[i];
        put_text(out, plan->name);
        ps_buf_put_u64le(out, plan->undecayed);
        ps_buf_put_u64le(out, plan->rank);
        for (unsigned k = 0; k < plan->rank; k++)
            ps_buf_put_u64le(out, plan->shape[k]);
    }
}

/* Texts are gathered in one allocation that has room for all, since each came out of `bytes`. */
typedef struct decoder {
    ps_cursor c;
    char *texts;
    size_t used;
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
    char *text = d->texts + d->used;
    if (len)
        memcpy(text, bytes.data, len);
    text[len] = 0;
    d->used += len + 1;
    return text;
}

static uint32_t read_u32(decoder *d)
{
    uint64_t v = ps_read_u64le(&d->c);
    if (v > UINT32_MAX)
        d->c.failed = true;
    return (uint32_t)v;
}

static void decode_head(decoder *d, ps_param_config *config, const char **consistency)
{
    d->version = ps_read_u64le(&d->c);
    if (d->version < OLDEST || d->version > VERSION)
        d->c.failed = true;
    config->column_blocks = read_u32(d);
    config->block_elements = read_u32(d);
    config->optimizer.name = read_text(d);
    config->optimizer.learning_rate = ps_read_f64le(&d->c);
    config->optimizer.momentum = ps_read_f64le(&d->c);
    config->optimizer.nesterov = ps_read_u64le(&d->c) != 0;
    config->optimizer.beta1 = ps_read_f64le(&d->c);
    config->optimizer.beta2 = ps_read_f64le(&d->c);
    config->optimizer.epsilon = ps_read_f64le(&d->c);
    config->optimizer.weight_decay = ps_read_f64le(&d->c);
    config->schedule.kind = read_u32(d);
    config->schedule.warmup_steps = ps_read_u64le(&d->c);
    (void)ps_read_u64le(&d->c);
    config->schedule.final_factor = ps_read_f64le(&d->c);
    *consistency = read_text(d);
    config->clip_norm = ps_read_f64le(&d->c);
    config->n_plans = read_u32(d);
}

static void decode_plan(decoder *d, ps_param_plan *plan, uint64_t *elements)
{
    plan->name = read_text(d);
    plan->undecayed = d->version > 1 && ps_read_u64le(&d->c) != 0;
    plan->rank = read_u32(d);
    if (plan->rank > PS_PARAM_DIMS_MAX)
        d->c.failed = true;
    uint64_t n = 1;
    for (unsigned i = 0; i < plan->rank && !d->c.failed; i++) {
        plan->shape[i] = ps_read_u64le(&d->c);
        if (plan->shape[i] == 0 || plan->shape[i] > PS_PARAM_ELEMENTS_MAX / n)
            d->c.failed = true;
        else
            n *= plan->shape[i];
    }
    *elements += n;
}

ps_status ps_checkpoint_config_decode(ps_slice bytes, ps_checkpoint_config *out)
{
    ps_checkpoint_config made = {0};
    /* a text of n bytes took n + 8, so that its end has room, too */
    made.texts = ps_try_alloc(bytes.len + 1);
    if (!made.texts)
        return ps_fail(PS_NO_MEMORY, "out of memory for the configuration of a checkpoint");
    decoder d = {.c = ps_cursor_of(bytes), .texts = made.texts};
    decode_head(&d, &made.config, &made.consistency);
    size_t n = made.config.n_plans;
    if (d.c.failed || n == 0 || n > PS_PARAM_TENSORS_MAX || n > bytes.len / TENSOR_MIN)
        goto corrupt;
    made.plans = ps_try_alloc(n * sizeof *made.plans);
    if (!made.plans) {
        ps_checkpoint_config_free(&made);
        return ps_fail(PS_NO_MEMORY, "out of memory for the configuration of a checkpoint");
    }
    made.config.plans = made.plans;
    for (size_t i = 0; i < n && !d.c.failed; i++)
        decode_plan(&d, &made.plans[i], &made.elements);
    if (d.c.failed || ps_cursor_left(&d.c))
        goto corrupt;
    *out = made;
    return PS_OK;

corrupt:
    ps_checkpoint_config_free(&made);
    return ps_fail(PS_CORRUPT, "the configuration of the job is damaged");
}

void ps_checkpoint_config_free(ps_checkpoint_config *config)
{
    ps_free(&config->plans);
    ps_free(&config->texts);
}
