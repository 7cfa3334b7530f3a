/* Happy path: a line's hash becomes the head, and the next line names it. */
#include "common/security/audit_chain.h"

#include "common/json/json.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

static const char zeros[] = "0000000000000000000000000000000000000000000000000000000000000000";

static bool is_hex(ps_slice text)
{
    for (size_t i = 0; i < text.len; i++)
        if (!strchr("0123456789abcdef", text.data[i]) || !text.data[i])
            return false;
    return text.len == PS_DIGEST_TEXT - 1;
}

ps_audit_head ps_audit_head_none(void)
{
    ps_audit_head head = {.seq = 0};
    memcpy(head.sha256, zeros, sizeof zeros);
    return head;
}

void ps_audit_head_text(const ps_audit_head *head, char out[PS_AUDIT_HEAD_TEXT])
{
    (void)snprintf(out, PS_AUDIT_HEAD_TEXT, "%" PRIu64 ":%s", head->seq, head->sha256);
}

ps_status ps_audit_head_parse(const char *text, ps_audit_head *out)
{
    char *end = NULL;
    unsigned long long seq = *text >= '1' && *text <= '9' ? strtoull(text, &end, 10) : 0;
    if (!seq || seq == UINT64_MAX || *end != ':' || !is_hex(ps_slice_str(end + 1)))
        return ps_fail(
            PS_INVALID_ARGUMENT,
            "a head is a line's number, a colon and 64 hexadecimal digits, as psctl audit "
            "head prints it");
    out->seq = seq;
    memcpy(out->sha256, end + 1, sizeof out->sha256);
    return PS_OK;
}

static void hash(ps_slice line, char out[PS_DIGEST_TEXT])
{
    ps_digest *digest = ps_digest_new();
    ps_digest_add(digest, line.data, line.len);
    ps_digest_end(&digest, out);
}

void ps_audit_head_advance(ps_audit_head *head, ps_slice line)
{
    head->seq++;
    hash(line, head->sha256);
}

/* ---- reading ---- */

static ps_status read_members(ps_json_reader *r, uint64_t *seq, char prev[PS_DIGEST_TEXT])
{
    ps_json_token key, value;
    *seq = 0;
    *prev = 0;
    ps_status st = ps_json_expect(r, PS_JSON_OBJECT, &key);
    while (ps_json_member(r, &key, &st)) {
        const bool number = ps_slice_is(key.text, "seq"), before = ps_slice_is(key.text, "prev");
        st = number || before ? ps_json_next(r, &value) : ps_json_skip(r);
        if (!st && number && value.is_u64)
            *seq = value.u64;
        if (!st && before && value.kind == PS_JSON_STRING && is_hex(value.text))
            memcpy(prev, value.text.data, PS_DIGEST_TEXT);
    }
    return st ? st : ps_json_expect(r, PS_JSON_END, &key);
}

ps_status ps_audit_line_read(ps_slice line, uint64_t *seq, char prev[PS_DIGEST_TEXT])
{
    ps_json_reader r;
    ps_json_reader_init(&r, line);
    ps_status st = read_members(&r, seq, prev);
    ps_json_reader_free(&r);
    return st || !*seq || !*prev ? ps_fail(PS_NOT_FOUND, "it has no seq and prev") : PS_OK;
}

/* The first line of what was read follows one that is elsewhere, but the first of all. */
static ps_status check_first(ps_audit_check *c, uint64_t seq, const char *prev)
{
    if (seq == 1 && strcmp(prev, zeros) != 0)
        return ps_fail(PS_CORRUPT, "it is the first line and follows another");
    if (seq > 1 && c->others)
        return ps_fail(PS_CORRUPT,
                       "it has number %" PRIu64 ", and what is before it in the file is no line",
                       seq);
    c->begun = true;
    c->first = seq;
    return PS_OK;
}

static ps_status check_next(const ps_audit_check *c, uint64_t seq, const char *prev)
{
    if (seq == 1)
        return ps_fail(PS_CORRUPT,
                       "it has number 1 and follows %" PRIu64
                       ": it was moved, or the oldest file is not named first (audit.log.* "
                       "audit.log)",
                       c->head.seq);
    if (seq != c->head.seq + 1)
        return ps_fail(PS_CORRUPT,
                       "it has number %" PRIu64 " and follows %" PRIu64
                       ": lines were left out, put "
                       "in or moved",
                       seq, c->head.seq);
    if (strcmp(prev, c->head.sha256) != 0)
        return ps_fail(PS_CORRUPT, "the line before it, %" PRIu64 ", was changed", c->head.seq);
    return PS_OK;
}

static ps_status check_wanted(ps_audit_check *c)
{
    if (!c->wanted || c->wanted->seq != c->head.seq)
        return PS_OK;
    c->met = true;
    return strcmp(c->wanted->sha256, c->head.sha256) == 0
               ? PS_OK
               : ps_fail(PS_CORRUPT, "line %" PRIu64 " is another than the head that was kept",
                         c->head.seq);
}

/* A line that was cut is none. */
static bool is_whole(ps_slice line)
{
    ps_json_reader r;
    ps_json_token token;
    ps_json_reader_init(&r, line);
    bool is = !ps_json_skip(&r) && !ps_json_expect(&r, PS_JSON_END, &token);
    ps_json_reader_free(&r);
    return is;
}

/* Before the chain began a psd of before wrote lines; among its lines there are none but cut ones.
 */
static ps_status check_other(ps_audit_check *c, ps_slice line)
{
    if (c->begun && is_whole(line))
        return ps_fail(PS_CORRUPT, "it has no number and follows %" PRIu64 ": it was put in",
                       c->head.seq);
    c->others++;
    return PS_OK;
}

ps_status ps_audit_check_line(ps_audit_check *c, ps_slice line)
{
    uint64_t seq;
    char prev[PS_DIGEST_TEXT];
    if (ps_audit_line_read(line, &seq, prev))
        return check_other(c, line);
    ps_status st = c->begun ? check_next(c, seq, prev) : check_first(c, seq, prev);
    if (st)
        return st;
    c->lines++;
    c->before.seq = seq - 1;
    memcpy(c->before.sha256, prev, sizeof c->before.sha256);
    c->head.seq = seq - 1;
    ps_audit_head_advance(&c->head, line);
    return check_wanted(c);
}

ps_status ps_audit_check_end(const ps_audit_check *c)
{
    if (!c->begun)
        return ps_fail(PS_CORRUPT, "there is no line with seq and prev");
    if (!c->wanted || c->met)
        return PS_OK;
    if (c->wanted->seq < c->first)
        return ps_fail(PS_CORRUPT,
                       "line %" PRIu64 " of the head is before these, which begin with %" PRIu64
                       ": name the older files, too",
                       c->wanted->seq, c->first);
    return ps_fail(PS_CORRUPT,
                   "they end with line %" PRIu64 ", and there was a line %" PRIu64
                   ": the end was cut off",
                   c->head.seq, c->wanted->seq);
}
