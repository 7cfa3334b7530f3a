#include "common/security/digest.h"

#include "common/base/mem.h"
#include "common/base/require.h"

#include <openssl/evp.h>

struct ps_digest {
    EVP_MD_CTX *context;
};

/* Of OpenSSL's functions here none fails but for want of memory of a few hundred bytes. */
ps_digest *ps_digest_new(void)
{
    ps_digest *digest = ps_new(ps_digest);
    digest->context = EVP_MD_CTX_new();
    PS_REQUIRE(digest->context && EVP_DigestInit_ex(digest->context, EVP_sha256(), NULL) == 1);
    return digest;
}

void ps_digest_add(ps_digest *digest, const void *bytes, size_t n)
{
    int done = EVP_DigestUpdate(digest->context, bytes, n);
    PS_REQUIRE(done == 1);
}

void ps_digest_text(const unsigned char bytes[PS_DIGEST_BYTES], char out[PS_DIGEST_TEXT])
{
    static const char digits[] = "0123456789abcdef";
    for (unsigned i = 0; i < PS_DIGEST_BYTES; i++) {
        out[2 * i] = digits[bytes[i] >> 4];
        out[2 * i + 1] = digits[bytes[i] & 15];
    }
    out[2 * PS_DIGEST_BYTES] = 0;
}

void ps_digest_end(ps_digest **digest, char out[PS_DIGEST_TEXT])
{
    unsigned char bytes[EVP_MAX_MD_SIZE];
    unsigned n = 0;
    int done = EVP_DigestFinal_ex((*digest)->context, bytes, &n);
    PS_REQUIRE(done == 1 && n == PS_DIGEST_BYTES);
    ps_digest_text(bytes, out);
    EVP_MD_CTX_free((*digest)->context);
    ps_free(digest);
}
