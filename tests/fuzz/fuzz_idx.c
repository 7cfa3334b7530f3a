/* Any bytes as an idx file and its labels: the first byte says which labels are wanted and how many
 * of the rest are the features' file. */
#include "tests/fuzz/data_bytes.h"

#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2)
        return 0;
    static char format[] = "idx";
    char x[PS_FUZZ_PATH], y[PS_FUZZ_PATH];
    size_t first = (size - 2) * data[1] / 255;
    int x_fd = ps_fuzz_file(ps_slice_of(data + 2, first), x);
    int y_fd = ps_fuzz_file(ps_slice_of(data + 2 + first, size - 2 - first), y);
    ps_spec_data spec = {.format = format, .normalise = {.scale = 1e-9, .std = 1}};
    ps_spec_files files = {.features = x, .labels = y};
    ps_fuzz_dataset(&(ps_dataset_options){
        .data = &spec,
        .files = &files,
        .labels = (ps_label_kind)(data[0] % 3),
        .classes = data[0] / 3 % 2 ? 3 : 0,
        .max_bytes = 1 << 20,
    });
    close(x_fd);
    close(y_fd);
    return 0;
}
