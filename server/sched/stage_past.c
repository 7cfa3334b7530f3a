/* Happy path: what was put is taken; it fails on bytes that are not such. */
#include "server/sched/stage_past.h"

#include "common/base/mem.h"
#include "common/base/require.h"

#include <string.h>

enum { VERSION = 1 };

void ps_stage_past_free(ps_stage_past **past)
{
    ps_stage_past *p = *past;
    if (!p)
        return;
    for (size_t i = 0; i < PS_STAGES; i++)
        free(p->told[i]);
    free(p->version);
    ps_free(past);
}

void ps_stage_again_free(ps_stage_again **again)
{
    if (*again) {
        free((*again)->version);
        ps_buf_free(&(*again)->progress);
    }
    ps_free(again);
}

static void put_text(const char *text, ps_buf *out)
{
    size_t len = text ? strlen(text) : 0;
    ps_buf_put_u32le(out, (uint32_t)len);
    ps_buf_append(out, text ? text : "", len);
}

void ps_stage_past_put(const ps_stage_past *past, unsigned stage, ps_buf *out)
{
    PS_REQUIRE((stage > 0) == (past != NULL));
    ps_buf_put_u32le(out, 0);
    ps_buf_put_u32le(out, VERSION);
    ps_buf_put_u32le(out, stage);
    if (!past)
        return;
    put_text(past->version, out);
    put_text(past->sha256, out);
    for (unsigned i = 0; i < stage; i++)
        put_text(past->told[i], out);
}

static char *take_text(ps_cursor *c)
{
    ps_slice text = ps_read_bytes(c, ps_read_u32le(c));
    if (c->failed || (text.len && memchr(text.data, 0, text.len)))
        c->failed = true;
    char *out = ps_alloc((c->failed ? 0 : text.len) + 1); /* and a zero */
    if (!c->failed && text.len)
        memcpy(out, text.data, text.len);
    return out;
}

static void take_hash(ps_cursor *c, char out[PS_DIGEST_TEXT])
{
    char *text = take_text(c);
    if (strlen(text) < PS_DIGEST_TEXT)
        memcpy(out, text, strlen(text) + 1);
    else
        c->failed = true;
    free(text);
}

ps_status ps_stage_past_take(ps_cursor *c, unsigned *stage, ps_stage_past **past)
{
    uint32_t zero = ps_read_u32le(c), version = ps_read_u32le(c), at = ps_read_u32le(c);
    ps_stage_past *p = NULL;
    if (!c->failed && !zero && version > VERSION)
        return ps_fail(PS_UNIMPLEMENTED,
                       "a newer psd wrote it (stages of version %u, this one knows %u)", version,
                       VERSION);
    if (c->failed || zero || version != VERSION || at >= PS_STAGES)
        return ps_fail(PS_CORRUPT, "progress: its stage cannot be read");
    if (at > 0) {
        p = ps_new(ps_stage_past);
        p->version = take_text(c);
        take_hash(c, p->sha256);
        for (uint32_t i = 0; i < at; i++)
            p->told[i] = take_text(c);
    }
    if (c->failed) {
        ps_stage_past_free(&p);
        return ps_fail(PS_CORRUPT, "progress: its stage cannot be read");
    }
    *stage = at;
    *past = p;
    return PS_OK;
}
