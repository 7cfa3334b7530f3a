/* What an admin asks of the keys that files are sealed by. */
#include "common/base/mem.h"
#include "server/daemon_internal.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

ps_status ps_daemon_read_keys(ps_daemon *d)
{
    ps_server_conf *fresh = NULL;
    ps_status st = ps_server_options_reread(d->options, &fresh);
    if (st)
        return st;
    st = ps_sealing_reload(d->sealing, &fresh->sealing);
    ps_server_conf_free(&fresh);
    return st;
}

char **ps_daemon_export_recipients(void *daemon, size_t *n)
{
    return ps_sealing_recipients(((ps_daemon *)daemon)->sealing, n);
}

static Psd__V1__KeyUse *use_of(const ps_sealing_key *key, bool current)
{
    char text[PS_KEK_TEXT];
    Psd__V1__KeyUse *use = ps_new(Psd__V1__KeyUse);
    psd__v1__key_use__init(use);
    ps_kek_text(key->id, text);
    use->id = ps_strdup(key->id ? text : ""); /* one that another Tink has wrapped does not say */
    use->files = key->files;
    use->present = key->present;
    use->current = current;
    return use;
}

ps_status ps_daemon_keys(void *daemon, bool rotate, Psd__V1__KeysResponse *out)
{
    enum { WORK_MS = 3000 }; /* what is left, upkeep does */
    ps_daemon *d = daemon;
    ps_status st = rotate ? ps_daemon_read_keys(d) : PS_OK;
    if (st)
        return st;
    ps_sealing_counts counts;
    ps_sealing_pass(d->sealing, rotate ? WORK_MS : 0, &counts);
    if (!counts.n_keys)
        return ps_fail(PS_FAILED_PRECONDITION, "psd seals nothing: sealing.kek names no key");
    out->plain = counts.plain;
    out->unreadable = counts.unreadable;
    out->keys = ps_alloc_array(counts.n_keys, sizeof *out->keys);
    for (size_t i = 0; i < counts.n_keys; i++)
        out->keys[out->n_keys++] = use_of(&counts.keys[i], i == 0);
    if (rotate && counts.left)
        atomic_store(&d->keys_asked, true);
    return PS_OK;
}

ps_status ps_daemon_retire_key(void *daemon, const char *id)
{
    ps_daemon *d = daemon;
    char *end = NULL;
    unsigned long number = strncmp(id, "k-", 2) ? 0 : strtoul(id + 2, &end, 16);
    if (!number || number > UINT32_MAX || *end || strlen(id) != PS_KEK_TEXT - 1)
        return ps_fail(PS_INVALID_ARGUMENT,
                       "a key's id is k- and eight hexadecimal digits, as psctl "
                       "key status shows it");
    return ps_sealing_retire(d->sealing, (uint32_t)number);
}
