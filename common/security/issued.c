/* Happy path: open, lock, one write(2) of one line, fsync. A line that a crash cut has no newline
 * at its end, and its certificate was never given out: the reader passes over it, and the next who
 * adds one takes it away. */
#include "common/security/issued.h"

#include "common/base/buf.h"
#include "common/base/disk.h"
#include "common/base/file_lock.h"
#include "common/base/log.h"
#include "common/base/mem.h"
#include "common/base/new_file.h"
#include "common/base/require.h"
#include "common/json/json.h"
#include "common/security/authority.h"
#include "common/security/crl.h"
#include "common/security/crl_list.h"
#include "common/security/digest.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/x509v3.h>
#include <time.h>
#include <unistd.h>

enum { FILE_MOST = 512 << 20, LOCK_MS = 5000 };

static void key_text(X509 *ca, char out[PS_DIGEST_TEXT])
{
    uint8_t digest[EVP_MAX_MD_SIZE];
    unsigned len = 0;
    int done = X509_pubkey_digest(ca, EVP_sha256(), digest, &len);
    PS_REQUIRE(done == 1 && len == PS_DIGEST_BYTES);
    ps_digest_text(digest, out);
}

static void put_head(ps_buf *out, X509 *ca, bool complete, int64_t begun)
{
    char key[PS_DIGEST_TEXT];
    ps_json_writer w = ps_json_writer_to(out);
    key_text(ca, key);
    ps_json_object(&w);
    ps_json_put_uint(&w, "issued", 1);
    ps_json_put_string(&w, "ca", key);
    ps_json_put_int(&w, "begun", begun);
    ps_json_put_bool(&w, "complete", complete);
    ps_json_object_end(&w);
    ps_buf_putc(out, '\n');
}

static void put_row(ps_buf *out, const ps_issued_row *row)
{
    char number[PS_CRL_NUMBER_TEXT];
    ps_json_writer w = ps_json_writer_to(out);
    ps_json_object(&w);
    ps_json_put_string(&w, "identity", row->identity);
    ps_json_put_string(&w, "serial", ps_crl_serial_text(row->serial, number));
    ps_json_put_int(&w, "not_after", row->not_after);
    ps_json_object_end(&w);
    ps_buf_putc(out, '\n');
}

static ps_status row_of(X509 *cert, ps_issued_row *out)
{
    ps_identity who;
    *out = (ps_issued_row){.not_after = ps_certificate_not_after(cert)};
    ps_status st = ps_certificate_identity(cert, &who);
    if (st)
        return st;
    if (!ps_certificate_serial(cert, out->serial))
        return ps_fail(PS_INVALID_ARGUMENT, "its serial number is too long");
    (void)ps_identity_format(&who, out->identity);
    return PS_OK;
}

static ps_status write_all(int fd, ps_slice bytes)
{
    ps_status st = ps_disk_write_all(&ps_disk_system, fd, bytes.data, bytes.len);
    return st ? st : ps_disk_system.fsync(ps_disk_system.state, fd);
}

/* A psctl that was stopped in the middle holds up no psd: not its calls, and not its end. */
static ps_status open_locked(const char *path, int *out)
{
    ps_status st = ps_file_lock_open(path, O_RDWR | O_APPEND, 0644, LOCK_MS, out);
    if (st == PS_UNAVAILABLE)
        return ps_fail(st, "somebody has held it for %d s: is there a psctl cert that has stopped?",
                       LOCK_MS / 1000);
    return st;
}

static ps_status explained(ps_status st, const char *path)
{
    return ps_wrap(st, "the list of what the CA issued, %s", path);
}

/* Takes away what is behind the last newline. */
static ps_status mend_end(int fd, off_t size, off_t *left)
{
    char tail[1024];
    off_t from = size > (off_t)sizeof tail ? size - (off_t)sizeof tail : 0;
    ssize_t n = pread(fd, tail, (size_t)(size - from), from);
    if (n < 0 || n != size - from)
        return ps_fail_errno(n < 0 ? errno : EIO, "read");
    const char *end = memrchr(tail, '\n', (size_t)n);
    *left = end ? from + (end - tail) + 1 : from;
    if (*left < size && ftruncate(fd, *left) != 0)
        return ps_fail_errno(errno, "write");
    return PS_OK;
}

static ps_status check_begin(int fd, X509 *ca);
static void drop_aged(const char *ca_cert_file, X509 *ca, int *fd);

static ps_status add_locked(int fd, X509 *ca, X509 *cert)
{
    off_t size = lseek(fd, 0, SEEK_END), left = 0;
    ps_status st = check_begin(fd, ca); /* nothing is cut off a file that is somebody else's */
    if (!st && size > 0)
        st = mend_end(fd, size, &left);
    if (st)
        return st;
    ps_buf line = PS_BUF_EMPTY;
    if (left == 0)
        put_head(&line, ca, false, (int64_t)time(NULL));
    ps_issued_row row;
    if (cert)
        st = row_of(cert, &row);
    if (cert && !st)
        put_row(&line, &row);
    if (!st && line.len)
        st = write_all(fd, ps_buf_slice(&line));
    ps_buf_free(&line);
    return st;
}

static ps_status look_up(const char *crl_file, X509 *ca, X509 *cert)
{
    ps_crl_list *list = NULL;
    STACK_OF(X509) *cas = sk_X509_new_null(), *chain = sk_X509_new_null();
    PS_REQUIRE(cas && chain && sk_X509_push(cas, ca) && sk_X509_push(chain, cert) &&
               sk_X509_push(chain, ca));
    ps_status st = ps_crl_list_read(crl_file, cas, &list);
    if (!st)
        st = ps_crl_list_check(list, chain);
    ps_crl_list_unref(&list);
    sk_X509_free(cas);
    sk_X509_free(chain);
    return st;
}

/* By the CRL beside the CA. What another CA signed is not in it. */
static ps_status check_revoked(const char *ca_cert_file, X509 *ca, X509 *cert)
{
    char *path = ps_authority_beside(ca_cert_file, "crl");
    bool looked_up = access(path, F_OK) == 0 && X509_check_issued(ca, cert) == X509_V_OK;
    ps_status st = looked_up ? look_up(path, ca, cert) : PS_OK;
    ps_free(&path);
    return st;
}

/* Locked, with a head, and a line for cert unless that is NULL; before: NULL, or what it takes the
 * place of. */
static ps_status open_list(const char *ca_cert_file, X509 *ca, X509 *before, X509 *cert, int *out)
{
    int fd = -1;
    char *path = ps_authority_beside(ca_cert_file, "issued");
    ps_status st = open_locked(path, &fd);
    if (!st && before)
        st = check_revoked(ca_cert_file, ca, before);
    if (!st)
        st = add_locked(fd, ca, cert);
    if (!st && cert)
        drop_aged(ca_cert_file, ca, &fd);
    if (st) {
        st = st == PS_UNAUTHENTICATED ? st : explained(st, path);
        if (fd >= 0)
            (void)close(fd);
    } else {
        *out = fd;
    }
    ps_free(&path);
    return st;
}

ps_status ps_issued_lock(const char *ca_cert_file, X509 *ca, int *fd)
{
    return open_list(ca_cert_file, ca, NULL, NULL, fd);
}

ps_status ps_issued_add(const char *ca_cert_file, X509 *ca, X509 *cert)
{
    return ps_issued_add_renewed(ca_cert_file, ca, NULL, cert);
}

ps_status ps_issued_add_renewed(const char *ca_cert_file, X509 *ca, X509 *before, X509 *cert)
{
    int fd = -1;
    PS_REQUIRE(cert);
    ps_status st = open_list(ca_cert_file, ca, before, cert, &fd);
    if (!st)
        (void)close(fd);
    return st;
}

ps_status ps_issued_begin(const char *ca_cert_file, X509 *ca)
{
    int fd = -1;
    char *path = ps_authority_beside(ca_cert_file, "issued");
    ps_buf head = PS_BUF_EMPTY;
    put_head(&head, ca, true, (int64_t)time(NULL));
    ps_status st = open_locked(path, &fd);
    if (!st && ftruncate(fd, 0) != 0)
        st = ps_fail_errno(errno, "write");
    if (!st)
        st = write_all(fd, ps_buf_slice(&head));
    if (fd >= 0)
        (void)close(fd);
    if (st)
        st = explained(st, path);
    ps_buf_free(&head);
    ps_free(&path);
    return st;
}

enum { SHRINK_LEAST = 1000 }; /* rows that go at once: fewer are not worth it */

/* The new file takes the name while the old one is locked: whoever waits for that lock finds that
 * it has no name any more, and asks for the new one's. */
static ps_status write_anew(const char *path, ps_slice text, int *fd)
{
    int fresh = -1;
    const ps_new_file_options options = {.force = true, .mode = 0644};
    ps_status st = ps_new_file_save(path, text, &options);
    if (!st)
        st = open_locked(path, &fresh);
    if (st)
        return st;
    (void)close(*fd);
    *fd = fresh;
    return PS_OK;
}

void ps_issued_shrink(const char *ca_cert_file, X509 *ca, const ps_issued *issued, const bool *keep,
                      int *fd)
{
    size_t kept = 0;
    for (size_t i = 0; i < issued->n; i++)
        kept += keep[i];
    if (issued->n - kept < SHRINK_LEAST || issued->n - kept < kept)
        return;
    ps_buf text = PS_BUF_EMPTY;
    put_head(&text, ca, issued->complete, issued->begun);
    for (size_t i = 0; i < issued->n; i++)
        if (keep[i])
            put_row(&text, &issued->rows[i]);
    char *path = ps_authority_beside(ca_cert_file, "issued");
    if (write_anew(path, ps_buf_slice(&text), fd))
        ps_log_warning("security", "the list of what the CA issued stays as long as it is: %s",
                       ps_error_message());
    ps_free(&path);
    ps_buf_free(&text);
}

/* ---- reading ---- */

typedef struct line {
    char identity[PS_IDENTITY_TEXT_MAX], serial[PS_CRL_NUMBER_TEXT], ca[PS_DIGEST_TEXT];
    int64_t not_after, begun;
    bool complete;
} line;

static void copy_text(const ps_json_token *token, char *out, size_t size)
{
    size_t n = token->text.len < size ? token->text.len : size - 1;
    memcpy(out, token->text.data, n);
    out[n] = '\0';
}

/* Members that a newer psctl may have added are passed over. */
static ps_status parse_line(ps_slice bytes, line *out)
{
    ps_json_reader r;
    ps_json_token key, value = {0};
    *out = (line){0};
    ps_json_reader_init(&r, bytes);
    ps_status st = ps_json_expect(&r, PS_JSON_OBJECT, &key);
    while (ps_json_member(&r, &key, &st)) {
        char name[16];
        copy_text(&key, name, sizeof name);
        st = ps_json_next(&r, &value);
        if (st)
            break;
        if (!strcmp(name, "identity") && value.kind == PS_JSON_STRING)
            copy_text(&value, out->identity, sizeof out->identity);
        else if (!strcmp(name, "serial") && value.kind == PS_JSON_STRING)
            copy_text(&value, out->serial, sizeof out->serial);
        else if (!strcmp(name, "ca") && value.kind == PS_JSON_STRING)
            copy_text(&value, out->ca, sizeof out->ca);
        else if (!strcmp(name, "not_after") && value.is_u64)
            out->not_after = (int64_t)value.u64;
        else if (!strcmp(name, "begun") && value.is_u64)
            out->begun = (int64_t)value.u64;
        else if (!strcmp(name, "complete"))
            out->complete = value.kind == PS_JSON_TRUE;
    }
    if (!st)
        st = ps_json_expect(&r, PS_JSON_END, &value);
    ps_json_reader_free(&r);
    return st;
}

static ps_status take_head(const line *l, X509 *ca, ps_issued *out)
{
    char key[PS_DIGEST_TEXT];
    key_text(ca, key);
    if (!*l->ca)
        return ps_fail(PS_CORRUPT, "line 1 is not the beginning of a list");
    if (strcmp(l->ca, key) != 0)
        return ps_fail(PS_FAILED_PRECONDITION,
                       "it is of another CA, of which this folder had the files before; move it "
                       "away, and what this CA issued is revoked by --file or --serial");
    out->begun = l->begun;
    out->complete = l->complete;
    return PS_OK;
}

/* A first line without its end is what a crash has left of it. */
static ps_status check_begin(int fd, X509 *ca)
{
    char text[1024];
    line l;
    ps_issued unused;
    ssize_t n = pread(fd, text, sizeof text, 0);
    const char *end = n > 0 ? memchr(text, '\n', (size_t)n) : NULL;
    if (n < 0)
        return ps_fail_errno(errno, "read");
    if (!end && (size_t)n < sizeof text)
        return PS_OK;
    if (!end || parse_line(ps_slice_of(text, (size_t)(end - text)), &l))
        return ps_fail(PS_CORRUPT, "line 1 is not the beginning of a list");
    return take_head(&l, ca, &unused);
}

static ps_status take_row(const line *l, ps_issued *out, size_t *room)
{
    ps_issued_row row = {.not_after = l->not_after};
    memcpy(row.identity, l->identity, sizeof row.identity);
    if (!*l->identity || ps_crl_serial_parse(l->serial, row.serial))
        return ps_fail(PS_CORRUPT, "no identity and serial number");
    if (out->n == *room) {
        *room = *room ? 2 * *room : 64;
        out->rows = ps_realloc(out->rows, *room * sizeof *out->rows);
    }
    out->rows[out->n++] = row;
    return PS_OK;
}

static ps_status parse(ps_slice text, X509 *ca, ps_issued *out)
{
    size_t number = 0, room = 0;
    ps_status st = PS_OK;
    while (text.len && !st) {
        const uint8_t *end = memchr(text.data, '\n', text.len);
        if (!end && number)
            break; /* cut by a crash: its certificate was never given out */
        size_t len = end ? (size_t)(end - text.data) : text.len;
        line l;
        number++;
        st = parse_line(ps_slice_of(text.data, len), &l);
        if (!st)
            st = number == 1 ? take_head(&l, ca, out) : take_row(&l, out, &room);
        if (st == PS_CORRUPT)
            st = ps_wrap(st, "line %zu is damaged; mend it or take it out", number);
        size_t step = end ? len + 1 : len;
        text = ps_slice_of(text.data + step, text.len - step);
    }
    if (!st && !number)
        st = ps_fail(PS_CORRUPT, "it is empty");
    return st;
}

ps_status ps_issued_read(const char *ca_cert_file, X509 *ca, ps_issued *out)
{
    ps_issued issued = {0};
    ps_buf text = PS_BUF_EMPTY;
    char *path = ps_authority_beside(ca_cert_file, "issued");
    ps_status st = ps_disk_read_file(&ps_disk_system, path, FILE_MOST, &text);
    if (!st) {
        st = parse(ps_buf_slice(&text), ca, &issued);
        if (st)
            st = ps_wrap(st, "%s", path);
    }
    ps_buf_free(&text);
    ps_free(&path);
    if (st) {
        ps_issued_clear(&issued);
        return st;
    }
    *out = issued;
    return PS_OK;
}

/* ---- what ended long ago ---- */

enum { AGED_S = 30 * 86400, AGED_FROM = 128 << 10 /* bytes: fewer are nobody's trouble */ };

/* Lines are in the order of issue: when the one in the middle ended long ago, so did about half of
 * them. */
static bool is_aged(int fd, int64_t before)
{
    char text[1024];
    line l;
    off_t size = lseek(fd, 0, SEEK_END);
    ssize_t n = size >= AGED_FROM ? pread(fd, text, sizeof text, size / 2) : 0;
    const char *begin = n > 0 ? memchr(text, '\n', (size_t)n) : NULL;
    const char *end = begin ? memchr(begin + 1, '\n', (size_t)(text + n - begin - 1)) : NULL;
    return end && !parse_line(ps_slice_of(begin + 1, (size_t)(end - begin - 1)), &l) && *l.serial &&
           l.not_after < before;
}

/* As long as a CRL has its serial number, a line says when that may leave it. */
static ps_status drop(const char *ca_cert_file, X509 *ca, int64_t before, int *fd)
{
    ps_issued issued = {0};
    ps_crl_list *list = NULL;
    char *crl = ps_authority_beside(ca_cert_file, "crl");
    STACK_OF(X509) *cas = sk_X509_new_null();
    PS_REQUIRE(cas && sk_X509_push(cas, ca));
    ps_status st = access(crl, F_OK) == 0 ? ps_crl_list_read(crl, cas, &list) : PS_OK;
    if (!st)
        st = ps_issued_read(ca_cert_file, ca, &issued);
    bool *keep = ps_alloc_array(issued.n + 1, sizeof *keep);
    for (size_t i = 0; !st && i < issued.n; i++)
        keep[i] = issued.rows[i].not_after >= before ||
                  (list && ps_crl_find(ps_crl_list_first(list), issued.rows[i].serial));
    if (!st)
        ps_issued_shrink(ca_cert_file, ca, &issued, keep, fd);
    ps_free(&keep);
    ps_issued_clear(&issued);
    ps_crl_list_unref(&list);
    sk_X509_free(cas);
    ps_free(&crl);
    return st;
}

/* Where renewals add lines and nobody makes CRLs. What stands in its way is told to who revokes. */
static void drop_aged(const char *ca_cert_file, X509 *ca, int *fd)
{
    const int64_t before = (int64_t)time(NULL) - AGED_S;
    ps_error callers;
    ps_error_save(&callers, PS_INTERNAL);
    if (is_aged(*fd, before))
        (void)!drop(ca_cert_file, ca, before, fd);
    (void)!ps_error_raise(&callers);
}

void ps_issued_clear(ps_issued *issued)
{
    ps_free(&issued->rows);
    *issued = (ps_issued){0};
}
