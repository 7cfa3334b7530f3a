/* Any bytes as a csv file: the first byte says what is asked of it. */
#include "tests/fuzz/data_bytes.h"

#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static char format[] = "csv", none[] = "", a[] = "a", one[] = "1", quoted[] = "b, \"c\"";
    static char *names[] = {a, one, quoted};
    static char columns[4][6] = {"last", "first", "1", "b"};
    static char delimiters[4][4] = {",", ";", "tab", " "};
    if (size < 2)
        return 0;
    char path[PS_FUZZ_PATH];
    int fd = ps_fuzz_file(ps_slice_of(data + 2, size - 2), path);
    ps_spec_data spec = {
        .format = format,
        .csv = {.label_column = {.any = columns[data[0] & 3],
                                 .name = data[1] & 0x40 ? columns[3] : none,
                                 .index = data[1] & 0x80 ? 1 : -1},
                .targets = 1 + (data[0] >> 2 & 3),
                .header = data[0] >> 4 & 1,
                .delimiter = delimiters[data[0] >> 5 & 3]},
        .normalise = {.scale = data[1] / 6 % 2 ? 1e-9 : 0, .mean = data[1] / 12 % 2, .std = 1},
    };
    ps_spec_files files = {.features = path};
    ps_fuzz_dataset(&(ps_dataset_options){
        .data = &spec,
        .files = &files,
        .labels = (ps_label_kind)(data[1] % 3),
        .classes = data[1] / 3 % 2 ? 3 : 0,
        .missing = data[0] >> 7 ? PS_SPEC_MISSING_ZERO + (data[1] & 1) : PS_SPEC_MISSING_ERROR,
        .max_bytes = 1 << 20,
        .class_names = names,
        .n_class_names = data[1] & 0x20 ? 3 : 0,
    });
    close(fd);
    return 0;
}
