/* Tables, and the one text form of an endpoint. */
#include "common/conf/blocks.h"

#include "common/base/mem.h"

#include <string.h>

const char *const ps_conf_crl_expired_words[] = {"refuse", "warn", NULL};
static const char *const group_words[] = {"auto", "pq", "classic", NULL};

const ps_conf_key ps_conf_tls_keys[] = {
    PS_CONF_TEXT("ca", ps_conf_tls, ca, NULL, 1, 4095),
    PS_CONF_TEXT("certificate", ps_conf_tls, certificate, NULL, 1, 4095),
    PS_CONF_TEXT("key", ps_conf_tls, key, NULL, 1, 4095),
    PS_CONF_TEXT("crl", ps_conf_tls, crl, "", 0, 4095),
    PS_CONF_WORD("crl_expired", ps_conf_tls, crl_expired, "refuse", ps_conf_crl_expired_words),
    PS_CONF_DURATION("watch", ps_conf_tls, watch_ms, "10s", 0, 86400000),
    PS_CONF_BOOL("renew", ps_conf_tls, renew, "true"),
    PS_CONF_WORD("groups", ps_conf_tls, groups, "auto", group_words),
    PS_CONF_END,
};

/* In the order of ps_log_level, from PS_LOG_ERROR on. */
static const char *const level_words[] = {"error", "warning", "notice", "info",
                                          "debug", "trace",   NULL};

const ps_conf_key ps_conf_log_keys[] = {
    PS_CONF_WORD("level", ps_conf_log, level, "info", level_words),
    PS_CONF_END,
};

const ps_conf_key ps_conf_keepalive_keys[] = {
    PS_CONF_DURATION("interval", ps_conf_keepalive, interval_ms, "30s", 1000, 86400000),
    PS_CONF_DURATION("timeout", ps_conf_keepalive, timeout_ms, "10s", 100, 3600000),
    PS_CONF_END,
};

const char *const ps_conf_landlock_words[] = {"auto", "require", "off", NULL};

ps_log_level ps_conf_log_level(const ps_conf_log *log)
{
    return (ps_log_level)(PS_LOG_ERROR + log->level);
}

static ps_status parse_port(const char *text, const char *origin, int64_t *port)
{
    size_t digits = strspn(text, "0123456789");
    int64_t n = digits && digits <= 5 && !text[digits] ? strtol(text, NULL, 10) : -1;
    if (n < 0 || n > 65535)
        return ps_fail(PS_INVALID_ARGUMENT, "%s: '%.40s' is not a port, allowed 0 to 65535", origin,
                       text);
    *port = n;
    return PS_OK;
}

#define NO_HOST "/@?# \t" /* what an address has not, and a URL has */

ps_status ps_conf_parse_endpoint(const char *text, const char *origin, char **host, int64_t *port)
{
    const char *start = text;
    const char *end = strrchr(text, ':');
    const char *after = end;
    if (*text == '[') {
        start = text + 1;
        end = strchr(text, ']');
        after = end ? end + 1 : NULL;
    } else if (end && strchr(text, ':') != end) { /* an IPv6 address, bare */
        end = after = NULL;
    }
    if (!end)
        end = after = *text == '[' ? NULL : text + strlen(text);
    size_t len = end ? (size_t)(end - start) : 0;
    if (text[strcspn(text, NO_HOST)])
        return ps_fail(PS_INVALID_ARGUMENT, "%s: '%.80s' is not host:port; no URL is wanted",
                       origin, text);
    if (!end || len > 255 || (*after && *after != ':') || (!len && !*after))
        return ps_fail(PS_INVALID_ARGUMENT, "%s: '%.80s' is not host:port (IPv6: [::1]:port)",
                       origin, text);
    if (!*after && len == strspn(start, "0123456789"))
        return ps_fail(PS_INVALID_ARGUMENT, "%s: '%s' is no host; for the port alone write :%s",
                       origin, text, text);
    int64_t new_port = *port;
    ps_status st = *after ? parse_port(after + 1, origin, &new_port) : PS_OK;
    if (st)
        return st;
    *port = new_port;
    if (len) {
        ps_free(host);
        *host = ps_asprintf("%.*s", (int)len, start);
    }
    return PS_OK;
}
