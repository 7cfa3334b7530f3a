/* Lines of an audit log out of any bytes, anchors and what they show among them: refused, or of the
 * chain that they say they are. */
#include "common/security/audit_anchor.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    ps_audit_check chain = {0};
    ps_anchor_check *anchors;
    if (ps_anchor_check_new(&(ps_anchor_trust){0}, &anchors))
        abort();
    for (size_t at = 0; at < size;) {
        const uint8_t *end = memchr(data + at, '\n', size - at);
        ps_slice line = ps_slice_of(data + at, end ? (size_t)(end - data) - at : size - at);
        const uint64_t before = chain.lines;
        if (ps_audit_check_line(&chain, line))
            break;
        if (chain.lines > before && ps_anchor_check_line(anchors, line, &chain.before))
            break;
        if (chain.lines > before + 1 ||
            (chain.before.seq && chain.head.seq != chain.before.seq + 1))
            abort();
        at += line.len + 1;
    }
    (void)!ps_audit_check_end(&chain);
    ps_anchor_check_free(&anchors);
    return 0;
}
