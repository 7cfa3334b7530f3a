/* Happy path: our table is turned into libcyaml's, libcyaml allocates and fills the struct. Its
 * tables live only during the call. */
#include "common/conf/bind.h"

#include "common/base/mem.h"

#include <cyaml/cyaml.h>
#include <string.h>

static const cyaml_schema_field_t *make_fields(const ps_conf_key *keys);

static size_t count(const ps_conf_key *keys)
{
    size_t n = 0;
    while (keys[n].name)
        n++;
    return n;
}

static cyaml_schema_value_t scalar(cyaml_type_e type, size_t size)
{
    return (cyaml_schema_value_t){.type = type, .data_size = (uint32_t)size};
}

static cyaml_schema_value_t text(void)
{
    cyaml_schema_value_t v = scalar(CYAML_STRING, sizeof(char));
    v.flags = CYAML_FLAG_POINTER;
    v.string.max = PS_CONF_MAX_BYTES;
    return v;
}

static cyaml_schema_value_t list(const cyaml_schema_value_t *entry, size_t size)
{
    cyaml_schema_value_t v = scalar(CYAML_SEQUENCE, size);
    v.flags = CYAML_FLAG_POINTER;
    v.sequence.entry = entry;
    v.sequence.max = PS_CONF_MAX_NODES;
    return v;
}

static cyaml_schema_value_t map(const ps_conf_key *key)
{
    cyaml_schema_value_t v = scalar(CYAML_MAPPING, key->size);
    if (key->type == PS_CONF_TYPE_MAP_OPT)
        v.flags = CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL;
    v.mapping.fields = make_fields(key->keys);
    return v;
}

/* A list of structs; its entry's schema is freed by free_fields. */
static cyaml_schema_value_t named(const ps_conf_key *key)
{
    cyaml_schema_value_t *entry = ps_new(cyaml_schema_value_t);
    *entry = scalar(CYAML_MAPPING, key->size);
    entry->mapping.fields = make_fields(key->keys);
    return list(entry, key->size);
}

static const cyaml_schema_value_t int_entry = {.type = CYAML_INT, .data_size = sizeof(int64_t)};
static const cyaml_schema_value_t real_entry = {.type = CYAML_FLOAT, .data_size = sizeof(double)};
static const cyaml_schema_value_t text_entry = {.type = CYAML_STRING,
                                                .flags = CYAML_FLAG_POINTER,
                                                .data_size = sizeof(char),
                                                .string = {.max = PS_CONF_MAX_BYTES}};

static cyaml_schema_value_t value_of(const ps_conf_key *key)
{
    switch (key->type) {
    case PS_CONF_TYPE_BOOL:
        return scalar(CYAML_BOOL, sizeof(bool));
    case PS_CONF_TYPE_INT:
        return scalar(CYAML_INT, sizeof(int64_t));
    case PS_CONF_TYPE_REAL:
        return scalar(CYAML_FLOAT, sizeof(double));
    case PS_CONF_TYPE_WORD: /* ps_conf_check wrote the word's index */
        return scalar(CYAML_UINT, sizeof(unsigned));
    case PS_CONF_TYPE_BYTES:
    case PS_CONF_TYPE_DURATION:
        return scalar(CYAML_UINT, sizeof(uint64_t));
    case PS_CONF_TYPE_INTS:
        return list(&int_entry, sizeof(int64_t));
    case PS_CONF_TYPE_REALS:
        return list(&real_entry, sizeof(double));
    case PS_CONF_TYPE_TEXTS:
        return list(&text_entry, sizeof(char *));
    case PS_CONF_TYPE_MAP:
    case PS_CONF_TYPE_MAP_OPT:
        return map(key);
    case PS_CONF_TYPE_NAMED:
    case PS_CONF_TYPE_MAPS:
        return named(key);
    default:
        return text();
    }
}

static const cyaml_schema_field_t *make_fields(const ps_conf_key *keys)
{
    size_t n = count(keys);
    cyaml_schema_field_t *out = ps_alloc_array(n + 1, sizeof *out); /* the last stays zero */
    for (size_t i = 0; i < n; i++) {
        out[i].key = keys[i].name;
        out[i].data_offset = (uint32_t)keys[i].offset;
        out[i].value = value_of(&keys[i]);
        if (out[i].value.type == CYAML_SEQUENCE) {
            out[i].count_offset = (uint32_t)keys[i].count_offset;
            out[i].count_size = sizeof(size_t);
        }
    }
    return out;
}

/* libcyaml's tables are const */
static void free_const(const void *made)
{
    union {
        const void *kept;
        void *gone;
    } p = {.kept = made};
    ps_free(&p.gone);
}

static void free_fields(const cyaml_schema_field_t *made)
{
    for (const cyaml_schema_field_t *f = made; f->key; f++) {
        const cyaml_schema_value_t *entry =
            f->value.type == CYAML_SEQUENCE ? f->value.sequence.entry : &f->value;
        if (entry->type == CYAML_MAPPING)
            free_fields(entry->mapping.fields);
        if (entry->type == CYAML_MAPPING && entry != &f->value)
            free_const(entry);
    }
    free_const(made);
}

static cyaml_schema_value_t top(const ps_conf_schema *schema)
{
    cyaml_schema_value_t v = scalar(CYAML_MAPPING, schema->size);
    v.flags = CYAML_FLAG_POINTER;
    v.mapping.fields = make_fields(schema->keys);
    return v;
}

static const cyaml_config_t config = {
    .mem_fn = cyaml_mem,
    .log_fn = NULL, /* ps_conf_check has said everything there is to say */
    .log_level = CYAML_LOG_ERROR,
    .flags = CYAML_CFG_NO_ALIAS,
};

ps_status ps_conf_bind(const ps_conf_schema *schema, ps_slice yaml, void **out)
{
    cyaml_schema_value_t value = top(schema);
    cyaml_data_t *data = NULL;
    cyaml_err_t err = cyaml_load_data(yaml.data, yaml.len, &config, &value, &data, NULL);
    free_fields(value.mapping.fields);
    if (err == CYAML_ERR_OOM)
        return ps_fail(PS_NO_MEMORY, "configuration: out of memory");
    if (err)
        return ps_fail(PS_INTERNAL, "configuration: libcyaml: %s", cyaml_strerror(err));
    *out = data;
    return PS_OK;
}

void ps_conf_unbind(const ps_conf_schema *schema, void *data)
{
    if (!data)
        return;
    cyaml_schema_value_t value = top(schema);
    (void)cyaml_free(&config, &value, data, 0);
    free_fields(value.mapping.fields);
}
