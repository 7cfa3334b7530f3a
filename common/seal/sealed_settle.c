/* Sealing in place: FILE.sealing is written and on disk, then FILE.key, then it takes FILE's name:
 *
 *     FILE ─▶ FILE, FILE.sealing ─▶ FILE, FILE.sealing, FILE.key ─▶ sealed FILE, FILE.key
 *
 * A crash before FILE.key leaves a FILE.sealing that is removed; one after it a FILE.sealing that
 * takes its name when the folder is settled: until then FILE is still plain, and its key does not
 * open it. If FILE.key opens FILE, somebody replaced FILE meanwhile: then FILE.sealing is removed.
 */
#include "common/base/log.h"
#include "common/base/mem.h"
#include "common/base/require.h"
#include "common/base/text.h"
#include "common/base/whole_file.h"
#include "common/seal/sealed_disk_internal.h"

#include <string.h>

#define UNFINISHED PS_SIDECAR ".tmp" /* whole_file.h's name for a FILE.key */

static const ps_disk *below(const ps_sealed_disk *s)
{
    return s->conf.disk;
}

/* ---- what a crash left ---- */

static char *without(const char *path, const char *ending)
{
    return ps_asprintf("%.*s", (int)(strlen(path) - strlen(ending)), path);
}

/* *opens: FILE is sealed by its FILE.key; then a FILE.sealing is of somebody who came too late. An
 * empty log is none yet. A failure: its key does not say. */
static ps_status opens_by_its_key(ps_sealed_disk *s, const char *path, bool *opens)
{
    ps_secret *key = NULL;
    ps_buf aad = PS_BUF_EMPTY;
    const ps_sealed_form form = ps_sealed_identity(s, path, &aad);
    int file;
    char byte;
    size_t got = 0;
    ps_buf_free(&aad);
    ps_mutex_lock(&s->names);
    ps_status st = ps_sealed_key_open(s, path, &key);
    ps_mutex_unlock(&s->names);
    ps_secret_free(&key);
    if (st)
        return st;
    st = s->row.open(s->row.state, path, PS_DISK_READ, &file);
    if (!st) {
        st = s->row.read(s->row.state, file, &byte, 1, &got);
        s->row.close(s->row.state, file);
    }
    *opens = !st && (got || form == PS_SEALED_STREAM);
    return st == PS_CORRUPT ? PS_OK : st;
}

/* FILE.sealing, with FILE and FILE.key: it is whole, unless the key is FILE's. */
static ps_status settle_keyed(ps_sealed_disk *s, const char *beside, const char *path)
{
    bool opens = false;
    ps_status st = opens_by_its_key(s, path, &opens);
    if (st == PS_FAILED_PRECONDITION || st == PS_CORRUPT) {
        ps_log_warning("files", "%s stays beside its file: %s", beside, ps_error_message());
        return PS_OK;
    }
    if (st)
        return st;
    return opens ? below(s)->unlink(below(s)->state, beside)
                 : ps_whole_file_name(below(s), beside, path, true);
}

static ps_status settle_sealing(ps_sealed_disk *s, const char *beside)
{
    char *path = without(beside, PS_SEALED_BESIDE), *key = ps_sealed_key_path(path);
    bool keyed = false, there = false;
    ps_status st = ps_sealed_exists(s, key, &keyed);
    st = st ? st : ps_sealed_exists(s, path, &there);
    if (!st)
        st = keyed && there ? settle_keyed(s, beside, path)
                            : below(s)->unlink(below(s)->state, beside);
    ps_free(&key);
    ps_free(&path);
    return st;
}

/* FILE.key without FILE is of one that was never finished, or is gone. */
static ps_status settle_key(const ps_sealed_disk *s, const char *key)
{
    char *path = without(key, PS_SIDECAR);
    bool there = false;
    ps_status st = ps_sealed_exists(s, path, &there);
    if (!st && !there) {
        ps_log_notice("files", "removed %s, whose file was not finished or is gone", key);
        st = below(s)->unlink(below(s)->state, key);
    }
    ps_free(&path);
    return st;
}

static ps_status settle_others(void *user, const char *path)
{
    ps_sealed_disk *s = user;
    if (ps_text_ends(path, PS_SEALED_BESIDE))
        return settle_sealing(s, path);
    return ps_text_ends(path, UNFINISHED) ? below(s)->unlink(below(s)->state, path) : PS_OK;
}

static ps_status settle_keys(void *user, const char *path)
{
    return ps_text_ends(path, PS_SIDECAR) ? settle_key(user, path) : PS_OK;
}

ps_status ps_sealed_disk_settle(ps_sealed_disk *s, const char *folder)
{
    ps_status st = ps_disk_each(below(s), folder, settle_others, s); /* by their keys, so first */
    if (!st)
        st = ps_disk_each(below(s), folder, settle_keys, s);
    return st == PS_NOT_FOUND ? PS_OK : st;
}

ps_status ps_sealed_disk_settle_file(ps_sealed_disk *s, const char *path, bool *was)
{
    char *beside = ps_asprintf("%s" PS_SEALED_BESIDE, path);
    *was = false;
    ps_status st = ps_sealed_exists(s, beside, was);
    if (!st && *was)
        st = settle_sealing(s, beside);
    ps_free(&beside);
    return st;
}

/* ---- looking ---- */

ps_status ps_sealed_disk_look(ps_sealed_disk *s, const char *path, ps_sealed_kind *kind,
                              uint32_t *kek)
{
    ps_buf aad = PS_BUF_EMPTY, text = PS_BUF_EMPTY;
    *kek = 0;
    const ps_sealed_form form = ps_sealed_identity(s, path, &aad);
    ps_mutex_lock(&s->names);
    ps_status st = form ? ps_sealed_key_read(s, path, &text) : PS_NOT_FOUND;
    ps_mutex_unlock(&s->names);
    *kind = PS_SEALED_YES;
    if (st)
        *kind = form == PS_SEALED_STREAM ? PS_SEALED_PLAIN : PS_SEALED_NOT;
    if (!st)
        st = ps_sidecar_kek(ps_buf_slice(&text), kek);
    ps_buf_free(&text);
    ps_buf_free(&aad);
    return st == PS_NOT_FOUND ? PS_OK : st;
}

/* ---- another key ---- */

static ps_status rewrap(ps_sealed_disk *s, const char *path, bool *changed)
{
    ps_buf text = PS_BUF_EMPTY;
    ps_secret *key = NULL;
    uint32_t kek = 0;
    ps_status st = ps_sealed_key_read(s, path, &text);
    if (!st)
        st = ps_sidecar_kek(ps_buf_slice(&text), &kek);
    ps_buf_free(&text);
    *changed = kek != ps_keyring_current(s->conf.ring);
    if (st || !*changed)
        return st;
    st = ps_sealed_key_open(s, path, &key);
    if (!st)
        st = ps_sealed_key_save(s, path, key);
    ps_secret_free(&key);
    return st;
}

ps_status ps_sealed_disk_rewrap(ps_sealed_disk *s, const char *path, bool *changed)
{
    ps_mutex_lock(&s->names);
    ps_status st = rewrap(s, path, changed);
    ps_mutex_unlock(&s->names);
    return st;
}

/* ---- sealing in place ---- */

/* path.sealing, whole and on disk, with its key pending. */
static ps_status write_beside(ps_sealed_disk *s, const char *path, const char *beside)
{
    int in;
    ps_whole_file *out = NULL;
    ps_status st = below(s)->open(below(s)->state, path, PS_DISK_READ, &in);
    if (st)
        return st;
    st = ps_whole_file_open(&s->row, beside, path, &out);
    if (!st)
        st = ps_disk_pour(below(s), in, UINT64_MAX, ps_disk_put_end,
                          &(ps_disk_end){&s->row, ps_whole_file_handle(out)});
    if (!st)
        st = ps_whole_file_keep(&out);
    ps_whole_file_drop(&out);
    below(s)->close(below(s)->state, in);
    return st;
}

/* Nobody else has removed or replaced the plain file. */
static ps_status is_still_plain(const ps_sealed_disk *s, const char *path, bool *is)
{
    bool there = false, keyed = false;
    char *key = ps_sealed_key_path(path);
    ps_status st = ps_sealed_exists(s, path, &there);
    st = st ? st : ps_sealed_exists(s, key, &keyed);
    *is = there && !keyed;
    ps_free(&key);
    return st;
}

static void drop_beside(const ps_sealed_disk *s, const char *beside)
{
    ps_error error;
    ps_error_save(&error, PS_UNKNOWN);
    ps_status st = below(s)->unlink(below(s)->state, beside);
    if (st && st != PS_NOT_FOUND)
        ps_log_warning("files", "no longer needed, but stays: %s", ps_error_message());
    (void)ps_error_raise(&error);
}

/* With the lock: a file that was removed meanwhile does not come back, and one that was replaced
 * stays what it is now. */
static ps_status take_place(ps_sealed_disk *s, const char *path, const char *beside)
{
    ps_pending *pending = ps_pending_find(&s->pending, beside);
    bool plain = false;
    ps_status st = is_still_plain(s, path, &plain);
    if (!st && plain)
        st = ps_sealed_give_name(s, pending);
    if (!st && plain)
        return PS_OK;
    ps_pending_remove(&pending);
    drop_beside(s, beside);
    return st;
}

ps_status ps_sealed_disk_seal(ps_sealed_disk *s, const char *path)
{
    ps_sealed_kind kind;
    uint32_t kek;
    ps_status st = ps_sealed_disk_look(s, path, &kind, &kek);
    if (st || kind != PS_SEALED_PLAIN)
        return st;
    char *beside = ps_asprintf("%s" PS_SEALED_BESIDE, path), *folder = ps_disk_folder_of(path);
    st = write_beside(s, path, beside);
    if (!st) {
        ps_mutex_lock(&s->names);
        st = take_place(s, path, beside);
        ps_mutex_unlock(&s->names);
    }
    if (!st)
        st = below(s)->sync_folder(below(s)->state, folder);
    ps_free(&folder);
    ps_free(&beside);
    return st;
}
