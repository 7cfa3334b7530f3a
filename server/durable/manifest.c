/* Written whole each time; read line by line, each as it would have been written or it is damage.
 */
#include "server/durable/manifest.h"

#include "common/base/crc32c.h"
#include "common/base/require.h"
#include "common/base/whole_file.h"

#include <inttypes.h>
#include <stdio.h>

enum { LINE_MAX_BYTES = 128, FILE_MAX = (PS_MANIFEST_MAX + 2) * LINE_MAX_BYTES };

static const char first_line[] = "psd-manifest 1\n";

static int format_entry(char *out, const ps_manifest_entry *e)
{
    return snprintf(out, LINE_MAX_BYTES,
                    "checkpoint %" PRIu64 " version %" PRIu64 " bytes %" PRIu64 "\n", e->number,
                    e->version, e->bytes);
}

ps_status ps_manifest_write(const ps_disk *disk, const char *path, const ps_manifest *manifest)
{
    PS_REQUIRE(manifest->n <= PS_MANIFEST_MAX);
    ps_buf text = PS_BUF_EMPTY;
    ps_buf_puts(&text, first_line);
    for (size_t i = 0; i < manifest->n; i++) {
        char line[LINE_MAX_BYTES];
        (void)format_entry(line, &manifest->entries[i]);
        ps_buf_puts(&text, line);
    }
    ps_buf_printf(&text, "crc32c %08x\n", ps_crc32c(0, text.data, text.len));
    ps_status st = ps_whole_file_save(disk, path, ps_buf_slice(&text));
    ps_buf_free(&text);
    return st;
}

/* The next line with its end; empty when there is no whole one. */
static ps_slice next_line(ps_slice *text)
{
    const uint8_t *end = text->len ? memchr(text->data, '\n', text->len) : NULL;
    size_t len = end ? (size_t)(end - text->data) + 1 : 0;
    ps_slice line = ps_slice_of(text->data, len);
    *text = ps_slice_of(text->data + len, text->len - len);
    return line;
}

static bool same(ps_slice line, const char *text, int len)
{
    return len > 0 && line.len == (size_t)len && memcmp(line.data, text, line.len) == 0;
}

static bool parse_entry(ps_slice line, ps_manifest_entry *out)
{
    char text[LINE_MAX_BYTES], again[LINE_MAX_BYTES];
    if (line.len == 0 || line.len >= sizeof text)
        return false;
    memcpy(text, line.data, line.len);
    text[line.len] = 0;
    if (sscanf(text, "checkpoint %" SCNu64 " version %" SCNu64 " bytes %" SCNu64, &out->number,
               &out->version, &out->bytes) != 3)
        return false;
    return same(line, again, format_entry(again, out));
}

/* Newest first, each once: whoever keeps some of them counts on it. */
static bool descends(const ps_manifest *m, size_t at)
{
    return at == 0 || m->entries[at].number < m->entries[at - 1].number;
}

ps_status ps_manifest_parse(ps_slice text, ps_manifest *out)
{
    ps_manifest made = {0};
    ps_slice rest = text;
    if (!same(next_line(&rest), first_line, (int)sizeof first_line - 1))
        return ps_fail(PS_CORRUPT, "manifest: its first line is damaged");
    for (;;) {
        size_t before = text.len - rest.len;
        char last[LINE_MAX_BYTES];
        int len = snprintf(last, sizeof last, "crc32c %08x\n", ps_crc32c(0, text.data, before));
        ps_slice line = next_line(&rest);
        if (same(line, last, len) && rest.len == 0)
            break;
        if (made.n == PS_MANIFEST_MAX || !parse_entry(line, &made.entries[made.n]) ||
            !descends(&made, made.n))
            return ps_fail(PS_CORRUPT, "manifest: line %zu is damaged", made.n + 2);
        made.n++;
    }
    *out = made;
    return PS_OK;
}

ps_status ps_manifest_read(const ps_disk *disk, const char *path, ps_manifest *out)
{
    ps_buf text = PS_BUF_EMPTY;
    ps_status st = ps_disk_read_file(disk, path, FILE_MAX, &text);
    if (st == PS_RESOURCE_EXHAUSTED)
        st = ps_fail(PS_CORRUPT, "%s: too long to be a manifest", path);
    if (!st)
        st = ps_manifest_parse(ps_buf_slice(&text), out);
    ps_buf_free(&text);
    return st;
}
