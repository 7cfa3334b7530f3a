/* model_row: a model in the catalog without its file. */
#ifndef PS_TEST_MODEL_ROW_H
#define PS_TEST_MODEL_ROW_H

#include "common/base/mem.h"
#include "common/base/rng.h"
#include "server/catalog/models.h"

/* The record becomes the model of its name, as a version of its own: record->path is set. */
static inline ps_status test_model_put(ps_catalog *catalog, ps_model_record *record)
{
    free(record->path);
    record->path = ps_asprintf("models/%s.%016llx.safetensors", record->name,
                               (unsigned long long)ps_rng_entropy());
    ps_status st = ps_catalog_model_add(catalog, record);
    return st ? st : ps_catalog_model_publish(catalog, record->name, record->path);
}

#endif
