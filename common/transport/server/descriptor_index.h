/* descriptor_index: finds files and symbols in a serialised google.protobuf.FileDescriptorSet, in
 * place. Pure; the bytes are those that protoc made when psd was built, and are still parsed with
 * the cursor.
 */
#ifndef PS_TRANSPORT_SERVER_DESCRIPTOR_INDEX_H
#define PS_TRANSPORT_SERVER_DESCRIPTOR_INDEX_H

#include "common/base/slice.h"

/* The FileDescriptorProto called `name` ("psd/v1/jobs.proto"); {NULL, 0} when there is none. */
ps_slice ps_descriptor_file(ps_slice set, const char *name);
/* The one that defines a service, a method, a message (also a nested one) or an enum. */
ps_slice ps_descriptor_file_of_symbol(ps_slice set, const char *symbol);

#endif
