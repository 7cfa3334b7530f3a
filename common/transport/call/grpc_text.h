/* grpc_text: the header values of gRPC over HTTP/2: percent-encoded messages, timeouts, and what an
 * HTTP status means when there is no grpc-status. Pure.
 */
#ifndef PS_TRANSPORT_CALL_GRPC_TEXT_H
#define PS_TRANSPORT_CALL_GRPC_TEXT_H

#include "common/base/buf.h"

/* Appends text with all but printable ASCII, and '%', as %XX. */
void ps_grpc_percent_encode(const char *text, ps_buf *out);
/* Appends the decoded bytes; what is no valid escape stays as it is. Control characters become
 * '?', so that a peer's text can be logged. */
void ps_grpc_percent_decode(ps_slice text, ps_buf *out);

/* "100m" and the like (at most 8 digits and a unit of HMSmun) to nanoseconds. */
PS_MUST_CHECK ps_status ps_grpc_timeout_parse(ps_slice text, uint64_t *ns);
/* Rounded up to what 8 digits can say. */
void ps_grpc_timeout_format(uint64_t ns, char out[16]);

/* Of the mapping in gRPC's http-grpc-status-mapping document. */
ps_status ps_grpc_status_of_http(int http_status);
/* Of an RST_STREAM's error code. */
ps_status ps_grpc_status_of_reset(uint32_t error_code);

#endif
