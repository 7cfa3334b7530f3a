/* report: how a finding is told, and errors that stay. */
#ifndef PS_TEST_CUDA_REPORT_H
#define PS_TEST_CUDA_REPORT_H

#include <driver_types.h>

/* A finding, with where the device stands when it is running. pc: the instruction at fault, NULL
 * when there is none. Ends the program unless findings are kept. */
void ps_report(const void *pc, const char *format, ...) __attribute__((format(printf, 2, 3)));
void ps_report_reset(void);

/* The error that every call answers after the context is lost; cudaSuccess while it is not. */
extern cudaError_t ps_sticky_error;

#endif
