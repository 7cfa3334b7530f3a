/* Happy path: FILE.key is a small file that is there whole or not at all. */
#include "common/base/mem.h"
#include "common/base/require.h"
#include "common/base/whole_file.h"
#include "common/seal/sealed_disk_internal.h"

#include <string.h>

char *ps_sealed_key_path(const char *path)
{
    return ps_asprintf("%s" PS_SIDECAR, path);
}

ps_sealed_form ps_sealed_identity(const ps_sealed_disk *s, const char *path, ps_buf *aad)
{
    return s->conf.identity(s->conf.user, path, aad);
}

ps_status ps_sealed_key_read(const ps_sealed_disk *s, const char *path, ps_buf *text)
{
    char *key = ps_sealed_key_path(path);
    ps_status st = ps_disk_read_file(s->conf.disk, key, PS_SIDECAR_MOST, text);
    ps_free(&key);
    return st;
}

ps_status ps_sealed_key_open(const ps_sealed_disk *s, const char *path, ps_secret **key)
{
    PS_REQUIRE(ps_mutex_is_held(&((ps_sealed_disk *)(uintptr_t)s)->names));
    ps_buf text = PS_BUF_EMPTY, aad = PS_BUF_EMPTY;
    ps_status st = ps_sealed_key_read(s, path, &text);
    if (!st) {
        (void)ps_sealed_identity(s, path, &aad);
        st = ps_keyring_unwrap(s->conf.ring, ps_buf_slice(&text), ps_buf_slice(&aad), key, NULL);
        if (st)
            st = ps_wrap(st, "%s" PS_SIDECAR, path);
    }
    ps_buf_free(&aad);
    ps_buf_free(&text);
    return st;
}

ps_status ps_sealed_key_save(const ps_sealed_disk *s, const char *path, const ps_secret *key)
{
    PS_REQUIRE(ps_mutex_is_held(&((ps_sealed_disk *)(uintptr_t)s)->names));
    ps_buf text = PS_BUF_EMPTY, aad = PS_BUF_EMPTY;
    bool named = ps_sealed_identity(s, path, &aad);
    PS_REQUIRE(named);
    char *name = ps_sealed_key_path(path);
    ps_keyring_wrap(s->conf.ring, key, ps_buf_slice(&aad), &text);
    ps_status st = ps_whole_file_save(s->conf.disk, name, ps_buf_slice(&text));
    ps_free(&name);
    ps_buf_free(&aad);
    ps_buf_free(&text);
    return st;
}

ps_status ps_sealed_key_remove(const ps_sealed_disk *s, const char *path)
{
    char *name = ps_sealed_key_path(path);
    ps_status st = s->conf.disk->unlink(s->conf.disk->state, name);
    ps_free(&name);
    return st == PS_NOT_FOUND ? PS_OK : st;
}

ps_status ps_sealed_exists(const ps_sealed_disk *s, const char *path, bool *is)
{
    int file;
    ps_status st = s->conf.disk->open(s->conf.disk->state, path, PS_DISK_READ, &file);
    *is = !st;
    if (!st)
        s->conf.disk->close(s->conf.disk->state, file);
    return st == PS_NOT_FOUND ? PS_OK : st;
}
