/* tls_holder: a pointer behind a mutex, which is held for the swap only, never while files are
 * read. Reloads exclude each other, so that the last to start is the one that stays. */
#include "common/transport/tls/tls_holder.h"

#include "common/base/log.h"
#include "common/base/mem.h"
#include "common/base/mutex.h"
#include "common/security/crl_list.h"

#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

struct ps_tls_holder {
    ps_mutex reload; /* one reload at a time */
    ps_mutex swap;   /* guards context */
    ps_tls_context *context;
    ps_tls_options options; /* its file names are ours */
    char *ca_file, *cert_file, *key_file, *crl_file;
};

ps_status ps_tls_holder_new(const ps_tls_options *options, ps_tls_holder **out)
{
    ps_tls_context *context = NULL;
    ps_status st = ps_tls_context_new(options, &context);
    if (st)
        return st;
    ps_tls_holder *holder = ps_new(ps_tls_holder);
    ps_mutex_init(&holder->reload);
    ps_mutex_init(&holder->swap);
    holder->context = context;
    holder->options = *options;
    holder->options.ca_file = holder->ca_file = ps_strdup(options->ca_file);
    holder->options.cert_file = holder->cert_file = ps_strdup(options->cert_file);
    holder->options.key_file = holder->key_file = ps_strdup(options->key_file);
    bool crl = options->crl_file && *options->crl_file;
    holder->options.crl_file = holder->crl_file = crl ? ps_strdup(options->crl_file) : NULL;
    *out = holder;
    return PS_OK;
}

void ps_tls_holder_free(ps_tls_holder **holder)
{
    ps_tls_holder *h = *holder;
    if (!h)
        return;
    ps_tls_context_unref(&h->context);
    ps_free(&h->ca_file);
    ps_free(&h->cert_file);
    ps_free(&h->key_file);
    ps_free(&h->crl_file);
    ps_mutex_destroy(&h->swap);
    ps_mutex_destroy(&h->reload);
    ps_free(holder);
}

ps_tls_context *ps_tls_holder_get(ps_tls_holder *holder)
{
    ps_mutex_lock(&holder->swap);
    ps_tls_context *context = ps_tls_context_ref(holder->context);
    ps_mutex_unlock(&holder->swap);
    return context;
}

void ps_tls_holder_set_ahead(ps_tls_holder *holder, int64_t ahead_s)
{
    ps_mutex_lock(&holder->reload);
    holder->options.ahead_s = ahead_s;
    ps_mutex_unlock(&holder->reload);
}

static ps_status check_same_cluster(ps_tls_holder *holder, const ps_tls_context *fresh)
{
    ps_tls_context *old = ps_tls_holder_get(holder);
    const ps_identity *was = ps_tls_context_identity(old), *is = ps_tls_context_identity(fresh);
    ps_status st = PS_OK;
    if (strcmp(was->cluster, is->cluster) != 0)
        st = ps_fail(PS_FAILED_PRECONDITION, "%s is of cluster %s, the one in use of %s",
                     holder->cert_file, is->cluster, was->cluster);
    ps_tls_context_unref(&old);
    return st;
}

/* Takes the reference. */
static void swap_in(ps_tls_holder *holder, ps_tls_context *context)
{
    ps_mutex_require_held(&holder->reload);
    ps_mutex_lock(&holder->swap);
    ps_tls_context *old = holder->context;
    holder->context = context;
    ps_mutex_unlock(&holder->swap);
    ps_tls_context_unref(&old);
}

/* Who opens a pipe may wait for ever, and with him everybody who reloads or ends. */
static ps_status check_file(const char *path)
{
    struct stat about;
    return stat(path, &about) || S_ISREG(about.st_mode)
               ? PS_OK
               : ps_fail(PS_FAILED_PRECONDITION, "%s: not a regular file", path);
}

static ps_status check_certificates(const ps_tls_holder *holder)
{
    ps_status st = check_file(holder->ca_file);
    if (!st)
        st = check_file(holder->cert_file);
    return st ? st : check_file(holder->key_file);
}

static ps_status certificates(ps_tls_holder *holder)
{
    ps_tls_options files = holder->options;
    ps_tls_context *fresh = NULL, *with_crl = NULL, *old = ps_tls_holder_get(holder);
    files.crl_file = NULL; /* what is in force of CRLs stays */
    ps_status st = check_certificates(holder);
    if (!st)
        st = ps_tls_context_new(&files, &fresh);
    if (!st)
        st = check_same_cluster(holder, fresh);
    if (!st) {
        ps_tls_context_with_crl(fresh, ps_tls_context_crl(old), &with_crl);
        st = ps_tls_context_check_own(with_crl);
    }
    if (!st)
        swap_in(holder, with_crl);
    else
        ps_tls_context_unref(&with_crl);
    ps_tls_context_unref(&fresh);
    ps_tls_context_unref(&old);
    return st;
}

/* The one in force again is no news, whatever its dates. */
static ps_status take_crl(ps_tls_holder *holder, ps_tls_context *old, ps_crl_list *list)
{
    const ps_crl_list *before = ps_tls_context_crl(old);
    if (before && ps_crl_list_same(list, before))
        return PS_OK;
    ps_status st = before ? ps_crl_list_check_newer(list, before) : PS_OK;
    if (!st && !holder->options.crl_stale)
        st = ps_crl_list_check_dates(list, (int64_t)time(NULL));
    if (st)
        return st;
    ps_tls_context *fresh = NULL;
    ps_tls_context_with_crl(old, list, &fresh);
    ps_crl_facts facts = ps_crl_list_facts(list);
    ps_log_notice("tls", "CRL taken file=%s number=%s entries=%" PRIu64, facts.path, facts.number,
                  facts.entries);
    if (ps_tls_context_check_own(fresh))
        ps_log_error("tls", "our own certificate is revoked: %s", ps_error_message());
    swap_in(holder, fresh);
    return PS_OK;
}

static ps_status crl(ps_tls_holder *holder)
{
    if (!holder->crl_file)
        return PS_OK;
    ps_tls_context *old = ps_tls_holder_get(holder);
    ps_crl_list *list = NULL;
    ps_status st = check_file(holder->crl_file);
    if (!st)
        st = ps_tls_context_read_crl(old, holder->crl_file, &list);
    if (!st)
        st = take_crl(holder, old, list);
    ps_crl_list_unref(&list);
    ps_tls_context_unref(&old);
    return st;
}

ps_status ps_tls_holder_reload_certificates(ps_tls_holder *holder)
{
    ps_mutex_lock(&holder->reload);
    ps_status st = certificates(holder);
    ps_mutex_unlock(&holder->reload);
    return st;
}

ps_status ps_tls_holder_reload_crl(ps_tls_holder *holder)
{
    ps_mutex_lock(&holder->reload);
    ps_status st = crl(holder);
    ps_mutex_unlock(&holder->reload);
    return st;
}

ps_status ps_tls_holder_reload(ps_tls_holder *holder)
{
    ps_error first;
    ps_mutex_lock(&holder->reload);
    ps_error_save(&first, certificates(holder));
    ps_status st = crl(holder); /* by the new CA, if there is one */
    ps_mutex_unlock(&holder->reload);
    if (first.code && st)
        return ps_fail(first.code, "%s; %s", first.message, ps_error_message());
    return first.code ? ps_error_raise(&first) : st;
}

const ps_tls_options *ps_tls_holder_options(const ps_tls_holder *holder)
{
    return &holder->options;
}
