/* Values are compared as they would be written: so there is no second word on what each type is. */
#include "common/conf/changed.h"

#include "common/base/log.h"
#include "common/base/mem.h"
#include "common/conf/write.h"

#include <string.h>

typedef struct changes {
    const char *const *taken;
    char **names;
    size_t n;
} changes;

static bool is_taken(const changes *c, const char *path)
{
    for (const char *const *one = c->taken; *one; one++)
        if (!strcmp(*one, path))
            return true;
    return false;
}

static bool is_same(const ps_conf_key *key, const void *before, const void *now)
{
    ps_buf a = PS_BUF_EMPTY, b = PS_BUF_EMPTY;
    ps_conf_write(key, before, &a);
    ps_conf_write(key, now, &b);
    bool same = a.len == b.len && memcmp(a.data, b.data, a.len) == 0;
    ps_buf_free(&a);
    ps_buf_free(&b);
    return same;
}

static void look(changes *c, const char *above, const ps_conf_key *keys, const void *before,
                 const void *now)
{
    for (const ps_conf_key *key = keys; key->name; key++) {
        char *path = ps_asprintf("%s%s%s", above, *above ? "." : "", key->name);
        if (is_taken(c, path)) {
            ps_free(&path);
        } else if (key->type == PS_CONF_TYPE_MAP) {
            look(c, path, key->keys, (const char *)before + key->offset,
                 (const char *)now + key->offset);
            ps_free(&path);
        } else if (is_same(key, before, now)) {
            ps_free(&path);
        } else {
            c->names = ps_realloc(c->names, (c->n + 1) * sizeof *c->names);
            c->names[c->n++] = path;
        }
    }
}

char **ps_conf_changed(const ps_conf_schema *schema, const void *before, const void *now,
                       const char *const *taken, size_t *n)
{
    changes c = {.taken = taken};
    look(&c, "", schema->keys, before, now);
    *n = c.n;
    return c.names;
}

void ps_conf_changed_log(const char *tag, char *const *names, size_t n)
{
    ps_buf list = PS_BUF_EMPTY;
    for (size_t i = 0; i < n; i++)
        ps_buf_printf(&list, "%s%s", i ? ", " : "", names[i]);
    if (n)
        ps_log_notice(tag, "changed in the configuration, in force after a restart: %s",
                      ps_buf_cstr(&list));
    ps_buf_free(&list);
}

void ps_conf_changed_free(char ***names, size_t n)
{
    for (size_t i = 0; i < n; i++)
        ps_free(&(*names)[i]);
    ps_free(names);
}
