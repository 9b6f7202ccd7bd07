/* SPDX-License-Identifier: Apache-2.0 */
#include "metric/picture_body.h"

T3DI_PICTURE(t3di_picture_portable);
