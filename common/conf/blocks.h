/* blocks: the parts of a configuration that psd, psworker and psctl have in common. */
#ifndef PS_CONF_BLOCKS_H
#define PS_CONF_BLOCKS_H

#include "common/base/log.h"
#include "common/conf/conf.h"

/* `tls:` PEM files, of which all three are required, and how keys are agreed on. */
typedef struct ps_conf_tls {
    char *ca;             /* the cluster's CA certificate */
    char *certificate;    /* this program's certificate (chain) */
    char *key;            /* its private key; psd and psworker refuse one that others may read */
    char *crl;            /* the CRLs of the CA; "": none */
    unsigned crl_expired; /* ps_conf_crl_expired: what one that has expired counts */
    bool renew;           /* certificate and key are made anew in time, where psd does so */
    uint64_t watch_ms;    /* how often the files are looked at; 0: only when asked */
    unsigned groups;      /* ps_tls_groups */
} ps_conf_tls;
typedef enum ps_conf_crl_expired { PS_CONF_CRL_REFUSE, PS_CONF_CRL_WARN } ps_conf_crl_expired;
extern const char *const ps_conf_crl_expired_words[]; /* "refuse", "warn", NULL */
extern const ps_conf_key ps_conf_tls_keys[];

/* `log:` */
typedef struct ps_conf_log {
    unsigned level; /* an index; ps_conf_log_level makes the ps_log_level of it */
} ps_conf_log;
extern const ps_conf_key ps_conf_log_keys[];
ps_log_level ps_conf_log_level(const ps_conf_log *log);

/* `landlock:` in the order of ps_landlock_mode. */
extern const char *const ps_conf_landlock_words[];

/* `listen:` and `metrics:` */
typedef struct ps_conf_listen {
    char *address; /* a name, IPv4 or IPv6 address, without brackets */
    int64_t port;  /* 0: any free one (see --port-file) */
} ps_conf_listen;

/* `keepalive:` HTTP/2 pings on idle connections. */
typedef struct ps_conf_keepalive {
    uint64_t interval_ms;
    uint64_t timeout_ms; /* without an answer for so long, the connection is closed */
} ps_conf_keepalive;
extern const ps_conf_key ps_conf_keepalive_keys[];

/* "host:port", "[::1]:port", "host" (port stays) or ":port" (host stays) into *host (replaced, a
 * ps_strdup) and *port. origin starts the message. */
PS_MUST_CHECK ps_status ps_conf_parse_endpoint(const char *text, const char *origin, char **host,
                                               int64_t *port);

#endif
