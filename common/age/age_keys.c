/* Happy path: a text is bech32 of 32 bytes; a file of identities is read whole into memory that is
 * wiped, line by line. */
#include "common/age/age_keys.h"

#include "common/age/bech32.h"
#include "common/base/disk.h"
#include "common/base/mem.h"
#include "common/base/require.h"
#include "common/security/secret.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

enum { FILE_MOST = 8000 }; /* age-keygen's own have 189 bytes; it fits into locked memory */

struct ps_age_identities {
    size_t n;
    uint8_t secrets[PS_AGE_IDENTITIES_MOST][PS_X25519_BYTES];
    uint8_t points[PS_AGE_IDENTITIES_MOST][PS_X25519_BYTES];
};

/* ---- recipients ---- */

static bool begins(ps_slice text, const char *with)
{
    return text.len >= strlen(with) && !memcmp(text.data, with, strlen(with));
}

/* What somebody may take for one. */
static ps_status what_it_is(ps_slice text, const char *shown, ps_status st)
{
    if (begins(text, "AGE-SECRET-KEY-"))
        return ps_fail(PS_INVALID_ARGUMENT,
                       "that is a secret identity; its recipient, age1…, stands in the comment "
                       "above it, and age-keygen -y says it");
    if (begins(text, "ssh-"))
        return ps_fail(PS_INVALID_ARGUMENT,
                       "%.20s…: keys of ssh are not known here; age-keygen makes one that is",
                       shown);
    if (begins(text, "age1") && text.len > PS_AGE_RECIPIENT_TEXT)
        return ps_fail(PS_INVALID_ARGUMENT,
                       "%.20s…: of age's recipients those of X25519 are known here (age1 and 58 "
                       "letters); this is of another kind",
                       shown);
    return ps_wrap(st, "%.80s", shown);
}

ps_status ps_age_recipients_add(ps_age_recipients *r, const char *text)
{
    PS_REQUIRE(r->n <= PS_AGE_RECIPIENTS_MOST);
    uint8_t point[PS_X25519_BYTES], shared[PS_X25519_BYTES];
    static const uint8_t any[PS_X25519_BYTES] = {8};
    ps_status st = ps_bech32_read(ps_slice_str(text), "age", point, sizeof point);
    if (!st)
        st = ps_x25519(any, point, shared); /* one of low order hides nothing from anybody */
    if (st)
        return what_it_is(ps_slice_str(text), text, st == PS_CORRUPT ? PS_INVALID_ARGUMENT : st);
    for (size_t i = 0; i < r->n; i++)
        if (!memcmp(r->at[i], point, sizeof point))
            return PS_OK;
    if (r->n == PS_AGE_RECIPIENTS_MOST)
        return ps_fail(PS_INVALID_ARGUMENT, "more than %d recipients", PS_AGE_RECIPIENTS_MOST);
    memcpy(r->at[r->n++], point, sizeof point);
    return PS_OK;
}

/* ---- identities ---- */

/* Of one line without its end. */
static ps_status add_line(ps_age_identities *ids, ps_slice line)
{
    if (!line.len || line.data[0] == '#')
        return PS_OK;
    if (begins(line, "age1"))
        return ps_fail(PS_INVALID_ARGUMENT, "that is a recipient; the identity of it, "
                                            "AGE-SECRET-KEY-1…, opens files");
    if (begins(line, "age-encryption.org/") || begins(line, "-----BEGIN"))
        return ps_fail(PS_INVALID_ARGUMENT,
                       "a file of identities of X25519 is wanted, in plain text (age -d opens an "
                       "encrypted one)");
    if (begins(line, "AGE-PLUGIN-") || begins(line, "AGE-SECRET-KEY-PQ-"))
        return ps_fail(PS_INVALID_ARGUMENT, "of age's identities those of X25519 "
                                            "(AGE-SECRET-KEY-1…) are known here");
    if (ids->n == PS_AGE_IDENTITIES_MOST)
        return ps_fail(PS_INVALID_ARGUMENT, "more than %d identities", PS_AGE_IDENTITIES_MOST);
    uint8_t *secret = ids->secrets[ids->n];
    ps_status st = ps_bech32_read(line, "AGE-SECRET-KEY-", secret, PS_X25519_BYTES);
    if (!st)
        ps_x25519_point(secret, ids->points[ids->n++]);
    return st;
}

static ps_slice next_line(ps_slice *text)
{
    const uint8_t *end = memchr(text->data, '\n', text->len);
    size_t len = end ? (size_t)(end - text->data) : text->len;
    ps_slice line = ps_slice_of(text->data, len);
    *text = ps_slice_of(text->data + len + (end != NULL), text->len - len - (end != NULL));
    if (line.len && line.data[line.len - 1] == '\r')
        line.len--;
    return line;
}

ps_status ps_age_identities_parse(ps_slice text, const char *name, ps_age_identities **out)
{
    ps_age_identities *ids = ps_secret_alloc(sizeof *ids);
    ps_status st = PS_OK;
    for (size_t line = 1; !st && text.len; line++) {
        st = add_line(ids, next_line(&text));
        if (st)
            st = ps_wrap(st, "%s, line %zu", name, line);
    }
    if (!st && !ids->n)
        st = ps_fail(PS_INVALID_ARGUMENT, "%s has no identity (AGE-SECRET-KEY-1…)", name);
    if (st)
        ps_age_identities_free(&ids);
    else
        *out = ids;
    return st;
}

static ps_status check_file(int fd, const char *path)
{
    struct stat about;
    if (fstat(fd, &about) != 0)
        return ps_fail_errno(errno, "%s", path);
    if (S_ISDIR(about.st_mode))
        return ps_fail(PS_INVALID_ARGUMENT, "%s is a folder", path);
    if (S_ISREG(about.st_mode) && about.st_mode & 077)
        return ps_fail(PS_FAILED_PRECONDITION,
                       "%s: others may read it (mode %03o): chmod 600, and make a new identity if "
                       "they did",
                       path, (unsigned)(about.st_mode & 0777));
    return PS_OK;
}

static ps_status read_all(int fd, const char *path, uint8_t *bytes, size_t *n)
{
    ps_status st = ps_disk_read_most(&ps_disk_system, fd, bytes, FILE_MOST + 1, n);
    if (st)
        return ps_wrap(st, "%s", path);
    return *n > FILE_MOST
               ? ps_fail(PS_INVALID_ARGUMENT,
                         "%s has more than %d bytes: it is no file of identities", path, FILE_MOST)
               : PS_OK;
}

ps_status ps_age_identities_open(const char *path, ps_age_identities **out)
{
    int fd = open(strcmp(path, "-") ? path : "/dev/stdin", O_RDONLY | O_CLOEXEC | O_NOCTTY);
    if (fd < 0)
        return ps_fail_errno(errno, "%s", path);
    uint8_t *bytes = ps_secret_alloc(FILE_MOST + 1);
    size_t n = 0;
    ps_status st = check_file(fd, path);
    if (!st)
        st = read_all(fd, path, bytes, &n);
    if (!st)
        st = ps_age_identities_parse(ps_slice_of(bytes, n), path, out);
    ps_secret_release(bytes);
    (void)close(fd);
    return st;
}

void ps_age_identities_free(ps_age_identities **identities)
{
    ps_secret_release(*identities);
    *identities = NULL;
}

size_t ps_age_identities_count(const ps_age_identities *identities)
{
    return identities->n;
}

const uint8_t *ps_age_identity_secret(const ps_age_identities *identities, size_t i)
{
    PS_REQUIRE(i < identities->n);
    return identities->secrets[i];
}

const uint8_t *ps_age_identity_point(const ps_age_identities *identities, size_t i)
{
    PS_REQUIRE(i < identities->n);
    return identities->points[i];
}
