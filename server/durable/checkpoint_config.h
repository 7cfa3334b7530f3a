/* checkpoint_config: a store's configuration as bytes, so that a checkpoint can be loaded without
 * asking anybody. How initial values are drawn is not part of it: they have been. */
#ifndef PS_DURABLE_CHECKPOINT_CONFIG_H
#define PS_DURABLE_CHECKPOINT_CONFIG_H

#include "common/base/buf.h"
#include "server/params/param_store.h"

void ps_checkpoint_config_encode(const ps_param_config *config, ps_buf *out);

/* A decoded configuration: owns what it points to. */
typedef struct ps_checkpoint_config {
    ps_param_config config;
    ps_param_plan *plans;
    char *texts;
    const char *consistency; /* the controller, by name: config has none */
    uint64_t elements;       /* of all tensors */
} ps_checkpoint_config;

/* bytes are hostile: PS_CORRUPT; PS_NO_MEMORY. Initial values are zeros. */
PS_MUST_CHECK ps_status ps_checkpoint_config_decode(ps_slice bytes, ps_checkpoint_config *out);
void ps_checkpoint_config_free(ps_checkpoint_config *config);

#endif
