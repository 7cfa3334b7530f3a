/* What only some optimizers take, and whose it is, train_rows.h says; another hyperparameter is a
 * line here and a member in job_spec.h. */
#include "common/conf/train_keys.h"

#include <stdio.h>
#include <string.h>

static const char *const schedule_words[] = {"constant", "linear", "cosine", NULL};

#define OPTIMIZER_REAL(key, ...) PS_CONF_REAL(#key, ps_spec_optimizer, key, __VA_ARGS__),
#define OPTIMIZER_FLAG(key, ...) PS_CONF_BOOL(#key, ps_spec_optimizer, key, __VA_ARGS__),

const ps_conf_key ps_spec_optimizer_keys[] = {
    PS_CONF_NAME("name", ps_spec_optimizer, name, NULL, ps_optimizer_names),
    PS_CONF_REAL("learning_rate", ps_spec_optimizer, learning_rate, NULL, 1e-12, 1e3),
    PS_OPTIMIZER_KEY_ROWS(OPTIMIZER_REAL, OPTIMIZER_FLAG)
        PS_CONF_REAL("weight_decay", ps_spec_optimizer, weight_decay, "0", 0, 1e3),
    PS_CONF_BOOL("decay_bias_and_norm", ps_spec_optimizer, decay_bias_and_norm, "true"),
    PS_CONF_END,
};

const ps_conf_key ps_spec_schedule_keys[] = {
    PS_CONF_WORD("name", ps_spec_rate_schedule, name, "constant", schedule_words),
    PS_CONF_INT("warmup_steps", ps_spec_rate_schedule, warmup_steps, "0", 0, 1000000000),
    PS_CONF_REAL("final_factor", ps_spec_rate_schedule, final_factor, "0", 0, 1),
    PS_CONF_END,
};

const ps_conf_key ps_spec_consistency_keys[] = {
    PS_CONF_NAME("mode", ps_spec_consistency, mode, "asp", ps_mode_names),
    PS_CONF_INT("staleness", ps_spec_consistency, staleness, "0", 0, 1000000),
    PS_CONF_END,
};

typedef struct path {
    char text[96];
} path;

static path path_of(const char *prefix, const char *key)
{
    path p;
    (void)snprintf(p.text, sizeof p.text, "%s.%s", prefix, key);
    return p;
}

bool ps_spec_optimizer_takes(const ps_spec_optimizer *optimizer, const char *key)
{
    bool somebodys = false;
    for (size_t i = 0; ps_optimizer_names[i]; i++)
        somebodys |= ps_optimizer_row_has(ps_optimizer_row_find(ps_optimizer_names[i]), key);
    return !somebodys || ps_optimizer_row_has(ps_optimizer_row_find(optimizer->name), key);
}

void ps_spec_optimizer_settle(ps_spec_optimizer *optimizer, const ps_conf_doc *doc,
                              const char *prefix)
{
    const ps_optimizer_row *row =
        ps_conf_faulty(doc, prefix) ? NULL : ps_optimizer_row_find(optimizer->name);
    for (const ps_optimizer_key *own = row ? row->keys : NULL; own && own->name; own++)
        for (const ps_conf_key *key = ps_spec_optimizer_keys; own->usual != 0 && key->name; key++)
            if (!strcmp(key->name, own->name) && !ps_conf_has(doc, path_of(prefix, key->name).text))
                *(double *)((char *)optimizer + key->offset) = own->usual;
}

/* Settings of one optimizer under the name of another would be silently without effect. */
ps_status ps_spec_optimizer_check(const ps_spec_optimizer *optimizer, const ps_conf_doc *doc,
                                  const char *prefix)
{
    for (const ps_conf_key *key = ps_spec_optimizer_keys; key->name; key++) {
        path at = path_of(prefix, key->name);
        if (ps_spec_optimizer_takes(optimizer, key->name) || !ps_conf_has(doc, at.text))
            continue;
        ps_buf owners = PS_BUF_EMPTY;
        ps_optimizer_owners(key->name, &owners);
        ps_status st =
            ps_conf_fail(doc, at.text, "optimizer %s has no such setting; it is one of %.*s",
                         optimizer->name, (int)owners.len, (const char *)owners.data);
        ps_buf_free(&owners);
        return st;
    }
    return PS_OK;
}
