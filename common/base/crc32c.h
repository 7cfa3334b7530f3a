/* crc32c: the Castagnoli checksum (RFC 3720, appendix B.4), by SSE4.2 where the processor has it.
 * Any thread. */
#ifndef PS_BASE_CRC32C_H
#define PS_BASE_CRC32C_H

#include <stddef.h>
#include <stdint.h>

/* Of data after what crc is the checksum of; start with 0. */
uint32_t ps_crc32c(uint32_t crc, const void *data, size_t len);
/* The portable form, for machines without the instruction and for tests. */
uint32_t ps_crc32c_table(uint32_t crc, const void *data, size_t len);

#endif
