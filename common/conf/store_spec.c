#include "common/conf/store_spec.h"

#include "common/conf/train_keys.h"
#include "common/conf/write.h"

static const ps_conf_key store_keys[] = {
    PS_CONF_INT("column_blocks", ps_store_spec, column_blocks, "1", 1, 1 << 16),
    PS_CONF_INT("block_elements", ps_store_spec, block_elements, "0", 0, INT32_MAX),
    PS_CONF_MAP("optimizer", ps_store_spec, optimizer, ps_spec_optimizer_keys),
    PS_CONF_MAP("schedule", ps_store_spec, schedule, ps_spec_schedule_keys),
    PS_CONF_MAP("consistency", ps_store_spec, consistency, ps_spec_consistency_keys),
    PS_CONF_REAL("clip_norm", ps_store_spec, clip_norm, "0", 0, 1e12),
    PS_CONF_END,
};

static const ps_conf_schema store_schema = {.keys = store_keys, .size = sizeof(ps_store_spec)};

/* Others' keys are not written, as they are not read. */
static void write_optimizer(const ps_spec_optimizer *optimizer, ps_buf *out)
{
    const char *separator = "{";
    for (const ps_conf_key *key = ps_spec_optimizer_keys; key->name; key++) {
        if (!ps_spec_optimizer_takes(optimizer, key->name))
            continue;
        ps_buf_printf(out, "%s%s: ", separator, key->name);
        ps_conf_write(key, optimizer, out);
        separator = ", ";
    }
    ps_buf_putc(out, '}');
}

void ps_store_spec_format(const ps_store_spec *spec, ps_buf *out)
{
    for (const ps_conf_key *key = store_keys; key->name; key++) {
        ps_buf_printf(out, "%s%s: ", key == store_keys ? "{" : ", ", key->name);
        if (key->keys == ps_spec_optimizer_keys)
            write_optimizer(&spec->optimizer, out);
        else
            ps_conf_write(key, spec, out);
    }
    ps_buf_putc(out, '}');
}

ps_status ps_store_spec_parse(ps_slice yaml, const char *origin, ps_store_spec **out)
{
    ps_conf_doc *doc = NULL;
    void *data = NULL;
    ps_status st = ps_conf_load(&store_schema, yaml, origin, &doc, &data);
    if (st)
        return st;
    ps_store_spec *spec = data;
    ps_spec_optimizer_settle(&spec->optimizer, doc, "optimizer");
    st = ps_spec_optimizer_check(&spec->optimizer, doc, "optimizer");
    ps_conf_doc_free(&doc);
    if (st)
        ps_store_spec_free(&spec);
    else
        *out = spec;
    return st;
}

void ps_store_spec_free(ps_store_spec **spec)
{
    ps_conf_free(&store_schema, *spec);
    *spec = NULL;
}
