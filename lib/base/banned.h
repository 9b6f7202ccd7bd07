/* SPDX-License-Identifier: Apache-2.0 */
/* base/banned.h -- force-included into every file: calls that are too easy to get wrong do not
 * compile. */
#ifndef T3D_BASE_BANNED_H
#define T3D_BASE_BANNED_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#pragma GCC poison strcpy strcat strncpy strncat sprintf vsprintf strtok gets atoi atol atof       \
    localtime tmpnam

#endif
