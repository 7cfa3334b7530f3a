/* adapter_file: what a job with train.lora has trained, left with it as PEFT keeps adapters
 * (common/model/peft.h): adapter_model.safetensors, whose metadata name the model that it is for,
 * and SHA-256 of that one's file,
 *
 *     psd.base   {"model":"NAME","sha256":"…"}
 *
 * and adapter_config.json. Blocks: off the loop. Any thread. */
#ifndef PS_FILES_ADAPTER_FILE_H
#define PS_FILES_ADAPTER_FILE_H

#include "common/conf/job_spec.h"
#include "server/files/stored_file.h"
#include "server/params/param_store.h"

#define PS_ADAPTER_META "psd.base"

/* version: of spec->initialize_from. Nobody pushes any more. Fails as an artifact's does. */
PS_MUST_CHECK ps_status ps_adapter_file_store(const ps_stored_files *files, ps_param_store *store,
                                              uint64_t job_id, const ps_job_spec *spec,
                                              const char *version);

#endif
