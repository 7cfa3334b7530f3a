/* hf_texts: what config.json says of a model of texts beside its numbers: whether it tells classes
 * apart, and what they are called; and what the files of sentence-transformers beside it say of how
 * a text is embedded. Any thread. */
#ifndef PS_MODEL_HF_TEXTS_H
#define PS_MODEL_HF_TEXTS_H

#include "common/base/disk.h"
#include "common/conf/job_spec.h"
#include "common/json/json.h"

/* json: of config.json, hostile. Where its class is one of sequence classification, num_classes and
 * classes become what id2label says, or as many as transformers takes. PS_INVALID_ARGUMENT: ids
 * that are not counted from 0, names that are none or twice there, classes of which a text may have
 * several (problem_type); PS_CORRUPT. */
PS_MUST_CHECK ps_status ps_hf_texts_read(ps_slice json, ps_spec_model *model);

/* modules.json, 1_Pooling/config.json and sentence_bert_config.json of a folder, where they are:
 * pooling and max_text_length. What is said there and not done here is added to remarks. Fails as
 * ps_json_file_read. */
PS_MUST_CHECK ps_status ps_hf_texts_beside(const ps_disk *disk, const char *folder,
                                           ps_spec_model *model, ps_buf *remarks);

/* Behind architectures: id2label and label2id, where the model has classes with names. */
void ps_hf_texts_write(const ps_spec_model *model, ps_json_writer *w);

#endif
