/* An identity out of any bytes: either refused with a short printable reason, or one that is spelt
 * exactly as it came. */
#include "common/security/identity.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool condition)
{
    if (!condition)
        abort();
}

static void check_message(void)
{
    for (const char *c = ps_error_message(); *c; c++)
        require(*c >= 0x20 && *c < 0x7f);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    ps_slice bytes = ps_slice_of(data, size);
    ps_identity who, again;
    char text[PS_IDENTITY_TEXT_MAX], cluster[PS_IDENTITY_PART_MAX + 1];
    if (ps_identity_parse(bytes, &who) == PS_OK) {
        ps_identity_format(&who, text);
        require(strlen(text) == size && memcmp(text, data, size) == 0);
        require(ps_identity_make(who.cluster, who.role, who.name, &again) == PS_OK);
        require(ps_identity_equal(&who, &again));
    } else {
        check_message();
    }
    if (ps_identity_parse_cluster(bytes, cluster) == PS_OK)
        require(strlen(cluster) + 9 == size);
    else
        check_message();
    return 0;
}
