/* tls_holder: a pointer behind a mutex, which is held for the swap only, never while files are
 * read. Reloads exclude each other, so that the last to start is the one that stays. */
#include "common/transport/tls/tls_holder.h"

#include "common/base/mem.h"
#include "common/base/mutex.h"

#include <string.h>

struct ps_tls_holder {
    ps_mutex reload; /* one reload at a time */
    ps_mutex swap;   /* guards context */
    ps_tls_context *context;
    ps_tls_options options; /* its file names are ours */
    char *ca_file, *cert_file, *key_file;
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

ps_status ps_tls_holder_reload(ps_tls_holder *holder)
{
    ps_mutex_lock(&holder->reload);
    ps_tls_context *context = NULL; /* first the fresh one, after the swap the old one */
    ps_status st = ps_tls_context_new(&holder->options, &context);
    if (!st)
        st = check_same_cluster(holder, context);
    if (!st) {
        ps_mutex_lock(&holder->swap);
        ps_tls_context *old = holder->context;
        holder->context = context;
        context = old;
        ps_mutex_unlock(&holder->swap);
    }
    ps_tls_context_unref(&context);
    ps_mutex_unlock(&holder->reload);
    return st;
}
