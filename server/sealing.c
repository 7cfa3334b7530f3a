/* Happy path: keys are read, what a crash left is settled, and the sealed row stands before the
 * system's disk. */
#include "server/sealing.h"

#include "common/base/clock.h"
#include "common/base/limits.h"
#include "common/base/log.h"
#include "common/base/mem.h"
#include "common/base/mutex.h"
#include "common/base/text.h"
#include "common/loop/loop.h"
#include "common/seal/key_source.h"
#include "common/seal/seal_memory.h"
#include "common/seal/sealed_name.h"
#include "server/sealing_known.h"

#include <string.h>

enum { PART_OF_MEMORY = 16 }; /* for files that are open, where that is more than the least */

struct ps_sealing {
    char *data_dir, *cluster;
    ps_sealed_names names;
    ps_sealed_disk *disk;   /* NULL: plain */
    ps_mutex one;           /* pass at a time, and what follows */
    ps_sealing_known known; /* by this key, since this time: */
    uint32_t known_key;
    uint64_t known_ms;

    ps_mutex last_mutex;
    ps_sealing_state last;
    char **recipients; /* of exports */
    size_t n_recipients;
};

/* ---- keys ---- */

static ps_status read_previous(const ps_server_sealing *conf, ps_keyring *ring)
{
    ps_status st = PS_OK;
    for (size_t i = 0; !st && i < conf->n_previous; i++) {
        ps_secret *key = NULL;
        st = ps_key_source_read(conf->previous[i], PS_KEY_SOURCE_PATIENCE_MS, &key);
        if (!st)
            st = ps_keyring_add(ring, &key);
        ps_secret_free(&key);
    }
    return st ? ps_wrap(st, "sealing.previous") : PS_OK;
}

ps_status ps_sealing_keys(const ps_server_sealing *conf, ps_keyring **ring)
{
    *ring = NULL;
    if (!*conf->kek)
        return PS_OK;
    ps_secret *key = NULL;
    ps_status st = ps_key_source_read(conf->kek, PS_KEY_SOURCE_PATIENCE_MS, &key);
    if (st)
        return ps_wrap(st, "sealing.kek");
    ps_keyring *made = ps_keyring_new(&key);
    st = read_previous(conf, made);
    if (st)
        ps_keyring_free(&made);
    *ring = made;
    return st;
}

/* ---- the files below data_dir ---- */

/* No folder, no names. */
static ps_status each_in(const ps_disk *disk, const char *folder, ps_disk_visit visit, void *user)
{
    ps_status st = ps_disk_each(disk, folder, visit, user);
    return st == PS_NOT_FOUND ? PS_OK : st;
}

/* Each folder that has files which are sealed. */
static ps_status each_folder(const char *data_dir, ps_disk_visit visit, void *user)
{
    static const char *const folders[] = {"models", "artifacts", "records", "checkpoints"};
    ps_status st = PS_OK;
    for (size_t i = 0; !st && i < sizeof folders / sizeof *folders; i++) {
        char *folder = ps_asprintf("%s/%s", data_dir, folders[i]);
        st = i < 3 ? visit(user, folder) : each_in(&ps_disk_system, folder, visit, user);
        ps_free(&folder);
    }
    return st;
}

/* ---- opening ---- */

static ps_status settle(void *user, const char *folder)
{
    return ps_sealed_disk_settle(((ps_sealing *)user)->disk, folder);
}

static ps_status refuse_sealed(void *user, const char *path)
{
    const ps_sealing *s = user;
    ps_buf aad = PS_BUF_EMPTY;
    bool is = ps_text_ends(path, PS_SIDECAR);
    char *name = ps_asprintf("%.*s", is ? (int)(strlen(path) - strlen(PS_SIDECAR)) : 0, path);
    is = is && ps_sealed_name((void *)(uintptr_t)&s->names, name, &aad);
    ps_status st =
        is ? ps_fail(PS_FAILED_PRECONDITION, "%s is sealed: name its key under sealing.kek", name)
           : PS_OK;
    ps_buf_free(&aad);
    ps_free(&name);
    return st;
}

static ps_status refuse_sealed_in(void *user, const char *folder)
{
    return each_in(&ps_disk_system, folder, refuse_sealed, user);
}

static char **copy_texts(char *const *texts, size_t n)
{
    char **out = ps_alloc_array(n + 1, sizeof *out);
    for (size_t i = 0; i < n; i++)
        out[i] = ps_strdup(texts[i]);
    return out;
}

static void set_recipients(ps_sealing *s, char *const *texts, size_t n)
{
    char **fresh = texts ? copy_texts(texts, n) : NULL;
    ps_mutex_lock(&s->last_mutex);
    for (size_t i = 0; i < s->n_recipients; i++)
        ps_free(&s->recipients[i]);
    ps_free(&s->recipients);
    s->recipients = fresh;
    s->n_recipients = n;
    ps_mutex_unlock(&s->last_mutex);
}

void ps_sealing_set_recipients(ps_sealing *s, const ps_server_sealing *conf)
{
    set_recipients(s, conf->export_recipients, conf->n_export_recipients);
}

char **ps_sealing_recipients(ps_sealing *s, size_t *n)
{
    ps_mutex_lock(&s->last_mutex);
    char **out = copy_texts(s->recipients, s->n_recipients);
    *n = s->n_recipients;
    ps_mutex_unlock(&s->last_mutex);
    return out;
}

ps_status ps_sealing_open(const ps_server_sealing *conf, const char *data_dir, const char *cluster,
                          ps_sealing **out)
{
    ps_keyring *ring;
    ps_status st = ps_sealing_keys(conf, &ring);
    if (st)
        return st;
    ps_sealing *s = ps_new(ps_sealing);
    s->data_dir = ps_strdup(data_dir);
    s->cluster = ps_strdup(cluster);
    s->names = (ps_sealed_names){s->data_dir, s->cluster};
    ps_mutex_init(&s->one);
    ps_mutex_init(&s->last_mutex);
    ps_sealing_set_recipients(s, conf);
    ps_limits limits;
    ps_limits_read(&limits);
    ps_seal_memory_set_most(limits.memory / PART_OF_MEMORY > PS_SEAL_MEMORY_MOST
                                ? limits.memory / PART_OF_MEMORY
                                : PS_SEAL_MEMORY_MOST);
    if (ring)
        s->disk = ps_sealed_disk_new(&(ps_sealed_disk_conf){.disk = &ps_disk_system,
                                                            .ring = ring,
                                                            .require = conf->require,
                                                            .identity = ps_sealed_name,
                                                            .user = &s->names});
    st = each_folder(data_dir, ring ? settle : refuse_sealed_in, s);
    if (!st && !ring)
        st = each_in(&ps_disk_system, data_dir, refuse_sealed, s); /* the catalog's */
    if (st)
        ps_sealing_close(&s);
    else
        *out = s;
    return st;
}

void ps_sealing_close(ps_sealing **sealing)
{
    ps_sealing *s = *sealing;
    if (!s)
        return;
    ps_sealed_disk_free(&s->disk);
    set_recipients(s, NULL, 0);
    ps_sealing_known_clear(&s->known);
    ps_mutex_destroy(&s->one);
    ps_mutex_destroy(&s->last_mutex);
    ps_free(&s->data_dir);
    ps_free(&s->cluster);
    ps_free(sealing);
}

const ps_disk *ps_sealing_disk(const ps_sealing *s)
{
    return s->disk ? ps_sealed_disk_row(s->disk) : &ps_disk_system;
}

/* ---- the catalog ---- */

static char *catalog_path(const ps_sealing *s)
{
    return ps_asprintf("%s/" PS_SEALED_CATALOG, s->data_dir);
}

/* A new key would open nothing of what is there, and only what comes. */
static ps_status refuse_lost_key(ps_sealing *s, const char *path, ps_catalog *catalog)
{
    ps_sealed_kind kind;
    uint32_t kek;
    bool is_sealed = false;
    ps_status st = ps_sealed_disk_look(s->disk, path, &kind, &kek);
    if (st)
        return ps_wrap(st, "%s" PS_SIDECAR, path);
    if (kind != PS_SEALED_PLAIN)
        return PS_OK;
    st = ps_catalog_is_sealed(catalog, &is_sealed);
    if (!st && is_sealed)
        st = ps_fail(PS_FAILED_PRECONDITION,
                     "%s" PS_SIDECAR " is gone, and the catalog is sealed by it: put it back "
                     "from a backup",
                     path);
    return st;
}

ps_status ps_sealing_catalog(ps_sealing *s, ps_catalog *catalog)
{
    if (!s->disk)
        return PS_OK;
    char *path = catalog_path(s), *about = ps_asprintf("psd/v1 %s catalog", s->cluster);
    ps_secret *key = NULL;
    ps_status st = refuse_lost_key(s, path, catalog);
    st = st ? st : ps_sealed_disk_own_key(s->disk, path, &key);
    if (!st)
        st = ps_catalog_seal(catalog, key, about);
    ps_secret_free(&key);
    ps_free(&about);
    ps_free(&path);
    return st;
}

/* ---- other keys ---- */

ps_status ps_sealing_reload(ps_sealing *s, const ps_server_sealing *conf)
{
    ps_loop_require_off();
    ps_keyring *ring;
    ps_status st = ps_sealing_keys(conf, &ring);
    if (st)
        return st;
    if (!ring != !s->disk) {
        ps_keyring_free(&ring);
        return ps_fail(PS_FAILED_PRECONDITION,
                       "sealing begins and ends with a restart, and so does sealing.kek");
    }
    if (ring)
        ps_sealed_disk_set_keys(s->disk, &ring);
    ps_sealing_set_recipients(s, conf);
    return PS_OK;
}

/* ---- what is not yet as it should be ---- */

typedef struct pass {
    ps_sealing *sealing;
    uint64_t until; /* then nothing more is done, only counted */
    uint64_t sealed, wrapped;
    bool trusts; /* what is known is not looked at */
    ps_sealing_known seen;
    ps_sealing_counts *counts;
} pass;

static ps_sealing_key *key_of(ps_sealing_counts *c, uint32_t id)
{
    for (size_t i = 0; i < c->n_keys; i++)
        if (c->keys[i].id == id)
            return &c->keys[i];
    if (c->n_keys == sizeof c->keys / sizeof *c->keys)
        return NULL; /* as many unknown keys are nobody's */
    c->keys[c->n_keys] = (ps_sealing_key){.id = id};
    return &c->keys[c->n_keys++];
}

static void count(ps_sealing_counts *c, ps_sealed_kind kind, uint32_t kek)
{
    if (kind == PS_SEALED_NOT)
        return;
    ps_sealing_key *key = kind == PS_SEALED_YES ? key_of(c, kek) : NULL;
    c->plain += kind == PS_SEALED_PLAIN;
    c->left += !key || key != &c->keys[0];
    if (key)
        key->files++;
}

/* What is to be done with it, and is: *kind and *kek are then as they should be. */
static ps_status mend(pass *p, const char *path, ps_sealed_kind *kind, uint32_t *kek)
{
    ps_sealed_disk *disk = p->sealing->disk;
    const uint32_t current = p->counts->keys[0].id;
    bool wrapped = false;
    ps_status st = PS_OK;
    if (*kind == PS_SEALED_PLAIN) {
        st = ps_sealed_disk_seal(disk, path);
        p->sealed += !st;
    } else if (*kind == PS_SEALED_YES && *kek != current) {
        st = ps_sealed_disk_rewrap(disk, path, &wrapped);
        p->wrapped += wrapped;
    }
    if (!st && *kind != PS_SEALED_NOT) {
        *kind = PS_SEALED_YES;
        *kek = current;
    }
    return st;
}

static ps_status look_at(void *user, const char *path)
{
    pass *p = user;
    const uint32_t current = p->counts->keys[0].id;
    ps_sealed_kind kind;
    uint32_t kek;
    if (p->trusts && ps_sealing_known_has(&p->sealing->known, path)) {
        ps_sealing_known_add(&p->seen, path);
        count(p->counts, PS_SEALED_YES, current);
        return PS_OK;
    }
    ps_status st = ps_sealed_disk_look(p->sealing->disk, path, &kind, &kek);
    if (st) {
        p->counts->unreadable++;
        ps_log_warning("sealing", "%s" PS_SIDECAR ": %s", path, ps_error_message());
        return PS_OK;
    }
    if (ps_clock_ms(&ps_clock_system) < p->until)
        st = mend(p, path, &kind, &kek);
    if (st == PS_NOT_FOUND) /* it was removed meanwhile */
        return PS_OK;
    if (st)
        ps_log_warning("sealing", "%s", ps_error_message());
    else if (kind == PS_SEALED_YES && kek == current)
        ps_sealing_known_add(&p->seen, path);
    count(p->counts, kind, kek);
    return PS_OK;
}

static ps_status look_in(void *user, const char *folder)
{
    pass *p = user;
    return each_in(ps_sealing_disk(p->sealing), folder, look_at, p);
}

/* Its file stays as it is: only its key is wrapped anew. */
static void look_at_catalog(pass *p)
{
    char *path = catalog_path(p->sealing);
    ps_sealed_kind kind;
    uint32_t kek;
    ps_status st = ps_sealed_disk_look(p->sealing->disk, path, &kind, &kek);
    if (!st && kind == PS_SEALED_YES) {
        (void)look_at(p, path);
    } else {
        p->counts->unreadable++;
        ps_log_error("sealing",
                     "%s" PS_SIDECAR " is gone or none: put it back from a backup before "
                     "psd is started again",
                     path);
    }
    ps_free(&path);
}

static void keep_last(ps_sealing *s, const ps_sealing_counts *counts)
{
    ps_sealing_state now = {.key = counts->keys[0].id, .plain = counts->plain};
    for (size_t i = 0; i < counts->n_keys; i++)
        now.sealed += counts->keys[i].files;
    ps_mutex_lock(&s->last_mutex);
    s->last = now;
    ps_mutex_unlock(&s->last_mutex);
}

ps_sealing_state ps_sealing_last(ps_sealing *s)
{
    ps_mutex_lock(&s->last_mutex);
    ps_sealing_state last = s->last;
    ps_mutex_unlock(&s->last_mutex);
    return last;
}

static void look_everywhere(pass *p)
{
    ps_sealing *s = p->sealing;
    uint32_t id;
    for (size_t i = 0; ps_sealed_disk_key(s->disk, i, &id); i++)
        key_of(p->counts, id)->present = true;
    look_at_catalog(p);
    if (each_folder(s->data_dir, look_in, p)) {
        p->counts->unreadable++;
        ps_log_warning("sealing", "%s", ps_error_message());
    }
    p->counts->done = p->sealed + p->wrapped;
    keep_last(s, p->counts);
    if (p->counts->done)
        ps_log_notice("sealing", "sealed=%llu wrapped_anew=%llu left=%llu",
                      (unsigned long long)p->sealed, (unsigned long long)p->wrapped,
                      (unsigned long long)p->counts->left);
}

/* What was seen is known from here on. A psd that has another key, and an hour after the last time
 * that all was looked at, knows nothing: somebody may have changed a file behind its back. */
static void run_pass(ps_sealing *s, uint64_t ms, bool trusts, ps_sealing_counts *out)
{
    enum { TRUSTED_MS = 3600000 };
    const uint64_t now = ps_clock_ms(&ps_clock_system);
    uint32_t current = 0;
    ps_loop_require_off();
    *out = (ps_sealing_counts){0};
    if (!s->disk)
        return;
    ps_mutex_lock(&s->one);
    (void)ps_sealed_disk_key(s->disk, 0, &current);
    trusts = trusts && s->known_key == current && now - s->known_ms < TRUSTED_MS;
    pass p = {.sealing = s, .until = now + ms, .trusts = trusts, .counts = out};
    look_everywhere(&p);
    ps_sealing_known_clear(&s->known);
    s->known = p.seen;
    ps_sealing_known_settle(&s->known);
    s->known_key = out->keys[0].id;
    s->known_ms = trusts ? s->known_ms : now;
    ps_mutex_unlock(&s->one);
}

void ps_sealing_pass(ps_sealing *s, uint64_t ms, ps_sealing_counts *out)
{
    run_pass(s, ms, false, out);
}

void ps_sealing_upkeep(ps_sealing *s, uint64_t ms, ps_sealing_counts *out)
{
    run_pass(s, ms, true, out);
}

ps_status ps_sealing_retire(ps_sealing *s, uint32_t id)
{
    char text[PS_KEK_TEXT];
    ps_kek_text(id, text);
    if (!s->disk)
        return ps_fail(PS_FAILED_PRECONDITION, "psd seals nothing: sealing.kek names no key");
    ps_sealing_counts counts;
    ps_sealing_pass(s, 0, &counts);
    if (id == counts.keys[0].id)
        return ps_fail(PS_FAILED_PRECONDITION, "%s is the current key", text);
    if (counts.unreadable)
        return ps_fail(PS_FAILED_PRECONDITION,
                       "whether a file needs %s is not known: FILE.keys that are none, %llu, are "
                       "named in the log; put them back from a backup, or remove them and their "
                       "files",
                       text, (unsigned long long)counts.unreadable);
    const ps_sealing_key *key = key_of(&counts, id);
    if (key && key->files)
        return ps_fail(PS_FAILED_PRECONDITION,
                       "%llu files need %s: psctl key rotate --wait wraps their keys anew",
                       (unsigned long long)key->files, text);
    return ps_sealed_disk_forget(s->disk, id);
}
