/* Any bytes as JSON Lines: every line is one of the file's, in order, and a text that is found at a
 * key of it is not longer than it. */
#include "common/format/json_lines.h"
#include "tests/fuzz/data_bytes.h"

#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const keys[] = {"a", "a.b", "a.b.c", "."};
    char path[PS_FUZZ_PATH];
    ps_source *source = NULL;
    int fd = ps_fuzz_file(ps_slice_of(data, size), path);
    ps_fuzz_require(ps_source_open(path, &source) == PS_OK || !source);
    ps_json_lines *lines = source ? ps_json_lines_new(source) : NULL;
    ps_buf text = PS_BUF_EMPTY;
    ps_slice line;
    uint64_t bytes = 0;
    while (lines && !ps_json_lines_next(lines, &line)) {
        bytes += line.len;
        ps_fuzz_require(line.len && bytes <= ps_source_offset(source));
        for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
            if (ps_json_text_at(line, keys[i], &text) == PS_OK)
                ps_fuzz_require(text.len < line.len);
    }
    ps_buf_free(&text);
    ps_json_lines_free(&lines);
    ps_source_close(&source);
    close(fd);
    return 0;
}
