/* model_message: rows of models and artifacts as messages of their own (malloc), for
 * protobuf_c_message_free_unpacked. */
#ifndef PS_SERVICE_MODEL_MESSAGE_H
#define PS_SERVICE_MODEL_MESSAGE_H

#include "psd/v1/models.pb-c.h"
#include "server/catalog/artifacts.h"
#include "server/catalog/models.h"

Psd__V1__Model *ps_model_message_new(const ps_model_record *record);
Psd__V1__Artifact *ps_artifact_message_new(const ps_artifact_record *record);

#endif
