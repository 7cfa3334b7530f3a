/* Happy path: create_for makes a key and remembers it by the temporary name; a rename writes
 * FILE.key and gives the name; opening finds FILE.key, opens the key and reads through it. */
#include "common/seal/sealed_disk.h"

#include "common/base/log.h"
#include "common/base/mem.h"
#include "common/base/require.h"
#include "common/base/text.h"
#include "common/base/whole_file.h"
#include "common/seal/sealed_disk_internal.h"

#include <string.h>

static const ps_disk *below(const ps_sealed_disk *s)
{
    return s->conf.disk;
}

/* ---- open ---- */

/* The disk's file becomes the row's, read through key (NULL: plain). */
static ps_status open_reader(ps_sealed_disk *s, const char *path, const char *whose,
                             const ps_secret *key, int *file)
{
    ps_sealed_open o = {0};
    ps_status st = below(s)->open(below(s)->state, path, PS_DISK_READ, &o.file);
    if (st)
        return st;
    if (key) {
        ps_buf aad = PS_BUF_EMPTY;
        ps_sealed_form form = ps_sealed_identity(s, whose, &aad);
        if (form == PS_SEALED_LOG)
            st = ps_sealed_log_open(below(s), o.file, key, ps_buf_slice(&aad), &o.log);
        else
            st = ps_seal_reader_new(below(s), o.file, key, ps_buf_slice(&aad), &o.reader);
        ps_buf_free(&aad);
        if (st) {
            ps_error error;
            ps_error_save(&error, st);
            below(s)->close(below(s)->state, o.file);
            st = ps_error_raise(&error);
            return ps_wrap(st, "%s", path);
        }
        o.path = ps_strdup(path);
    }
    *file = ps_sealed_open_add(s, &o);
    return PS_OK;
}

static ps_status refuse_plain(const ps_sealed_disk *s, const char *path)
{
    int file;
    ps_status st = below(s)->open(below(s)->state, path, PS_DISK_READ, &file);
    if (st) /* it is not there, say */
        return st;
    below(s)->close(below(s)->state, file);
    return ps_fail(PS_FAILED_PRECONDITION, "%s: not sealed, and sealing.require is set", path);
}

static ps_status open_plain(ps_sealed_disk *s, const char *path, int *file)
{
    ps_buf aad = PS_BUF_EMPTY;
    bool refused = s->conf.require && ps_sealed_identity(s, path, &aad);
    ps_buf_free(&aad);
    return refused ? refuse_plain(s, path) : open_reader(s, path, path, NULL, file);
}

static ps_status open_to_read(ps_sealed_disk *s, const char *path, int *file)
{
    const ps_pending *pending = ps_pending_find(&s->pending, path);
    if (pending)
        return open_reader(s, path, pending->to, pending->key, file);
    ps_secret *key = NULL;
    ps_status st = ps_sealed_key_open(s, path, &key);
    if (st == PS_NOT_FOUND)
        return open_plain(s, path, file);
    if (!st)
        st = open_reader(s, path, path, key, file);
    ps_secret_free(&key);
    return st;
}

static ps_status row_open(void *state, const char *path, ps_disk_mode mode, int *file)
{
    ps_sealed_disk *s = state;
    ps_mutex_lock(&s->names);
    ps_status st;
    if (mode == PS_DISK_READ) {
        st = open_to_read(s, path, file);
    } else {
        ps_sealed_open o = {0};
        st = below(s)->open(below(s)->state, path, mode, &o.file);
        if (!st)
            *file = ps_sealed_open_add(s, &o);
    }
    ps_mutex_unlock(&s->names);
    return st;
}

/* ---- create ---- */

/* A name that has a key keeps it: then one rename replaces the file. One whose key does not open
 * gets another. */
static ps_status key_for(ps_sealed_disk *s, const char *to, ps_secret **key)
{
    ps_status st = ps_sealed_key_open(s, to, key);
    if (st != PS_NOT_FOUND && st != PS_FAILED_PRECONDITION && st != PS_CORRUPT)
        return st;
    *key = ps_secret_random();
    return PS_OK;
}

static ps_status create_sealed(ps_sealed_disk *s, const char *path, const char *to,
                               ps_sealed_form form, ps_slice aad, int *file)
{
    ps_secret *key = NULL;
    ps_status st = key_for(s, to, &key);
    if (st)
        return st;
    ps_sealed_open o = {0};
    st = below(s)->open(below(s)->state, path, PS_DISK_CREATE, &o.file);
    if (!st) {
        if (form == PS_SEALED_LOG)
            o.log = ps_sealed_log_new(below(s), o.file, key, aad);
        else
            o.writer = ps_seal_writer_new(below(s), o.file, key, aad);
        o.path = ps_strdup(path);
        *file = ps_sealed_open_add(s, &o);
        ps_pending_add(&s->pending, path, to, &key);
    }
    ps_secret_free(&key);
    return st;
}

static ps_status row_create_for(void *state, const char *path, const char *to, int *file)
{
    ps_sealed_disk *s = state;
    ps_buf aad = PS_BUF_EMPTY;
    ps_sealed_form form = ps_sealed_identity(s, to, &aad);
    if (!form)
        return row_open(s, path, PS_DISK_CREATE, file);
    PS_REQUIRE(strcmp(path, to) != 0); /* it has no name before it is whole */
    ps_mutex_lock(&s->names);
    ps_status st = create_sealed(s, path, to, form, ps_buf_slice(&aad), file);
    ps_mutex_unlock(&s->names);
    ps_buf_free(&aad);
    return st;
}

/* ---- names ---- */

typedef ps_status (*rename_function)(void *state, const char *from, const char *to);

/* The pending key is the one that the name has; else *before is the text of that, empty if it has
 * none. */
static ps_status look_at_key(const ps_sealed_disk *s, const ps_pending *pending, ps_buf *before,
                             bool *same)
{
    ps_secret *key = NULL;
    if (!ps_sealed_key_open(s, pending->to, &key))
        *same = !memcmp(ps_secret_const(key), ps_secret_const(pending->key), PS_SECRET_BYTES);
    ps_secret_free(&key);
    ps_status st = ps_sealed_key_read(s, pending->to, before);
    return st == PS_NOT_FOUND ? PS_OK : st;
}

static ps_status put_key_back(const ps_sealed_disk *s, const char *to, const ps_buf *before)
{
    if (!before->len)
        return ps_sealed_key_remove(s, to);
    char *name = ps_sealed_key_path(to);
    ps_status st = ps_whole_file_save(below(s), name, ps_buf_slice(before));
    ps_free(&name);
    return st;
}

/* What has the name keeps it, and its key. */
static void undo_name(ps_sealed_disk *s, const ps_pending *pending, const char *beside,
                      const ps_buf *before)
{
    ps_error error;
    ps_error_save(&error, PS_UNKNOWN);
    ps_status st = put_key_back(s, pending->to, before);
    if (!st && strcmp(beside, pending->temporary) != 0)
        st = below(s)->rename(below(s)->state, beside, pending->temporary);
    if (st)
        ps_log_warning("files", "%s: what was to replace it is put right at the next start: %s",
                       pending->to, ps_error_message());
    (void)ps_error_raise(&error);
}

/* The name is that of a file which the pending key does not open: what replaces it stands beside it
 * before the key does, so that a crash between key and name is settled as one of sealing in place
 * (sealed_settle.c). */
static ps_status replace_other(ps_sealed_disk *s, const ps_pending *pending, const ps_buf *before)
{
    char *beside = ps_asprintf("%s" PS_SEALED_BESIDE, pending->to);
    ps_status st = PS_OK;
    if (strcmp(beside, pending->temporary) != 0)
        st = below(s)->rename(below(s)->state, pending->temporary, beside);
    if (!st) {
        st = ps_sealed_key_save(s, pending->to, pending->key);
        if (!st)
            st = below(s)->rename(below(s)->state, beside, pending->to);
        if (st)
            undo_name(s, pending, beside, before);
    }
    ps_free(&beside);
    return st;
}

static ps_status name_it(ps_sealed_disk *s, const ps_pending *pending, rename_function by)
{
    bool there = false, same = false;
    ps_buf before = PS_BUF_EMPTY;
    ps_status st = ps_sealed_exists(s, pending->to, &there);
    if (!st && there && by == below(s)->rename_new) /* whose key stays */
        return ps_fail(PS_ALREADY_EXISTS, "%s is there already", pending->to);
    if (!st && there)
        st = look_at_key(s, pending, &before, &same);
    if (!st && there && !same) {
        st = replace_other(s, pending, &before);
    } else if (!st) {
        st = ps_sealed_key_save(s, pending->to, pending->key);
        st = st ? st : by(below(s)->state, pending->temporary, pending->to);
    }
    ps_buf_free(&before);
    return st;
}

static ps_status give_name(ps_sealed_disk *s, ps_pending *pending, rename_function by)
{
    ps_status st = name_it(s, pending, by);
    if (!st)
        ps_pending_remove(&pending);
    return st;
}

ps_status ps_sealed_give_name(ps_sealed_disk *s, ps_pending *pending)
{
    PS_REQUIRE(ps_mutex_is_held(&s->names));
    return give_name(s, pending, below(s)->rename);
}

static ps_status drop_key(ps_sealed_disk *s, const char *path)
{
    if (ps_sealed_key_remove(s, path))
        ps_log_warning("files", "a key that is no longer needed stays: %s", ps_error_message());
    return PS_OK;
}

/* A sealed file gets a second name of the same identity, or a temporary one again. */
static ps_status move_sealed(ps_sealed_disk *s, ps_secret **key, rename_function by,
                             const char *from, const char *to)
{
    ps_buf was = PS_BUF_EMPTY, is = PS_BUF_EMPTY;
    (void)ps_sealed_identity(s, from, &was);
    bool has = ps_sealed_identity(s, to, &is);
    bool same = has && was.len == is.len && !memcmp(was.data, is.data, is.len);
    ps_buf_free(&was);
    ps_buf_free(&is);
    if (has && !same)
        return ps_fail(PS_INTERNAL, "%s: sealed as what it is, it cannot become %s", from, to);
    ps_status st = same ? ps_sealed_key_save(s, to, *key) : PS_OK;
    if (!st)
        st = by(below(s)->state, from, to);
    if (st)
        return st;
    if (!same)
        ps_pending_add(&s->pending, to, from, key);
    return drop_key(s, from);
}

static ps_status rename_any(ps_sealed_disk *s, rename_function by, const char *from, const char *to)
{
    ps_pending *pending = ps_pending_find(&s->pending, from);
    if (pending) {
        PS_REQUIRE(!strcmp(pending->to, to)); /* it opens under no other */
        return give_name(s, pending, by);
    }
    ps_secret *key = NULL;
    ps_status st = ps_sealed_key_open(s, from, &key);
    if (st == PS_NOT_FOUND)
        return by(below(s)->state, from, to);
    if (!st)
        st = move_sealed(s, &key, by, from, to);
    ps_secret_free(&key);
    return st;
}

static ps_status row_rename(void *state, const char *from, const char *to)
{
    ps_sealed_disk *s = state;
    ps_mutex_lock(&s->names);
    ps_status st = rename_any(s, below(s)->rename, from, to);
    ps_mutex_unlock(&s->names);
    return st;
}

static ps_status row_rename_new(void *state, const char *from, const char *to)
{
    ps_sealed_disk *s = state;
    ps_mutex_lock(&s->names);
    ps_status st = rename_any(s, below(s)->rename_new, from, to);
    ps_mutex_unlock(&s->names);
    return st;
}

static ps_status row_unlink(void *state, const char *path)
{
    ps_sealed_disk *s = state;
    ps_buf aad = PS_BUF_EMPTY;
    ps_mutex_lock(&s->names);
    ps_status st = below(s)->unlink(below(s)->state, path);
    ps_pending *pending = ps_pending_find(&s->pending, path);
    if (!st && pending)
        ps_pending_remove(&pending);
    if (!st && ps_sealed_identity(s, path, &aad))
        st = drop_key(s, path);
    ps_mutex_unlock(&s->names);
    ps_buf_free(&aad);
    return st;
}

/* ---- folders ---- */

typedef struct listing {
    void (*each)(void *user, const char *name);
    void *user;
} listing;

static void without_keys(void *user, const char *name)
{
    const listing *l = user;
    if (!ps_text_ends(name, PS_SIDECAR))
        l->each(l->user, name);
}

static ps_status row_list(void *state, const char *path, void (*each)(void *user, const char *name),
                          void *user)
{
    const ps_sealed_disk *s = state;
    listing l = {each, user};
    return below(s)->list(below(s)->state, path, without_keys, &l);
}

static ps_status row_mkdir(void *state, const char *path)
{
    const ps_sealed_disk *s = state;
    return below(s)->mkdir(below(s)->state, path);
}

static ps_status row_rmdir(void *state, const char *path)
{
    const ps_sealed_disk *s = state;
    return below(s)->rmdir(below(s)->state, path);
}

static ps_status row_sync_folder(void *state, const char *path)
{
    const ps_sealed_disk *s = state;
    return below(s)->sync_folder(below(s)->state, path);
}

static ps_status row_free_space(void *state, const char *path, uint64_t *bytes)
{
    const ps_sealed_disk *s = state;
    return below(s)->free_space(below(s)->state, path, bytes);
}

/* ---- the row ---- */

ps_sealed_disk *ps_sealed_disk_new(const ps_sealed_disk_conf *conf)
{
    ps_sealed_disk *s = ps_new(ps_sealed_disk);
    s->conf = *conf;
    ps_mutex_init(&s->names);
    ps_pending_init(&s->pending);
    s->row = (ps_disk){.open = row_open,
                       .create_for = row_create_for,
                       .rename = row_rename,
                       .rename_new = row_rename_new,
                       .unlink = row_unlink,
                       .mkdir = row_mkdir,
                       .rmdir = row_rmdir,
                       .list = row_list,
                       .sync_folder = row_sync_folder,
                       .free_space = row_free_space,
                       .state = s};
    ps_sealed_open_row(&s->row);
    return s;
}

void ps_sealed_disk_free(ps_sealed_disk **sealed)
{
    ps_sealed_disk *s = *sealed;
    if (!s)
        return;
    for (size_t i = 0; i < s->n_open; i++) {
        PS_REQUIRE(!s->open[i]->is_open);
        ps_free(&s->open[i]);
    }
    ps_free(&s->open);
    ps_pending_clear(&s->pending);
    ps_keyring_free(&s->conf.ring);
    ps_mutex_destroy(&s->names);
    ps_free(sealed);
}

ps_status ps_sealed_disk_own_key(ps_sealed_disk *s, const char *path, ps_secret **key)
{
    ps_secret *own = NULL;
    ps_mutex_lock(&s->names);
    ps_status st = ps_sealed_key_open(s, path, &own);
    if (st == PS_NOT_FOUND) {
        own = ps_secret_random();
        st = ps_sealed_key_save(s, path, own);
    }
    ps_mutex_unlock(&s->names);
    if (st)
        ps_secret_free(&own);
    else
        *key = own;
    return st;
}

void ps_sealed_disk_set_keys(ps_sealed_disk *s, ps_keyring **ring)
{
    ps_mutex_lock(&s->names);
    ps_keyring *before = s->conf.ring;
    s->conf.ring = *ring;
    ps_mutex_unlock(&s->names);
    ps_keyring_free(&before);
    *ring = NULL;
}

bool ps_sealed_disk_key(ps_sealed_disk *s, size_t i, uint32_t *id)
{
    ps_mutex_lock(&s->names);
    bool is = ps_keyring_at(s->conf.ring, i, id);
    ps_mutex_unlock(&s->names);
    return is;
}

ps_status ps_sealed_disk_forget(ps_sealed_disk *s, uint32_t id)
{
    ps_mutex_lock(&s->names);
    ps_status st = ps_keyring_forget(s->conf.ring, id);
    ps_mutex_unlock(&s->names);
    return st;
}

const ps_disk *ps_sealed_disk_row(const ps_sealed_disk *s)
{
    return &s->row;
}
