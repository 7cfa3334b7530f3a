/* store_settings: a store's configuration in the words of a job file, and back. A setting is a line
 * in each direction, and a test of durable/checkpoint_config finds the one that was forgotten.
 * Pure; any thread. */
#ifndef PS_PARAMS_STORE_SETTINGS_H
#define PS_PARAMS_STORE_SETTINGS_H

#include "common/conf/store_spec.h"
#include "server/params/param_store.h"

/* What the words say; all else of *out stays, but the controller, which the caller finds by its
 * name. Texts are borrowed. */
void ps_store_settings_take(const ps_store_spec *spec, ps_param_config *out);
/* The words for the configuration of a store (its controller and the optimizer's name are there).
 * *out has the configuration's texts: not for ps_store_spec_free. */
void ps_store_settings_give(const ps_param_config *config, ps_store_spec *out);

#endif
