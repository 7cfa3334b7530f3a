/* compress_keys: the parts of section `compress`. Private to common/conf. */
#ifndef PS_CONF_COMPRESS_KEYS_H
#define PS_CONF_COMPRESS_KEYS_H

#include "common/conf/job_spec.h"

/* Each is a member of ps_spec_compress, a NULL pointer when the file does not have it, with
 * ps_compress_NAME_keys and ps_compress_NAME_check, which is asked when it is there. */
#define PS_COMPRESS_PARTS(part) part(prune) part(lowrank) part(quantise)

#define PS_COMPRESS_PART_DECLARE(name)                                            \
    extern const ps_conf_key ps_compress_##name##_keys[];                         \
    PS_MUST_CHECK ps_status ps_compress_##name##_check(const ps_spec_compress *c, \
                                                       const ps_conf_doc *doc);
PS_COMPRESS_PARTS(PS_COMPRESS_PART_DECLARE)

extern const ps_conf_key ps_spec_compress_keys[];
/* Of compress.quantise: target, and with it what scheme and saliency may be. */
extern const ps_conf_key ps_compress_target_keys[];
PS_MUST_CHECK ps_status ps_compress_target_check(const ps_spec_compress *c, const ps_conf_doc *doc);

/* The rules of the section, on the lines of doc, where it is "compress". */
PS_MUST_CHECK ps_status ps_compress_check(const ps_spec_compress *compress, const ps_conf_doc *doc);
/* Those that look at the rest of the job as well. origin: the parent; NULL: it is not known. */
PS_MUST_CHECK ps_status ps_compress_check_job(const ps_job_spec *spec, const ps_spec_model *origin,
                                              const ps_conf_doc *doc);

#endif
