/* SPDX-License-Identifier: Apache-2.0 */
/* num/device.h -- which processor a graph runs on.
 *
 *     struct t3d_device d;
 *     if (t3d_device_parse(&d, options->device, err) < 0) ...     "cpu", "cuda:0"
 *     g = t3d_device_graph(&d, threads);
 *
 * A build without nvcc, a machine without a driver and a machine without that card all give one
 * clear error here, before anything is read. */
#ifndef T3D_NUM_DEVICE_H
#define T3D_NUM_DEVICE_H

#include <stddef.h>

#include "num/graph.h"

struct t3d_device {
    enum t3d_backend backend;
    int index; /* of a CUDA device */
};

/* NULL, "" and "cpu": the host. "cuda" and "cuda:N": that CUDA device, if it is there. T3D_USAGE
 * with reason "bad-device" (no such word) or "no-device". */
int t3d_device_parse(struct t3d_device *d, const char *text, struct t3d_err *err) T3D_MUST_CHECK;

/* t3d_graph_new for this device. */
struct t3d_graph *t3d_device_graph(const struct t3d_device *d, int threads);

/* CUDA devices of this machine; 0 also where the build has no CUDA or the driver is missing. */
int t3d_device_count(void);
/* "NVIDIA H200, 139.8 GiB, compute 9.0" into text. */
void t3d_device_describe(int index, char *text, size_t n);
/* What was built in: "CUDA 13.0 (sm_80 sm_90 compute_90), cuBLASLt 13.0.2", "no CUDA (built without
 * nvcc)". */
void t3d_device_support(char *text, size_t n);

#endif
