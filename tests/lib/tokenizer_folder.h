/* tokenizer_folder: a folder with a file that is a tokenizer and what stands beside it. Fails the
 * running Check case. */
#ifndef PS_TEST_TOKENIZER_FOLDER_H
#define PS_TEST_TOKENIZER_FOLDER_H

#include "common/base/buf.h"
#include "common/json/json.h"
#include "common/tokenizer/tokenizer.h"

enum { PS_TEST_BESIDE = 3 };
/* "config", "map", "added": keys of cases, in the order of the files. */
extern const char *const ps_test_beside_keys[PS_TEST_BESIDE];

/* Writes the folder, what ps_tokenizer_open makes of it, and removes it. name: of the file itself.
 * beside: texts of tokenizer_config.json, special_tokens_map.json and added_tokens.json; empty:
 * there is no such file. */
ps_status ps_test_tokenizer_folder(const char *name, ps_slice bytes,
                                   const ps_buf beside[PS_TEST_BESIDE], ps_tokenizer **out);
/* Appends a list of numbers that the reader is before. */
void ps_test_read_ids(ps_json_reader *json, ps_ids *out);

#endif
