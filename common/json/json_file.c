/* Happy path: the file begins with none of the marks that foreign knows. */
#include "common/json/json_file.h"

#include "common/base/disk.h"
#include "common/base/foreign.h"
#include "common/json/json.h"

ps_status ps_json_file_read(const ps_disk *disk, const char *path, size_t most, ps_buf *out)
{
    size_t before = out->len;
    ps_status st = ps_disk_read_file(disk ? disk : &ps_disk_system, path, most, out);
    if (st)
        return st;
    ps_slice text = ps_slice_of(out->data + before, out->len - before);
    return text.len ? ps_foreign_check(path, text) : ps_fail(PS_CORRUPT, "%s is empty", path);
}

ps_status ps_json_file_check(const char *path, ps_slice text)
{
    ps_json_reader json;
    ps_json_token token;
    ps_json_reader_init(&json, text);
    ps_status st = ps_json_skip(&json);
    if (!st)
        st = ps_json_expect(&json, PS_JSON_END, &token);
    ps_json_reader_free(&json);
    return st ? ps_wrap(st, "%s", path) : PS_OK;
}
