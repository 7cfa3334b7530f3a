/* A page of what a job has left, whatever that is: the first line is explain.json, the rest
 * explain.safetensors. Two scripts are in it and no more. */
#include "client/report/report.h"
#include "common/base/mem.h"
#include "common/base/require.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void token(void *user, uint32_t id, ps_buf *out)
{
    ps_buf_printf(out, "<%u>", id);
}

static size_t count(ps_buf *text, const char *what)
{
    size_t n = 0;
    for (const char *at = ps_buf_cstr(text); (at = strstr(at, what)); at++)
        n++;
    return n;
}

static void draw(const ps_explanation *manifest, const ps_safetensors *file, ps_slice arrays)
{
    static const char command[] = "psctl";
    const ps_explain_view view = {
        .manifest = manifest, .file = file, .arrays = arrays, .token = token};
    ps_report report = {.title = manifest->model,
                        .command = command,
                        .explanation = &view,
                        .room = ps_room_of(PS_ROOM_DEFAULT)};
    ps_buf out = PS_BUF_EMPTY;
    PS_REQUIRE(ps_report_html(&report, &out) == PS_OK && out.len <= PS_ROOM_DEFAULT);
    PS_REQUIRE(count(&out, "<script") == 2 && count(&out, "</script") == 2);
    PS_REQUIRE(count(&out, "<img") == 0);
    ps_room_clear(&report.room);
    ps_buf_free(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const uint8_t *end = memchr(data, '\n', size);
    size_t head = end ? (size_t)(end - data) : size;
    const ps_slice arrays = ps_slice_of(data + head + (end != NULL), size - head - (end != NULL));
    ps_explanation manifest = {0};
    ps_safetensors *file = NULL;
    if (ps_explanation_read(ps_slice_of(data, head), &manifest) == PS_OK) {
        if (ps_safetensors_parse(arrays, arrays.len, &file))
            file = NULL;
        draw(&manifest, file, arrays);
    }
    ps_safetensors_free(&file);
    ps_explanation_free(&manifest);
    return 0;
}
