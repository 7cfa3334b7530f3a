/* hf_sentence: the files of sentence-transformers, in a folder of Hugging Face: of which modules a
 * model is made (modules.json), how a text is pooled (1_Pooling/config.json), and how much of it is
 * read (sentence_bert_config.json, or tokenizer_config.json). They come in and go out as they were
 * (side_files.h), unless the model says something else by then. Any thread. */
#ifndef PS_MODEL_HF_SENTENCE_H
#define PS_MODEL_HF_SENTENCE_H

#include "common/base/disk.h"
#include "common/conf/job_spec.h"
#include "common/format/safetensors.h"

/* Pooling and max_text_length of an encoder, where a folder's files say them; of other models
 * nothing. What is said there and not done here is added to remarks. Fails as ps_json_file_read;
 * PS_INVALID_ARGUMENT: a file is not what its name says. */
PS_MUST_CHECK ps_status ps_hf_sentence_read(const ps_disk *disk, const char *folder,
                                            ps_spec_model *model, ps_buf *remarks);

/* Where the file of that name is to be another than file, of the model, has it: true, and *out is
 * that one. Of an encoder that came with such files, or, if it tells no classes apart, does
 * not do what sentence-transformers does without. file is hostile. */
bool ps_hf_sentence_make(const ps_spec_model *model, const ps_safetensors *file, const char *name,
                         ps_buf *out);

#endif
