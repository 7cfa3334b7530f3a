/* certificate: what an X.509 certificate says: who, for which hosts, by whom, until when.
 *
 * ps_certificate_inspect() is `psctl cert inspect`. The struct x509_st * functions are for the
 * files that hold OpenSSL's objects; both kinds take certificates as hostile input. Any thread.
 */
#ifndef PS_SECURITY_CERTIFICATE_H
#define PS_SECURITY_CERTIFICATE_H

#include "common/base/status.h"
#include "common/security/identity.h"

#include <stddef.h>
#include <stdint.h>

struct x509_st;      /* X509 */
struct evp_pkey_st;  /* EVP_PKEY */
struct X509_name_st; /* X509_NAME */

#define PS_CERTIFICATE_TIME_MAX     32
#define PS_CERTIFICATE_NAME_MAX     256
#define PS_CERTIFICATE_HOSTS_MAX    64
#define PS_CERTIFICATE_KEY_TYPE_MAX 32
#define PS_CERTIFICATE_SERIAL_MAX   48
#define PS_CERTIFICATE_SERIAL       20 /* bytes of a serial number (RFC 5280 section 4.1.2.2) */
#define PS_CERTIFICATE_LINE         8  /* of these, see ps_certificate_line */

/* Seconds by which clocks may differ: what is issued begins so long before now. */
#define PS_CERTIFICATE_SLACK_S 300

typedef struct ps_certificate_info {
    char subject[PS_CERTIFICATE_NAME_MAX]; /* one line, control characters escaped */
    char issuer[PS_CERTIFICATE_NAME_MAX];
    bool is_ca;
    bool has_identity;                     /* a leaf: identity; a CA: identity.cluster alone */
    ps_identity identity;                  /* zeroed when has_identity is false */
    char identity_error[PS_ERROR_MAX];     /* why has_identity is false */
    char *hosts[PS_CERTIFICATE_HOSTS_MAX]; /* DNS names and addresses as text; owned */
    size_t n_hosts;
    int64_t not_before, not_after;              /* seconds since 1970, UTC */
    int days_left;                              /* whole days until not_after; negative once over */
    char serial[PS_CERTIFICATE_SERIAL_MAX];     /* hexadecimal */
    char key_type[PS_CERTIFICATE_KEY_TYPE_MAX]; /* "P-256", "RSA 2048", "ED25519" */
    bool for_server, for_client, for_signing;   /* extended key usage; false when there is none */
    char fingerprint[65];                       /* SHA-256 of the DER form, hexadecimal */
} ps_certificate_info;

/* Fills *out from the first certificate of a PEM file; ps_certificate_info_clear() afterwards. */
PS_MUST_CHECK ps_status ps_certificate_inspect(const char *path, ps_certificate_info *out);
/* The same of a certificate in memory. */
void ps_certificate_describe(struct x509_st *cert, ps_certificate_info *out);
void ps_certificate_info_clear(ps_certificate_info *info);

/* Of a leaf: PS_UNAUTHENTICATED unless exactly one URI SAN is there and is an identity. */
PS_MUST_CHECK ps_status ps_certificate_identity(struct x509_st *cert, ps_identity *out);
/* Of a CA: its one URI SAN spiffe://CLUSTER. */
PS_MUST_CHECK ps_status ps_certificate_cluster(struct x509_st *cert,
                                               char out[PS_IDENTITY_PART_MAX + 1]);
int64_t ps_certificate_not_before(struct x509_st *cert);
int64_t ps_certificate_not_after(struct x509_st *cert);
/* DNS names and addresses, "localhost, 127.0.0.1"; "no host" when there is none. Returns out. */
const char *ps_certificate_hosts_text(struct x509_st *cert, char *out, size_t size);
/* The serial number: big-endian, zeros before. False: it is negative, or longer. */
bool ps_certificate_serial(struct x509_st *cert, uint8_t out[PS_CERTIFICATE_SERIAL]);
/* A name on one line, control characters escaped. Returns out. */
const char *ps_certificate_name_text(const struct X509_name_st *name, char *out, size_t size);
/* The issuer's name on one line. Returns out. */
const char *ps_certificate_issuer_text(struct x509_st *cert, char *out, size_t size);

/* Certificates that were renewed from one another (certificate_renew.h) have eight bytes of their
 * serial numbers in common: where these are. NULL: zeros, so it is of no line. */
const uint8_t *ps_certificate_line(const uint8_t serial[PS_CERTIFICATE_SERIAL]);
/* The CN of a subject, printable; "" when there is none. Returns out. */
const char *ps_certificate_common_name(const struct X509_name_st *subject,
                                       char out[PS_CERTIFICATE_NAME_MAX]);
const char *ps_certificate_key_type(struct evp_pkey_st *key, char out[PS_CERTIFICATE_KEY_TYPE_MAX]);
const char *ps_certificate_serial_hex(struct x509_st *cert, char out[PS_CERTIFICATE_SERIAL_MAX]);

/* For who keeps one, and knows nothing else of it. */
struct x509_st *ps_certificate_ref(struct x509_st *cert); /* NULL stays NULL */
void ps_certificate_unref(struct x509_st **cert);         /* NULL is nothing */
void ps_certificate_key_free(struct evp_pkey_st **key);   /* likewise */

/* "2026-01-01 12:00:00 UTC"; returns out. */
const char *ps_certificate_time_text(int64_t seconds, char out[PS_CERTIFICATE_TIME_MAX]);

#endif
