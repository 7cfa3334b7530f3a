/* imatrix_receive: llama.cpp's importance matrix of what the job of a stored model was calibrated
 * on (common/compress/imatrix.h). One thread (not asserted: psctl has no other). */
#ifndef PS_CALL_IMATRIX_RECEIVE_H
#define PS_CALL_IMATRIX_RECEIVE_H

#include "client/call/client.h"

/* job_id: of the job that made model `name`; 0: none did. PS_NOT_FOUND: that job has left no sums;
 * PS_FAILED_PRECONDITION: they have no such form. */
PS_MUST_CHECK ps_status ps_imatrix_receive(ps_client *client, const char *name, uint64_t job_id,
                                           ps_buf *gguf);

#endif
