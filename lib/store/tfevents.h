/* SPDX-License-Identifier: Apache-2.0 */
/* store/tfevents.h -- a log that TensorBoard reads.
 *
 * Records of TFRecord: length (8 bytes), masked CRC of these, data, masked CRC of the data, all
 * little-endian; the CRC is CRC-32C, masked as ((c >> 15) | (c << 17)) + 0xa282ead8 (TensorFlow,
 * core/lib/io/record_writer.h and core/lib/hash/crc32c.h). Data is a protobuf Event (TensorFlow,
 * core/util/event.proto and core/framework/summary.proto): wall_time 1, step 2, file_version 3,
 * summary 5; a summary's value: tag 1, simple_value 2, image 4. */
#ifndef T3D_STORE_TFEVENTS_H
#define T3D_STORE_TFEVENTS_H

#include <cjson/cJSON.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

struct t3d_tfevents;

/* Open or make the file. Whole records of steps up to `step` stay; what comes behind the first
 * other one goes: a record that a kill has cut, steps that will be done again. */
int t3d_tfevents_open(struct t3d_tfevents **out, const char *path, int64_t step,
                      struct t3d_err *err) T3D_MUST_CHECK;
/* The numbers of an object, each under its key ("step" and what is no number are left out). */
int t3d_tfevents_numbers(struct t3d_tfevents *e, int64_t step, const cJSON *line,
                         struct t3d_err *err) T3D_MUST_CHECK;
/* A PNG file's bytes. */
int t3d_tfevents_png(struct t3d_tfevents *e, int64_t step, const char *tag, const void *png,
                     size_t size, struct t3d_err *err) T3D_MUST_CHECK;
/* NULL is fine. */
void t3d_tfevents_close(struct t3d_tfevents *e);

/* CRC-32C (Castagnoli; RFC 3720, appendix B.4). */
uint32_t t3d_crc32c(const void *data, size_t n);

#endif
