/* checkpoint_config: a store's configuration as bytes, so that a checkpoint can be loaded without
 * asking anybody. How initial values are drawn is not part of it: they have been.
 *
 *     u64 version (3)
 *     the settings: a line of YAML in the job file's words (common/conf/store_spec.h)
 *     a line of JSON a tensor: {"name":"w","shape":[784,10],"decays":true}, and "blocks":"sum"
 * where they are not dense (params/block_kinds.h)
 *
 * What a line does not have takes its default, so a setting can be added without another version;
 * a key that is not known is refused, for it means something to whoever wrote it. Before version 3
 * numbers stood by position (checkpoint_config_old.c); they are read. Private to this folder. */
#ifndef PS_DURABLE_CHECKPOINT_CONFIG_H
#define PS_DURABLE_CHECKPOINT_CONFIG_H

#include "common/base/buf.h"
#include "common/conf/store_spec.h"
#include "server/params/param_store.h"

void ps_checkpoint_config_encode(const ps_param_config *config, ps_buf *out);

/* A decoded configuration: owns what it points to. */
typedef struct ps_checkpoint_config {
    ps_param_config config;
    ps_param_plan *plans;
    char *texts;
    ps_store_spec *settings; /* has texts, too; NULL: of before version 3 */
    const char *consistency; /* the controller, by name: config has none */
    uint64_t elements;       /* of all tensors */
} ps_checkpoint_config;

/* bytes are hostile: PS_CORRUPT; PS_NO_MEMORY. PS_FAILED_PRECONDITION: settings that this psd does
 * not know; the message names the key. Initial values are zeros. */
PS_MUST_CHECK ps_status ps_checkpoint_config_decode(ps_slice bytes, ps_checkpoint_config *out);
void ps_checkpoint_config_free(ps_checkpoint_config *config);

/* ---- what both forms are decoded with ---- */

enum { PS_CHECKPOINT_CONFIG_VERSION = 3 };
/* The same for versions below; *out is freed by the caller, after a failure too. */
PS_MUST_CHECK ps_status ps_checkpoint_config_decode_old(ps_slice bytes, ps_checkpoint_config *out);
/* Room for texts that took n_bytes, each more than itself and its zero; then for n plans. */
PS_MUST_CHECK ps_status ps_checkpoint_config_texts(ps_checkpoint_config *out, size_t n_bytes);
PS_MUST_CHECK ps_status ps_checkpoint_config_plans(ps_checkpoint_config *out, size_t n);
/* The plan's shape: its elements are added to those of all. false: a side of 0, or more than there
 * can be. */
bool ps_checkpoint_config_count(ps_checkpoint_config *out, const ps_param_plan *plan);
PS_MUST_CHECK ps_status ps_checkpoint_config_damaged(void);

#endif
