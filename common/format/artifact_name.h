/* artifact_name: what a file that a job leaves with psd may be called. Others have named it, and it
 * becomes a file's name wherever it is fetched to. Pure. */
#ifndef PS_FORMAT_ARTIFACT_NAME_H
#define PS_FORMAT_ARTIFACT_NAME_H

#include <stdbool.h>

#define PS_ARTIFACT_NAME_RULE "1 to 64 letters, digits, '.', '_', '-', not first a '.'"

bool ps_artifact_name_ok(const char *name);

/* What a job has found, for people to read: who may not have weights may have these. Sketches of
 * updates (influence.bin) are none: of a small model they come near to its weights. */
#define PS_ARTIFACT_REPORTS \
    "report.json, explain.json, explain.safetensors, loss_changes.json, loss_changes.safetensors"
bool ps_artifact_name_is_report(const char *name);

#endif
