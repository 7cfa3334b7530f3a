/* What an age file and its keys are read from, out of any bytes: a header, by its MAC alone and by
 * an identity, a file of identities, a recipient. Whatever comes, a key is given out only with
 * PS_OK, and a header ends within the bytes. */
#include "common/age/age_header.h"
#include "common/age/age_payload.h"
#include "common/base/mem.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The one that the seeds are for, and what they wrap. */
#define IDENTITY "AGE-SECRET-KEY-1EGTZVFFV20835NWYV6270LXYVK2VKNX2MMDKWYKLMGR48UAWX40Q2P2LM0"
#define FILE_KEY "YELLOW SUBMARINE"

static void require(bool condition)
{
    if (!condition)
        abort();
}

static void header(ps_slice bytes, const ps_age_identities *ids)
{
    static const uint8_t zeros[PS_AGE_FILE_KEY];
    uint8_t key[PS_AGE_FILE_KEY];
    size_t len = 0;
    memcpy(key, FILE_KEY, sizeof key);
    ps_status st = ps_age_header_read(bytes, ids, key, &len);
    require(st ? !memcmp(key, zeros, sizeof key) : len && len <= bytes.len);
    require(st ||
            !memcmp(key, FILE_KEY, sizeof key)); /* of nothing else is a MAC found by chance */
}

static void keys(ps_slice bytes)
{
    ps_age_identities *ids = NULL;
    ps_age_recipients recipients = {.n = 0};
    require(!ps_age_identities_parse(bytes, "fuzz", &ids) == (ids != NULL));
    ps_age_identities_free(&ids);
    char *text = ps_asprintf("%.*s", (int)bytes.len, (const char *)bytes.data);
    require(!ps_age_recipients_add(&recipients, text) == (recipients.n == 1));
    ps_free(&text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static ps_age_identities *ids;
    uint64_t plain;
    if (!ids)
        require(!ps_age_identities_parse(ps_slice_str(IDENTITY), "own", &ids));
    header(ps_slice_of(data, size), ids);
    header(ps_slice_of(data, size), NULL);
    keys(ps_slice_of(data, size));
    if (!ps_age_plain_bytes(size, &plain))
        require(plain < size && size - plain >= 16);
    return 0;
}
